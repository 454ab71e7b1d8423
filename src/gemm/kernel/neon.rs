//! NEON: tiles of 6 × 16.
//!
//! They need 24 of the 32 registers for accumulators, four for a row of B and up to four for elements of A.
//! An element of A is loaded as a scalar, and the multiply-add takes it as lane 0 of its register.
//! 24 independent chains keep four multiply-add units of latency 4 busy, with some to spare.

use core::arch::aarch64::*;
use core::arch::asm;

use super::call::{KernelCall, heights};
use super::tile::{Accumulator, Multiplicand, rows_of_tiles};

impl Accumulator for float32x4_t {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: every 64-bit ARM processor has NEON; addresses are the caller's. Likewise below.
        unsafe { vdupq_n_f32(0.0) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { vst1q_f32(to, self) }
    }
}

impl Multiplicand for float32x4_t {
    type Operand = f32;
    type Accumulator = Self;

    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { vdupq_n_f32(*from) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, x: Self, sum: Self) -> Self {
        // SAFETY: as above.
        unsafe { vfmaq_f32(sum, x, self) }
    }

    /// Keeps the loads of the next step behind this one. With those of four steps at once the compiler would run out of
    /// registers, and keep sums in memory.
    #[inline(always)]
    fn end_step() {
        // SAFETY: it is empty. As it might write memory, no load moves across it.
        unsafe { asm!("", options(nostack, preserves_flags)) };
    }
}

/// # Safety
/// The promise of [`super::Kernel::run`].
pub(super) unsafe fn product(call: &KernelCall) {
    for panel in 0..call.panels {
        // SAFETY: the caller's promise.
        unsafe { rows_of_tiles!(call, float32x4_t, panel, 4, [1 2 3 4 5 6]) }
    }
}
