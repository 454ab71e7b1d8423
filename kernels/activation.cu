// The backward of a block's tail (activation and dropout, in either order) if no batch norm follows.
// The forward is part of sgemm's epilogue.
//
//   order 0 (dropout first):     dz = m f'(pre) dy
//   order 1 (activation first):  dz = f'(pre) m dy        m = 0 or 1/(1-p)
//
// Threads: 256 a block. A thread computes four neighbouring elements, which share one Philox counter.
// A launch moves 12 bytes per element (dy read and written, pre read). It does 2 operations besides f' and, per four
// elements, 10 Philox rounds.
// Source: src/ops/activation.rs, src/ops/dropout.rs.
#include "activation.cuh"
#include "random.cuh"

// dy [count] is replaced by dz. dy and pre start at addresses divisible by 16.
extern "C" __global__ void __launch_bounds__(256)
activation_backward(float* __restrict__ dy, const float* __restrict__ pre, unsigned count, unsigned activation, unsigned order, Mask mask) {
    const size_t first = 4 * ((size_t)blockIdx.x * blockDim.x + threadIdx.x);
    if (first >= count) return;
    DropoutFactors factors(mask);
    if (first + 4 <= count) {
        float4 d = *reinterpret_cast<float4*>(dy + first);
        const float4 x = *reinterpret_cast<const float4*>(pre + first);
        d.x = tail_backward(activation, order, factors.at(first), d.x, x.x);
        d.y = tail_backward(activation, order, factors.at(first + 1), d.y, x.y);
        d.z = tail_backward(activation, order, factors.at(first + 2), d.z, x.z);
        d.w = tail_backward(activation, order, factors.at(first + 3), d.w, x.w);
        *reinterpret_cast<float4*>(dy + first) = d;
        return;
    }
    for (size_t e = first; e < count; ++e) dy[e] = tail_backward(activation, order, factors.at(e), dy[e], pre[e]);
}
