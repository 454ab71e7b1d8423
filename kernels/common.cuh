// Shared by every kernel file: sizes, the run's guard flag, and the structs that the host passes by value.
//
// The files compile under NVRTC without any system header, and under a plain C++17 compiler with emulator/cuda_cpu.h included first.
// They are compiled with --fmad=false (g++: -ffp-contract=off): a product and a sum fuse only where fmaf says so. As on the CPU, every product of matrices
// is a chain of fmaf in ascending k, and everything element-wise rounds each operation by itself, so that both give the same bits in f32.
//
// Rules: __shared__ arrays are declared in the extern "C" kernel and passed down; no atomics on floats, so that results repeat exactly; a kernel that
// changes parameters, moments or running statistics does nothing once the run's `diverged` flag is set, so that the host may read losses later.
#pragma once

constexpr unsigned FULL_WARP = 0xffffffffu;

__device__ __forceinline__ unsigned ceil_div(unsigned a, unsigned b) { return (a + b - 1) / b; }

// Dropout of one layer in one step. threshold = floor(p 2^32), scale = 1/(1-p); threshold 0 keeps every unit as it is.
struct Mask {
    unsigned threshold;
    float scale;
    unsigned layer, step_low, step_high, seed_low, seed_high;
};

// What a row, or a batch, adds to the loss.
struct Loss {
    double objective;              // with smoothing and class weights, as a part of the batch's mean
    double cross_entropy_sum;      // plain cross-entropy
    unsigned long long correct;    // rows whose largest logit is the label's
};

__device__ __forceinline__ bool is_nan(float x) { return x != x; }
