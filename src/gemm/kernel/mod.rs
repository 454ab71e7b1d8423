//! Micro-kernels: the innermost loops of a product, and the contract that they keep.
//!
//! A kernel multiplies a block of A into *panels* of B, 16 columns each, whose rows of 16 lie `b_row` apart:
//!
//! ```math
//! C \leftarrow A B + \beta C, \qquad A: [m, k],\; B: [k, 16 \cdot panels],\; C: [m, 16 \cdot panels]
//! ```
//!
//! It goes through C in tiles of a few rows and one or two panels, which it holds in registers while it runs through k: for every p it loads one row of the
//! panel, broadcasts one element of A a row, and multiplies and adds (Goto, van de Geijn, “Anatomy of High-Performance Matrix Multiplication”, ACM TOMS 34(3),
//! 2008; Van Zee, van de Geijn, “BLIS”, ACM TOMS 41(3), 2015).
//!
//! # The contract
//!
//! * Element (i, j) is one chain of fused multiply-adds over p = 0, 1, …, k − 1, which starts at 0, or at the old C if it accumulates. So the bits depend
//!   neither on the tile's height nor on the vector's width, and a product whose k is cut into blocks gives the same bits as a whole one.
//! * β = 0 never reads C.
//! * Heights are balanced ([`heights`]): 100 rows in tiles of at most 6 are 15 of 6 and 2 of 5, and no tile is a waste of mostly empty rows.
//! * A panel is read and written in full. Edges are the caller's business: it pads.

mod avx2;
mod avx512;
#[cfg(test)]
mod tests;
mod tile;

use crate::simd::{self, InstructionSet};

/// Columns of a panel: two AVX2 registers, one of AVX-512.
pub(crate) const PANEL: usize = 16;

/// Where the elements of A lie, in elements from its first one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Walk {
    /// Row i, column p at `i·row + ⌊p/16⌋·panel + p mod 16`: row-major if `panel` is 16, and itself in panels if `row` is.
    Rows { row: usize, panel: usize },
    /// Row i, column p at `i + p·step`: the transpose of a row-major matrix.
    Columns { step: usize },
}

/// One call: `C ← AB + βC`, all pointers to the first element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// Panels of B and C.
    pub panels: usize,
    /// A.
    pub a: *const f32,
    /// Its layout.
    pub walk: Walk,
    /// B.
    pub b: *const f32,
    /// From a row of a panel of B to the next.
    pub b_row: usize,
    /// From a panel of B to the next.
    pub b_panel: usize,
    /// C.
    pub c: *mut f32,
    /// From a row of C to the next.
    pub c_row: usize,
    /// From a panel of C to the next.
    pub c_panel: usize,
    /// Whether the old C is added (β = 1).
    pub accumulate: bool,
}

/// Cuts m rows into the fewest tiles of at most `most`, whose heights differ by at most 1.
pub(crate) fn heights(m: usize, most: usize) -> impl Iterator<Item = usize> {
    let tiles = m.div_ceil(most).max(1);
    let (low, more) = (m / tiles, m % tiles);
    (0..tiles)
        .map(move |t| low + usize::from(t < more))
        .filter(|&h| h > 0)
}

/// A set of kernels, all with the contract of this module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    run: unsafe fn(&Product),
    /// Panels of a tile.
    pub side_by_side: usize,
}

impl Kernel {
    /// The kernels for an instruction set, which the processor must have; `None` if there are none for it.
    pub(crate) fn of(set: InstructionSet) -> Option<Self> {
        match set {
            InstructionSet::Avx2 => Some(Kernel {
                run: avx2::product,
                side_by_side: 1,
            }),
            InstructionSet::Avx512 => Some(Kernel {
                run: avx512::product,
                side_by_side: 2,
            }),
            InstructionSet::Portable => None,
        }
    }

    /// The kernels in use; `None` if this processor has none.
    pub(crate) fn chosen() -> Option<Self> {
        Kernel::of(simd::set())
    }

    /// Runs a product.
    ///
    /// # Safety
    /// Every address that the product's fields describe is inside live allocations, A and B readable, C writable (and initialised if it accumulates); C
    /// overlaps neither A nor B, and nobody else touches it meanwhile.
    #[inline]
    pub(crate) unsafe fn run(self, product: &Product) {
        // SAFETY: the caller's promise; the instruction set was the processor's when `self` was made.
        unsafe { (self.run)(product) }
    }
}
