// The three products of a linear layer, C [m, n] row-major, with the epilogues of the forward product.
//
//   forward     nt   C_ij = sum_k A_ik B_jk + bias_j     Y = X W^T + 1 b^T     A = X [rows, inputs], B = W
//                                                                             W is [outputs, inputs]
//   to inputs   nn   C_ij = sum_k A_ik B_kj              dX = dY W             A = dY [rows, outputs], B = W
//   to weights  tn   C_ij = sum_k A_ki B_kj              dW = dY^T X           A = dY, B = X, k over the rows
//                    sums_i = sum_k A_ki                 db
//
// Epilogues of the forward product, applied to the outputs while they are in registers:
//   bias        nothing else (the last block)
//   block       dropout and activation in the block's order (a block without batch norm)
//   statistics  mean and sum of squared deviations of each column over the tile's rows (a block with batch norm);
//               batch_norm.cu joins the tiles
//
// Each kernel exists for three tiles. The host chooses one. The choice changes no result except the last bits of the
// statistics.
//
// Threads: one block per tile (sgemm_tile.cuh), grid (ceil(n/BN), ceil(m/BM)).
//   large   128x128   256 threads of 8x8 outputs
//   medium  64x64     128 threads of 8x4
//   small   32x32     128 threads of 4x2
// A launch does 2 m n k flops. It reads A ceil(n/BN) times and B ceil(m/BM) times, mostly from the second-level cache,
// and writes C once: 4 (m k ceil(n/BN) + n k ceil(m/BM) + m n) bytes. `block` writes C twice and reads it once more.
// `statistics` writes 8 n ceil(m/BM) bytes more.
// Source: src/ops/linear.rs for the formulas, sgemm_tile.cuh for the method.
#include "activation.cuh"
#include "moments.cuh"
#include "random.cuh"
#include "sgemm_tile.cuh"

// Dropout and activation of this thread's outputs. z is written to `pre` first, and the same thread reads it back in a
// loop that is not unrolled. Unrolled over registers, the code of f would be repeated 64 times.
template <class T>
__device__ __forceinline__ void block_epilogue(const float (&acc)[T::TM][T::TN], float* __restrict__ out, float* __restrict__ pre, unsigned m, unsigned n,
                                               unsigned activation, unsigned order, const Mask& mask) {
    store_tile<T>(acc, pre, m, n);
    DropoutFactors factors(mask);
#pragma unroll 1
    for (unsigned i = 0; i < T::TM; ++i) {
        const unsigned row = blockIdx.y * T::BM + T::row(T::thread_row(), i);
#pragma unroll 1
        for (unsigned j = 0; j < T::TN; ++j) {
            const unsigned column = blockIdx.x * T::BN + T::column(T::thread_column(), j);
            if (row >= m || column >= n) continue;
            const size_t e = (size_t)row * n + column;
            out[e] = tail_forward(activation, order, factors.at(e), pre[e], pre[e]);
        }
    }
}

// The number of rows of this thread row that are among the first `rows` of the tile.
template <class T> __device__ __forceinline__ unsigned rows_inside(unsigned thread_row, unsigned rows) {
    unsigned count = 0;
#pragma unroll
    for (unsigned i = 0; i < T::TM; ++i) count += T::row(thread_row, i) < rows;
    return count;
}

// Mean and M2 = sum of (x - mean)^2 of each column of the tile. A thread computes both over its own rows, in two passes
// over registers. Then one thread per column joins the thread rows in order.
// Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
template <class T>
__device__ __forceinline__ void statistics_epilogue(const float (&acc)[T::TM][T::TN], float* __restrict__ tile_mean, float* __restrict__ tile_m2,
                                                    unsigned m, unsigned n, float (*means)[T::BN], float (*m2s)[T::BN]) {
    const unsigned rows = min(T::BM, m - blockIdx.y * T::BM);
    const unsigned own = rows_inside<T>(T::thread_row(), rows);
#pragma unroll
    for (unsigned j = 0; j < T::TN; ++j) {
        const unsigned column = T::column(T::thread_column(), j);
        float sum = 0.0f, m2 = 0.0f;
#pragma unroll
        for (unsigned i = 0; i < T::TM; ++i) sum += T::row(T::thread_row(), i) < rows ? acc[i][j] : 0.0f;
        const float mean = own > 0 ? sum / (float)own : 0.0f;
#pragma unroll
        for (unsigned i = 0; i < T::TM; ++i) {
            const float deviation = T::row(T::thread_row(), i) < rows ? acc[i][j] - mean : 0.0f;
            m2 += deviation * deviation;
        }
        means[T::thread_row()][column] = mean;
        m2s[T::thread_row()][column] = m2;
    }
    __syncthreads();
    const unsigned column = blockIdx.x * T::BN + threadIdx.x;
    if (threadIdx.x >= T::BN || column >= n) return;
    Moments total;
    for (unsigned r = 0; r < T::THREAD_ROWS; ++r) total.join(rows_inside<T>(r, rows), means[r][threadIdx.x], m2s[r][threadIdx.x]);
    tile_mean[(size_t)blockIdx.y * n + column] = total.mean;
    tile_m2[(size_t)blockIdx.y * n + column] = total.m2;
}

