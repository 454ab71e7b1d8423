// The rows of a batch from the data set in device memory, augmented if asked for, and normalised:
// out_ij = x scale_j + shift_j, with the product and the sum each rounded.
//
// Augmentation is a pure function of seed, epoch and sample, with the CPU's random draws: mirrored or not, an offset in
// each direction filled with zeros, Gaussian noise. Mirroring and offsets equal the CPU's. Noise uses this device's
// log, sin and cos in f64, whose last bits may differ. So a pixel differs only where its noise is within some 1e-13
// of a rounding boundary, and a float in its last bit.
//
// Threads: one block of 256 per row. A thread computes every 256th feature or, with augmentation, every 256th group of
// four, which share a Philox counter.
// A launch moves 5 bytes per pixel (8 per float) and does 2 flops each. Noise adds, per four pixels, 10 Philox rounds
// and 2 logarithms, roots, sines and cosines.
// Source: src/data/batches.rs, src/data/augment.rs; Box, Muller, "A Note on the Generation of Random Normal Deviates",
// Ann. Math. Stat. 29(2), 1958.
#include "random.cuh"

constexpr unsigned INPUT_THREADS = 256;

template <class T>
__device__ __forceinline__ void gather(float* __restrict__ out, const T* __restrict__ data, const unsigned* __restrict__ row_indices,
                                       const float* __restrict__ scale, const float* __restrict__ shift, unsigned features) {
    const T* from = data + (size_t)row_indices[blockIdx.x] * features;
    float* to = out + (size_t)blockIdx.x * features;
    for (unsigned j = threadIdx.x; j < features; j += INPUT_THREADS) to[j] = (float)from[j] * scale[j] + shift[j];
}

extern "C" __global__ void __launch_bounds__(INPUT_THREADS)
input_u8(float* __restrict__ out, const unsigned char* __restrict__ data, const unsigned* __restrict__ row_indices, const float* __restrict__ scale,
         const float* __restrict__ shift, unsigned features) {
    gather(out, data, row_indices, scale, shift, features);
}

extern "C" __global__ void __launch_bounds__(INPUT_THREADS)
input_f32(float* __restrict__ out, const float* __restrict__ data, const unsigned* __restrict__ row_indices, const float* __restrict__ scale,
          const float* __restrict__ shift, unsigned features) {
    gather(out, data, row_indices, scale, shift, features);
}

// Which changes to make. Rows that are not images are images of height 1.
struct Augment {
    unsigned seed_low, seed_high, epoch;
    unsigned height, width;
    unsigned flip;  // 1: mirror with probability 1/2
    unsigned shift; // pixels
    double noise;   // standard deviation; for u8 as a share of the full range
};

// A word of the counter. Dropout has its layer number there, which is below 2^31.
constexpr unsigned GEOMETRY = 0x80000000u, NOISE = 0x80000001u;

// The random words for the geometry of one sample, one after the other.
struct GeometryDraws {
    const Augment& augment;
    const unsigned sample;
    unsigned taken;
    Words words;

    __device__ __forceinline__ GeometryDraws(const Augment& augment, unsigned sample) : augment(augment), sample(sample), taken(0), words() {}

    __device__ __forceinline__ unsigned next() {
        const unsigned i = taken % 4;
        if (i == 0) words = philox4x32(taken / 4, GEOMETRY, augment.epoch, sample, augment.seed_low, augment.seed_high);
        ++taken;
        return i < 2 ? (i == 0 ? words.word[0] : words.word[1]) : (i == 2 ? words.word[2] : words.word[3]);
    }
};

struct Geometry {
    bool mirrored;
    int down, right;
};

__device__ __forceinline__ Geometry draw_geometry(const Augment& augment, unsigned sample) {
    GeometryDraws draws(augment, sample);
    const bool mirrored = draws.next() >> 31 == 1;
    const int down = (int)below(2 * augment.shift + 1, draws) - (int)augment.shift;
    const int right = (int)below(2 * augment.shift + 1, draws) - (int)augment.shift;
    return {augment.flip && mirrored, down, right};
}

// Two standard normals from two uniform words: sqrt(-2 ln u) (cos 2 pi v, sin 2 pi v), u in (0, 1].
__device__ __forceinline__ void box_muller(unsigned a, unsigned b, double& first, double& second) {
    const double scale = 1.0 / 4294967296.0;
    const double radius = sqrt(-2.0 * log(((double)a + 1.0) * scale));
    double sine, cosine;
    sincospi(2.0 * (double)b * scale, &sine, &cosine);
    first = radius * cosine;
    second = radius * sine;
}

// A pixel with noise in units of the full range, rounded and clamped to 0..=255.
__device__ __forceinline__ float noisy(unsigned char pixel, double noise) { return (float)fmin(fmax(round((double)pixel + 255.0 * noise), 0.0), 255.0); }
__device__ __forceinline__ float noisy(float x, double noise) { return x + (float)noise; }

template <class T>
__device__ __forceinline__ void gather_augmented(float* __restrict__ out, const T* __restrict__ data, const unsigned* __restrict__ row_indices,
                                                 const float* __restrict__ scale, const float* __restrict__ shift, unsigned features, const Augment& augment,
                                                 Geometry& geometry) {
    const unsigned sample = row_indices[blockIdx.x];
    if (threadIdx.x == 0) geometry = draw_geometry(augment, sample);
    __syncthreads();
    const T* from = data + (size_t)sample * features;
    float* to = out + (size_t)blockIdx.x * features;
    for (unsigned first = 4 * threadIdx.x; first < features; first += 4 * INPUT_THREADS) {
        double normals[4] = {0.0, 0.0, 0.0, 0.0};
        if (augment.noise > 0.0) {
            const Words words = philox4x32(first / 4, NOISE, augment.epoch, sample, augment.seed_low, augment.seed_high);
            box_muller(words.word[0], words.word[1], normals[0], normals[1]);
            box_muller(words.word[2], words.word[3], normals[2], normals[3]);
        }
#pragma unroll
        for (unsigned i = 0; i < 4; ++i) {
            const unsigned j = first + i;
            if (j >= features) break;
            const int y = (int)(j / augment.width) - geometry.down, x = (int)(j % augment.width) - geometry.right;
            T value = 0;
            if (y >= 0 && y < (int)augment.height && x >= 0 && x < (int)augment.width)
                value = from[(unsigned)y * augment.width + (geometry.mirrored ? augment.width - 1 - (unsigned)x : (unsigned)x)];
            to[j] = noisy(value, augment.noise * normals[i]) * scale[j] + shift[j];
        }
    }
}

extern "C" __global__ void __launch_bounds__(INPUT_THREADS)
augment_u8(float* __restrict__ out, const unsigned char* __restrict__ data, const unsigned* __restrict__ row_indices, const float* __restrict__ scale,
           const float* __restrict__ shift, unsigned features, Augment augment) {
    __shared__ Geometry geometry;
    gather_augmented(out, data, row_indices, scale, shift, features, augment, geometry);
}

extern "C" __global__ void __launch_bounds__(INPUT_THREADS)
augment_f32(float* __restrict__ out, const float* __restrict__ data, const unsigned* __restrict__ row_indices, const float* __restrict__ scale,
            const float* __restrict__ shift, unsigned features, Augment augment) {
    __shared__ Geometry geometry;
    gather_augmented(out, data, row_indices, scale, shift, features, augment, geometry);
}
