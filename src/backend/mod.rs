//! Where a network's blocks are computed: one trait, [`Backend`], whose calls compute whole blocks.
//!
//! A hidden [`Block`] is `Linear [BatchNorm] [Dropout] activation`; the output block is its Linear alone.
//!
//! | file | holds |
//! |---|---|
//! | `plain.rs` | [`Plain`], which calls the functions of [`crate::ops`] one by one, and is the one to read |
//! | `fused/` | `Fused` (x86-64), which computes the same panel by panel, while the numbers are in cache |
//! | `cuda/` | `Cuda` (with the feature `cuda`), which launches the kernels of `kernels/` on a GPU |
//! | `stem.rs` | [`Stem`]: what comes before the first block, if anything |
//! | `block.rs` | [`Block`]: what a block computes, and where its tensors are |
//! | `batch.rs` | a batch's rows and targets, and data sets on a device |
//! | `pending.rs` | the pending losses of the two backends on a processor |
//! | `select.rs` | the choice of device, precision and backend |
//!
//! The network ([`crate::nn::Mlp`]) is written once, for every [`Backend`]. It owns parameters and saved values as the
//! backend's buffers; a block owns no numbers.
//!
//! # Pending losses
//!
//! A loss is started ([`Backend::start_loss`]) and collected later ([`Backend::finish_losses`]); in between it is
//! pending. A GPU works on while many losses are pending. A processor knows a loss at once, and has room for one.

mod batch;
mod block;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod fused;
mod pending;
pub mod plain;
pub mod select;
mod stem;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::data::{Normalizer, Samples};
use crate::error::Result;
use crate::gemm::Element;
use crate::ops::loss::cross_entropy::argmax;
use crate::ops::loss::{BatchLoss, Loss};
use crate::optim::{Optimizer, Step, clip};
pub use batch::{BatchTargets, DeviceDataset, Input};
pub use block::{BatchNormSlices, Block, BlockKind, Hidden, LinearSlices, Mode, Order, Source};
#[cfg(feature = "cuda")]
pub use cuda::Cuda;
pub use fused::Fused;
pub use plain::Plain;
pub use stem::{RowPart, Stem, StemSaved};

/// The precision of the numbers that a backend in f32 multiplies. Their sums are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum ProductPrecision {
    /// Single precision.
    #[default]
    F32,
    /// Rounded to bfloat16 (8 bits of exponent, 7 of fraction).
    Bf16,
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

/// Where a block's parameter gradients go.
#[derive(Clone, Copy, Debug)]
pub enum Sink<'a> {
    /// Into [`State::grads`], for clipping or for being looked at.
    Store,
    /// Added to [`State::grads`]: those of an ensemble's members are added up. No block has a batch norm then.
    Add,
    /// Straight into the optimiser, while they are in cache. The input gradient still sees the old weights.
    Update {
        /// The rule.
        optimizer: &'a Optimizer,
        /// Rate and number of this update.
        step: &'a Step,
        /// Whether [`State::grads`] hold the sum of the members before, to which this one's gradients are added.
        adds: bool,
    },
}

impl Sink<'_> {
    /// Whether gradients are added to those that are stored.
    pub(crate) fn adds(&self) -> bool {
        matches!(self, Sink::Add | Sink::Update { adds: true, .. })
    }

    /// For a member's gradients of what all members share: they are added up, and the last member's sink gets the sum.
    pub(crate) fn of_member(self, member: usize, members: usize) -> Self {
        match self {
            _ if member == 0 => Sink::Store,
            Sink::Update {
                optimizer, step, ..
            } if member == members - 1 => Sink::Update {
                optimizer,
                step,
                adds: true,
            },
            _ => Sink::Add,
        }
    }
}

