//! AVX2 and FMA: tiles of 6 × 16.
//!
//! They need 12 of the 16 registers for accumulators, two for a row of B and one for an element of A.
//! 12 independent chains keep two multiply-add units of latency 4 or 5 busy.

use core::arch::x86_64::*;

use super::call::{KernelCall, heights};
use super::tile::{Accumulator, Multiplicand, rows_of_tiles};

impl Accumulator for __m256 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the trait's promise; likewise below.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(to, self) }
    }
}

impl Multiplicand for __m256 {
    type Operand = f32;
    type Accumulator = Self;

    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Self {
        // SAFETY: as above, and the address is the caller's.
        unsafe { _mm256_broadcast_ss(&*from) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, x: Self, sum: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(self, x, sum) }
    }
}

/// # Safety
/// The promise of [`super::Kernel::run`], on a processor with AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn product(call: &KernelCall) {
    for panel in 0..call.panels {
        // SAFETY: the caller's promise.
        unsafe { rows_of_tiles!(call, __m256, panel, 2, [1 2 3 4 5 6]) }
    }
}
