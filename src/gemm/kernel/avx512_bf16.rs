//! Pairs of bf16 with AVX-512's instruction for them, VDPBF16PS.
//! It does twice as many multiply-adds as the instruction for f32.
//!
//! The tiles are the same as for f32: 14 × 32, and 24 × 16 for an odd last panel.

use core::arch::x86_64::*;
use core::mem::transmute;

use super::call::{KernelCall, heights};
use super::tile::{Multiplicand, rows_of_tiles, tile};
use crate::gemm::bf16::Pair;

/// Sixteen pairs.
#[derive(Clone, Copy)]
struct Avx512Pairs(__m512i);

impl Multiplicand for Avx512Pairs {
    type Operand = Pair;
    type Accumulator = __m512;

    #[inline(always)]
    unsafe fn broadcast(from: *const Pair) -> Self {
        // SAFETY: the trait's promise, and the address is the caller's; likewise below.
        unsafe { Avx512Pairs(_mm512_set1_epi32(*from.cast())) }
    }

    #[inline(always)]
    unsafe fn load(from: *const Pair) -> Self {
        // SAFETY: as above.
        unsafe { Avx512Pairs(_mm512_loadu_si512(from.cast())) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, x: Self, sum: __m512) -> __m512 {
        // SAFETY: as above; the vector types are the same 512 bits.
        // The broadcast comes last, where the instruction can read it from memory itself.
        unsafe {
            let (a, b) = (
                transmute::<__m512i, __m512bh>(self.0),
                transmute::<__m512i, __m512bh>(x.0),
            );
            _mm512_dpbf16_ps(sum, b, a)
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline(never)]
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
        call: &KernelCall<Pair>,
        row: usize,
        panel: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe { tile::<Self, ROWS, VECTORS>(call, row, panel) }
    }
}

/// # Safety
/// The promise of [`super::Kernel::run`], on a processor with AVX-512 F and BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn product(call: &KernelCall<Pair>) {
    let pairs = call.panels / 2;
    for pair in 0..pairs {
        // SAFETY: the caller's promise.
        unsafe {
            rows_of_tiles!(call, Avx512Pairs, 2 * pair, 2, [1 2 3 4 5 6 7 8 9 10 11 12 13 14])
        }
    }
    if call.panels % 2 == 1 {
        // SAFETY: as above.
        unsafe {
            rows_of_tiles!(call, Avx512Pairs, 2 * pairs, 1,
                [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24])
        }
    }
}
