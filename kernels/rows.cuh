// Rows of logits, 16 lanes a row. The CPU's row sums have 16 lanes too, so both add in the same order.
// With ten classes few lanes are idle.
#pragma once
#include "common.cuh"

constexpr unsigned LANES = 16;
constexpr unsigned ROW_THREADS = 128, ROWS_PER_BLOCK = ROW_THREADS / LANES;

__device__ __forceinline__ unsigned lane_of_row() { return threadIdx.x % LANES; }
__device__ __forceinline__ unsigned row_of_thread() { return blockIdx.x * ROWS_PER_BLOCK + threadIdx.x / LANES; }

// The sum over the row's 16 lanes, in every lane. A binary tree: lane i adds i+8, i+4, i+2, i+1.
// All 32 lanes of a warp must call it.
template <class T> __device__ __forceinline__ T row_sum(T x) {
    for (unsigned half = LANES / 2; half > 0; half /= 2) x += __shfl_down_sync(FULL_WARP, x, half, LANES);
    return __shfl_sync(FULL_WARP, x, 0, LANES);
}

// The largest value of the row's lanes, in every lane. NaN is ignored.
__device__ __forceinline__ float row_max(float x) {
    for (unsigned half = LANES / 2; half > 0; half /= 2) x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, half, LANES));
    return x;
}

// The index of the row's largest value, the first on ties. NaN is ignored; a row of NaN gives 0.
__device__ __forceinline__ unsigned row_argmax(const float* __restrict__ row, unsigned classes) {
    // NaN means that no number has been found yet.
    float best = __uint_as_float(0x7fc00000u);
    unsigned index = 0;
    for (unsigned j = lane_of_row(); j < classes; j += LANES) {
        if (row[j] > best || (is_nan(best) && !is_nan(row[j]))) {
            best = row[j];
            index = j;
        }
    }
    for (unsigned half = LANES / 2; half > 0; half /= 2) {
        const float other = __shfl_xor_sync(FULL_WARP, best, half, LANES);
        const unsigned other_index = __shfl_xor_sync(FULL_WARP, index, half, LANES);
        if (other > best || (is_nan(best) && !is_nan(other)) || (other == best && other_index < index)) {
            best = other;
            index = other_index;
        }
    }
    return index;
}
