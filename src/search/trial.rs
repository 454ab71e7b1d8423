//! One trial: its repeats are trained one after the other, and their mean counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::journal::{Attributes, Storage, Study};
use super::plan::Plan;
use super::pruner::Pruner;
use super::study::{Claim, Reported, StudyWork};
use super::watch::{Assignment, End, Watcher};
use crate::data::{Dataset, Task};
use crate::error::{Error, Result};
use crate::metrics::{DataPart, Metric, PartMetric};
use crate::train::{self, Control, EpochRecord, Observer, Summary};

/// A worker of this process, and what it needs for its trials.
pub(super) struct Worker<'a> {
    pub(super) plan: &'a Plan,
    pub(super) data: &'a Arc<Dataset>,
    /// Where the runs of trials are kept.
    pub(super) folder: &'a Path,
    pub(super) watcher: &'a dyn Watcher,
    pub(super) assignment: Assignment,
}

impl Worker<'_> {
    /// Runs a claimed trial on this number of threads and records the result.
    ///
    /// # Errors
    /// If a file cannot be read or written. The trial waits again.
    pub(super) fn run(
        &self,
        work: &mut StudyWork<'_>,
        claim: &Claim,
        threads: usize,
    ) -> Result<End> {
        let trained = self.train(work, claim, threads);
        match &trained {
            Ok(End::Pruned(_) | End::Diverged) => self.remove_runs(claim),
            // The runs are removed before another worker may take the trial, and makes its own in their place. A worker
            // that took this one for dead has done so already.
            Ok(End::Interrupted) | Err(_) if !work.is_own(claim)? => return Ok(End::Lost),
            Ok(End::Interrupted) => {
                self.remove_runs(claim);
                work.give_back(claim)?;
            }
            // The trial's settings do not fit each other or the data. Other trials may fit.
            Err(error) if error.exit_code() == 2 => {
                self.remove_runs(claim);
                let why = error.to_string();
                work.fail(claim, &why)?;
                return Ok(End::Failed(why));
            }
            Err(_) => {
                self.remove_runs(claim);
                // The first error is the one to report; that this cannot be written either adds nothing.
                let _ = work.give_back(claim);
            }
            Ok(_) => {}
        }
        trained
    }

    /// Removes the runs of a trial that is not complete. A folder that stays only takes space.
    fn remove_runs(&self, claim: &Claim) {
        for repeat in 0..self.plan.repeats {
            let _ = fs::remove_dir_all(run_folder(self.folder, claim.slot, repeat));
        }
    }

    fn train(&self, work: &mut StudyWork<'_>, claim: &Claim, threads: usize) -> Result<End> {
        let objective = self.plan.objective.metric().of(DataPart::Validation);
        let settings = self.plan.space.settings(&claim.point, &self.plan.base)?;
        let batch_size = settings.train.batch_size;
        let task = self.data.task;
        let mut summaries = Vec::new();
        let mut values = Vec::new();
        for repeat in 0..self.plan.repeats {
            let mut config = self.plan.config(&claim.point, claim.slot, repeat)?;
            config.threads = Some(threads);
            let epochs = config.epochs;
            let steps = u64::from(self.plan.repeats) * u64::from(epochs);
            let mut report = TrialReporter {
                worker: self,
                objective,
                pruner: self.plan.pruner(steps),
                claim,
                before: u64::from(repeat) * u64::from(epochs),
                steps,
                values: &values,
                stopped: Ok(None),
                work,
            };
            let folder = run_folder(self.folder, claim.slot, repeat);
            // What an earlier attempt has left.
            remove(&folder)?;
            let data = self.data.clone();
            let summary = train::run(config, data, Some(&folder), &mut report)?.summary;
            if let Some(end) = report.stopped? {
                return Ok(end);
            }
            if summary.interrupted {
                return Ok(End::Interrupted);
            }
            let value = summary.get(objective);
            let value = value.filter(|x| x.is_finite() && !summary.diverged);
            summaries.push(summary);
            let Some(value) = value else {
                let was_own = work.diverge(claim, notes(&summaries, task, batch_size))?;
                return Ok(if was_own { End::Diverged } else { End::Lost });
            };
            values.push(value);
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let was_own = work.complete(claim, mean, notes(&summaries, task, batch_size))?;
        Ok(if was_own {
            End::Complete(mean)
        } else {
            End::Lost
        })
    }
}

