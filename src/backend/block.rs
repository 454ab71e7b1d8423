//! One block of a network: what it computes, and where its tensors lie.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::ops::activation::Activation;
use crate::ops::dropout::Mask;

/// Which comes first in a hidden block, after Linear and BatchNorm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "cli", value(rename_all = "snake_case"))]
pub enum Order {
    /// Linear, BatchNorm, Dropout, activation.
    #[default]
    DropoutActivation,
    /// Linear, BatchNorm, activation, Dropout.
    ActivationDropout,
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

/// Where a block's rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the network's caller or its stem, row-major: this is a first block.
    Batch,
    /// The same rows as in the last forward with [`Source::Batch`], which the backend has kept: this is the first block
    /// of a member after the first.
    Kept,
    /// From the block before this one, in the order in which the backend keeps them.
    Previous,
}

/// Where a block's Linear keeps its numbers; in a block with heads, those of all heads one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearSlices {
    /// W `[outputs, inputs]`, in the parameter buffer.
    pub weight: Range<usize>,
    /// b `[outputs]`, in the parameter buffer.
    pub bias: Range<usize>,
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

/// What follows the linear map of a hidden block.
#[derive(Clone, Debug, PartialEq)]
pub struct Hidden {
    /// Batch normalisation, if on.
    pub batch_norm: Option<BatchNormSlices>,
    /// Probability of dropping a unit; 0 is off.
    pub dropout: f64,
    /// The nonlinearity.
    pub activation: Activation,
    /// Whether dropout or the activation comes first.
    pub order: Order,
}

impl Hidden {
    /// Whether dropout follows the activation. The activation's output is then saved besides the block's.
    pub(super) fn drops_after_activation(&self) -> bool {
        self.dropout > 0.0 && self.order == Order::ActivationDropout
    }
}

/// Whether a block is hidden or gives the network's outputs.
#[derive(Clone, Debug, PartialEq)]
pub enum BlockKind {
    /// `Linear [BatchNorm] [Dropout] activation`; another block reads its outputs.
    Hidden(Hidden),
    /// Linear alone: its outputs are the network's, row-major.
    Output {
        /// Linear maps side by side, one for each member of an ensemble. A backend computes one of them at a time.
        heads: usize,
    },
}

/// One block: its sizes, its place in the network, and where its tensors lie in the flat buffers.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The layer word of its dropout mask: the block's number, from 0.
    pub layer: u32,
    /// Where its rows come from.
    pub source: Source,
    /// Values in a row that comes in.
    pub inputs: usize,
    /// Values in a row that goes out.
    pub outputs: usize,
    /// The linear map.
    pub linear: LinearSlices,
    /// Whether W lies transposed, `[inputs, outputs]`.
    pub transposed: bool,
    /// A member's scale of the inputs `[inputs]`, in the parameter buffer, if there is one. It is the stem's: its
    /// gradient is stored, and not given to an optimiser at once.
    pub scale: Option<Range<usize>>,
    /// What follows it.
    pub kind: BlockKind,
}

impl Block {
    /// Whether no block stands before it.
    pub fn is_first(&self) -> bool {
        self.source != Source::Previous
    }

    /// Whether its output is the network's.
    pub fn is_output(&self) -> bool {
        matches!(self.kind, BlockKind::Output { .. })
    }

    /// What follows the linear map; `None` in the output block.
    pub fn hidden(&self) -> Option<&Hidden> {
        match &self.kind {
            BlockKind::Hidden(hidden) => Some(hidden),
            BlockKind::Output { .. } => None,
        }
    }

    /// How many linear maps it has: one in all but the output block of an ensemble.
    pub fn head_count(&self) -> usize {
        match self.kind {
            BlockKind::Hidden(_) => 1,
            BlockKind::Output { heads } => heads,
        }
    }

    /// Its linear maps.
    pub fn heads(&self) -> impl Iterator<Item = LinearSlices> + use<> {
        let (count, linear) = (self.head_count(), self.linear.clone());
        let share = move |range: &Range<usize>, head: usize| {
            let len = range.len() / count;
            range.start + head * len..range.start + (head + 1) * len
        };
        (0..count).map(move |head| LinearSlices {
            weight: share(&linear.weight, head),
            bias: share(&linear.bias, head),
        })
    }

    /// The batch norm, if the block has one.
    pub fn batch_norm(&self) -> Option<&BatchNormSlices> {
        self.hidden().and_then(|hidden| hidden.batch_norm.as_ref())
    }

    /// All of the block's parameters: its tensors lie side by side.
    pub fn parameters(&self) -> Range<usize> {
        let end = match self.batch_norm() {
            Some(batch_norm) => batch_norm.beta.end,
            None => self.linear.bias.end,
        };
        self.linear.weight.start..end
    }

    /// The block's tensors that have one number per output, the biases of its heads first.
    pub(crate) fn vectors(&self) -> impl Iterator<Item = Range<usize>> {
        let biases = self.heads().map(|head| head.bias);
        let batch_norm = self.batch_norm().into_iter();
        biases.chain(batch_norm.flat_map(|bn| [bn.gamma.clone(), bn.beta.clone()]))
    }

    /// The dropout mask of this step; `None` without dropout and in evaluation.
    pub(crate) fn mask(&self, mode: Mode) -> Option<Mask> {
        let p = self.hidden().map_or(0.0, |hidden| hidden.dropout);
        match mode {
            Mode::Train { seed, step } if p > 0.0 => Some(Mask {
                seed,
                layer: self.layer,
                step,
                p,
            }),
            _ => None,
        }
    }
}
