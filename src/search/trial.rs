//! One trial: its repeats are trained one after the other, and their mean counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::journal::Attributes;
use super::plan::{Objective, Plan};
use super::pruner::Pruner;
use super::run::{Seat, Watcher};
use super::study::{Claim, Work};
use crate::backend::Backend;
use crate::backend::select::{OnBackend, on_backend};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::settings::Config;
use crate::train::{self, Control, EpochRecord, Observer, RunDir, Summary, Trainer, fit};

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// With this value.
    Complete(f64),
    /// Given up, with its last report.
    Pruned(f64),
    /// A loss was not a number.
    Diverged,
    /// Somebody asked to stop: the trial is back in the queue.
    Interrupted,
}

/// A worker of this process, and what it needs for its trials.
pub(super) struct Worker<'a> {
    pub(super) plan: &'a Plan,
    pub(super) data: &'a Arc<Dataset>,
    /// Where the runs of trials are kept.
    pub(super) folder: &'a Path,
    pub(super) watcher: &'a dyn Watcher,
    pub(super) seat: Seat,
}

impl Worker<'_> {
    /// Runs a claimed trial on so many threads and writes down what came of it.
    ///
    /// # Errors
    /// If the settings do not fit the data, or a file cannot be written. The trial has ended, or waits again.
    pub(super) fn run(&self, work: &mut Work<'_>, claim: &Claim, threads: usize) -> Result<End> {
        let trained = self.train(work, claim, threads);
        if !matches!(trained, Ok(End::Complete(_))) {
            (0..self.plan.repeats).for_each(|repeat| {
                drop(fs::remove_dir_all(run_folder(
                    self.folder,
                    claim.slot,
                    repeat,
                )))
            });
        }
        if let Err(error) = &trained {
            // The first error is the one to report; that this cannot be written either adds nothing.
            let _ = match error.exit_code() {
                2 => work.fail(claim, &error.to_string()),
                _ => work.give_back(claim),
            };
        }
        trained
    }

    fn train(&self, work: &mut Work<'_>, claim: &Claim, threads: usize) -> Result<End> {
        let mut summaries = Vec::new();
        let mut values = Vec::new();
        for repeat in 0..self.plan.repeats {
            let config = self.plan.config(&claim.point, claim.slot, repeat)?;
            let epochs = config.epochs;
            let mut report = Report {
                worker: self,
                objective: self.plan.objective,
                pruner: self.plan.pruner(epochs * self.plan.repeats),
                claim,
                before: u64::from(repeat) * u64::from(epochs),
                steps: u64::from(self.plan.repeats) * u64::from(epochs),
                values: &values,
                pruned: Ok(None),
                work,
            };
            let folder = run_folder(self.folder, claim.slot, repeat);
            let run = Repeat {
                data: self.data.clone(),
                folder: &folder,
                report: &mut report,
                config: &config,
            };
            let summary = on_backend(config.device, config.precision, threads, false, run)?;
            if let Some(value) = report.pruned? {
                return Ok(End::Pruned(value));
            }
            if summary.interrupted {
                work.give_back(claim)?;
                return Ok(End::Interrupted);
            }
            let value = self
                .plan
                .objective
                .of_run(&summary)
                .filter(|_| !summary.diverged);
            summaries.push(summary);
            let Some(value) = value else {
                work.diverge(claim, notes(&summaries))?;
                return Ok(End::Diverged);
            };
            values.push(value);
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        work.complete(claim, mean, notes(&summaries))?;
        Ok(End::Complete(mean))
    }
}

/// Where a repeat's run is.
pub fn run_folder(folder: &Path, slot: u32, repeat: u32) -> PathBuf {
    folder.join(format!("{slot:04}-{repeat}"))
}

/// What is noted of the repeats, for reports.
fn notes(summaries: &[Summary]) -> Attributes {
    let list =
        |of: fn(&Summary) -> serde_json::Value| json!(summaries.iter().map(of).collect::<Vec<_>>());
    Attributes::from_iter([
        ("val_accuracy".to_owned(), list(|s| json!(s.val_accuracy))),
        ("val_loss".to_owned(), list(|s| json!(s.val_loss))),
        ("train_loss".to_owned(), list(|s| json!(s.train_loss))),
        ("best_epoch".to_owned(), list(|s| json!(s.best_epoch))),
        (
            "train_seconds".to_owned(),
            list(|s| json!(s.epoch_seconds.iter().sum::<f64>())),
        ),
    ])
}

/// A repeat, to be run on whichever backend its settings ask for.
struct Repeat<'a, 'b, 'c> {
    data: Arc<Dataset>,
    folder: &'a Path,
    config: &'a Config,
    report: &'a mut Report<'b, 'c>,
}

impl OnBackend for Repeat<'_, '_, '_> {
    type Output = Summary;

    fn run<B: Backend>(self, backend: B) -> Result<Summary> {
        // What an earlier attempt has left.
        match fs::remove_dir_all(self.folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", self.folder, e));
            }
            _ => {}
        }
        let mut trainer = Trainer::new(backend, self.config.clone(), self.data, None)?;
        let run = RunDir::create(Some(self.folder), &self.config.resolved)?;
        let report = self.report;
        let outcome = fit(&mut trainer, Some(&run), Vec::new(), report)?;
        Ok(outcome.summary)
    }
}

/// Reports every epoch to the study, which may give the trial up. At a step of a later repeat the value is the mean of that epoch and the values of the repeats before.
struct Report<'a, 'w> {
    worker: &'a Worker<'a>,
    objective: Objective,
    pruner: Box<dyn Pruner>,
    claim: &'a Claim,
    /// Steps of earlier repeats.
    before: u64,
    steps: u64,
    values: &'a [f64],
    /// The last report, if it was the last one.
    pruned: Result<Option<f64>>,
    work: &'a mut Work<'w>,
}

impl Observer for Report<'_, '_> {
    fn interrupted(&self) -> bool {
        self.worker.watcher.interrupted()
    }

    fn batch(&mut self, progress: &train::Progress, batches: usize) {
        let epochs = f64::from(progress.epoch) + progress.partial.batches as f64 / batches as f64;
        let share = (self.before as f64 + epochs) / self.steps as f64;
        self.worker
            .watcher
            .batch(self.worker.seat, self.claim, share);
    }

    fn epoch(&mut self, record: &EpochRecord, _best: bool) -> Control {
        let Some(value) = self.objective.of_epoch(record).filter(|x| x.is_finite()) else {
            return Control::Continue;
        };
        let mean = (self.values.iter().sum::<f64>() + value) / (self.values.len() as f64 + 1.0);
        let step = self.before + u64::from(record.epoch);
        self.worker
            .watcher
            .epoch(self.worker.seat, self.claim, step, mean);
        match self
            .work
            .report(self.claim, step, mean, self.pruner.as_ref())
        {
            Ok(false) => Control::Continue,
            Ok(true) => {
                self.pruned = Ok(Some(mean));
                Control::Stop
            }
            Err(error) => {
                self.pruned = Err(error);
                Control::Stop
            }
        }
    }
}
