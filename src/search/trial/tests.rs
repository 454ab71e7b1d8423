use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ndarray::Array2;

use super::*;
use crate::metrics::{Evaluation, ValidationMetric};
use crate::search::journal::{Journal, Operation, Storage, TrialState};
use crate::search::plan::{PrunerName, SamplerName};
use crate::search::space::Space;
use crate::search::study::Next;
use crate::settings::Settings;
use crate::train::{OtherMetrics, RunDir};

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
        unsaid: Settings::default(),
        seed: 1,
        repeats: 1,
        objective: ValidationMetric::default(),
        sampler: SamplerName::Random,
        pruner: PrunerName::None,
    }
}

fn join(journal: Journal, plan: &Plan) -> StudyWork<'_> {
    StudyWork::join(journal, plan, "hash", Duration::MAX).unwrap()
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
        let mut journal = Journal::join(self.journal).unwrap();
        // As if the worker had been silent for too long.
        let requeued = |storage: &Storage| {
            let mut again = storage.trial(claim.id).unwrap().content.clone();
            again.state = TrialState::Waiting;
            again.system_attrs = Attributes::from_iter([
                ("failed_trial".to_owned(), json!(claim.number)),
                ("retry_history".to_owned(), json!([claim.number])),
            ]);
            let fail = Operation::SetState {
                trial: claim.id,
                state: TrialState::Fail,
                values: None,
                at: None,
            };
            let trial = Box::new(again);
            Ok((vec![Operation::CreateTrial { study: 0, trial }, fail], ()))
        };
        journal.transaction(requeued).unwrap();
        let mut work = join(journal, self.worker.plan);
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
/// nor remove it. On Windows the run is open, so the other worker cannot remove it and says so.
#[test]
#[cfg_attr(windows, ignore = "an open run cannot be removed")]
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
        let mut work = join(Journal::join(journal).unwrap(), &plan);
        let Next::Run(claim) = work.claim(1).unwrap() else {
            panic!("no trial")
        };
        let end = worker(&thief).run(&mut work, &claim, 1).unwrap();
        assert_eq!(end, End::Lost);
        let run = RunDir::open(&run_folder(dir.path(), claim.slot, 0)).unwrap();
        assert_eq!(run.records().unwrap().len(), EPOCHS as usize);
        assert_eq!(run.summary().unwrap().unwrap().epochs_run, EPOCHS);
        let (storage, study) = work.look().unwrap();
        assert_eq!(storage.results(study), 1);
    }
}

/// A trial of a batch size that the training part does not reach notes what it was, and no other trial notes anything.
#[test]
fn batches_of_the_whole_training_part_are_noted() {
    let summary = Summary {
        train_samples: 80,
        ..Summary::default()
    };
    let noted = |asked| {
        notes(std::slice::from_ref(&summary), Task::Classification, asked).remove(WHOLE_BATCH)
    };
    assert_eq!(noted(Some(81)), Some(json!([80])));
    assert_eq!(noted(Some(80)), None);
    assert_eq!(noted(None), None);
}

#[test]
fn metrics_on_request_are_noted_where_they_were_measured() {
    let mut summary = Summary::default();
    let metrics = |summary: &Summary, task| -> Vec<String> {
        let notes = notes(std::slice::from_ref(summary), task, None);
        let metrics = notes.keys().filter(|key| key.starts_with("val_"));
        metrics.cloned().collect()
    };
    let classes = Task::Classification;
    assert_eq!(metrics(&summary, classes), ["val_accuracy", "val_loss"]);
    let of_values = ["val_rmse", "val_mae", "val_r2", "val_loss"];
    assert_eq!(metrics(&summary, Task::Regression), of_values);
    let roc_auc = Evaluation::new([(Metric::RocAuc, 0.5)]);
    summary.val_others = OtherMetrics::of(Some(roc_auc));
    assert_eq!(metrics(&summary, classes).len(), 3);
}
