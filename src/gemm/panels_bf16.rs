//! The forward product of a layer in panels, in bf16: W is rounded on its way into the first-level cache.
//!
//! So no rounded copy of W is kept, which a change of the weights would make invalid.

use std::ops::Range;

use super::bf16::{Pair, pack_pairs};
use super::kernel::{ALayout, KernelCall, Operand};
use super::pack::Line;
use super::panels::{ForwardProduct, PanelProducts};
use super::params::{DEPTH, MOST_SIDE_BY_SIDE, PANEL, ROWS, blocks};
use crate::threads::SharedSlice;

impl ForwardProduct<Pair> for PanelProducts<Pair> {
    unsafe fn forward(
        &self,
        x: SharedSlice<'_, Pair>,
        w: SharedSlice<'_>,
        z: SharedSlice<'_>,
        rows: Range<usize>,
        outputs: Range<usize>,
    ) {
        let mut packed = [Line::default(); DEPTH / Pair::NUMBERS * MOST_SIDE_BY_SIDE];
        let together = self.kernel.side_by_side.min(MOST_SIDE_BY_SIDE);
        for first in outputs.clone().step_by(together) {
            let count = together.min(outputs.end - first);
            for (input, depth) in blocks(self.inputs, DEPTH, PANEL) {
                let k = depth.div_ceil(Pair::NUMBERS);
                let packed = Pair::of_mut(&mut packed[..count * k]);
                for (p, to) in packed.chunks_exact_mut(k * PANEL).enumerate() {
                    let place = ((first + p) * self.inputs + input) * PANEL;
                    // SAFETY: the caller's promise.
                    pack_pairs(to, unsafe { w.read(place..place + depth * PANEL) });
                }
                for (row, m) in blocks(rows.len(), ROWS, 1) {
                    let row = rows.start + row;
                    let panel = self.rows * Pair::ROW;
                    let call = KernelCall {
                        m,
                        k,
                        panels: count,
                        a: x.at(input / PANEL * panel + row * Pair::ROW),
                        a_layout: ALayout::Panels { panel },
                        b: packed.as_ptr(),
                        b_row: PANEL,
                        b_panel: k * PANEL,
                        c: z.at((first * self.rows + row) * PANEL),
                        c_row: PANEL,
                        c_panel: self.rows * PANEL,
                        accumulate: input > 0,
                        prefetch: None,
                    };
                    // SAFETY: X and Z have these panels; the rest is the caller's promise.
                    unsafe { self.kernel.run(&call) };
                }
            }
        }
    }
}
