//! Which trials to give up early, going by what they report after each epoch.

mod halving;
mod hyperband;
mod median;

pub use halving::SuccessiveHalving;
pub use hyperband::Hyperband;
pub use median::Median;

use super::journal::{Storage, Study, Trial};

/// A decision, and what to note on the trial so that others can see how it was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Whether to give the trial up.
    pub prune: bool,
    /// System attributes of the trial: rungs that it has passed.
    pub notes: Vec<(String, f64)>,
}

/// Decides about a running trial.
pub trait Pruner: Send + Sync {
    /// After the trial's last report, which is in `trial`. `storage` holds the other trials as they are now.
    fn verdict(&self, storage: &Storage, study: &Study, trial: &Trial) -> Verdict;
}

/// Never gives a trial up.
#[derive(Clone, Copy, Debug)]
pub struct Never;

impl Pruner for Never {
    fn verdict(&self, _: &Storage, _: &Study, _: &Trial) -> Verdict {
        Verdict::default()
    }
}

#[cfg(test)]
mod tests;
