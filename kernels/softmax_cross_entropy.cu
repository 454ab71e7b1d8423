// Softmax and cross-entropy of logits Z [rows, classes], and the gradient, with label smoothing e and class weights w.
//
//   -log p_j = log(sum_k e^(z_k - max)) - (z_j - max)
//   row      = [(1-e) w_y (-log p_y) + e/C sum_c w_c (-log p_c)] / W,   W = sum over the batch of w_y
//   dz_j     = [(1-e) w_y (p_j - [j = y]) + e/C (p_j sum_c w_c - w_j)] / W
//
// The row kernel writes one Loss per row. loss_total adds them in f64 in a fixed order into the slot of this step, and
// sets the run's flag if the objective is not finite. So no step waits for the host, which reads many slots at once.
//
// Threads: 16 lanes a row, 8 rows in a block of 128. loss_total is one block of 256.
// A launch moves 8 bytes per logit (read; gradient written) and 24 per row. It does some 60 flops per logit, most of
// them for two e^x.
// Source: src/ops/loss/cross_entropy.rs; the f32 parts give the same bits.
#include "math.cuh"
#include "rows.cuh"

// dlogits and class_weights may be null. weight_sum = sum_c w_c (the number of classes if there are no weights).
// inverse = 1/W, 0 if W is 0.
extern "C" __global__ void __launch_bounds__(ROW_THREADS, 8)
softmax_cross_entropy(float* __restrict__ dlogits, Loss* __restrict__ row_losses, const float* __restrict__ logits, const unsigned* __restrict__ labels,
                      const double* __restrict__ class_weights, unsigned rows, unsigned classes, double label_smoothing, double weight_sum, double inverse) {
    // Shuffles need whole warps: lanes beyond the last row compute too, and write nothing.
    const bool inside = row_of_thread() < rows;
    const unsigned row = inside ? row_of_thread() : rows - 1;
    const float* z = logits + (size_t)row * classes;
    const unsigned y = labels[row];
    const double label_weight = class_weights ? class_weights[y] : 1.0;

    float max = -__uint_as_float(INFINITY_BITS);
    for (unsigned j = lane_of_row(); j < classes; j += LANES) max = fmaxf(max, z[j]);
    max = row_max(max);
    float exp_sum = 0.0f, nans = 0.0f;
    for (unsigned j = lane_of_row(); j < classes; j += LANES) {
        exp_sum += exp_f32(z[j] - max);
        nans += is_nan(z[j]) ? 1.0f : 0.0f;
    }
    exp_sum = row_sum(exp_sum);
    nans = row_sum(nans);
    const float log_sum = ln_f32(exp_sum);

    const double own = (1.0 - label_smoothing) * label_weight, spread = label_smoothing / (double)classes;
    const double cross_entropy = (double)(log_sum - (z[y] - max));
    double objective = own * cross_entropy;
    if (spread > 0.0) {
        double sum = 0.0;
        for (unsigned j = lane_of_row(); j < classes; j += LANES) sum += (class_weights ? class_weights[j] : 1.0) * (double)(log_sum - (z[j] - max));
        objective += spread * row_sum(sum);
    }
    const unsigned winner = row_argmax(z, classes);
    if (!inside) return;
    if (lane_of_row() == 0) row_losses[row] = {objective * inverse, cross_entropy, nans == 0.0f && winner == y ? 1ull : 0ull};
    if (!dlogits) return;

    const float inv_sum = 1.0f / exp_sum, pull = (float)((own + spread * weight_sum) * inverse);
    for (unsigned j = lane_of_row(); j < classes; j += LANES) {
        const double target = spread * (class_weights ? class_weights[j] : 1.0) + (j == y ? own : 0.0);
        dlogits[(size_t)row * classes + j] = exp_f32(z[j] - max) * inv_sum * pull - (float)(target * inverse);
    }
}

constexpr unsigned TOTAL_THREADS = 256;

// total = the sum of row_losses [rows]. Sets *diverged, if given, to 1 if the objective is not finite.
extern "C" __global__ void __launch_bounds__(TOTAL_THREADS)
loss_total(Loss* __restrict__ total, unsigned* __restrict__ diverged, const Loss* __restrict__ row_losses, unsigned rows) {
    __shared__ Loss sums[TOTAL_THREADS];
    Loss sum = {0.0, 0.0, 0};
    for (unsigned row = threadIdx.x; row < rows; row += TOTAL_THREADS) {
        sum.objective += row_losses[row].objective;
        sum.cross_entropy_sum += row_losses[row].cross_entropy_sum;
        sum.correct += row_losses[row].correct;
    }
    sums[threadIdx.x] = sum;
    for (unsigned half = TOTAL_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) {
            const Loss& other = sums[threadIdx.x + half];
            sums[threadIdx.x].objective += other.objective;
            sums[threadIdx.x].cross_entropy_sum += other.cross_entropy_sum;
            sums[threadIdx.x].correct += other.correct;
        }
    }
    if (threadIdx.x != 0) return;
    *total = sums[0];
    // x - x is 0 for finite numbers only.
    if (diverged && !(sums[0].objective - sums[0].objective == 0.0)) *diverged = 1;
}
