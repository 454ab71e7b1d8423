//! Which trials to stop early, judged by what they report after each epoch.

mod halving;
mod hyperband;
mod median;

pub use halving::SuccessiveHalving;
pub use hyperband::Hyperband;
pub use median::Median;

use super::journal::{Storage, Study, Trial};

/// A decision, and the attributes to set on the trial, so that others can see how it was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Whether to prune the trial.
    pub prune: bool,
    /// System attributes to set: the trial's values at the rungs that it has reached.
    pub notes: Vec<(String, f64)>,
}

/// Decides about a running trial.
pub trait Pruner: Send + Sync {
    /// Decides after the trial's last report, which is in `trial`. `storage` holds the other trials as they are
    /// now.
    fn verdict(&self, storage: &Storage, study: &Study, trial: &Trial) -> Verdict;
}

/// Never prunes a trial.
#[derive(Clone, Copy, Debug)]
pub struct Never;

impl Pruner for Never {
    fn verdict(&self, _: &Storage, _: &Study, _: &Trial) -> Verdict {
        Verdict::default()
    }
}

#[cfg(test)]
mod tests;