/// A device that computes blocks. Buffers are flat; a [`Block`] says where its tensors lie in them.
///
/// What the caller fills or reads is row-major: a first block's input and its gradient, the output block's output and
/// its gradient.
/// In between a backend may keep activations as it likes.
///
/// Every call may fail, because a device may. Sizes are not checked here: [`crate::nn::Mlp`] checks them.
pub trait Backend: Send + 'static {
    /// The numbers in its buffers.
    type Real: Element;
    /// A flat buffer of them.
    type Buf: Send;
    /// What a block's forward keeps for its backward, its output included.
    type Saved: Send;
    /// Samples that were uploaded to the device.
    type Dataset: DeviceDataset<Self::Buf>;

    /// Parameters are kept in panels of this number of output units, W as `[⌈outputs/PANEL⌉][inputs][PANEL]`.
    /// Vectors are filled up with zeros to whole panels. 1 is the row-major `[outputs, inputs]`.
    /// The slices of the blocks that a backend is given are those of this layout.
    const PANEL: usize;

    /// How many losses may be pending.
    const PENDING_LOSSES: usize;

    /// Whether its losses take sample weights.
    const WEIGHS_SAMPLES: bool = true;

    /// What computes, in words.
    fn describe(&self) -> String;

    /// On what it gives the same bits, in words: "x86_64, avx512". `None` if it does so on every processor.
    fn reproducible_on(&self) -> Option<String>;

    /// Each thread's part of the work, of 1; empty where threads do not divide it by their speeds.
    fn parts(&self) -> Vec<f64> {
        Vec::new()
    }

    /// A training step of this number of rows begins.
    fn begin_step(&self, _rows: usize) {}

    /// The training step has ended.
    fn end_step(&self) {}

    /// A buffer of `len` zeros.
    fn alloc(&self, len: usize) -> Result<Self::Buf>;

    /// How many numbers a buffer holds.
    fn buffer_len(&self, buf: &Self::Buf) -> usize;

    /// Copies `src` to the start of `dst`.
    fn upload(&self, dst: &mut Self::Buf, src: &[Self::Real]) -> Result<()>;

    /// Copies the start of `src` to all of `dst`.
    fn download(&self, dst: &mut [Self::Real], src: &Self::Buf) -> Result<()>;

    /// Uploads samples, to be normalised on their way into batches; `None` if batches come from this program's memory.
    fn upload_samples(&self, _: &Samples, _: &Normalizer) -> Result<Option<Self::Dataset>> {
        Ok(None)
    }

    /// Room for what a stem saves, for batches of up to `capacity` rows; for its gradients too if it is `trained`.
    ///
    /// # Errors
    /// If the device has no room, or computes no stem.
    fn stem_saved(
        &self,
        stem: &Stem,
        capacity: usize,
        trained: bool,
    ) -> Result<StemSaved<Self::Buf>>
    where
        Self: Sized,
    {
        StemSaved::new(self, stem, capacity, trained)
    }

    /// Embeds the features of the network's input, in [`StemSaved::out`].
    fn stem_forward(
        &self,
        stem: &Stem,
        x: Input<'_, Self::Buf, Self::Real>,
        state: &State<Self::Buf>,
        saved: &mut StemSaved<Self::Buf>,
    ) -> Result<()>;

    /// The reverse of [`Backend::stem_forward`], with the same `x`: from [`StemSaved::d_out`] to the parameters'
    /// gradients, which are stored, and to the input's if `dx` is given.
    fn stem_backward(
        &self,
        stem: &Stem,
        x: Input<'_, Self::Buf, Self::Real>,
        state: &mut State<Self::Buf>,
        saved: &mut StemSaved<Self::Buf>,
        dx: Option<&mut Self::Buf>,
    ) -> Result<()>;

    /// `sum ← sum + x`, for the input gradients of members.
    fn add(&self, sum: &mut Self::Buf, x: &Self::Buf) -> Result<()>;

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

    /// The reverse of [`Backend::block_forward`] in the same training `mode`, with the same `x`: from the output's
    /// gradient `dy` (used up) to the parameters' gradients, and to the input's if `dx` is given.
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

    /// Starts the loss of `logits` `[targets, outputs]`, and computes its gradient if `dlogits` is given
    /// (divided by [`BatchTargets::members`]).
    ///
    /// With `dlogits` it is the loss of a training step. From one that is not finite on, until it is collected, no
    /// update changes parameters or moments: either [`Backend::diverged`] says so, or the device's kernels see to it.
    ///
    /// # Errors
    /// If [`Backend::PENDING_LOSSES`] are pending already, or the device fails.
    fn start_loss(
        &self,
        logits: &Self::Buf,
        outputs: usize,
        targets: BatchTargets<'_, Self::Dataset>,
        loss: &Loss,
        dlogits: Option<&mut Self::Buf>,
    ) -> Result<()>;

    /// Whether a training step's pending loss is known, and not finite: such a step must not go on.
    ///
    /// A device that learns it later says no, and guards its updates itself.
    fn diverged(&self) -> bool;

    /// Waits for the losses that are pending, and appends them in the order in which they were started.
    fn finish_losses(&self, losses: &mut Vec<BatchLoss>) -> Result<()>;

    /// The place of the largest number in each row of `logits`, as [`argmax`] chooses it.
    fn argmax(&self, logits: &Self::Buf, outputs: usize, winners: &mut [u32]) -> Result<()> {
        let mut host = vec![Self::Real::default(); winners.len() * outputs];
        self.download(&mut host, logits)?;
        for (winner, row) in winners.iter_mut().zip(host.chunks_exact(outputs)) {
            *winner = argmax(row) as u32;
        }
        Ok(())
    }

    /// The Euclidean norm of all gradients, in the order of [`crate::optim::clip::SquareSum`].
    fn gradient_norm(
        &self,
        stem: Option<&Stem>,
        blocks: &[Block],
        state: &State<Self::Buf>,
    ) -> Result<f64>;

    /// Applies the optimiser to a range of the parameters, from the stored gradients.
    fn update(
        &self,
        optimizer: &Optimizer,
        step: &Step,
        state: &mut State<Self::Buf>,
        range: Range<usize>,
    ) -> Result<()>;

    /// Applies the optimiser to all parameters, with the stored gradients shortened to a norm of at most `clip_norm`
    /// ([`clip`]).
    fn update_clipped(
        &self,
        (stem, blocks): (Option<&Stem>, &[Block]),
        optimizer: &Optimizer,
        step: &Step,
        state: &mut State<Self::Buf>,
        clip_norm: f64,
    ) -> Result<()> {
        let norm = self.gradient_norm(stem, blocks, state)?;
        let step = Step {
            gradient_scale: clip::scale(norm, clip_norm),
            ..*step
        };
        let end = blocks.last().map_or(0, |block| block.parameters().end);
        self.update(optimizer, &step, state, 0..end)
    }
}
