//! Where a network's blocks are computed: one trait, at block level, so that what a backend fuses stays inside it.
//!
//! A [`Block`] is `Linear [BatchNorm] [Dropout] [activation]`; the last block of a network is its Linear alone. [`Plain`] calls the
//! functions of [`crate::ops`] one by one and is the one to read. The network ([`crate::nn::Mlp`]) is written once, over this trait;
//! it owns parameters and saved values as the backend's buffers, blocks own nothing.

#[cfg(target_arch = "x86_64")]
pub mod fused;
pub mod plain;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::gemm::Element;
use crate::ops::activation::Activation;
use crate::ops::dropout::Mask;
use crate::ops::softmax_cross_entropy::{Loss, LossOptions};
use crate::optim::{Optimizer, Step};
#[cfg(target_arch = "x86_64")]
pub use fused::Fused;
pub use plain::Plain;

/// Which comes first in a hidden block, after Linear and BatchNorm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Order {
    /// Linear, BatchNorm, Dropout, activation: the reference model.
    #[default]
    DropoutActivation,
    /// Linear, BatchNorm, activation, Dropout.
    ActivationDropout,
}

/// What the products of a backend in f32 multiply. They add up in f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Factors {
    /// The numbers themselves.
    #[default]
    F32,
    /// The numbers rounded to bf16: 8 bits of exponent, 7 of fraction.
    Bf16,
}

/// Where a block's BatchNorm keeps its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormSlices {
    /// γ `[outputs]`, in the parameter buffer.
    pub gamma: Range<usize>,
    /// β `[outputs]`, in the parameter buffer.
    pub beta: Range<usize>,
    /// Running mean `[outputs]`, in the running buffer.
    pub running_mean: Range<usize>,
    /// Running variance `[outputs]`, in the running buffer.
    pub running_var: Range<usize>,
}

/// One block: sizes, options, and where its tensors lie in the flat buffers.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The block's number, from 0; also the layer word of its dropout mask.
    pub layer: u32,
    /// Values a row comes with.
    pub inputs: usize,
    /// Values a row leaves with.
    pub outputs: usize,
    /// W `[outputs, inputs]`, in the parameter buffer.
    pub weight: Range<usize>,
    /// b `[outputs]`, in the parameter buffer.
    pub bias: Range<usize>,
    /// Batch normalisation, if on.
    pub batch_norm: Option<BatchNormSlices>,
    /// Probability of dropping a unit; 0 is off.
    pub dropout: f64,
    /// The nonlinearity; `None` in the last block.
    pub activation: Option<Activation>,
    /// Whether dropout or the activation comes first.
    pub order: Order,
}

impl Block {
    /// All of the block's parameters: its tensors lie side by side.
    pub fn parameters(&self) -> Range<usize> {
        let end = self
            .batch_norm
            .as_ref()
            .map_or(self.bias.end, |bn| bn.beta.end);
        self.weight.start..end
    }

    fn drops_after_activation(&self) -> bool {
        self.dropout > 0.0 && self.order == Order::ActivationDropout
    }

    /// The mask of this step; `None` without dropout and in evaluation.
    fn mask(&self, mode: Mode) -> Option<Mask> {
        match mode {
            Mode::Train { seed, step } if self.dropout > 0.0 => Some(Mask {
                seed,
                layer: self.layer,
                step,
                p: self.dropout,
            }),
            _ => None,
        }
    }

    /// The block's tensors that have one number per output.
    pub(crate) fn vectors(&self) -> impl Iterator<Item = &Range<usize>> {
        let normalisation = self.batch_norm.iter().flat_map(|bn| [&bn.gamma, &bn.beta]);
        std::iter::once(&self.bias).chain(normalisation)
    }
}

/// The numbers that training changes, each kind in one flat buffer, so that optimiser and checkpoint are single loops.
#[derive(Clone, Debug)]
pub struct State<Buf> {
    /// Parameters; the other three share its layout.
    pub params: Buf,
    /// Gradients of the last step.
    pub grads: Buf,
    /// The optimiser's first moment (momentum buffer, Rprop's previous gradient).
    pub m: Buf,
    /// The optimiser's second moment (Rprop's step sizes).
    pub v: Buf,
    /// Running means and variances of the batch norms.
    pub running: Buf,
}

/// Rows for a block.
#[derive(Debug)]
pub enum Input<'a, Buf, R> {
    /// Pixels of the data set, converted to `$x s_j + t_j$` where they are used.
    Pixels {
        /// All samples, row-major `[samples, inputs]`.
        data: &'a [u8],
        /// The samples of this batch.
        rows: &'a [u32],
        /// Those of the batch after it, if they are known: a backend may ask for them before they are needed.
        next: &'a [u32],
        /// s `[inputs]`.
        scale: &'a [R],
        /// t `[inputs]`.
        shift: &'a [R],
    },
    /// Numbers: the first `rows` rows of a buffer.
    Values {
        /// Row-major `[at least rows, inputs]`.
        buf: &'a Buf,
        /// Rows in use.
        rows: usize,
    },
}

