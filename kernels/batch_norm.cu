// Batch normalisation of Z [rows, features], each column by itself. The block's tail (dropout and activation) runs in
// the same pass.
//
//   forward     x^ = (z - mu) s,  s = 1/sqrt(sigma^2 + eps),  y = tail(gamma x^ + beta)
//               running <- 0.9 running + 0.1 (mu, sigma^2 n/(n-1))
//   evaluate    the same with the running mean and variance
//   backward    dbeta = sum dy,  dgamma = sum dy x^,  dz = gamma s / n (n dy - dbeta - x^ dgamma)
//
// mu and sigma^2 come from the tiles of the product that made Z (sgemm.cu, statistics), joined in order. The sums of
// the backward come from one partial sum per chunk of rows, joined in order. No atomics, so the bits repeat. The last
// bits differ from the CPU's, which adds row by row.
//
// Threads: a block is 32 columns x 8 thread rows over a chunk of 16 rows, in backward sums of 64; grid
// (ceil(features/32), ceil(rows/16)). A warp reads 32 neighbours of a row. A thread waits for each of its rows before
// it reads the next, because it overwrites what it reads. So chunks are short.
// Bytes per element: forward 16 (z read; x^, pre, y written), evaluate 12, backward sums 16 (dy read and written; pre,
// x^ read), backward 12; and a few per column and chunk. Flops: forward 4, backward 4 + 5, besides f and Philox.
// Each element draws its own counter: memory, not arithmetic, limits these kernels.
// Source: src/ops/batch_norm.rs; Ioffe, Szegedy, "Batch Normalization", ICML 2015.
#include "activation.cuh"
#include "moments.cuh"
#include "random.cuh"

constexpr float EPSILON = 1e-5f;
constexpr float MOMENTUM = 0.1f, KEEP = 0.9f;
constexpr unsigned COLUMNS = 32, THREAD_ROWS = 8, CHUNK = 16, SUM_CHUNK = 64;

__device__ __forceinline__ unsigned column_of_thread() { return blockIdx.x * COLUMNS + threadIdx.x; }
__device__ __forceinline__ unsigned first_row_of_thread(unsigned chunk) { return blockIdx.y * chunk + threadIdx.y; }
__device__ __forceinline__ unsigned end_of_chunk(unsigned chunk, unsigned rows) { return min((blockIdx.y + 1) * chunk, rows); }

// out holds Z and is overwritten with Y. x_hat and inv_std [features] are kept for the backward. pre is the
// activation's input.
extern "C" __global__ void __launch_bounds__(COLUMNS * THREAD_ROWS)
batch_norm_forward(float* __restrict__ out, float* __restrict__ pre, float* __restrict__ x_hat, float* __restrict__ inv_std, float* __restrict__ running_mean,
                   float* __restrict__ running_var, const float* __restrict__ gamma, const float* __restrict__ beta, const float* __restrict__ tile_mean,
                   const float* __restrict__ tile_m2, unsigned rows, unsigned features, unsigned tile_rows, unsigned activation, unsigned order, Mask mask,
                   const unsigned* __restrict__ diverged) {
    __shared__ float mean[COLUMNS];
    __shared__ float scale[COLUMNS];
    const unsigned column = column_of_thread();
    if (threadIdx.y == 0 && column < features) {
        Moments total;
        for (unsigned tile = 0; tile * tile_rows < rows; ++tile) {
            const size_t at = (size_t)tile * features + column;
            total.join(min(tile_rows, rows - tile * tile_rows), tile_mean[at], tile_m2[at]);
        }
        const float variance = total.m2 / (float)rows;
        mean[threadIdx.x] = total.mean;
        scale[threadIdx.x] = 1.0f / sqrtf(variance + EPSILON);
        if (blockIdx.y == 0) {
            inv_std[column] = scale[threadIdx.x];
            if (!*diverged) {
                const float unbias = (float)((double)rows / ((double)rows - 1.0));
                running_mean[column] = KEEP * running_mean[column] + MOMENTUM * total.mean;
                running_var[column] = KEEP * running_var[column] + MOMENTUM * (variance * unbias);
            }
        }
    }
    __syncthreads();
    if (column >= features) return;
    const float g = gamma[column], b = beta[column], mu = mean[threadIdx.x], s = scale[threadIdx.x];
    DropoutFactors factors(mask);
    for (unsigned row = first_row_of_thread(CHUNK); row < end_of_chunk(CHUNK, rows); row += THREAD_ROWS) {
        const size_t e = (size_t)row * features + column;
        const float normalised = (out[e] - mu) * s;
        x_hat[e] = normalised;
        out[e] = tail_forward(activation, order, factors.at(e), g * normalised + b, pre[e]);
    }
}

