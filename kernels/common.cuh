// Shared by every kernel file: sizes, NaN, and the structs that the host passes by value.
//
// The files compile under NVRTC without any system header. They also compile under a plain C++17 compiler, with
// emulator/cuda_cpu.h included first. The flag --fmad=false (g++: -ffp-contract=off) keeps products and sums apart
// except where the source says fmaf. As on the CPU, every matrix product is a chain of fmaf in ascending k, and every
// element-wise operation is rounded by itself. So both give the same bits in f32.
//
// Rules:
// - __shared__ arrays are declared in the extern "C" kernel and passed down.
// - No atomics on floats, so that results repeat exactly.
// - A kernel that changes parameters, moments or running statistics does nothing once the run's `diverged` flag is
//   set. So the host may read losses later.
#pragma once

constexpr unsigned FULL_WARP = 0xffffffffu;

__device__ __forceinline__ unsigned ceil_div(unsigned a, unsigned b) { return (a + b - 1) / b; }

// Dropout of one layer in one step. threshold = floor(p 2^32), scale = 1/(1-p). Threshold 0 keeps every unit.
struct Mask {
    unsigned threshold;
    float scale;
    unsigned layer, step_low, step_high, seed_low, seed_high;
};

// The loss of one row or of one batch.
struct Loss {
    double objective;              // with smoothing and class weights, as its part of the batch's mean
    double cross_entropy_sum;      // plain cross-entropy
    unsigned long long correct;    // rows whose largest logit is that of the label
};

__device__ __forceinline__ bool is_nan(float x) { return x != x; }
