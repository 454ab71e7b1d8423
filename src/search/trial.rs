//! One trial: its repeats are trained one after the other, and their mean counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::journal::{Attributes, TrialState};
use super::plan::Plan;
use super::pruner::Pruner;
use super::study::{Claim, StudyWork};
use super::watch::{Assignment, End, Watcher};
use crate::data::Dataset;
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
    /// If the settings do not fit the data, or a file cannot be written. The trial has ended, or waits again.
    pub(super) fn run(
        &self,
        work: &mut StudyWork<'_>,
        claim: &Claim,
        threads: usize,
    ) -> Result<End> {
        let trained = self.train(work, claim, threads);
        match &trained {
            Ok(End::Complete(_)) => {}
            Ok(End::Pruned(_) | End::Diverged) => self.remove_runs(claim),
            // The runs are removed before another worker may take the trial, and makes its own in their place.
            Ok(End::Interrupted) => {
                self.remove_runs(claim);
                work.give_back(claim)?;
            }
            // Another worker that took this one for dead has the trial, and its runs are in that place now.
            Err(_) if !is_running(work, claim) => {}
            Err(error) => {
                self.remove_runs(claim);
                // The first error is the one to report; that this cannot be written either adds nothing.
                let _ = match error.exit_code() {
                    2 => work.fail(claim, &error.to_string()),
                    _ => work.give_back(claim),
                };
            }
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
                pruned: Ok(None),
                work,
            };
            let folder = run_folder(self.folder, claim.slot, repeat);
            // What an earlier attempt has left.
            remove(&folder)?;
            let data = self.data.clone();
            let summary = train::run(config, data, Some(&folder), &mut report)?.summary;
            if let Some(value) = report.pruned? {
                return Ok(End::Pruned(value));
            }
            if summary.interrupted {
                return Ok(End::Interrupted);
            }
            let value = summary.get(objective).filter(|_| !summary.diverged);
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

/// Whether no other program has ended a claimed trial.
fn is_running(work: &mut StudyWork<'_>, claim: &Claim) -> bool {
    work.look().is_ok_and(|(storage, _)| {
        let trial = storage.trial(claim.id);
        trial.is_some_and(|trial| trial.state() == TrialState::Running)
    })
}

/// The results of the repeats that are written into the study file, for reports.
fn notes(summaries: &[Summary]) -> Attributes {
    let list = |of: &dyn Fn(&Summary) -> Value| summaries.iter().map(of).collect::<Value>();
    let mut notes = Attributes::new();
    for metric in Metric::ALL.map(|m| m.of(DataPart::Validation)) {
        notes.insert(metric.name(), list(&|s| json!(s.get(metric))));
    }
    notes.insert("train_loss".into(), list(&|s| json!(s.train_loss)));
    notes.insert("best_epoch".into(), list(&|s| json!(s.best_epoch)));
    let seconds = |s: &Summary| json!(s.epoch_seconds.iter().sum::<f64>());
    notes.insert("train_seconds".into(), list(&seconds));
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
    /// The last report, if it was the last one.
    pruned: Result<Option<f64>>,
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use ndarray::Array2;

    use super::super::journal::Journal;
    use super::super::plan::{PrunerName, SamplerName};
    use super::super::space::Space;
    use super::super::study::Next;
    use super::*;
    use crate::metrics::ValidationMetric;
    use crate::settings::Settings;
    use crate::train::RunDir;

    const EPOCHS: u32 = 3;

    fn plan() -> Plan {
        let mut space = Space::default();
        space.add("lr", "0.001..0.01").unwrap();
        let mut base = Settings::default();
        base.model.widths = Some(vec![5]);
        base.train.epochs = Some(EPOCHS);
        base.train.batch_size = Some(9);
        Plan {
            name: "test".into(),
            space,
            base,
            seed: 1,
            repeats: 1,
            objective: ValidationMetric::default(),
            sampler: SamplerName::Random,
            pruner: PrunerName::None,
        }
    }

    /// Takes the trial of a worker that sleeps, and completes it.
    struct Thief<'a> {
        journal: &'a Path,
        worker: Worker<'a>,
        /// Whether it comes in the middle of an epoch or at its end.
        amid: bool,
        came: AtomicBool,
    }

    impl Thief<'_> {
        fn come(&self, claim: &Claim) {
            if self.came.swap(true, Ordering::Relaxed) {
                return;
            }
            let journal = Journal::join(self.journal).unwrap();
            let mut work = StudyWork::join(journal, self.worker.plan, "hash").unwrap();
            work.give_back(claim).unwrap();
            let Next::Run(claim) = work.claim(1).unwrap() else {
                panic!("no trial in the queue")
            };
            let end = self.worker.run(&mut work, &claim, 1).unwrap();
            assert!(matches!(end, End::Complete(_)));
        }
    }

    impl Watcher for Thief<'_> {
        fn batch(&self, _assignment: Assignment, claim: &Claim, _share: f64) {
            if self.amid {
                self.come(claim);
            }
        }

        fn epoch(&self, _assignment: Assignment, claim: &Claim, _step: u64, _value: f64) {
            self.come(claim);
        }
    }

    /// A worker that slept until it counted as dead must neither write to the run of the worker that has its trial now,
    /// nor remove it.
    #[test]
    fn a_worker_that_lost_its_trial_leaves_the_run_of_the_other_one_alone() {
        let x = Array2::from_shape_fn((60, 3), |(i, j)| ((i * 7 + j * 5) % 11) as f32 / 10.0);
        let labels: Vec<u32> = (0..60).map(|i| i % 3).collect();
        let data = Arc::new(Dataset::from_arrays(x.view(), &labels).unwrap());
        let plan = plan();
        for amid in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let journal = &dir.path().join("study.journal");
            let worker = |watcher| Worker {
                plan: &plan,
                data: &data,
                folder: dir.path(),
                watcher,
                assignment: Assignment { worker: 0, task: 0 },
            };
            let thief = Thief {
                journal,
                worker: worker(&()),
                amid,
                came: AtomicBool::new(false),
            };
            let joined = Journal::join(journal).unwrap();
            let mut work = StudyWork::join(joined, &plan, "hash").unwrap();
            let Next::Run(claim) = work.claim(1).unwrap() else {
                panic!("no trial")
            };
            worker(&thief).run(&mut work, &claim, 1).unwrap_err();
            let run = RunDir::open(&run_folder(dir.path(), claim.slot, 0)).unwrap();
            assert_eq!(run.records().unwrap().len(), EPOCHS as usize);
            assert_eq!(run.summary().unwrap().unwrap().epochs_run, EPOCHS);
            let (storage, study) = work.look().unwrap();
            assert_eq!(storage.results(study), 1);
        }
    }
}