/// Where a repeat's run is.
pub fn run_folder(folder: &Path, slot: u32, repeat: u32) -> PathBuf {
    folder.join(format!("{slot:04}-{repeat}"))
}

/// What a trial notes of its repeats' batches if they were asked to be larger than the training part.
const WHOLE_BATCH: &str = "whole_training_part";

/// The sizes of the batches of trials that were asked for larger ones than the training part has, in words.
pub fn shortened_batches(storage: &Storage, study: &Study) -> Option<String> {
    let sizes = storage.trials(study).flat_map(|t| t.noted(WHOLE_BATCH));
    let mut sizes: Vec<f64> = sizes.collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let sizes: Vec<String> = sizes.iter().map(f64::to_string).collect();
    (!sizes.is_empty()).then(|| {
        format!(
            "A batch size above the number of training samples is shown as it was asked for; such batches were the whole training part, {} samples.",
            sizes.join(" or ")
        )
    })
}

/// The results of the repeats that are written into the study file, for reports. `batch_size` is the one asked for.
fn notes(summaries: &[Summary], task: Task, batch_size: Option<usize>) -> Attributes {
    let list = |of: &dyn Fn(&Summary) -> Value| summaries.iter().map(of).collect::<Value>();
    let mut notes = Attributes::new();
    for metric in Metric::ALL {
        let of_part = metric.of(DataPart::Validation);
        let was_measured = || summaries.iter().any(|s| s.get(of_part).is_some());
        if metric.is_always_measured(task) || was_measured() {
            notes.insert(of_part.name(), list(&|s| json!(s.get(of_part))));
        }
    }
    notes.insert("train_loss".into(), list(&|s| json!(s.train_loss)));
    notes.insert("best_epoch".into(), list(&|s| json!(s.best_epoch)));
    let seconds = |s: &Summary| json!(s.epoch_seconds.iter().sum::<f64>());
    notes.insert("train_seconds".into(), list(&seconds));
    let is_shortened = |s: &Summary| batch_size.is_some_and(|asked| asked > s.train_samples);
    if summaries.iter().any(is_shortened) {
        notes.insert(WHOLE_BATCH.into(), list(&|s| json!(s.train_samples)));
    }
    notes
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", folder, e)),
        _ => Ok(()),
    }
}

/// Reports every epoch to the study, which may give the trial up. At a step of a later repeat the value is the mean of
/// that epoch and the values of the repeats before.
struct TrialReporter<'a, 'w> {
    worker: &'a Worker<'a>,
    objective: PartMetric,
    pruner: Box<dyn Pruner>,
    claim: &'a Claim,
    /// Steps of earlier repeats.
    before: u64,
    steps: u64,
    values: &'a [f64],
    /// How the trial ended, if a report was its last one.
    stopped: Result<Option<End>>,
    work: &'a mut StudyWork<'w>,
}

impl Observer for TrialReporter<'_, '_> {
    fn interrupted(&self) -> bool {
        self.worker.watcher.interrupted()
    }

    fn batch(&mut self, progress: &train::Progress, batches: usize) {
        let epochs = f64::from(progress.epoch) + progress.partial.batches as f64 / batches as f64;
        let share = (self.before as f64 + epochs) / self.steps as f64;
        self.worker
            .watcher
            .batch(self.worker.assignment, self.claim, share);
    }

    fn epoch(&mut self, record: &EpochRecord, _best: bool) -> Control {
        let Some(value) = record.get(self.objective).filter(|x| x.is_finite()) else {
            return Control::Continue;
        };
        let mean = (self.values.iter().sum::<f64>() + value) / (self.values.len() as f64 + 1.0);
        let step = self.before + u64::from(record.epoch);
        self.worker
            .watcher
            .epoch(self.worker.assignment, self.claim, step, mean);
        match self
            .work
            .report(self.claim, step, mean, self.pruner.as_ref())
        {
            Ok(Reported::Continue) => return Control::Continue,
            Ok(Reported::Pruned) => self.stopped = Ok(Some(End::Pruned(mean))),
            Ok(Reported::Lost) => self.stopped = Ok(Some(End::Lost)),
            Err(error) => self.stopped = Err(error),
        }
        Control::Stop
    }
}

#[cfg(test)]
mod tests;
