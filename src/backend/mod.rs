//! Where a network's blocks are computed: one trait, at block level, so that what a backend fuses stays inside it.
//!
//! A [`Block`] is `Linear [BatchNorm] [Dropout] [activation]`; the last block of a network is its Linear alone.
//!
//! | backend | how it computes |
//! |---|---|
//! | [`Plain`] | calls the functions of [`crate::ops`] one by one, in f32 or f64: the one to read |
//! | `Fused` | does the same inside the products, while numbers are in cache, in f32 or with bf16 products |
//! | `Cuda` | launches kernels of the same names on a GPU, with the feature `cuda` |
//!
//! The network ([`crate::nn::Mlp`]) is written once, over this trait.
//! It owns parameters and saved values as the backend's buffers, blocks own nothing.

#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(target_arch = "x86_64")]
pub mod fused;
pub mod plain;
pub mod select;

use std::convert::Infallible;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::data::batches::Augmentation;
use crate::data::{Normalizer, Samples};
use crate::error::Result;
use crate::gemm::Element;
use crate::ops::activation::Activation;
use crate::ops::dropout::Mask;
use crate::ops::loss::cross_entropy::{Loss, LossOptions, argmax};
use crate::optim::{Optimizer, Step, clip};
#[cfg(feature = "cuda")]
pub use cuda::Cuda;
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
pub enum ProductPrecision {
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

/// The classes of a batch's rows.
#[derive(Debug)]
pub struct Labels<'a, K> {
    /// One class a row.
    pub classes: &'a [u32],
    /// Where the backend has them already: in this order, from this place on.
    pub kept: Option<(&'a K, usize)>,
}

impl<K> Clone for Labels<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Labels<'_, K> {}

impl<'a, K> From<&'a [u32]> for Labels<'a, K> {
    fn from(classes: &'a [u32]) -> Self {
        let kept = None;
        Labels { classes, kept }
    }
}

/// Samples that a backend keeps where it computes, and the order in which batches take them. [`Infallible`] is that of backends that compute in this
/// program's memory, where samples are already.
pub trait Kept<Buf>: Send + Sized {
    /// The same samples, not copied, for an order of their own.
    fn share(&self) -> Result<Self>;

    /// Sets the order: rows of the samples, and their classes.
    fn arrange(&mut self, rows: &[u32], classes: &[u32]) -> Result<()>;

    /// Writes the samples at the places `batch` of the order to `x` `[batch.len(), inputs]`: changed, if they are to be, and normalised.
    fn gather(
        &self,
        batch: Range<usize>,
        augmentation: Option<&Augmentation<'_>>,
        x: &mut Buf,
    ) -> Result<()>;
}

impl<Buf> Kept<Buf> for Infallible {
    fn share(&self) -> Result<Self> {
        match *self {}
    }

    fn arrange(&mut self, _: &[u32], _: &[u32]) -> Result<()> {
        match *self {}
    }

    fn gather(&self, _: Range<usize>, _: Option<&Augmentation<'_>>, _: &mut Buf) -> Result<()> {
        match *self {}
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
    /// Samples that the backend keeps.
    type Kept: Kept<Self::Buf>;

    /// How parameters are laid out: in panels of so many output units, W as `[⌈outputs/PANEL⌉][inputs][PANEL]`, vectors filled up with zeros to whole
    /// panels. 1 is the row-major `[outputs, inputs]`. What the blocks that a backend is given say of their places is said of this layout.
    const PANEL: usize;

    /// How many losses of [`Backend::start_loss`] may be outstanding; 0 where every loss is known at once.
    const LATE_LOSSES: usize = 0;

    /// What computes, in words.
    fn describe(&self) -> String;

    /// A buffer of `len` zeros.
    fn alloc(&self, len: usize) -> Result<Self::Buf>;

    /// Copies `src` to the start of `dst`.
    fn upload(&self, dst: &mut Self::Buf, src: &[Self::Real]) -> Result<()>;

    /// Copies the start of `src` to all of `dst`.
    fn download(&self, dst: &mut [Self::Real], src: &Self::Buf) -> Result<()>;

    /// Keeps samples where the backend computes, to be normalised on the way from there; `None` if batches are to come from this program's memory.
    fn keep(&self, _samples: &Samples, _normalizer: &Normalizer) -> Result<Option<Self::Kept>> {
        Ok(None)
    }

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

    /// As [`Backend::loss`], but nobody need wait for the loss: it may come later, with [`Backend::late_losses`]. The losses of training steps, those with
    /// `dlogits`, guard what follows: from one that is not finite on, until it is collected, nothing changes parameters, moments or running statistics.
    fn start_loss(
        &self,
        logits: &Self::Buf,
        classes: usize,
        labels: Labels<'_, Self::Kept>,
        options: &LossOptions,
        dlogits: Option<&mut Self::Buf>,
    ) -> Result<Option<Loss>> {
        self.loss(logits, classes, labels.classes, options, dlogits)
            .map(Some)
    }

    /// Appends the losses that are outstanding, in their order: waits until all that was started is done.
    fn late_losses(&self, _losses: &mut Vec<Loss>) -> Result<()> {
        Ok(())
    }

    /// The most probable class of each row of `logits`, as [`argmax`] chooses it.
    fn argmax(&self, logits: &Self::Buf, classes: usize, winners: &mut [u32]) -> Result<()> {
        let mut host = vec![Self::Real::default(); winners.len() * classes];
        self.download(&mut host, logits)?;
        for (winner, row) in winners.iter_mut().zip(host.chunks_exact(classes)) {
            *winner = argmax(row) as u32;
        }
        Ok(())
    }

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

    /// Applies the optimiser to all parameters, the stored gradients shortened to a norm of at most `clip_norm` ([`clip`]).
    fn update_clipped(
        &self,
        blocks: &[Block],
        optimizer: &Optimizer,
        step: &Step,
        state: &mut State<Self::Buf>,
        clip_norm: f64,
    ) -> Result<()> {
        let norm = self.gradient_norm(blocks, state)?;
        let step = Step {
            gradient_scale: clip::scale(norm, clip_norm),
            ..*step
        };
        let end = blocks.last().map_or(0, |block| block.parameters().end);
        self.update(optimizer, &step, state, 0..end)
    }
}
