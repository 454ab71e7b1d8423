// Elementary functions in f32 with the CPU's bits: each operation and constant is that of src/real/math.rs.
// Every step is one correctly rounded operation; fmaf stands for the CPU's mul_add.
// Largest errors in ulp, measured on the CPU: exp 0.95, exp_m1 1.7, ln 0.8, tanh 1.3, sigmoid 2.3, erf 1.1.
// Method: Muller, Elementary Functions, 3rd edition, 2016, chapters 3 and 11.
#pragma once
#include "common.cuh"

// 1.5 * 2^23. Adding it to a small number rounds the number to an integer, which is then in the low bits.
constexpr float ROUND = 12582912.0f;
// ln 2 in two parts: the first has few bits, so that its product with an integer is exact.
constexpr float LN2_HIGH = 0.6933594f;
constexpr float LN2_LOW = -2.1219444e-4f;
constexpr float LOG2_E = 1.44269504088896340736f;
constexpr unsigned INFINITY_BITS = 0x7f800000u;
constexpr unsigned NAN_BITS = 0x7fc00000u;

// c[0] + c[1] x + ... by Horner's rule.
template <unsigned N> __device__ __forceinline__ float polynomial(float x, const float (&c)[N]) {
    float sum = c[N - 1];
#pragma unroll
    for (unsigned i = N - 1; i > 0; --i) sum = fmaf(sum, x, c[i - 1]);
    return sum;
}

// 2^n for an integer n in -126..=127. Computed unsigned, because the n of a NaN is arbitrary and must not overflow.
__device__ __forceinline__ float power_of_two(int n) { return __uint_as_float(((unsigned)n + 127u) << 23); }

__device__ __forceinline__ float exp_f32(float x) {
    // Beyond these bounds the result is 0 or infinite. A comparison with NaN is false, so a NaN stays NaN.
    x = x < -105.0f ? -105.0f : x;
    x = x > 90.0f ? 90.0f : x;
    const float rounded = fmaf(x, LOG2_E, ROUND);
    const float n = rounded - ROUND;
    const float r = fmaf(n, -LN2_LOW, fmaf(n, -LN2_HIGH, x));
    const float c[] = {0.5f, 0.16666666f, 0.041666467f, 0.008333511f, 0.0013933482f, 0.00019758231f};
    const float p = fmaf(r * r, polynomial(r, c), r) + 1.0f;
    // Multiplied in two halves, because 2^n alone may be out of range where e^x is not.
    const int exponent = (int)(__float_as_uint(rounded) - __float_as_uint(ROUND));
    const int half = exponent >> 1;
    return p * power_of_two(half) * power_of_two((int)((unsigned)exponent - (unsigned)half));
}

// e^x - 1, with a small relative error near 0 too.
__device__ __forceinline__ float exp_m1_f32(float x) {
    const float c[] = {0.5f, 0.16666667f, 0.041666668f, 0.008333182f, 0.0013888608f, 0.00019962185f, 2.4957057e-5f};
    const float near = fmaf(x * x, polynomial(x, c), x);
    const float far = exp_f32(x) - 1.0f;
    return fabsf(x) < 0.5f ? near : far;
}

// Natural logarithm; -inf at 0, NaN below.
__device__ __forceinline__ float ln_f32(float x) {
    // Scales subnormal numbers into the normal range.
    const bool tiny = x < 1.17549435e-38f;
    const unsigned bits = __float_as_uint(tiny ? x * 8388608.0f : x);
    // The exponent of x / sqrt(1/2), so that the rest lies in [sqrt(1/2), sqrt(2)).
    const int shifted = (int)(bits - 0x3f3504f3u);
    const int exponent = shifted >> 23;
    const float f = __uint_as_float(((unsigned)shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    const float e = (float)exponent - (tiny ? 23.0f : 0.0f);
    const float c[] = {0.33333313f, -0.24999987f, 0.20002069f, -0.16669181f, 0.14221352f,
                       -0.12386752f, 0.11857455f, -0.11771647f, 0.069265f};
    const float square = f * f;
    float tail = fmaf(square * f, polynomial(f, c), e * LN2_LOW);
    tail = fmaf(square, -0.5f, tail);
    float result = fmaf(e, LN2_HIGH, f + tail);
    result = x == __uint_as_float(INFINITY_BITS) ? x : result;
    result = x == 0.0f ? -__uint_as_float(INFINITY_BITS) : result;
    return x >= 0.0f ? result : __uint_as_float(NAN_BITS);
}

__device__ __forceinline__ float tanh_f32(float x) {
    const float c[] = {-0.3333333f, 0.13333206f, -0.053946763f, 0.021700703f, -0.008177398f, 0.002142962f};
    const float z = x * x;
    const float near = fmaf(z * x, polynomial(z, c), x);
    const float magnitude = fabsf(x);
    const float far = 1.0f - 2.0f / (exp_f32(2.0f * magnitude) + 1.0f);
    return magnitude < 0.625f ? near : copysignf(far, x);
}

// 1/(1 + e^-x), without overflow on either side.
__device__ __forceinline__ float sigmoid_f32(float x) {
    const float e = exp_f32(-fabsf(x));
    const float numerator = x < 0.0f ? e : 1.0f;
    return numerator / (1.0f + e);
}

// The error function.
__device__ __forceinline__ float erf_f32(float x) {
    const float c[] = {0.12837917f, -0.37612638f, 0.11283782f, -0.0268654f, 0.0052209455f, -0.0008482829f, 0.0001125695f, -9.641522e-6f};
    const float near = fmaf(x, polynomial(x * x, c), x);
    // Beyond 4 the result is 1 to the last bit, and the polynomial is not valid.
    const float magnitude = fabsf(x);
    const float a = magnitude > 4.0f ? 4.0f : magnitude;
    // -log(1 - erf(a))
    const float l[] = {-0.00018846817f, 1.1295803f, 0.6332164f, 0.1084221f, -0.02521034f, 0.004205285f, -0.0004414727f, 2.1697617e-5f};
    const float far = 1.0f - exp_f32(-polynomial(a, l));
    return magnitude < 1.0f ? near : copysignf(far, x);
}
