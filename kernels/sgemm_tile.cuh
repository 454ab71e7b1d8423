// One tile of C = op(A) op(B), computed by one block: the core of sgemm.cu and the last step of sgemm_ladder/.
//
// A block computes BM x BN outputs and walks over k in panels of BK. Panels of both operands are stored in shared
// memory with k as the slow index. So the inner loop reads a thread's TM values of A and TN of B with 128-bit loads,
// whatever the layout in global memory; an operand whose rows run along k is transposed when it is stored. There are
// two buffers. While one is multiplied, the next panel is loaded from global memory into registers and then stored in
// the other buffer, with one barrier per panel.
//
//   loads from shared memory per thread and k: (TM + TN) / 4 of 128 bits, for TM TN multiply-adds
//
// Each output is one chain of fmaf in ascending k from 0, in one thread. So every tile size and the CPU give the same
// bits.
//
// A warp is 4 x 8 threads. Its loads of A have 4 distinct addresses and those of B have 8, without bank conflicts.
// Lanes l and l^1 share a column, and lanes l and l^2 share a row. A vector load whose lanes share addresses in such
// pairs takes half the passes through shared memory. In row-major order, loads of B had no such pairs: on an H200 the
// products took up to 13 % longer.
// Sources: S. Boehm, "How to Optimize a CUDA Matmul Kernel for cuBLAS-like Performance", 2022;
// NVIDIA CUTLASS, "Efficient GEMM in CUDA".
#pragma once
#include "common.cuh"

// Floats between panel rows: keeps 128-bit alignment and spreads transposing stores over the banks.
constexpr unsigned PAD = 4;

// (4 x 2) warps of (4 x 8) threads if BM/TM = 16, (2 x 2) warps if it is 8.
template <unsigned BM_, unsigned BN_, unsigned BK_, unsigned TM_, unsigned TN_> struct Tile {
    static constexpr unsigned BM = BM_, BN = BN_, BK = BK_, TM = TM_, TN = TN_;
    static constexpr unsigned THREAD_ROWS = BM / TM, THREAD_COLUMNS = BN / TN, THREADS = THREAD_ROWS * THREAD_COLUMNS;
    // The least number of blocks on a multiprocessor. It limits a thread to 128 registers.
    static constexpr unsigned RESIDENT = 512 / THREADS;
    // A thread's rows and columns come in groups of neighbours, one vector load each. The groups are spread over the
    // tile.
    static constexpr unsigned ROW_GROUP = 4, COLUMN_GROUP = TN < 4 ? TN : 4;
    static constexpr unsigned ROW_STRIDE = BM / (TM / ROW_GROUP), COLUMN_STRIDE = BN / (TN / COLUMN_GROUP);
    static_assert(THREAD_COLUMNS == 16 && THREAD_ROWS % 4 == 0, "two warps of 8 columns each side by side");
    static_assert(BM * BK % (4 * THREADS) == 0 && BN * BK % (4 * THREADS) == 0, "whole 128-bit loads for every thread");
    static_assert(BM <= THREADS && BN <= THREADS, "one thread a row or column in the epilogues");
    using PanelsA = float[2][BK][BM + PAD];
    using PanelsB = float[2][BK][BN + PAD];

    static __device__ __forceinline__ unsigned thread_row() { return threadIdx.x / 64 * 4 + threadIdx.x % 32 / 16 * 2 + threadIdx.x % 2; }
    static __device__ __forceinline__ unsigned thread_column() { return threadIdx.x / 32 % 2 * 8 + threadIdx.x % 16 / 2; }
    // The tile's row and column of a thread's i-th row and j-th column.
    static __device__ __forceinline__ unsigned row(unsigned thread_row, unsigned i) {
        return i / ROW_GROUP * ROW_STRIDE + thread_row * ROW_GROUP + i % ROW_GROUP;
    }
    static __device__ __forceinline__ unsigned column(unsigned thread_column, unsigned j) {
        return j / COLUMN_GROUP * COLUMN_STRIDE + thread_column * COLUMN_GROUP + j % COLUMN_GROUP;
    }
};

// With enough outputs for every multiprocessor, a large tile saves loads. With few outputs, a small tile gives more
// blocks; its panels are deeper, because few warps hide little latency.
using Large = Tile<128, 128, 8, 8, 8>;
using Medium = Tile<64, 64, 16, 8, 4>;
using Small = Tile<32, 32, 32, 4, 2>;

