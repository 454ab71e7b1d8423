//! What a block's forward keeps for its backward.

use super::buffer::Buffer;
use super::layout::panels;
use super::rounded::Rounded;
use crate::backend::{Block, Hidden};
use crate::gemm::PANEL;
use crate::ops::member_scale::GROUP;

/// What a block's forward keeps.
#[derive(Debug)]
pub struct FusedSaved {
    pub(super) values: SavedValues,
    /// X and dY for products in bf16.
    pub(super) rounded: Rounded,
    /// Sums that become the gradient of a scale, `[groups][inputs][16]`, whole panels of inputs.
    pub(super) lanes: Buffer,
    /// The gradient of a first block's input in panels; made when it is first wanted.
    pub(super) dx: Buffer,
}

/// In panels of `[capacity, outputs]` unless said.
#[derive(Debug)]
pub(super) struct SavedValues {
    /// The first block's input in panels of `[capacity, inputs]`.
    pub(super) input: Buffer,
    /// `$\hat x$` of the batch norm.
    pub(super) x_hat: Buffer,
    /// `$1/\sqrt{\sigma^2+\varepsilon}$` `[outputs]`.
    pub(super) inv_std: Buffer,
    /// The dropout mask's factors, 0 or 1/(1−p).
    pub(super) mask: Buffer,
    /// W with its inputs scaled, in its panels, if they are.
    pub(super) scaled: Buffer,
    /// What goes into the activation; in the output block the logits.
    pub(super) pre: Buffer,
    /// What comes out of the activation, if dropout follows it.
    pub(super) activated: Buffer,
    /// The block's output; row-major `[capacity, outputs]` in the output block.
    pub(super) out: Buffer,
}

impl FusedSaved {
    /// Room for batches of up to `capacity` rows; `bf16` is whether products are in bf16.
    pub(super) fn new(block: &Block, capacity: usize, bf16: bool) -> Self {
        let buffer = |on: bool, columns: usize| {
            let columns = if on { panels(columns) * PANEL } else { 0 };
            Buffer::zeros(capacity * columns)
        };
        let outputs = |on: bool| buffer(on, block.outputs);
        let scaled = |len: usize| Buffer::zeros(if block.scale.is_some() { len } else { 0 });
        let hidden = block.hidden();
        let normalised = block.batch_norm().is_some();
        let values = SavedValues {
            input: buffer(block.is_first(), block.inputs),
            x_hat: outputs(normalised),
            inv_std: Buffer::zeros(panels(block.outputs) * PANEL),
            mask: outputs(hidden.is_some_and(|hidden| hidden.dropout > 0.0)),
            scaled: scaled(panels(block.outputs) * PANEL * block.inputs),
            pre: outputs(true),
            activated: outputs(hidden.is_some_and(Hidden::drops_after_activation)),
            out: outputs(true),
        };
        let rounded = match bf16 {
            true => Rounded::new(block, capacity),
            false => Rounded::default(),
        };
        FusedSaved {
            values,
            rounded,
            lanes: scaled(block.outputs.div_ceil(GROUP) * panels(block.inputs) * PANEL * PANEL),
            dx: Buffer::default(),
        }
    }
}
