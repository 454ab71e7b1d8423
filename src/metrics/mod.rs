//! What a classifier gets right and wrong: counts and ratios of labels and predictions.
//!
//! [`Confusion`] counts; [`Scores`] are ratios of those counts; [`correlation`] shows which classes go together.

pub mod confusion;
pub mod correlation;
pub mod scores;

pub use confusion::Confusion;
pub use scores::{Score, Scores};

/// Loss and accuracy on some samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean plain cross-entropy.
    pub loss: f64,
    /// Share of correct samples.
    pub accuracy: f64,
}