// Whether rows of this length can be read and written in groups of GROUP neighbours.
template <unsigned GROUP> __device__ __forceinline__ bool in_groups(const float* x, unsigned row_length) {
    return row_length % GROUP == 0 && reinterpret_cast<size_t>(x) % (GROUP * sizeof(float)) == 0;
}

// Four neighbours of a row-major matrix [rows, columns]; 0 outside of it. `column` is divisible by 4.
__device__ __forceinline__ float4 load_quad(const float* __restrict__ x, unsigned row, unsigned column, unsigned rows, unsigned columns, bool quads) {
    if (row >= rows || column >= columns) return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    const float* p = x + (size_t)row * columns + column;
    if (quads) return *reinterpret_cast<const float4*>(p);
    const unsigned left = columns - column;
    return make_float4(p[0], left > 1 ? p[1] : 0.0f, left > 2 ? p[2] : 0.0f, left > 3 ? p[3] : 0.0f);
}

// Copies panels of one operand, WIDTH wide, from global to shared memory. With ALONG_K the operand is stored
// [width, k], its rows along k; otherwise [k, width].
template <class T, unsigned WIDTH, bool ALONG_K> struct Operand {
    static constexpr unsigned QUADS = WIDTH * T::BK / 4 / T::THREADS;
    static constexpr unsigned PER_ROW = (ALONG_K ? T::BK : WIDTH) / 4;
    float4 quads[QUADS];

    __device__ __forceinline__ void load(const float* __restrict__ x, unsigned first, unsigned width, unsigned first_k, unsigned k, bool in_quads) {
#pragma unroll
        for (unsigned i = 0; i < QUADS; ++i) {
            const unsigned quad = threadIdx.x + i * T::THREADS;
            const unsigned slow = quad / PER_ROW, fast = quad % PER_ROW * 4;
            quads[i] = ALONG_K ? load_quad(x, first + slow, first_k + fast, width, k, in_quads)
                               : load_quad(x, first_k + slow, first + fast, k, width, in_quads);
        }
    }

    __device__ __forceinline__ void store(float (*panel)[WIDTH + PAD]) const {
#pragma unroll
        for (unsigned i = 0; i < QUADS; ++i) {
            const unsigned quad = threadIdx.x + i * T::THREADS;
            const unsigned slow = quad / PER_ROW, fast = quad % PER_ROW * 4;
            if (ALONG_K) {
                panel[fast][slow] = quads[i].x;
                panel[fast + 1][slow] = quads[i].y;
                panel[fast + 2][slow] = quads[i].z;
                panel[fast + 3][slow] = quads[i].w;
            } else {
                *reinterpret_cast<float4*>(&panel[slow][fast]) = quads[i];
            }
        }
    }
};

// N values in groups of GROUP neighbours, the groups STRIDE apart.
template <unsigned N, unsigned GROUP, unsigned STRIDE> __device__ __forceinline__ void load_fragment(float (&to)[N], const float* from) {
#pragma unroll
    for (unsigned g = 0; g < N / GROUP; ++g) {
        if constexpr (GROUP == 4) {
            const float4 quad = *reinterpret_cast<const float4*>(from + g * STRIDE);
            to[4 * g] = quad.x;
            to[4 * g + 1] = quad.y;
            to[4 * g + 2] = quad.z;
            to[4 * g + 3] = quad.w;
        } else {
            const float2 pair = *reinterpret_cast<const float2*>(from + g * STRIDE);
            to[2 * g] = pair.x;
            to[2 * g + 1] = pair.y;
        }
    }
}

// What multiply_tile sums of the panels of A: nothing, or row threadIdx.x of op(A)'s tile over k, ascending.
struct NoSum {
    template <class Panel> __device__ __forceinline__ void add(const Panel&) {}
};

template <class T> struct RowSum {
    const bool on;
    float sum = 0.0f;

    __device__ __forceinline__ explicit RowSum(bool on) : on(on) {}

    template <class Panel> __device__ __forceinline__ void add(const Panel& panel) {
        if (on && threadIdx.x < T::BM)
            for (unsigned p = 0; p < T::BK; ++p) sum += panel[p][threadIdx.x];
    }
};