impl<Buf, R> Clone for Input<'_, Buf, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Buf, R> Copy for Input<'_, Buf, R> {}

impl<Buf, R> Input<'_, Buf, R> {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Input::Pixels { rows, .. } => rows.len(),
            Input::Values { rows, .. } => *rows,
        }
    }
}

/// Training (batch statistics, dropout) or evaluation (running statistics, no dropout).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Batch statistics and dropout masks of this seed and step.
    Train {
        /// The run's seed.
        seed: u64,
        /// The update's number, from 0.
        step: u64,
    },
    /// Running statistics, no dropout.
    Eval,
}

/// Where a block's parameter gradients go.
#[derive(Clone, Copy, Debug)]
pub enum Sink<'a> {
    /// Into [`State::grads`], for clipping or for being looked at.
    Store,
    /// Straight into the optimiser, while they are in cache. The input gradient still sees the old weights.
    Update {
        /// The rule.
        optimizer: &'a Optimizer,
        /// Rate and number of this update.
        step: &'a Step,
    },
}

/// A device that computes blocks. Buffers are flat; a [`Block`] says where its tensors lie in them.
///
/// What the caller fills or reads by itself is row-major: the first block's input, the last block's output and its gradient. In between a backend may keep
/// activations as it likes.
///
/// Every call may fail, because a device may; [`Plain`] never does.
pub trait Backend: Send {
    /// The numbers in its buffers.
    type Real: Element;
    /// A flat buffer of them.
    type Buf: Send;
    /// What a block's forward keeps for its backward, its output included.
    type Saved: Send;

    /// How parameters are laid out: in panels of so many output units, W as `[⌈outputs/PANEL⌉][inputs][PANEL]`, vectors filled up with zeros to whole
    /// panels. 1 is the row-major `[outputs, inputs]`. What the blocks that a backend is given say of their places is said of this layout.
    const PANEL: usize;

    /// A buffer of `len` zeros.
    fn alloc(&self, len: usize) -> Result<Self::Buf>;

    /// Copies `src` to the start of `dst`.
    fn upload(&self, dst: &mut Self::Buf, src: &[Self::Real]) -> Result<()>;

    /// Copies the start of `src` to all of `dst`.
    fn download(&self, dst: &mut [Self::Real], src: &Self::Buf) -> Result<()>;

    /// Room for one block's saved values, for batches of up to `capacity` rows.
    fn saved(&self, block: &Block, capacity: usize) -> Result<Self::Saved>;

    /// The output `[rows, outputs]` among the saved values.
    fn output<'s>(&self, saved: &'s Self::Saved) -> &'s Self::Buf;

    /// Computes the block; in training mode also moves its running statistics.
    fn block_forward(
        &self,
        block: &Block,
        x: Input<'_, Self::Buf, Self::Real>,
        state: &mut State<Self::Buf>,
        saved: &mut Self::Saved,
        mode: Mode,
    ) -> Result<()>;

    /// The reverse of [`Backend::block_forward`] in the same training `mode`, with the same `x`: from the output's gradient `dy`
    /// (used up) to the parameters' gradients, and to the input's if `dx` is given.
    #[allow(clippy::too_many_arguments)]
    fn block_backward(
        &self,
        block: &Block,
        x: Input<'_, Self::Buf, Self::Real>,
        dy: &mut Self::Buf,
        saved: &mut Self::Saved,
        state: &mut State<Self::Buf>,
        dx: Option<&mut Self::Buf>,
        mode: Mode,
        sink: Sink<'_>,
    ) -> Result<()>;

    /// The loss of `logits` `[labels, classes]`, and its gradient if `dlogits` is given.
    fn loss(
        &self,
        logits: &Self::Buf,
        classes: usize,
        labels: &[u32],
        options: &LossOptions,
        dlogits: Option<&mut Self::Buf>,
    ) -> Result<Loss>;

    /// The Euclidean norm of all gradients, in the order of [`crate::optim::clip::SquareSum`].
    fn gradient_norm(&self, blocks: &[Block], state: &State<Self::Buf>) -> Result<f64>;

    /// Applies the optimiser to a range of the parameters, from the stored gradients.
    fn update(
        &self,
        optimizer: &Optimizer,
        step: &Step,
        state: &mut State<Self::Buf>,
        range: Range<usize>,
    ) -> Result<()>;
}
