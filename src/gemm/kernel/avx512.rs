//! AVX-512: tiles of 14 × 32, two panels side by side.
//!
//! They need 28 of the 32 registers for accumulators and two for a row of B.
//! Elements of A are broadcast by the multiply-add itself.
//! An odd last panel runs in tiles of 24 × 16: 24 accumulators, one register of B.

use core::arch::x86_64::*;

use super::call::{KernelCall, heights};
use super::tile::{Accumulator, Multiplicand, rows_of_tiles, tile};

impl Accumulator for __m512 {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the trait's promise; likewise below.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_ps(to, self) }
    }
}

impl Multiplicand for __m512 {
    type Operand = f32;
    type Accumulator = Self;

    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Self {
        // SAFETY: as above, and the address is the caller's.
        unsafe { _mm512_set1_ps(*from) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, x: Self, sum: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(self, x, sum) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline(never)]
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
        call: &KernelCall,
        row: usize,
        panel: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe { tile::<Self, ROWS, VECTORS>(call, row, panel) }
    }
}

/// # Safety
/// The promise of [`super::Kernel::run`], on a processor with AVX-512 F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn product(call: &KernelCall) {
    let pairs = call.panels / 2;
    for pair in 0..pairs {
        // SAFETY: the caller's promise.
        unsafe { rows_of_tiles!(call, __m512, 2 * pair, 2, [1 2 3 4 5 6 7 8 9 10 11 12 13 14]) }
    }
    if call.panels % 2 == 1 {
        // SAFETY: as above.
        unsafe {
            rows_of_tiles!(call, __m512, 2 * pairs, 1,
                [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24])
        }
    }
}