#define PANELS(T)                                                                                                                               \
    __shared__ __align__(16) T::PanelsA panels_a;                                                                                               \
    __shared__ __align__(16) T::PanelsB panels_b;                                                                                               \
    float acc[T::TM][T::TN];                                                                                                                    \
    [[maybe_unused]] NoSum no_sum

#define SGEMM(tile, T)                                                                                                                          \
    extern "C" __global__ void __launch_bounds__(T::THREADS, T::RESIDENT)                                                                       \
    sgemm_nt_bias_##tile(float* __restrict__ c, const float* __restrict__ a, const float* __restrict__ b, const float* __restrict__ bias,       \
                         unsigned m, unsigned n, unsigned k) {                                                                                  \
        PANELS(T);                                                                                                                              \
        multiply_tile<T, true, true>(acc, no_sum, a, b, m, n, k, panels_a, panels_b);                                                           \
        add_bias<T>(acc, bias, n);                                                                                                              \
        store_tile<T>(acc, c, m, n);                                                                                                            \
    }                                                                                                                                           \
    extern "C" __global__ void __launch_bounds__(T::THREADS, T::RESIDENT)                                                                       \
    sgemm_nt_block_##tile(float* __restrict__ out, float* __restrict__ pre, const float* __restrict__ a, const float* __restrict__ b,           \
                          const float* __restrict__ bias, unsigned m, unsigned n, unsigned k, unsigned activation, unsigned order, Mask mask) { \
        PANELS(T);                                                                                                                              \
        multiply_tile<T, true, true>(acc, no_sum, a, b, m, n, k, panels_a, panels_b);                                                           \
        add_bias<T>(acc, bias, n);                                                                                                              \
        block_epilogue<T>(acc, out, pre, m, n, activation, order, mask);                                                                        \
    }                                                                                                                                           \
    extern "C" __global__ void __launch_bounds__(T::THREADS, T::RESIDENT)                                                                       \
    sgemm_nt_statistics_##tile(float* __restrict__ c, float* __restrict__ tile_mean, float* __restrict__ tile_m2, const float* __restrict__ a,  \
                               const float* __restrict__ b, const float* __restrict__ bias, unsigned m, unsigned n, unsigned k) {               \
        PANELS(T);                                                                                                                              \
        __shared__ float means[T::THREAD_ROWS][T::BN];                                                                                          \
        __shared__ float m2s[T::THREAD_ROWS][T::BN];                                                                                            \
        multiply_tile<T, true, true>(acc, no_sum, a, b, m, n, k, panels_a, panels_b);                                                           \
        add_bias<T>(acc, bias, n);                                                                                                              \
        store_tile<T>(acc, c, m, n);                                                                                                            \
        statistics_epilogue<T>(acc, tile_mean, tile_m2, m, n, means, m2s);                                                                      \
    }                                                                                                                                           \
    extern "C" __global__ void __launch_bounds__(T::THREADS, T::RESIDENT)                                                                       \
    sgemm_nn_##tile(float* __restrict__ c, const float* __restrict__ a, const float* __restrict__ b, unsigned m, unsigned n, unsigned k) {      \
        PANELS(T);                                                                                                                              \
        multiply_tile<T, true, false>(acc, no_sum, a, b, m, n, k, panels_a, panels_b);                                                          \
        store_tile<T>(acc, c, m, n);                                                                                                            \
    }                                                                                                                                           \
    extern "C" __global__ void __launch_bounds__(T::THREADS, T::RESIDENT)                                                                       \
    sgemm_tn_##tile(float* __restrict__ c, float* __restrict__ sums, const float* __restrict__ a, const float* __restrict__ b,                  \
                    unsigned m, unsigned n, unsigned k) {                                                                                       \
        PANELS(T);                                                                                                                              \
        RowSum<T> row_sum(sums && blockIdx.x == 0);                                                                                             \
        multiply_tile<T, false, false>(acc, row_sum, a, b, m, n, k, panels_a, panels_b);                                                        \
        store_tile<T>(acc, c, m, n);                                                                                                            \
        const unsigned row = blockIdx.y * T::BM + threadIdx.x;                                                                                  \
        if (row_sum.on && threadIdx.x < T::BM && row < m) sums[row] = row_sum.sum;                                                              \
    }

SGEMM(large, Large)
SGEMM(medium, Medium)
SGEMM(small, Small)