// out holds Z and is overwritten with Y.
extern "C" __global__ void __launch_bounds__(COLUMNS * THREAD_ROWS)
batch_norm_evaluate(float* __restrict__ out, float* __restrict__ pre, const float* __restrict__ running_mean, const float* __restrict__ running_var,
                    const float* __restrict__ gamma, const float* __restrict__ beta, unsigned rows, unsigned features, unsigned activation) {
    const unsigned column = column_of_thread();
    if (column >= features) return;
    const float g = gamma[column], b = beta[column], mu = running_mean[column], s = 1.0f / sqrtf(running_var[column] + EPSILON);
    for (unsigned row = first_row_of_thread(CHUNK); row < end_of_chunk(CHUNK, rows); row += THREAD_ROWS) {
        const size_t e = (size_t)row * features + column;
        out[e] = tail_forward(activation, DROPOUT_ACTIVATION, 1.0f, g * ((out[e] - mu) * s) + b, pre[e]);
    }
}

// dy becomes the gradient of gamma x^ + beta.
// partials [ceil(rows/64), features] are the sums of dy x^ and dy over each chunk of rows.
extern "C" __global__ void __launch_bounds__(COLUMNS * THREAD_ROWS)
batch_norm_backward_sums(float* __restrict__ dy, float* __restrict__ partial_dgamma, float* __restrict__ partial_dbeta, const float* __restrict__ pre,
                         const float* __restrict__ x_hat, unsigned rows, unsigned features, unsigned activation, unsigned order, Mask mask) {
    __shared__ float dgamma[THREAD_ROWS][COLUMNS];
    __shared__ float dbeta[THREAD_ROWS][COLUMNS];
    const unsigned column = column_of_thread();
    float sum_gamma = 0.0f, sum_beta = 0.0f;
    if (column < features) {
        DropoutFactors factors(mask);
        for (unsigned row = first_row_of_thread(SUM_CHUNK); row < end_of_chunk(SUM_CHUNK, rows); row += THREAD_ROWS) {
            const size_t e = (size_t)row * features + column;
            const float d = tail_backward(activation, order, factors.at(e), dy[e], pre[e]);
            dy[e] = d;
            sum_gamma += d * x_hat[e];
            sum_beta += d;
        }
    }
    dgamma[threadIdx.y][threadIdx.x] = sum_gamma;
    dbeta[threadIdx.y][threadIdx.x] = sum_beta;
    for (unsigned half = THREAD_ROWS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) {
            dgamma[threadIdx.y][threadIdx.x] += dgamma[threadIdx.y + half][threadIdx.x];
            dbeta[threadIdx.y][threadIdx.x] += dbeta[threadIdx.y + half][threadIdx.x];
        }
    }
    if (threadIdx.y == 0 && column < features) {
        partial_dgamma[(size_t)blockIdx.y * features + column] = dgamma[0][threadIdx.x];
        partial_dbeta[(size_t)blockIdx.y * features + column] = dbeta[0][threadIdx.x];
    }
}

// dy becomes dz; dgamma and dbeta [features] are overwritten.
extern "C" __global__ void __launch_bounds__(COLUMNS * THREAD_ROWS)
batch_norm_backward(float* __restrict__ dy, float* __restrict__ dgamma, float* __restrict__ dbeta, const float* __restrict__ partial_dgamma,
                    const float* __restrict__ partial_dbeta, const float* __restrict__ x_hat, const float* __restrict__ inv_std, const float* __restrict__ gamma,
                    unsigned rows, unsigned features) {
    __shared__ float sum_gamma[COLUMNS];
    __shared__ float sum_beta[COLUMNS];
    const unsigned column = column_of_thread();
    if (threadIdx.y == 0 && column < features) {
        float g = 0.0f, b = 0.0f;
        for (unsigned chunk = 0; chunk < ceil_div(rows, SUM_CHUNK); ++chunk) {
            g += partial_dgamma[(size_t)chunk * features + column];
            b += partial_dbeta[(size_t)chunk * features + column];
        }
        sum_gamma[threadIdx.x] = g;
        sum_beta[threadIdx.x] = b;
        if (blockIdx.y == 0) {
            dgamma[column] = g;
            dbeta[column] = b;
        }
    }
    __syncthreads();
    if (column >= features) return;
    const float count = (float)rows, g = sum_gamma[threadIdx.x], b = sum_beta[threadIdx.x];
    const float factor = gamma[column] * inv_std[column] * (1.0f / count);
    for (unsigned row = first_row_of_thread(CHUNK); row < end_of_chunk(CHUNK, rows); row += THREAD_ROWS) {
        const size_t e = (size_t)row * features + column;
        dy[e] = factor * (count * dy[e] - b - x_hat[e] * g);
    }
}
