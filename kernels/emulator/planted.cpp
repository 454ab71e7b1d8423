// Kernels with one mistake each, beside a correct version, to show that the checkers notice the mistake. Some give the
// right result in a lucky order of the threads.
//
//     planted KERNEL [0 forward | 1 reverse | 2 shuffled]       prints "right" or "WRONG"
#include "cuda_cpu.h"

#include <cstdio>
#include <cstdlib>

constexpr unsigned COUNT = 32;

// No barrier between writing and reading.
extern "C" __global__ void broadcast_racy(const float* x, float* y) {
    __shared__ float first;
    if (threadIdx.x == 0) first = x[0];
    y[threadIdx.x] = first;
}
extern "C" __global__ void broadcast_right(const float* x, float* y) {
    __shared__ float first;
    if (threadIdx.x == 0) first = x[0];
    __syncthreads();
    y[threadIdx.x] = first;
}
// It assumes that a warp runs in lock step. Since Volta it need not, and a shuffle does not order memory.
extern "C" __global__ void reversal_racy(const float* x, float* y) {
    __shared__ float all[COUNT];
    all[threadIdx.x] = x[threadIdx.x];
    const float zero = __shfl_xor_sync(0xffffffffu, 0.0f, 1);
    y[threadIdx.x] = all[COUNT - 1 - threadIdx.x] + zero;
}
extern "C" __global__ void reversal_right(const float* x, float* y) {
    __shared__ float all[COUNT];
    all[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    y[threadIdx.x] = all[COUNT - 1 - threadIdx.x];
}
// All threads add to one number without an atomic operation.
extern "C" __global__ void sum_racy(const float* x, float* y) { y[0] += x[threadIdx.x]; }
// Half of the threads never reach the barrier.
extern "C" __global__ void barrier_divergent(const float* x, float* y) {
    if (threadIdx.x < COUNT / 2) __syncthreads();
    y[threadIdx.x] = x[0];
}

CUDA_CPU_KERNEL(broadcast_racy)
CUDA_CPU_KERNEL(broadcast_right)
CUDA_CPU_KERNEL(reversal_racy)
CUDA_CPU_KERNEL(reversal_right)
CUDA_CPU_KERNEL(sum_racy)
CUDA_CPU_KERNEL(barrier_divergent)

bool cuda_cpu::is_live(const char*, unsigned, const void*) { return true; }

int main(int count, char** arguments) {
    const cuda_cpu::Kernel* kernel = count > 1 ? cuda_cpu::find_kernel(arguments[1]) : nullptr;
    if (!kernel) return 2;
    float x[COUNT], y[COUNT] = {};
    for (unsigned i = 0; i < COUNT; ++i) x[i] = float(i + 1);
    const float* from = x;
    float* to = y;
    void* pointers[] = {&from, &to};
    cuda_cpu::Schedule schedule;
    schedule.order = static_cast<cuda_cpu::Order>(count > 2 ? atoi(arguments[2]) : 0);
    if (const char* fault = cuda_cpu::launch(*kernel, {1, 1, 1}, {COUNT, 1, 1}, pointers, schedule)) {
        puts(fault);
        return 1;
    }
    bool right = true;
    for (unsigned i = 0; i < COUNT; ++i) {
        const float reversed = float(COUNT - i), sum = i == 0 ? float(COUNT * (COUNT + 1) / 2) : 0.0f;
        right &= y[i] == (arguments[1][0] == 's' ? sum : arguments[1][0] == 'r' ? reversed : 1.0f);
    }
    puts(right ? "right" : "WRONG");
    return right ? 0 : 1;
}
