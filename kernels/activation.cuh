// The activations element by element, and the tail of a block: dropout and activation, in either order.
// The same rules as src/ops/activation.rs.
//
// f and f' are chosen at run time. Every thread of a launch takes the same branch, so the choice costs one comparison
// and saves eight copies of each kernel. f' is computed from the activation's input alone. The CPU reads the saved
// output for sigmoid, tanh and elu; here the output is computed again with the same bits, which is cheaper than
// reading it.
#pragma once
#include "math.cuh"

// In the order of Activation::ALL.
enum Activation : unsigned { RELU, LEAKY_RELU, SIGMOID, TANH, GELU, SILU, ELU, IDENTITY };
// Which of the two comes first, as in backend::Order.
enum Order : unsigned { DROPOUT_ACTIVATION, ACTIVATION_DROPOUT };

constexpr float LEAKY_SLOPE = 0.01f;

// The standard normal distribution function.
__device__ __forceinline__ float normal_cdf(float x) { return 0.5f * (1.0f + erf_f32(x * 0.70710678118654752440f)); }

// f(x). x <= 0 is false for NaN, so a NaN stays NaN.
__device__ __forceinline__ float activation_value(unsigned activation, float x) {
    switch (activation) {
    case RELU: return x <= 0.0f ? 0.0f : x;
    case LEAKY_RELU: return x <= 0.0f ? LEAKY_SLOPE * x : x;
    case SIGMOID: return sigmoid_f32(x);
    case TANH: return tanh_f32(x);
    case GELU: return x * normal_cdf(x);
    case SILU: return x * sigmoid_f32(x);
    case ELU: return x <= 0.0f ? exp_m1_f32(x) : x;
    default: return x;
    }
}

// f'(x)
__device__ __forceinline__ float activation_derivative(unsigned activation, float x) {
    switch (activation) {
    case RELU: return x > 0.0f ? 1.0f : 0.0f;
    case LEAKY_RELU: return x > 0.0f ? 1.0f : LEAKY_SLOPE;
    case SIGMOID: {
        const float y = sigmoid_f32(x);
        return y * (1.0f - y);
    }
    case TANH: {
        const float y = tanh_f32(x);
        return 1.0f - y * y;
    }
    case GELU: return normal_cdf(x) + x * 0.39894228040143267794f * exp_f32(-0.5f * x * x);
    case SILU: {
        const float s = sigmoid_f32(x);
        return s * (1.0f + x * (1.0f - s));
    }
    case ELU: {
        const float y = activation_value(ELU, x);
        return y > 0.0f ? 1.0f : y + 1.0f;
    }
    default: return 1.0f;
    }
}

// A block's output from z, the input of its tail. `pre` is set to the activation's input, which the backward needs.
__device__ __forceinline__ float tail_forward(unsigned activation, unsigned order, float factor, float z, float& pre) {
    pre = order == DROPOUT_ACTIVATION ? z * factor : z;
    const float y = activation_value(activation, pre);
    return order == DROPOUT_ACTIVATION ? y : y * factor;
}

// dz from dy, multiplied in the CPU's order, so that the rounding is the same.
__device__ __forceinline__ float tail_backward(unsigned activation, unsigned order, float factor, float dy, float pre) {
    const float derivative = activation_derivative(activation, pre);
    return order == DROPOUT_ACTIVATION ? dy * derivative * factor : dy * factor * derivative;
}
