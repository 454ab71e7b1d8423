//! A block's three products, whichever way its W lies.
//!
//! A panel has room for 16 outputs. A network of one output would multiply and update 15 columns of zeros beside it.
//! So W of an output block with at most 8 outputs lies transposed: in panels of 16 inputs,
//! `[⌈inputs/16⌉][outputs][16]`. That is the layout of `$V = W^\top$`, a layer from the outputs to the inputs, and each
//! product is one of that layer's:
//!
//! ```math
//! X W^\top = X V, \qquad dY\, W = dY\, V^\top, \qquad (dY^\top X)^\top = X^\top dY
//! ```
//!
//! On the right stand the input gradient, the forward and the weight gradient of V. The chains of each element are the
//! same, so the bits are.

use std::ops::Range;

use crate::backend::Block;
use crate::gemm::{ForwardProduct, Kernel, Operand, PANEL, PanelProducts, WeightTile};
use crate::threads::SharedSlice;

/// The products of a block's Linear, or of the transposed one.
#[derive(Clone, Copy)]
pub(super) struct BlockProducts<E> {
    products: PanelProducts<E>,
    transposed: bool,
}

impl Block {
    /// The products of its Linear, for this number of rows.
    pub(super) fn products<E>(&self, kernel: Kernel<E>, rows: usize) -> BlockProducts<E> {
        let (inputs, outputs) = match self.transposed {
            true => (self.outputs, self.inputs),
            false => (self.inputs, self.outputs),
        };
        let products = PanelProducts {
            kernel,
            rows,
            inputs,
            outputs,
        };
        BlockProducts {
            products,
            transposed: self.transposed,
        }
    }
}

impl<E: Operand> BlockProducts<E>
where
    PanelProducts<E>: ForwardProduct<E>,
{
    /// `Z = X Wᵀ` for these rows of these panels of outputs.
    ///
    /// # Safety
    /// As [`ForwardProduct::forward`]; if W is transposed, no thread writes any of it.
    pub(super) unsafe fn forward(
        &self,
        x: SharedSlice<'_, E>,
        w: SharedSlice<'_>,
        z: SharedSlice<'_>,
        rows: Range<usize>,
        outputs: Range<usize>,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.transposed {
                true => self.products.input_gradient(x, w, z, rows, outputs),
                false => self.products.forward(x, w, z, rows, outputs),
            }
        }
    }

    /// `dX = dY W` for these panels of inputs.
    ///
    /// # Safety
    /// As [`PanelProducts::input_gradient`].
    pub(super) unsafe fn input_gradient(
        &self,
        dy: SharedSlice<'_, E>,
        w: SharedSlice<'_>,
        dx: SharedSlice<'_>,
        inputs: Range<usize>,
    ) {
        let rows = 0..self.products.rows;
        // SAFETY: the caller's promise.
        unsafe {
            match self.transposed {
                true => self.products.forward(dy, w, dx, rows, inputs),
                false => self.products.input_gradient(dy, w, dx, rows, inputs),
            }
        }
    }

    /// `dW = dYᵀ X` for these panels of inputs and outputs, tile by tile, in the order of W.
    ///
    /// # Safety
    /// As [`PanelProducts::weight_gradient`].
    pub(super) unsafe fn weight_gradient(
        &self,
        x: SharedSlice<'_, E>,
        dy: SharedSlice<'_, E>,
        [inputs, outputs]: [Range<usize>; 2],
        prefetch: Option<[*const f32; 3]>,
        mut consume: impl FnMut(WeightTile<'_>),
    ) {
        let products = &self.products;
        if !self.transposed {
            // SAFETY: the caller's promise.
            unsafe { products.weight_gradient(x, dy, [inputs, outputs], prefetch, consume) };
            return;
        }
        let of_v = |tile: WeightTile<'_>| {
            let own = WeightTile {
                input: tile.output,
                output: tile.input,
                ..tile
            };
            // An activation of 0 need not be 0, so beside the last input X is not zero. V's gradient is, there.
            let width = PANEL.min(products.outputs - own.input * PANEL);
            if width == PANEL {
                return consume(own);
            }
            let mut padded = [0.0; PANEL * PANEL];
            let lines = padded.chunks_exact_mut(PANEL);
            for (to, from) in lines.zip(tile.gradient.chunks_exact(PANEL)) {
                to[..width].copy_from_slice(&from[..width]);
            }
            consume(WeightTile {
                gradient: &padded[..tile.gradient.len()],
                ..own
            });
        };
        // SAFETY: the caller's promise.
        unsafe { products.weight_gradient(dy, x, [outputs, inputs], prefetch, of_v) };
    }
}
