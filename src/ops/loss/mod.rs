//! Losses, a file each: forward and backward beside each other.
//!
//! [`Loss`] says what is minimised, [`Targets`] what a batch should have given, [`BatchLoss`] what the loss came to.
//!
//! | loss | task | one output's part |
//! |---|---|---|
//! | [`cross_entropy`] | classification | `$-\log \mathrm{softmax}(z)_y$`, one a row |
//! | [`binary_cross_entropy`](mod@binary_cross_entropy) | multilabel | `$-py \log\sigma(z) - (1-y) \log\sigma(-z)$` |
//! | [`mean_squared_error`](mod@mean_squared_error) | regression | `$(z-y)^2$` |
//! | [`huber`](mod@huber) | regression | `$\frac12 (z-y)^2$` up to δ, then a line |
//! | [`mean_absolute_error`](mod@mean_absolute_error) | regression | `$\lvert z-y \rvert$` |
//!
//! # The mean
//!
//! A row's loss `$\ell_i$` is the mean over its outputs. The objective is the mean over rows that sample weights w
//! give, `$\sum_i w_i \ell_i / \sum_i w_i$`: a row of weight 2 counts as if it stood there twice, and doubling all
//! weights changes nothing. PyTorch's `reduction="mean"` of weighted terms means two things: `CrossEntropyLoss`,
//! `mse_loss` and `l1_loss` divide by the sum of the weights, as here; `BCEWithLogitsLoss` and `huber_loss` divide by
//! the number of elements. Sample weights change what is learnt, and not how a model is judged:
//! [`BatchLoss::plain_sum`] counts every row once.

mod batch;
pub mod binary_cross_entropy;
pub mod cross_entropy;
pub mod huber;
mod mean;
pub mod mean_absolute_error;
pub mod mean_squared_error;

use crate::data::Task;
use crate::error::Result;
use crate::real::Real;
pub use batch::{BatchLoss, TargetKind, Targets};
use binary_cross_entropy::{BinaryCrossEntropy, binary_cross_entropy};
use cross_entropy::{CrossEntropy, softmax_cross_entropy};
use huber::{Huber, huber};
pub use mean::WeightedValues;
use mean_absolute_error::mean_absolute_error;
use mean_squared_error::mean_squared_error;

/// The training objective. The default is plain cross-entropy.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// Softmax and cross-entropy, for classes.
    CrossEntropy(CrossEntropy),
    /// Sigmoid and cross-entropy of each label, for several labels.
    BinaryCrossEntropy(BinaryCrossEntropy),
    /// The mean squared error, for numbers.
    MeanSquaredError,
    /// Huber's loss, for numbers.
    Huber(Huber),
    /// The mean absolute error, for numbers.
    MeanAbsoluteError,
}

impl Default for Loss {
    fn default() -> Self {
        Loss::CrossEntropy(CrossEntropy::default())
    }
}

impl Loss {
    /// The task that it serves.
    pub fn task(&self) -> Task {
        match self {
            Loss::CrossEntropy(_) => Task::Classification,
            Loss::BinaryCrossEntropy(_) => Task::Multilabel,
            Loss::MeanSquaredError | Loss::Huber(_) | Loss::MeanAbsoluteError => Task::Regression,
        }
    }

    /// Its name in settings and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Loss::CrossEntropy(_) => "cross_entropy",
            Loss::BinaryCrossEntropy(_) => "bce",
            Loss::MeanSquaredError => "mse",
            Loss::Huber(_) => "huber",
            Loss::MeanAbsoluteError => "mae",
        }
    }

    /// The same loss without smoothing, class weights and positive weights: the one that is reported.
    pub fn plain(&self) -> Loss {
        match self {
            Loss::CrossEntropy(_) => Loss::CrossEntropy(CrossEntropy::default()),
            Loss::BinaryCrossEntropy(_) => Loss::BinaryCrossEntropy(BinaryCrossEntropy::default()),
            Loss::MeanSquaredError | Loss::Huber(_) | Loss::MeanAbsoluteError => self.clone(),
        }
    }

    /// Refuses options and targets that do not fit the loss, or a network with this number of outputs.
    ///
    /// # Errors
    /// If the targets are another task's, a class has no output, rows have another number of values, a value or a
    /// weight is out of range, or there is not one class weight or positive weight per output.
    pub fn check(&self, outputs: usize, targets: Targets<'_>) -> Result<()> {
        match self {
            Loss::CrossEntropy(options) => options.check(outputs)?,
            Loss::BinaryCrossEntropy(options) => options.check(outputs)?,
            Loss::Huber(options) => options.check()?,
            Loss::MeanSquaredError | Loss::MeanAbsoluteError => {}
        }
        targets.check(self.task(), outputs, self.name())
    }

    /// One weight a class, if classes weigh differently.
    pub fn class_weights(&self) -> Option<&[f64]> {
        match self {
            Loss::CrossEntropy(options) => options.class_weights.as_deref(),
            _ => None,
        }
    }

    /// The loss of the `outputs` of a network, whole rows, one for each target; its gradient goes to `gradient` if that
    /// is given.
    ///
    /// # Panics
    /// If lengths do not fit each other, or [`Loss::check`] would refuse.
    pub fn compute<R: Real>(
        &self,
        gradient: Option<&mut [R]>,
        outputs: &[R],
        targets: Targets<'_>,
    ) -> BatchLoss {
        let weights = targets.weights;
        match (self, targets.kind) {
            (Loss::CrossEntropy(options), TargetKind::Classes(labels)) => {
                softmax_cross_entropy(gradient, outputs, labels, weights, options)
            }
            (_, TargetKind::Values { values, columns }) => {
                let values = WeightedValues {
                    values,
                    columns,
                    weights,
                };
                self.compute_values(gradient, outputs, values)
            }
            (_, TargetKind::Classes(_)) => panic!("the loss {} takes values", self.name()),
        }
    }

    fn compute_values<R: Real>(
        &self,
        gradient: Option<&mut [R]>,
        outputs: &[R],
        targets: WeightedValues<'_>,
    ) -> BatchLoss {
        match self {
            Loss::CrossEntropy(_) => panic!("the loss {} takes classes", self.name()),
            Loss::BinaryCrossEntropy(options) => {
                binary_cross_entropy(gradient, outputs, targets, options)
            }
            Loss::MeanSquaredError => mean_squared_error(gradient, outputs, targets),
            Loss::Huber(options) => huber(gradient, outputs, targets, options),
            Loss::MeanAbsoluteError => mean_absolute_error(gradient, outputs, targets),
        }
    }
}

#[cfg(test)]
mod tests;
