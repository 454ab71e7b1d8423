// Step 4 of 4: 128-bit loads; A is transposed on its way into shared memory; and two buffers, so that the next panel is
// loaded while one is multiplied.
//
// Threads: 256 a block of 128 x 128 outputs, 8 x 8 each; panels 8 deep. The code is ../sgemm_tile.cuh, which the
// products of the layers use.
// Per thread and k: 4 loads of 128 bits from shared memory for 64 multiply-adds, where step 3 has 32 of 32 bits.
// From global memory: 8 m n k / 128 bytes. One barrier per panel instead of two.
#include "../sgemm_tile.cuh"

extern "C" __global__ void __launch_bounds__(Large::THREADS, Large::RESIDENT)
sgemm_4_vectorised(float* __restrict__ c, const float* __restrict__ a, const float* __restrict__ b, unsigned m, unsigned n, unsigned k) {
    __shared__ __align__(16) Large::PanelsA panels_a;
    __shared__ __align__(16) Large::PanelsB panels_b;
    float acc[Large::TM][Large::TN];
    NoSum no_sum;
    multiply_tile<Large, true, false>(acc, no_sum, a, b, m, n, k, panels_a, panels_b);
    store_tile<Large>(acc, c, m, n);
}
