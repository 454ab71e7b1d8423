// The most probable class of each row of logits [rows, classes]: the first on ties; NaN never wins, and a row of NaN gives 0.
// How many rows are right is counted with the loss (softmax_cross_entropy.cu).
//
// Threads: 16 lanes a row, 8 rows a block of 128. A launch reads 4 bytes a logit and writes 4 a row; no flops, a comparison a logit.
// Source: argmax in src/ops/softmax_cross_entropy.rs.
#include "rows.cuh"

extern "C" __global__ void __launch_bounds__(ROW_THREADS)
argmax(unsigned* __restrict__ winners, const float* __restrict__ logits, unsigned rows, unsigned classes) {
    // Lanes beyond the last row go along with it, as shuffles need whole warps.
    const bool inside = row_of_thread() < rows;
    const unsigned row = inside ? row_of_thread() : rows - 1;
    const unsigned winner = row_argmax(logits + (size_t)row * classes, classes);
    if (inside && lane_of_row() == 0) winners[row] = winner;
}
