// CUDA device code's built-ins for a plain C++17 compiler (GCC or Clang with glibc), so that kernels/*.cu run unchanged
// on the CPU. Include this file before a kernel file. One CUDA thread is one fiber (scheduler.cpp). Only the built-ins
// that the kernels use are here.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "registry.h"

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
// All shared arrays are in one section of the program. The scheduler fills it with NaN before every block, because
// hardware does not zero shared memory either. Under the address sanitizer they are plain statics, which get red zones.
#ifdef CUDA_CPU_ASAN
#define __shared__ static
#else
#define __shared__ static __attribute__((section("cuda_shared")))
#endif

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

extern uint3 blockIdx;
extern dim3 blockDim, gridDim;
#ifdef CUDA_CPU_TSAN
// A call into the scheduler, which is not instrumented. Otherwise the race detector would report the variable itself.
namespace cuda_cpu {
uint3 thread_index();
}
#define threadIdx (::cuda_cpu::thread_index())
#else
extern uint3 threadIdx; // set at every switch to a fiber
#endif

namespace cuda_cpu {

enum class WarpOperation { BROADCAST, DOWN, XOR, SYNC };

// Where a device function was called, so that a fault can name the line of the kernel.
struct Site {
    const char* file;
    int line;
};

// Waits for all threads of the block.
void sync_block(Site site);

// Waits for the lanes of the mask and returns this lane's result.
uint64_t warp_operation(WarpOperation operation, unsigned mask, uint64_t value, unsigned argument, unsigned width, Site site);

template <class T> T shuffle(WarpOperation operation, unsigned mask, T value, unsigned argument, unsigned width, Site site) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle moves 32 or 64 bits");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = warp_operation(operation, mask, bits, argument, width, site);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

} // namespace cuda_cpu

#define CUDA_CPU_SITE                          \
    cuda_cpu::Site site = {                    \
        __builtin_FILE(), __builtin_LINE() }
inline void __syncthreads(CUDA_CPU_SITE) { cuda_cpu::sync_block(site); }
inline void __syncwarp(unsigned mask = 0xffffffffu, CUDA_CPU_SITE) { cuda_cpu::warp_operation(cuda_cpu::WarpOperation::SYNC, mask, 0, 0, 32, site); }
template <class T> T __shfl_sync(unsigned mask, T value, unsigned lane, unsigned width = 32, CUDA_CPU_SITE) {
    return cuda_cpu::shuffle(cuda_cpu::WarpOperation::BROADCAST, mask, value, lane, width, site);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, unsigned width = 32, CUDA_CPU_SITE) {
    return cuda_cpu::shuffle(cuda_cpu::WarpOperation::DOWN, mask, value, delta, width, site);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, unsigned lanes, unsigned width = 32, CUDA_CPU_SITE) {
    return cuda_cpu::shuffle(cuda_cpu::WarpOperation::XOR, mask, value, lanes, width, site);
}

inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline unsigned __float_as_uint(float x) {
    unsigned bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline void sincospi(double x, double* sine, double* cosine) {
    *sine = std::sin(M_PI * x);
    *cosine = std::cos(M_PI * x);
}
