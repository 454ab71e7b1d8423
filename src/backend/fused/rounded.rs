//! What is multiplied in bf16: rounded copies of X and dY, and the forward product, which rounds W on the way.

use std::ops::Range;

use super::buffer::Buffer;
use super::panels;
use crate::backend::Block;
use crate::gemm::bf16::{Pair, pack_pairs, pack_rows};
use crate::gemm::kernel::{Kernel, NOTHING, Operand, PANEL, Product, Walk};
use crate::gemm::pack::Line;
use crate::gemm::params::{DEPTH, ROWS, blocks};
use crate::threads::SharedSlice;

/// The most panels of W that are rounded at a time: as many as a kernel takes side by side.
const MOST_SIDE_BY_SIDE: usize = 2;

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
    /// Neighbours along rows, `[panels][⌈rows/2⌉][16]` pairs, the last row of an odd number with zeros: for sums over rows.
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

/// [`Copies`] in the hands of a team.
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

/// A product `Z = X Wᵀ` in bf16.
pub(super) struct Forward<'a> {
    pub kernel: Kernel<Pair>,
    /// X along its columns.
    pub x: SharedSlice<'a, Pair>,
    /// W in panels of outputs, `[inputs][16]` each.
    pub w: &'a [f32],
    pub inputs: usize,
    /// Rows of X and Z.
    pub rows: usize,
    pub z: SharedSlice<'a>,
}

impl Forward<'_> {
    /// Computes these rows and panels of Z.
    ///
    /// # Safety
    /// They are this member's alone, and nobody writes X.
    pub(super) unsafe fn run(&self, rows: Range<usize>, own: Range<usize>) {
        let mut scratch = [Line::default(); DEPTH / Pair::NUMBERS * MOST_SIDE_BY_SIDE];
        let together = self.kernel.side_by_side.min(MOST_SIDE_BY_SIDE);
        for first in own.clone().step_by(together) {
            let count = together.min(own.end - first);
            for (start, depth) in blocks(self.inputs, DEPTH, PANEL) {
                let k = depth.div_ceil(Pair::NUMBERS);
                let w = Pair::of_mut(&mut scratch[..count * k]);
                for (p, w) in w.chunks_exact_mut(k * PANEL).enumerate() {
                    let place = ((first + p) * self.inputs + start) * PANEL;
                    pack_pairs(w, &self.w[place..place + depth * PANEL]);
                }
                for (row, m) in blocks(rows.len(), ROWS, 1) {
                    let row = rows.start + row;
                    let panel = self.rows * Pair::ROW;
                    let product = Product {
                        m,
                        k,
                        panels: count,
                        a: self.x.at(start / PANEL * panel + row * Pair::ROW),
                        walk: Walk::Panels { panel },
                        b: w.as_ptr(),
                        b_row: PANEL,
                        b_panel: k * PANEL,
                        c: self.z.at((first * self.rows + row) * PANEL),
                        c_row: PANEL,
                        c_panel: self.rows * PANEL,
                        accumulate: start > 0,
                        beside: NOTHING,
                        beside_panel: 0,
                    };
                    // SAFETY: X and Z have these panels; nobody writes X, and nobody else these rows and panels of Z, by the caller's promise.
                    unsafe { self.kernel.run(&product) };
                }
            }
        }
    }
}
