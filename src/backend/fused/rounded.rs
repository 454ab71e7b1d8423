//! What is multiplied in bf16: rounded copies of X and dY.

use super::buffer::Buffer;
use super::layout::panels;
use crate::backend::Block;
use crate::gemm::{Operand, PANEL, Pair, pack_pairs, pack_rows};
use crate::threads::SharedSlice;

/// A block's X and dY in bf16, in panels of 16 columns; empty if products are in f32.
#[derive(Debug, Default)]
pub(super) struct Rounded {
    pub x: Copies,
    pub dy: Copies,
}

/// A matrix in pairs of both kinds.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Neighbours along columns, `[panels][rows][8]` pairs: for sums over columns.
    along_columns: Buffer,
    /// Neighbours along rows, `[panels][heads][⌈rows/2⌉][16]` pairs of a head's rows: for sums over them.
    /// The last row of an odd number is paired with zeros.
    along_rows: Buffer,
}

impl Rounded {
    /// Room for batches of up to `capacity` rows.
    pub(super) fn new(block: &Block, capacity: usize) -> Self {
        Rounded {
            x: Copies::new(block.inputs, capacity, block.head_count()),
            dy: Copies::new(block.outputs, capacity, block.head_count()),
        }
    }
}

impl Copies {
    fn new(columns: usize, capacity: usize, heads: usize) -> Self {
        let (panels, pairs) = (panels(columns), heads * (capacity / heads).div_ceil(2));
        Copies {
            along_columns: Buffer::zeros(panels * capacity * Pair::ROW),
            along_rows: Buffer::zeros(panels * pairs * PANEL),
        }
    }

    /// For the members of a team.
    pub(super) fn shared(&mut self) -> SharedCopies<'_> {
        SharedCopies {
            along_columns: SharedSlice::new(self.along_columns.operands_mut()),
            along_rows: SharedSlice::new(self.along_rows.operands_mut()),
        }
    }

    /// To read only.
    pub(super) fn read_only(&self) -> SharedCopies<'_> {
        SharedCopies {
            along_columns: SharedSlice::read_only(self.along_columns.operands()),
            along_rows: SharedSlice::read_only(self.along_rows.operands()),
        }
    }
}

/// [`Copies`] that the members of a team share.
#[derive(Clone, Copy)]
pub(super) struct SharedCopies<'a> {
    pub along_columns: SharedSlice<'a, Pair>,
    pub along_rows: SharedSlice<'a, Pair>,
}

impl SharedCopies<'_> {
    /// Rounds a panel of `[rows, 16]`, both ways, the rows of each head by themselves.
    ///
    /// # Safety
    /// The panel is this member's alone.
    pub(super) unsafe fn round(&self, panel: usize, heads: usize, from: &[f32]) {
        let part = |pairs: usize| panel * pairs..(panel + 1) * pairs;
        let rows = from.len() / PANEL;
        let pairs = (rows / heads).div_ceil(2) * PANEL;
        // SAFETY: the caller's promise.
        let (along_columns, along_rows) = unsafe {
            (
                self.along_columns.part(part(rows * Pair::ROW)),
                self.along_rows.part(part(heads * pairs)),
            )
        };
        pack_rows(along_columns, from);
        let parts = from.chunks_exact(from.len() / heads);
        for (to, from) in along_rows.chunks_exact_mut(pairs).zip(parts) {
            pack_pairs(to, from);
        }
    }
}
