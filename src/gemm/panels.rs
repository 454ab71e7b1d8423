//! The three products of a layer whose matrices lie in panels.
//!
//! X, dY and every other matrix with one row a sample lie in panels of 16 columns, `[⌈columns/16⌉][rows][16]`.
//! W `[outputs, inputs]` lies in panels of 16 outputs, `[⌈outputs/16⌉][inputs][16]`.
//! What fills a last panel up is zero.
//!
//! | product | sums over | function | reads in place |
//! |---|---|---|---|
//! | `$Z = X W^\top$` | inputs | [`ForwardProduct::forward`] | X, and W in f32 |
//! | `$dX = dY\, W$` | outputs | [`PanelProducts::input_gradient`] | dY; W is transposed into the first-level cache |
//! | `$dW = dY^\top X$` | rows | [`PanelProducts::weight_gradient`] | X and dY |
//!
//! In bf16 an operand lies in pairs that are neighbours along the sum, see [`bf16`](super::bf16).
//!
//! Each function computes a part of its result, so that several threads can share a product.
//! Every element is one chain in ascending k, so the bits do not depend on which thread computes which part.

use std::ops::Range;

use super::kernel::{ALayout, Kernel, KernelCall, Operand, Prefetch};
use super::pack::Line;
use super::params::{DEPTH, MOST_SIDE_BY_SIDE, PANEL, ROWS, WEIGHT_TILES, blocks};
use crate::simd::prefetch;
use crate::threads::SharedSlice;

/// A layer's sizes, and the kernels that multiply its matrices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PanelProducts<E = f32> {
    /// The kernels.
    pub kernel: Kernel<E>,
    /// Rows of X and dY.
    pub rows: usize,
    /// Columns of X, and of W.
    pub inputs: usize,
    /// Columns of dY, rows of W.
    pub outputs: usize,
}

/// A finished tile of a weight gradient: a panel of outputs for up to 16 inputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightTile<'t> {
    /// Its panel of inputs.
    pub input: usize,
    /// Its panel of outputs.
    pub output: usize,
    /// Where its weights lie in W.
    pub offset: usize,
    /// The gradient, in the order of those weights.
    pub gradient: &'t [f32],
}

/// The product of a layer's forward. In f32 it reads W in place, in bf16 it packs it.
pub(crate) trait ForwardProduct<E> {
    /// `Z = X Wᵀ` for these rows of these panels of outputs. Pairs of X are neighbours along its columns.
    ///
    /// # Safety
    /// The matrices are as large as the sizes say. Until the function returns, no thread writes X or these panels of W,
    /// and no other thread reads or writes this part of Z.
    unsafe fn forward(
        &self,
        x: SharedSlice<'_, E>,
        w: SharedSlice<'_>,
        z: SharedSlice<'_>,
        rows: Range<usize>,
        outputs: Range<usize>,
    );
}

impl ForwardProduct<f32> for PanelProducts {
    unsafe fn forward(
        &self,
        x: SharedSlice<'_>,
        w: SharedSlice<'_>,
        z: SharedSlice<'_>,
        rows: Range<usize>,
        outputs: Range<usize>,
    ) {
        if outputs.is_empty() {
            return;
        }
        let panel = self.rows * PANEL;
        for (row, m) in blocks(rows.len(), ROWS, 1) {
            let row = (rows.start + row) * PANEL;
            for (input, depth) in blocks(self.inputs, DEPTH, PANEL) {
                let call = KernelCall {
                    m,
                    k: depth,
                    panels: outputs.len(),
                    a: x.at(input / PANEL * panel + row),
                    a_layout: ALayout::Panels { panel },
                    b: w.at((outputs.start * self.inputs + input) * PANEL),
                    b_row: PANEL,
                    b_panel: self.inputs * PANEL,
                    c: z.at(outputs.start * panel + row),
                    c_row: PANEL,
                    c_panel: panel,
                    accumulate: input > 0,
                    prefetch: None,
                };
                // SAFETY: X, W and Z have these panels; the rest is the caller's promise.
                unsafe { self.kernel.run(&call) };
            }
        }
    }
}

