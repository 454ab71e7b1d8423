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
    /// Neighbours along rows, `[panels][⌈rows/2⌉][16]` pairs: for sums over rows.
    /// The last row of an odd number is paired with zeros.
    along_rows: Buffer,
}

impl Rounded {
    /// Room for batches of up to `capacity` rows.
    pub(super) fn new(block: &Block, capacity: usize) -> Self {
        Rounded {
            x: Copies::new(block.inputs, capacity),
            dy: Copies::new(block.outputs, capacity),
        }
    }
}

impl Copies {
    fn new(columns: usize, capacity: usize) -> Self {
        let panels = panels(columns);
        Copies {
            along_columns: Buffer::zeros(panels * capacity * Pair::ROW),
            along_rows: Buffer::zeros(panels * capacity.div_ceil(2) * PANEL),
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
    /// Rounds a panel of `[rows, 16]`, both ways.
    ///
    /// # Safety
    /// The panel is this member's alone.
    pub(super) unsafe fn round(&self, panel: usize, from: &[f32]) {
        let part = |pairs: usize| panel * pairs..(panel + 1) * pairs;
        let rows = from.len() / PANEL;
        // SAFETY: the caller's promise.
        unsafe {
            pack_rows(self.along_columns.part(part(rows * Pair::ROW)), from);
            pack_pairs(self.along_rows.part(part(rows.div_ceil(2) * PANEL)), from);
        }
    }
}
