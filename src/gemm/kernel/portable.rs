//! Any processor: tiles of 4 × 16 in plain Rust, which the compiler turns into what the processor has.
//!
//! Without an instruction for fused multiply-adds each one is a call of the system's `fmaf`, about 20 times as slow.

use super::call::{KernelCall, heights};
use super::tile::{Accumulator, Multiplicand, rows_of_tiles};

/// Numbers that a 128-bit register would hold.
#[derive(Clone, Copy)]
pub(super) struct Quad(pub(super) [f32; 4]);

impl Accumulator for Quad {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Quad([0.0; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the address is the caller's; likewise below.
        Quad(unsafe { from.cast::<[f32; 4]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { to.cast::<[f32; 4]>().write(self.0) }
    }
}

impl Multiplicand for Quad {
    type Operand = f32;
    type Accumulator = Self;

    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Self {
        // SAFETY: as above.
        Quad([unsafe { *from }; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { <Self as Accumulator>::load(from) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, x: Self, sum: Self) -> Self {
        Quad(std::array::from_fn(|i| self.0[i].mul_add(x.0[i], sum.0[i])))
    }
}

/// # Safety
/// The promise of [`super::Kernel::run`].
pub(super) unsafe fn product(call: &KernelCall) {
    for panel in 0..call.panels {
        // SAFETY: the caller's promise.
        unsafe { rows_of_tiles!(call, Quad, panel, 4, [1 2 3 4]) }
    }
}
