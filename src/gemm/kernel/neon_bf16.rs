//! Pairs of bf16 with NEON: tiles of 4 × 16.
//!
//! A pair is widened to two f32, whose upper halves are its bits, and added in two multiply-adds.
//! ARM's own instructions for bf16 (BFDOT, BFMMLA) round in another way, and take subnormal numbers for zeros.
//! A tile needs 16 registers for accumulators, 8 for a widened row of B, 2 for a widened pair of A.

use core::arch::aarch64::*;

use super::call::{KernelCall, heights};
use super::tile::{Multiplicand, rows_of_tiles};
use crate::gemm::bf16::Pair;

/// Four pairs.
#[derive(Clone, Copy)]
struct NeonPairs(uint32x4_t);

impl NeonPairs {
    /// The first number of every pair, from the lower halves.
    #[inline(always)]
    unsafe fn first(self) -> float32x4_t {
        // SAFETY: every 64-bit ARM processor has NEON; addresses are the caller's. Likewise below.
        unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<16>(self.0)) }
    }

    /// The second number, from the upper halves.
    #[inline(always)]
    unsafe fn second(self) -> float32x4_t {
        // SAFETY: as above.
        unsafe { vreinterpretq_f32_u32(vandq_u32(self.0, vdupq_n_u32(0xffff_0000))) }
    }
}

impl Multiplicand for NeonPairs {
    type Operand = Pair;
    type Accumulator = float32x4_t;

    #[inline(always)]
    unsafe fn broadcast(from: *const Pair) -> Self {
        // SAFETY: as above.
        unsafe { NeonPairs(vdupq_n_u32(*from.cast())) }
    }

    #[inline(always)]
    unsafe fn load(from: *const Pair) -> Self {
        // SAFETY: as above.
        unsafe { NeonPairs(vld1q_u32(from.cast())) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, x: Self, sum: float32x4_t) -> float32x4_t {
        // SAFETY: as above.
        unsafe {
            let sum = vfmaq_f32(sum, x.second(), self.second());
            vfmaq_f32(sum, x.first(), self.first())
        }
    }
}

/// # Safety
/// The promise of [`super::Kernel::run`].
pub(super) unsafe fn product(call: &KernelCall<Pair>) {
    for panel in 0..call.panels {
        // SAFETY: the caller's promise.
        unsafe { rows_of_tiles!(call, NeonPairs, panel, 4, [1 2 3 4]) }
    }
}
