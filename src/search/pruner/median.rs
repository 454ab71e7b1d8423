//! The median stopping rule (Golovin et al., “Google Vizier: A Service for Black-Box Optimization”, KDD 2017).

use super::{Pruner, Verdict};
use crate::search::journal::{Storage, Study, Trial, TrialState};

/// Prunes a trial if its best report so far is worse than the median of the other trials' reports at the same
/// step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Median {
    /// The number of trials that must be complete before any is pruned: 5.
    pub startup: usize,
    /// The number of steps of a trial before it may be pruned: 0.
    pub warmup: u64,
}

impl Default for Median {
    fn default() -> Self {
        Median {
            startup: 5,
            warmup: 0,
        }
    }
}

impl Pruner for Median {
    fn verdict(&self, storage: &Storage, study: &Study, trial: &Trial) -> Verdict {
        let Some((step, _)) = trial.last_report() else {
            return Verdict::default();
        };
        let complete: Vec<_> = storage
            .trials(study)
            .filter(|t| t.state() == TrialState::Complete)
            .collect();
        if complete.len() < self.startup || step < self.warmup {
            return Verdict::default();
        }
        let reports = trial
            .content
            .reports
            .values()
            .copied()
            .filter(|x| !x.is_nan());
        let Some(best) = reports.reduce(|best, new| {
            if study.is_better(new, best) {
                new
            } else {
                best
            }
        }) else {
            return Verdict {
                prune: true,
                notes: Vec::new(),
            };
        };
        let others = complete
            .iter()
            .filter_map(|t| t.content.reports.get(&step).copied());
        let prune = median(others.filter(|x| !x.is_nan()).collect())
            .is_some_and(|middle| study.is_better(middle, best));
        Verdict {
            prune,
            notes: Vec::new(),
        }
    }
}

/// The middle value, or the mean of the two middle values.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (
        values.get(values.len().checked_sub(1)? / 2)?,
        values.get(values.len() / 2)?,
    );
    Some((low + high) / 2.0)
}
