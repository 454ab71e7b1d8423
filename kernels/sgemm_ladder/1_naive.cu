// Step 1 of 4: C = A B from the definition, one output per thread.
//
//   C_ij = sum_k A_ik B_kj        A [m, k], B [k, n], C [m, n], row-major
//
// Threads: 16 x 16 a block. Neighbouring threads compute neighbouring columns, so a warp reads 16 neighbours of B and
// writes 16 of C.
// Two loads from global memory per multiply-add: 8 m n k bytes of loads for 2 m n k flops, though the caches serve many
// of them. The next steps reduce these loads, one level of memory after the other.
#include "../common.cuh"

extern "C" __global__ void __launch_bounds__(256)
sgemm_1_naive(float* __restrict__ c, const float* __restrict__ a, const float* __restrict__ b, unsigned m, unsigned n, unsigned k) {
    const unsigned row = blockIdx.y * blockDim.y + threadIdx.y, column = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= m || column >= n) return;
    float sum = 0.0f;
    for (unsigned p = 0; p < k; ++p) sum = fmaf(a[(size_t)row * k + p], b[(size_t)p * n + column], sum);
    c[(size_t)row * n + column] = sum;
}
