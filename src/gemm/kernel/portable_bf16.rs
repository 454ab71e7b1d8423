//! Pairs of bf16 on any processor: tiles of 4 × 16 in plain Rust.
//!
//! A pair is widened to two f32 and added in two multiply-adds, in the order of the contract.

use super::call::{KernelCall, heights};
use super::portable::Quad;
use super::tile::{Multiplicand, rows_of_tiles};
use crate::gemm::bf16::Pair;

/// Four pairs.
#[derive(Clone, Copy)]
struct PairQuad([Pair; 4]);

impl Multiplicand for PairQuad {
    type Operand = Pair;
    type Accumulator = Quad;

    #[inline(always)]
    unsafe fn broadcast(from: *const Pair) -> Self {
        // SAFETY: the address is the caller's; likewise below.
        PairQuad([unsafe { *from }; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const Pair) -> Self {
        // SAFETY: as above.
        PairQuad(unsafe { from.cast::<[Pair; 4]>().read() })
    }

    #[inline(always)]
    unsafe fn mul_add(self, x: Self, sum: Quad) -> Quad {
        Quad(std::array::from_fn(|i| {
            let ([a_first, a_second], [b_first, b_second]) = (self.0[i].values(), x.0[i].values());
            a_first.mul_add(b_first, a_second.mul_add(b_second, sum.0[i]))
        }))
    }
}

/// # Safety
/// The promise of [`super::Kernel::run`].
pub(super) unsafe fn product(call: &KernelCall<Pair>) {
    for panel in 0..call.panels {
        // SAFETY: the caller's promise.
        unsafe { rows_of_tiles!(call, PairQuad, panel, 4, [1 2 3 4]) }
    }
}
