// Optimisers: (w, g, m, v) -> (w, m, v) for each parameter by itself. The rules and bits are those of src/optim/*.rs:
// no product is fused with a sum.
//
//   sgd       g += lambda w;  m = mu m + g;                          w -= lr (nesterov ? g + mu m : m)
//   adam(w)   w *= shrink;  g += l2 w;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;
//             w -= step m / (sqrt(v) correction + eps)
//   rmsprop   g += lambda w;  v = a v + (1-a) g^2;  m = mu m + g / (sqrt(v) + eps);   w -= lr m
//   rprop     step v *= 1.2 if g keeps its sign, 0.5 if g flips it, within [1e-6, 50];
//             w -= sign(g) v;  m = g, 0 after a flip
//
// g is first multiplied by *gradient_scale (clipping), if given. Every update sets tiny values of w and m to 0.
// Nothing happens once the run has diverged.
//
// Threads: one per parameter, 256 a block. Bytes per parameter: sgd 20 (w, m read and written, g read), the others 28
// (v as well).
// Flops: sgd 6 to 8, adam 13 with a division and a root, rmsprop 11 with a division and a root, rprop 5.
#include "common.cuh"

constexpr float TINY = 7.888609052210118e-31f;      // 2^-100
constexpr float ROOT_TINY = 8.881784197001252e-16f; // 2^-50

// g + lambda w; g itself if lambda is 0.
__device__ __forceinline__ float with_l2(float g, float l2, float w) { return l2 == 0.0f ? g : g + l2 * w; }

// |g|, but at least 2^-50, whose square is normal. NaN stays NaN.
__device__ __forceinline__ float squarable(float g) {
    const float magnitude = fabsf(g);
    return magnitude < ROOT_TINY ? ROOT_TINY : magnitude;
}

// Tiny values become 0; NaN stays NaN.
__device__ __forceinline__ float flush(float x) { return fabsf(x) < TINY ? 0.0f : x; }

// -1, 0 or 1; NaN stays NaN, so that a diverged run shows.
__device__ __forceinline__ float sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }

struct SgdRule {
    static constexpr bool USES_V = false;
    float lr, momentum, weight_decay;
    unsigned nesterov, swept;

    __device__ __forceinline__ void update(float& w, float g, float& m, float&) const {
        g = g + weight_decay * w;
        m = momentum * m + g;
        const float direction = nesterov ? g + momentum * m : m;
        w = w - lr * direction;
    }
};

struct AdamRule {
    static constexpr bool USES_V = true;
    float step_size, root_correction, beta1, one_minus_beta1, beta2, one_minus_beta2, eps, l2, shrink;
    unsigned swept;

    __device__ __forceinline__ void update(float& w, float g, float& m, float& v) const {
        w = shrink * w;
        g = with_l2(g, l2, w);
        m = beta1 * m + one_minus_beta1 * g;
        const float size = squarable(g);
        v = beta2 * v + one_minus_beta2 * size * size;
        const float root = sqrtf(v) * root_correction + eps;
        w = w - step_size * m / root;
    }
};

struct RmsPropRule {
    static constexpr bool USES_V = true;
    float lr, alpha, one_minus_alpha, eps, momentum, weight_decay;
    unsigned swept;

    __device__ __forceinline__ void update(float& w, float g, float& m, float& v) const {
        g = with_l2(g, weight_decay, w);
        const float size = squarable(g);
        v = alpha * v + one_minus_alpha * size * size;
        m = momentum * m + g / (sqrtf(v) + eps);
        w = w - lr * m;
    }
};

struct RpropRule {
    static constexpr bool USES_V = true;
    float first; // the first step size
    unsigned is_first, swept;

    __device__ __forceinline__ void update(float& w, float g, float& m, float& v) const {
        // Not g * m: for two small gradients the product would be subnormal or 0.
        const float agreement = g * sign(m);
        const bool flipped = agreement < 0.0f;
        const float factor = flipped ? 0.5f : agreement > 0.0f ? 1.2f : 1.0f;
        v = fminf(fmaxf((is_first ? first : v) * factor, 1e-6f), 50.0f);
        m = flipped ? 0.0f : g;
        w = w - sign(m) * v;
    }
};

template <class Rule>
__device__ __forceinline__ void optimizer_step(float* __restrict__ w, const float* __restrict__ g, float* __restrict__ m, float* __restrict__ v, unsigned count,
                                               const Rule& rule, const float* __restrict__ gradient_scale, const unsigned* __restrict__ diverged) {
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count || *diverged) return;
    const float scale = gradient_scale ? *gradient_scale : 1.0f;
    float new_w = w[i], new_m = m[i], new_v = Rule::USES_V ? v[i] : 0.0f;
    rule.update(new_w, scale * g[i], new_m, new_v);
    w[i] = rule.swept ? flush(new_w) : new_w;
    m[i] = rule.swept ? flush(new_m) : new_m;
    if (Rule::USES_V) v[i] = new_v;
}

#define OPTIMIZER(name, Rule)                                                                                                                     \
    extern "C" __global__ void __launch_bounds__(256)                                                                                             \
    name(float* __restrict__ w, const float* __restrict__ g, float* __restrict__ m, float* __restrict__ v, unsigned count, Rule rule,             \
         const float* __restrict__ gradient_scale, const unsigned* __restrict__ diverged) {                                                       \
        optimizer_step(w, g, m, v, count, rule, gradient_scale, diverged);                                                                        \
    }

OPTIMIZER(sgd, SgdRule)
OPTIMIZER(adam, AdamRule)
OPTIMIZER(rmsprop, RmsPropRule)
OPTIMIZER(rprop, RpropRule)
