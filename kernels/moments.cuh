// Count, mean and M2 = sum of (x - mean)^2 of a set of numbers, and how to join those of two sets.
// Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
#pragma once
#include "common.cuh"

struct Moments {
    float count = 0.0f, mean = 0.0f, m2 = 0.0f;

    __device__ __forceinline__ void join(unsigned other_count, float other_mean, float other_m2) {
        if (other_count == 0) return;
        const float total = count + (float)other_count;
        const float delta = other_mean - mean;
        const float share = (float)other_count / total;
        mean += delta * share;
        m2 += other_m2 + delta * delta * count * share;
        count = total;
    }
};
