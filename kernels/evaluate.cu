// The most probable class of each row of logits [rows, classes]: the first on ties. NaN is ignored; a row of NaN
// gives 0. softmax_cross_entropy.cu counts the correct rows together with the loss.
//
// Threads: 16 lanes a row, 8 rows in a block of 128. A launch reads 4 bytes per logit and writes 4 per row. No flops,
// one comparison per logit.
// Source: argmax in src/ops/loss/cross_entropy.rs.
#include "rows.cuh"

extern "C" __global__ void __launch_bounds__(ROW_THREADS)
argmax(unsigned* __restrict__ winners, const float* __restrict__ logits, unsigned rows, unsigned classes) {
    // Shuffles need whole warps: lanes beyond the last row compute too.
    const bool inside = row_of_thread() < rows;
    const unsigned row = inside ? row_of_thread() : rows - 1;
    const unsigned winner = row_argmax(logits + (size_t)row * classes, classes);
    if (inside && lane_of_row() == 0) winners[row] = winner;
}
