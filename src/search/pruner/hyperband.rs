//! Hyperband (Li et al., “Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization”, JMLR 18,
//! 2018): successive halving with several first rungs at once.
//!
//! It is not known how early a bad trial can be told from a good one. So the trials are distributed over
//! brackets, and bracket b leaves out the first b rungs. All brackets have about the same budget, so the
//! bracket that halves most often gets most trials.

use super::{Pruner, SuccessiveHalving, Verdict};
use crate::search::journal::{Storage, Study, Trial};

/// The rule with its constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hyperband {
    /// The first rung's step, 1.
    pub min_resource: u64,
    /// The number of steps of a whole trial.
    pub max_resource: u64,
    /// η: one of η trials passes a rung, 3.
    pub reduction: u64,
}

impl Hyperband {
    /// The rule for trials of `max_resource` steps, with the other constants at their defaults.
    pub fn new(max_resource: u64) -> Self {
        Hyperband {
            min_resource: 1,
            max_resource,
            reduction: 3,
        }
    }

    /// The number of brackets, B = ⌊log_η(max / min)⌋ + 1. It is computed by multiplication, because a
    /// floating-point logarithm is not exact at powers.
    pub(super) fn brackets(&self) -> u32 {
        let (mut brackets, mut resource) = (1, self.min_resource);
        while let Some(next) = resource
            .checked_mul(self.reduction)
            .filter(|&next| next <= self.max_resource)
        {
            resource = next;
            brackets += 1;
        }
        brackets
    }

    /// The weight of bracket b, ⌈B·η^(B−1−b) / (B−b)⌉: it gets this share of the sum of all weights.
    pub(super) fn share(&self, bracket: u32) -> u64 {
        let brackets = self.brackets();
        let budget = u64::from(brackets) * self.reduction.pow(brackets - 1 - bracket);
        budget.div_ceil(u64::from(brackets - bracket))
    }

    /// The bracket of a trial. It is drawn from the study's name and the trial's number, so every worker knows
    /// it.
    pub fn bracket(&self, study: &str, number: usize) -> u32 {
        let total: u64 = (0..self.brackets()).map(|b| self.share(b)).sum();
        let mut place = u64::from(crc32fast::hash(format!("{study}_{number}").as_bytes())) % total;
        for bracket in 0..self.brackets() {
            if place < self.share(bracket) {
                return bracket;
            }
            place -= self.share(bracket);
        }
        unreachable!("the shares add up to the total")
    }
}

impl Pruner for Hyperband {
    fn verdict(&self, storage: &Storage, study: &Study, trial: &Trial) -> Verdict {
        let bracket = self.bracket(&study.name, trial.number);
        let halving = SuccessiveHalving {
            min_resource: self.min_resource,
            reduction: self.reduction,
            early_stopping: bracket,
        };
        let same = storage
            .trials(study)
            .filter(|t| self.bracket(&study.name, t.number) == bracket);
        halving.among(study, trial, same)
    }
}
