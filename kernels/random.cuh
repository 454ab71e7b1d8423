// Philox 4x32 with 10 rounds, as in src/rng.rs: four uniform words from a 128-bit counter and a 64-bit key, no state.
// Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3.
#pragma once
#include "common.cuh"

struct Words {
    unsigned word[4];
};

__device__ __forceinline__ Words philox4x32(unsigned c0, unsigned c1, unsigned c2, unsigned c3, unsigned k0, unsigned k1) {
#pragma unroll
    for (unsigned round = 0; round < 10; ++round) {
        const unsigned high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        const unsigned high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c2 = high0 ^ c3 ^ k1;
        c1 = low1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}

// A uniform integer in 0..n (n > 0) without modulo bias, as in rng::below: the upper half of word * n. A word is drawn
// again if the lower half is below 2^32 mod n.
// Lemire, "Fast Random Integer Generation in an Interval", ACM TOMACS 29(1), 2019, algorithm 5.
template <class Draws> __device__ __forceinline__ unsigned below(unsigned n, Draws& draws) {
    const unsigned threshold = (0u - n) % n;
    for (;;) {
        const unsigned word = draws.next();
        if (word * n >= threshold) return __umulhi(word, n);
    }
}

// The dropout factors, as in src/ops/dropout.rs. Element i of the row-major [rows, features] batch uses word i mod 4 of
// counter (i/4, layer, step low, step high) with the seed as key. It is kept if that word is at least the threshold.
struct DropoutFactors {
    const Mask mask;
    Words words;
    size_t counter;

    __device__ __forceinline__ explicit DropoutFactors(const Mask& mask) : mask(mask), words(), counter(~(size_t)0) {}

    // 1/(1-p) or 0. Four neighbouring elements share a counter, whose words are computed once.
    __device__ __forceinline__ float at(size_t element) {
        if (mask.threshold == 0) return 1.0f;
        if (element / 4 != counter) {
            counter = element / 4;
            words = philox4x32((unsigned)counter, mask.layer, mask.step_low, mask.step_high, mask.seed_low, mask.seed_high);
        }
        // Not words.word[element % 4]: an index known only at run time would move the words from registers to memory.
        const unsigned i = (unsigned)element % 4;
        const unsigned word = i < 2 ? (i == 0 ? words.word[0] : words.word[1]) : (i == 2 ? words.word[2] : words.word[3]);
        return word >= mask.threshold ? mask.scale : 0.0f;
    }
};