// acc = this thread's outputs of the block's tile of C [m, n].
// A_ALONG_K: A is stored [m, k], otherwise [k, m]. B_ALONG_K: B is stored [n, k], otherwise [k, n].
template <class T, bool A_ALONG_K, bool B_ALONG_K, class Sum>
__device__ __forceinline__ void multiply_tile(float (&acc)[T::TM][T::TN], Sum& sum, const float* __restrict__ a, const float* __restrict__ b,
                                              unsigned m, unsigned n, unsigned k, typename T::PanelsA& panels_a, typename T::PanelsB& panels_b) {
    const unsigned first_row = blockIdx.y * T::BM, first_column = blockIdx.x * T::BN;
    const bool a_in_quads = in_groups<4>(a, A_ALONG_K ? k : m), b_in_quads = in_groups<4>(b, B_ALONG_K ? k : n);
    const unsigned from_a = T::thread_row() * T::ROW_GROUP, from_b = T::thread_column() * T::COLUMN_GROUP;
    Operand<T, T::BM, A_ALONG_K> next_a;
    Operand<T, T::BN, B_ALONG_K> next_b;
#pragma unroll
    for (unsigned i = 0; i < T::TM; ++i)
#pragma unroll
        for (unsigned j = 0; j < T::TN; ++j) acc[i][j] = 0.0f;

    next_a.load(a, first_row, m, 0, k, a_in_quads);
    next_b.load(b, first_column, n, 0, k, b_in_quads);
    next_a.store(panels_a[0]);
    next_b.store(panels_b[0]);
    __syncthreads();
    for (unsigned first_k = 0, now = 0; first_k < k; first_k += T::BK, now ^= 1) {
        const bool more = k - first_k > T::BK;
        if (more) {
            next_a.load(a, first_row, m, first_k + T::BK, k, a_in_quads);
            next_b.load(b, first_column, n, first_k + T::BK, k, b_in_quads);
        }
#pragma unroll
        for (unsigned p = 0; p < T::BK; ++p) {
            float fragment_a[T::TM], fragment_b[T::TN];
            load_fragment<T::TM, T::ROW_GROUP, T::ROW_STRIDE>(fragment_a, &panels_a[now][p][from_a]);
            load_fragment<T::TN, T::COLUMN_GROUP, T::COLUMN_STRIDE>(fragment_b, &panels_b[now][p][from_b]);
#pragma unroll
            for (unsigned i = 0; i < T::TM; ++i)
#pragma unroll
                for (unsigned j = 0; j < T::TN; ++j) acc[i][j] = fmaf(fragment_a[i], fragment_b[j], acc[i][j]);
        }
        sum.add(panels_a[now]);
        if (more) {
            // The last readers of this buffer have passed the barrier below.
            next_a.store(panels_a[now ^ 1]);
            next_b.store(panels_b[now ^ 1]);
            __syncthreads();
        }
    }
}

// Adds bias [n] to every row. `bias` may be null.
template <class T> __device__ __forceinline__ void add_bias(float (&acc)[T::TM][T::TN], const float* __restrict__ bias, unsigned n) {
    if (!bias) return;
#pragma unroll
    for (unsigned j = 0; j < T::TN; ++j) {
        const unsigned column = blockIdx.x * T::BN + T::column(T::thread_column(), j);
        const float add = column < n ? bias[column] : 0.0f;
#pragma unroll
        for (unsigned i = 0; i < T::TM; ++i) acc[i][j] += add;
    }
}

// Writes acc to C [m, n].
template <class T> __device__ __forceinline__ void store_tile(const float (&acc)[T::TM][T::TN], float* __restrict__ c, unsigned m, unsigned n) {
    constexpr unsigned GROUP = T::COLUMN_GROUP;
    const bool vectors = in_groups<GROUP>(c, n);
#pragma unroll
    for (unsigned g = 0; g < T::TN; g += GROUP) {
        const unsigned column = blockIdx.x * T::BN + T::column(T::thread_column(), g);
#pragma unroll
        for (unsigned i = 0; i < T::TM; ++i) {
            const unsigned row = blockIdx.y * T::BM + T::row(T::thread_row(), i);
            if (row >= m || column >= n) continue;
            const float* y = &acc[i][g];
            float* to = c + (size_t)row * n + column;
            if (vectors) {
                if constexpr (GROUP == 4) *reinterpret_cast<float4*>(to) = make_float4(y[0], y[1], y[2], y[3]);
                else *reinterpret_cast<float2*>(to) = make_float2(y[0], y[1]);
            } else {
#pragma unroll
                for (unsigned j = 0; j < GROUP; ++j)
                    if (column + j < n) to[j] = y[j];
            }
        }
    }
}
