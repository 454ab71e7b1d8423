// Step 1 of 4: C = A B, one thread an output, straight from the definition.
//
//   C_ij = sum_k A_ik B_kj        A [m, k], B [k, n], C [m, n], row-major
//
// Threads: 16 x 16 a block; neighbouring threads take neighbouring columns, so that a warp reads 16 neighbours of B and writes 16 of C.
// Two loads from global memory for one multiply-add: 8 m n k bytes of loads for 2 m n k flops, though the caches catch many of them. This is the wall
// that the next steps take down, layer by layer of memory.
#include "../common.cuh"

extern "C" __global__ void __launch_bounds__(256)
sgemm_1_naive(float* __restrict__ c, const float* __restrict__ a, const float* __restrict__ b, unsigned m, unsigned n, unsigned k) {
    const unsigned row = blockIdx.y * blockDim.y + threadIdx.y, column = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= m || column >= n) return;
    float sum = 0.0f;
    for (unsigned p = 0; p < k; ++p) sum = fmaf(a[(size_t)row * k + p], b[(size_t)p * n + column], sum);
    c[(size_t)row * n + column] = sum;
}
