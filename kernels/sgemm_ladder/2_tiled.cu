// Step 2 of 4: tiles in shared memory. All threads of a block use what the block has loaded.
//
// Threads: 32 x 32 a block, one output each. The block walks over k in square tiles of A and B.
// Each element of a tile is read 32 times from shared memory and once from global memory: 8 m n k / 32 bytes for
// 2 m n k flops.
// Limit: two loads from shared memory per multiply-add. Shared memory serves one load for every thread in about the
// time of one multiply-add.
#include "../common.cuh"

constexpr unsigned TILE = 32;

extern "C" __global__ void __launch_bounds__(TILE * TILE)
sgemm_2_tiled(float* __restrict__ c, const float* __restrict__ a, const float* __restrict__ b, unsigned m, unsigned n, unsigned k) {
    __shared__ float tile_a[TILE][TILE];
    __shared__ float tile_b[TILE][TILE];
    const unsigned row = blockIdx.y * TILE + threadIdx.y, column = blockIdx.x * TILE + threadIdx.x;
    float sum = 0.0f;
    for (unsigned first = 0; first < k; first += TILE) {
        const unsigned along = first + threadIdx.x, down = first + threadIdx.y;
        tile_a[threadIdx.y][threadIdx.x] = row < m && along < k ? a[(size_t)row * k + along] : 0.0f;
        tile_b[threadIdx.y][threadIdx.x] = column < n && down < k ? b[(size_t)down * n + column] : 0.0f;
        __syncthreads();
        for (unsigned p = 0; p < TILE; ++p) sum = fmaf(tile_a[threadIdx.y][p], tile_b[p][threadIdx.x], sum);
        __syncthreads();
    }
    if (row < m && column < n) c[(size_t)row * n + column] = sum;
}
