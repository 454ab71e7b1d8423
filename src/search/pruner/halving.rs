//! Asynchronous successive halving (Jamieson, Talwalkar, “Non-stochastic Best Arm Identification and
//! Hyperparameter Optimization”, AISTATS 2016; Li et al., “A System for Massively Parallel Hyperparameter
//! Tuning”, MLSys 2020, algorithm 2), in the form that stops trials instead of pausing them.
//!
//! Rung k is at step `$r \eta^{s+k}$`. A trial that reaches it leaves its value there. The trial goes on only
//! if the value is among the best `$1/\eta$` of all values left there so far, at least one. No trial waits for
//! others: the first ones at a rung always pass.

use serde_json::Value;

use super::{Pruner, Verdict};
use crate::search::journal::{Storage, Study, Trial};

/// The rule with its constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessiveHalving {
    /// r: the first rung's step, 1.
    pub min_resource: u64,
    /// η: one of η trials passes a rung, 4.
    pub reduction: u64,
    /// s: the number of rungs left out at the start, 0.
    pub early_stopping: u32,
}

impl Default for SuccessiveHalving {
    fn default() -> Self {
        SuccessiveHalving {
            min_resource: 1,
            reduction: 4,
            early_stopping: 0,
        }
    }
}

/// The attribute that holds the value that a trial left at rung k.
fn rung_name(k: u32) -> String {
    format!("completed_rung_{k}")
}

fn left_at(trial: &Trial, rung: &str) -> Option<f64> {
    trial.content.system_attrs.get(rung).and_then(Value::as_f64)
}

impl SuccessiveHalving {
    /// The verdict on a trial among `competitors`.
    pub(super) fn among<'a>(
        &self,
        study: &Study,
        trial: &Trial,
        competitors: impl Iterator<Item = &'a Trial> + Clone,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let Some((step, value)) = trial.last_report() else {
            return verdict;
        };
        let mut rung = 0;
        while left_at(trial, &rung_name(rung)).is_some() {
            rung += 1;
        }
        while self.step_of(rung).is_some_and(|at| step >= at) {
            if value.is_nan() {
                verdict.prune = true;
                return verdict;
            }
            let name = rung_name(rung);
            verdict.notes.push((name.clone(), value));
            let others = competitors
                .clone()
                .filter(|t| t.id != trial.id)
                .filter_map(|t| left_at(t, &name));
            let (count, better) = others.fold((1, 0), |(n, better), other| {
                (n + 1, better + u64::from(study.is_better(other, value)))
            });
            if better >= (count / self.reduction).max(1) {
                verdict.prune = true;
                return verdict;
            }
            rung += 1;
        }
        verdict
    }

    /// The step of a rung; `None` if it does not fit into a u64.
    fn step_of(&self, rung: u32) -> Option<u64> {
        let power = self
            .reduction
            .checked_pow(self.early_stopping.checked_add(rung)?)?;
        self.min_resource.checked_mul(power)
    }
}

impl Pruner for SuccessiveHalving {
    fn verdict(&self, storage: &Storage, study: &Study, trial: &Trial) -> Verdict {
        self.among(study, trial, storage.trials(study))
    }
}