impl<E: Operand> PanelProducts<E> {
    /// `dX = dY W` for these rows of these panels of inputs.
    ///
    /// Pairs of dY are neighbours along its columns.
    /// W's second index must run along the panels, so it is transposed on the way, [`DEPTH`] outputs at a time.
    ///
    /// # Safety
    /// The matrices are as large as the sizes say. Until the function returns, no thread writes dY or these columns of
    /// W, and no other thread reads or writes this part of dX.
    pub(crate) unsafe fn input_gradient(
        &self,
        dy: SharedSlice<'_, E>,
        w: SharedSlice<'_>,
        dx: SharedSlice<'_>,
        rows: Range<usize>,
        inputs: Range<usize>,
    ) {
        let mut packed = [Line::default(); DEPTH * MOST_SIDE_BY_SIDE];
        let together = self.kernel.side_by_side.min(MOST_SIDE_BY_SIDE);
        for first in inputs.clone().step_by(together) {
            let count = together.min(inputs.end - first);
            for (output, depth) in blocks(self.outputs, DEPTH, PANEL) {
                let k = depth.div_ceil(E::NUMBERS);
                for (p, lines) in packed.chunks_mut(k).take(count).enumerate() {
                    // SAFETY: the caller's promise.
                    unsafe { self.pack_weights(lines, w, output, first + p) };
                }
                let panel = self.rows * E::ROW;
                for (row, m) in blocks(rows.len(), ROWS, 1) {
                    let row = rows.start + row;
                    let call = KernelCall {
                        m,
                        k,
                        panels: count,
                        a: dy.at(output / PANEL * panel + row * E::ROW),
                        a_layout: ALayout::Panels { panel },
                        b: E::of(&packed).as_ptr(),
                        b_row: PANEL,
                        b_panel: k * PANEL,
                        c: dx.at((first * self.rows + row) * PANEL),
                        c_row: PANEL,
                        c_panel: self.rows * PANEL,
                        accumulate: output > 0,
                        prefetch: None,
                    };
                    // SAFETY: dY and dX have these panels; the rest is the caller's promise.
                    unsafe { self.kernel.run(&call) };
                }
            }
        }
    }

    /// Transposes a panel of inputs of W, from this output on, until the room is full.
    ///
    /// # Safety
    /// Until the function returns, no thread writes these inputs' columns of W.
    unsafe fn pack_weights(
        &self,
        lines: &mut [Line],
        w: SharedSlice<'_>,
        output: usize,
        input: usize,
    ) {
        let input = input * PANEL;
        let width = PANEL.min(self.inputs - input);
        let together = self.kernel.side_by_side.min(MOST_SIDE_BY_SIDE);
        for (q, lines) in lines.chunks_mut(E::ROW).enumerate() {
            let place = ((output / PANEL + q) * self.inputs + input) * PANEL;
            // SAFETY: the caller's promise.
            let w = unsafe { w.read(place..place + width * PANEL) };
            // What the next panels of inputs will need: the same outputs, a kilobyte a panel further on.
            prefetch(w.as_ptr().wrapping_add(together * PANEL * PANEL), PANEL);
            E::pack_transposed(lines, w);
        }
    }

    /// `dW = dYᵀ X` for these panels of inputs and outputs, tile by tile of 16 inputs × 16 outputs.
    ///
    /// Pairs of X and dY are neighbours along their rows.
    /// Each tile goes to `consume` while it is in the first-level cache, and is not stored.
    /// All inputs pass before the next outputs.
    /// `prefetch` are the starts of three matrices in W's order that `consume` will use: a tile's part of each is asked
    /// for while the tile is computed.
    ///
    /// # Safety
    /// X and dY are as large as the sizes say. Until the function returns, no thread writes them.
    pub(crate) unsafe fn weight_gradient(
        &self,
        x: SharedSlice<'_, E>,
        dy: SharedSlice<'_, E>,
        [inputs, outputs]: [Range<usize>; 2],
        prefetch: Option<[*const f32; 3]>,
        mut consume: impl FnMut(WeightTile<'_>),
    ) {
        let k = self.rows.div_ceil(E::NUMBERS);
        let mut tiles = [Line::default(); WEIGHT_TILES * PANEL];
        for first in outputs.clone().step_by(WEIGHT_TILES) {
            let group = first..outputs.end.min(first + WEIGHT_TILES);
            for input in inputs.clone() {
                let m = PANEL.min(self.inputs - input * PANEL);
                let offset = |output: usize| (output * self.inputs + input * PANEL) * PANEL;
                let call = KernelCall {
                    m,
                    k,
                    panels: group.len(),
                    a: x.at(input * k * PANEL),
                    a_layout: ALayout::Columns { step: PANEL },
                    b: dy.at(first * k * PANEL),
                    b_row: PANEL,
                    b_panel: k * PANEL,
                    c: tiles.as_mut_ptr().cast(),
                    c_row: PANEL,
                    c_panel: PANEL * PANEL,
                    accumulate: false,
                    prefetch: prefetch.map(|starts| Prefetch {
                        from: starts.map(|start| start.wrapping_add(offset(first))),
                        panel: self.inputs * PANEL,
                    }),
                };
                // SAFETY: X and dY have these panels; the tiles are our own.
                unsafe { self.kernel.run(&call) };
                for (output, lines) in group.clone().zip(tiles.chunks_exact(PANEL)) {
                    consume(WeightTile {
                        input,
                        output,
                        offset: offset(output),
                        gradient: &<f32 as Operand>::of(lines)[..m * PANEL],
                    });
                }
            }
        }
    }
}
