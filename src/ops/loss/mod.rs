//! Losses, a file each: forward and backward beside each other.
//!
//! [`Loss`] says what is minimised, [`Targets`] what a batch should have given, [`BatchLoss`] what the loss came to.

mod batch;
pub mod cross_entropy;

use crate::error::Result;
use crate::real::Real;
pub use batch::{BatchLoss, Targets};
use cross_entropy::{CrossEntropy, softmax_cross_entropy};

/// The training objective. The default is plain cross-entropy.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// Softmax and cross-entropy, for classes.
    CrossEntropy(CrossEntropy),
}

impl Default for Loss {
    fn default() -> Self {
        Loss::CrossEntropy(CrossEntropy::default())
    }
}

impl Loss {
    /// Refuses options and targets that do not fit a network with this number of outputs.
    ///
    /// # Errors
    /// If a class has no output, or there is not one class weight per output.
    pub fn check(&self, outputs: usize, targets: Targets<'_>) -> Result<()> {
        match self {
            Loss::CrossEntropy(options) => options.check(outputs)?,
        }
        targets.check(outputs)
    }

    /// One weight a class, if classes weigh differently.
    pub fn class_weights(&self) -> Option<&[f64]> {
        match self {
            Loss::CrossEntropy(options) => options.class_weights.as_deref(),
        }
    }

    /// The loss of `logits`, one row a target; its gradient goes to `dlogits` if that is given.
    ///
    /// # Panics
    /// If lengths do not fit each other, or [`Loss::check`] would refuse.
    pub fn compute<R: Real>(
        &self,
        dlogits: Option<&mut [R]>,
        logits: &[R],
        targets: Targets<'_>,
    ) -> BatchLoss {
        match (self, targets) {
            (Loss::CrossEntropy(options), Targets::Classes(labels)) => {
                softmax_cross_entropy(dlogits, logits, labels, options)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let weighted = Loss::CrossEntropy(CrossEntropy {
            class_weights: Some(vec![1.0, 2.0]),
            ..CrossEntropy::default()
        });
        let classes = [0, 1, 2];
        assert!(Loss::default().check(3, Targets::from(&classes)).is_ok());
        let error = Loss::default().check(2, Targets::from(&classes));
        let expected = "targets: expected classes below 2, the network's outputs, found 2 in row 2";
        assert_eq!(error.unwrap_err().to_string(), expected);
        let error = weighted.check(3, Targets::from(&classes)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(weighted.check(2, Targets::from(&classes[..2])).is_ok());
    }
}
