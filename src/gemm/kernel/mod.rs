//! Micro-kernels: the innermost loops of a product, and the contract that they keep.
//!
//! A kernel multiplies a block of A into *panels* of B, 16 columns each, whose rows of 16 lie `b_row` apart:
//!
//! ```math
//! C \leftarrow A B + \beta C, \qquad A: [m, k],\; B: [k, 16 \cdot panels],\; C: [m, 16 \cdot panels]
//! ```
//!
//! It goes through C in tiles of a few rows and one or two panels, which it holds in registers while it runs through k.
//! For every p it loads one row of the panel, broadcasts one element of A a row, and multiplies and adds.
//! (Goto, van de Geijn, “Anatomy of High-Performance Matrix Multiplication”, ACM TOMS 34(3), 2008;
//! Van Zee, van de Geijn, “BLIS”, ACM TOMS 41(3), 2015.)
//!
//! What is multiplied is an [`Operand`]: an f32, or a pair of bf16 that are neighbours along k.
//! With pairs every k here counts pairs. Sums are always f32.
//!
//! # The contract
//!
//! * Element (i, j) is one chain of fused multiply-adds over p = 0, 1, …, k − 1.
//!   It starts at 0, or at the old C if it accumulates.
//!   So the bits depend neither on the tile's height nor on the vector's width.
//!   A product whose k is cut into blocks gives the same bits as a whole one.
//! * A pair is two links of that chain, its *second* bf16 first, so the order is 1, 0, 3, 2, ….
//!   That is the order of the processor's own instruction (Intel, “Software Developer's Manual”, VDPBF16PS).
//!   A product of two bf16 has at most 16 significant bits and enters the sum exactly.
//!   The emulation keeps to this everywhere.
//!   The instruction itself takes subnormal bf16 and sums for zeros, and rounds inside a pair in its own way.
//! * β = 0 never reads C.
//! * Heights are balanced (`heights`): 100 rows in tiles of at most 6 are 15 of 6 and 2 of 5.
//!   So no tile has mostly empty rows.
//! * A panel is read and written in full. The caller pads.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_bf16;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
#[cfg(test)]
mod bf16_tests;
mod call;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_bf16;
mod portable;
mod portable_bf16;
#[cfg(test)]
mod tests;
mod tile;

use super::bf16::{Pair, pack_pairs_transposed};
use super::pack::{Line, StridedMatrix, pack};
use super::params::PANEL;
use crate::simd::{self, InstructionSet};
pub(crate) use call::{ALayout, KernelCall, Prefetch};

/// What a lane of a kernel multiplies.
///
/// # Safety
/// It is as large as an f32, not aligned more strictly, and any bits are a value of it.
pub(crate) unsafe trait Operand: Copy + Send + Sync {
    /// How many numbers one operand holds, neighbours along k.
    const NUMBERS: usize;
    /// Operands of a row of a panel of A, 16 numbers.
    const ROW: usize = PANEL / Self::NUMBERS;

    /// The kernels for an instruction set, which the processor must have.
    fn kernel(set: InstructionSet) -> Kernel<Self>;

    /// Up to 16 rows of 16 numbers become columns of a panel of B; the columns on their right become zeros.
    ///
    /// Only the first `to.len()` rows are written.
    fn pack_transposed(to: &mut [Line], from: &[f32]);

    /// The operands that lines hold.
    fn of(lines: &[Line]) -> &[Self] {
        // SAFETY: a line is 16 numbers of 4 bytes and nothing else, and so are 16 operands, by the trait's promise.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * PANEL) }
    }

    /// The operands that lines hold, to write.
    fn of_mut(lines: &mut [Line]) -> &mut [Self] {
        // SAFETY: as above; any bits are an f32.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * PANEL) }
    }
}

// SAFETY: it is one.
unsafe impl Operand for f32 {
    const NUMBERS: usize = 1;

    fn kernel(set: InstructionSet) -> Kernel {
        match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => Kernel::new(avx512::product, 2),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => Kernel::new(avx2::product, 1),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => Kernel::new(neon::product, 1),
            _ => Kernel::new(portable::product, 1),
        }
    }

    fn pack_transposed(to: &mut [Line], from: &[f32]) {
        let columns = from.len() / PANEL;
        assert!(to.len() <= PANEL && columns <= PANEL && from.len().is_multiple_of(PANEL));
        let source = StridedMatrix {
            start: from.as_ptr(),
            row: 1,
            column: PANEL as isize,
        };
        // SAFETY: at most 16 rows, and a column for each row of 16 numbers.
        unsafe { pack(to, source, columns) }
    }
}

// SAFETY: a transparent u32.
unsafe impl Operand for Pair {
    const NUMBERS: usize = 2;

    /// AVX-512 does not imply bf16 instructions: a processor without them emulates, as with AVX2.
    fn kernel(set: InstructionSet) -> Kernel<Self> {
        match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 if is_x86_feature_detected!("avx512bf16") => {
                Kernel::new(avx512_bf16::product, 2)
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 | InstructionSet::Avx2 => Kernel::new(avx2_bf16::product, 1),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => Kernel::new(neon_bf16::product, 1),
            _ => Kernel::new(portable_bf16::product, 1),
        }
    }

    fn pack_transposed(to: &mut [Line], from: &[f32]) {
        pack_pairs_transposed(Self::of_mut(to), from);
    }
}

/// A set of kernels, all with the contract of this module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel<E = f32> {
    run: unsafe fn(&KernelCall<E>),
    /// Panels of a tile.
    pub side_by_side: usize,
}

impl<E: Operand> Kernel<E> {
    fn new(run: unsafe fn(&KernelCall<E>), side_by_side: usize) -> Self {
        Kernel { run, side_by_side }
    }

    /// The kernels in use.
    pub(crate) fn chosen() -> Self {
        E::kernel(simd::set())
    }

    /// Runs a call.
    ///
    /// # Safety
    /// Every address that the call's fields describe is inside live allocations.
    /// A and B are readable, C is writable, and initialised if it accumulates.
    /// C overlaps neither A nor B, and no other thread reads or writes it during the call.
    #[inline]
    pub(crate) unsafe fn run(self, call: &KernelCall<E>) {
        // SAFETY: the caller's promise; the instruction set was the processor's when `self` was made.
        unsafe { (self.run)(call) }
    }
}
