// Clipping by the global norm: g <- g min(1, c / (|g| + 1e-6)). The norm needs every gradient, so two launches compute
// it and leave the factor in memory, where the optimisers read it.
//
// Threads: 256 a block. A thread adds the squares of every (256 gridDim)-th gradient in f64. A tree adds the threads
// of a block, then one block adds the blocks. The order is fixed for one size and grid. It is not the CPU's order, so
// the norm's last bits differ.
// A launch of square_sum reads 4 bytes per parameter and does 2 f64 flops.
// Source: src/optim/clip.rs; Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks",
// ICML 2013.
#include "common.cuh"

constexpr unsigned SUM_THREADS = 256;

// The sum over the block's threads, which all threads get. A last barrier keeps reads of it behind the last addition.
__device__ __forceinline__ double block_sum(double x, double (&sums)[SUM_THREADS]) {
    sums[threadIdx.x] = x;
    for (unsigned half = SUM_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    __syncthreads();
    return sums[0];
}

// partials [gridDim.x]: sums of squares of g [count]
extern "C" __global__ void __launch_bounds__(SUM_THREADS)
square_sum(double* __restrict__ partials, const float* __restrict__ g, unsigned count) {
    __shared__ double sums[SUM_THREADS];
    double sum = 0.0;
    for (size_t i = (size_t)blockIdx.x * SUM_THREADS + threadIdx.x; i < count; i += (size_t)gridDim.x * SUM_THREADS) {
        const double x = g[i];
        sum += x * x;
    }
    sum = block_sum(sum, sums);
    if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

// norm and gradient_scale are one number each. A NaN norm gives NaN, so that a diverged run shows.
extern "C" __global__ void __launch_bounds__(SUM_THREADS)
clip_scale(float* __restrict__ gradient_scale, double* __restrict__ norm, const double* __restrict__ partials, unsigned partial_count, double clip_norm) {
    __shared__ double sums[SUM_THREADS];
    double sum = 0.0;
    for (unsigned i = threadIdx.x; i < partial_count; i += SUM_THREADS) sum += partials[i];
    sum = block_sum(sum, sums);
    if (threadIdx.x != 0) return;
    const double length = sqrt(sum), factor = clip_norm / (length + 1e-6);
    *norm = length;
    *gradient_scale = (float)(factor > 1.0 ? 1.0 : factor);
}
