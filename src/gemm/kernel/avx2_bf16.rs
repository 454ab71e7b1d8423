//! Pairs of bf16 for every processor with AVX2: tiles of 4 × 16.
//!
//! A pair is widened to two f32, whose upper halves are its bits, and added in two multiply-adds.
//! Their order is that of AVX-512's instruction for pairs, VDPBF16PS.
//! A tile needs 8 registers for accumulators, 4 for a widened row of B, 2 for a widened pair of A and 1 for the mask.
//! With a fifth row there would not be enough of them.

use core::arch::x86_64::*;

use super::call::{KernelCall, heights};
use super::tile::{Multiplicand, rows_of_tiles};
use crate::gemm::bf16::Pair;

/// Eight pairs.
#[derive(Clone, Copy)]
struct Avx2Pairs(__m256i);

impl Avx2Pairs {
    /// The first number of every pair, from the lower halves.
    #[inline(always)]
    unsafe fn first(self) -> __m256 {
        // SAFETY: the promise of `Multiplicand`; likewise below.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(self.0)) }
    }

    /// The second number, from the upper halves.
    #[inline(always)]
    unsafe fn second(self) -> __m256 {
        // SAFETY: as above.
        unsafe {
            let upper = _mm256_set1_epi32(0xffff_0000_u32.cast_signed());
            _mm256_castsi256_ps(_mm256_and_si256(self.0, upper))
        }
    }
}

impl Multiplicand for Avx2Pairs {
    type Operand = Pair;
    type Accumulator = __m256;

    #[inline(always)]
    unsafe fn broadcast(from: *const Pair) -> Self {
        // SAFETY: as above, and the address is the caller's.
        unsafe { Avx2Pairs(_mm256_set1_epi32(*from.cast())) }
    }

    #[inline(always)]
    unsafe fn load(from: *const Pair) -> Self {
        // SAFETY: as above.
        unsafe { Avx2Pairs(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, x: Self, sum: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe {
            let sum = _mm256_fmadd_ps(self.second(), x.second(), sum);
            _mm256_fmadd_ps(self.first(), x.first(), sum)
        }
    }
}

/// # Safety
/// The promise of [`super::Kernel::run`], on a processor with AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn product(call: &KernelCall<Pair>) {
    for panel in 0..call.panels {
        // SAFETY: the caller's promise.
        unsafe { rows_of_tiles!(call, Avx2Pairs, panel, 2, [1 2 3 4]) }
    }
}
