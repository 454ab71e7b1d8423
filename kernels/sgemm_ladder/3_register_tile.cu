// Step 3 of 4: a tile of outputs in the registers of each thread. A value loaded from shared memory serves several
// outputs.
//
// Threads: 256 a block of 64 x 64 outputs, 4 x 4 each; panels 16 deep.
// Per thread and k: 8 loads from shared memory for 16 multiply-adds, where step 2 has 32 for 16. From global memory:
// 8 m n k / 64 bytes.
// Limits: the loads are 32 bits each, registers have room for a larger tile, and all threads wait while a panel is
// loaded from global memory.
#include "../common.cuh"

constexpr unsigned BLOCK = 64, DEPTH = 16, PER_THREAD = 4;

extern "C" __global__ void __launch_bounds__(256)
sgemm_3_register_tile(float* __restrict__ c, const float* __restrict__ a, const float* __restrict__ b, unsigned m, unsigned n, unsigned k) {
    __shared__ float panel_a[DEPTH][BLOCK];
    __shared__ float panel_b[DEPTH][BLOCK];
    const unsigned first_row = blockIdx.y * BLOCK, first_column = blockIdx.x * BLOCK;
    const unsigned own_row = threadIdx.x / 16 * PER_THREAD, own_column = threadIdx.x % 16 * PER_THREAD;
    float acc[PER_THREAD][PER_THREAD] = {};
    for (unsigned first = 0; first < k; first += DEPTH) {
        for (unsigned e = threadIdx.x; e < BLOCK * DEPTH; e += 256) {
            // The rows of A run along k, those of B along n. Both are read in memory order.
            const unsigned row = first_row + e / DEPTH, along = first + e % DEPTH;
            panel_a[e % DEPTH][e / DEPTH] = row < m && along < k ? a[(size_t)row * k + along] : 0.0f;
            const unsigned down = first + e / BLOCK, column = first_column + e % BLOCK;
            panel_b[e / BLOCK][e % BLOCK] = column < n && down < k ? b[(size_t)down * n + column] : 0.0f;
        }
        __syncthreads();
        for (unsigned p = 0; p < DEPTH; ++p) {
#pragma unroll
            for (unsigned i = 0; i < PER_THREAD; ++i)
#pragma unroll
                for (unsigned j = 0; j < PER_THREAD; ++j) acc[i][j] = fmaf(panel_a[p][own_row + i], panel_b[p][own_column + j], acc[i][j]);
        }
        __syncthreads();
    }
#pragma unroll
    for (unsigned i = 0; i < PER_THREAD; ++i)
#pragma unroll
        for (unsigned j = 0; j < PER_THREAD; ++j) {
            const unsigned row = first_row + own_row + i, column = first_column + own_column + j;
            if (row < m && column < n) c[(size_t)row * n + column] = acc[i][j];
        }
}
