//! The loop over epochs: records, checkpoints, the test at the end.

use std::path::Path;
use std::time::Duration;

use super::other_metrics::OtherMetrics;
use super::record::{EpochRecord, Summary};
use super::run_writer::RunWriter;
use super::stopwatch::Stopwatch;
use super::trainer::{EpochEnd, Progress, Trainer};
use crate::backend::Backend;
use crate::data::{Dataset, Split};
use crate::error::Result;
use crate::metrics::{Evaluation, Metric};
use crate::nn::NetworkSpec;
use crate::settings::Config;
use crate::simd;

/// Epochs shorter than this share a checkpoint.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// How many samples are learnt from before the tensors are hashed again.
const SAMPLES_PER_HASH: u64 = 8192;

/// What the caller wants after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The next epoch, if there is one.
    Continue,
    /// No further epoch: the run ends here as if this had been its last one.
    Stop,
}

/// What a run starts with, or goes on with.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The checked settings.
    pub config: &'a Config,
    /// The data.
    pub data: &'a Dataset,
    /// Which samples train and which validate.
    pub split: &'a Split,
    /// The network.
    pub network: &'a NetworkSpec,
    /// Trained numbers.
    pub parameters: usize,
    /// What computes, in words.
    pub backend: String,
    /// The run's folder.
    pub run_dir: Option<&'a Path>,
    /// The file system of the run's folder has no locks, so that nothing keeps a second process out.
    pub is_unlocked: bool,
    /// Where the run stands.
    pub progress: &'a Progress,
    /// What the user should know about how data and settings go together.
    pub notices: Vec<String>,
    /// A leftover sample is dropped each epoch, because a batch norm cannot learn from one.
    pub drops_single_leftover: bool,
}

impl<'a> Start<'a> {
    pub(super) fn of<B: Backend>(trainer: &'a Trainer<B>, run_dir: Option<&'a RunWriter>) -> Self {
        Start {
            config: trainer.config(),
            data: trainer.data(),
            split: trainer.split(),
            network: trainer.mlp().spec(),
            parameters: trainer.mlp().layout().parameter_count(),
            backend: trainer.mlp().backend().describe(),
            run_dir: run_dir.map(|r| r.run().path()),
            is_unlocked: run_dir.is_some_and(|r| !r.is_exclusive()),
            progress: &trainer.progress,
            notices: [
                &trainer.config().notices[..],
                trainer.fitted().notices(),
                &slow_products(),
            ]
            .concat(),
            drops_single_leftover: trainer.drops_single_leftover(),
        }
    }
}

/// Said where each multiply-add is a call of the system's library.
fn slow_products() -> Vec<String> {
    let set = simd::set();
    match set.has_mul_add() {
        true => Vec::new(),
        false => vec![format!(
            "the instruction set \"{}\" has no fused multiply-add here: training is many times slower",
            set.name()
        )],
    }
}

/// Watches a run. Every method has a default that does nothing, so `()` watches nothing.
pub trait Observer: Send {
    /// Before the first batch.
    fn start(&mut self, _start: &Start<'_>) {}

    /// Asked before every batch: whether to stop now, so that the run can be resumed.
    fn interrupted(&self) -> bool {
        false
    }

    /// Whether the record of an epoch shall have the hashes of all tensors though the run keeps no files.
    fn wants_hashes(&self, _epoch: u32) -> bool {
        false
    }

    /// After every batch of an epoch of `batches`.
    fn batch(&mut self, _progress: &Progress, _batches: usize) {}

    /// After every epoch, its record written; `best` if its weights are the best so far.
    fn epoch(&mut self, _record: &EpochRecord, _best: bool) -> Control {
        Control::Continue
    }
}

impl Observer for () {}

/// The records of a run, and what it came to.
#[derive(Clone, Debug)]
pub struct History {
    /// One record per epoch, those before a resume included.
    pub records: Vec<EpochRecord>,
    /// What it came to.
    pub summary: Summary,
}

/// Trains to the last epoch, or until patience, the observer or divergence ends the run; tests the best weights; writes
/// the summary. `records` are those of a resumed run's epochs. An interrupted run is checkpointed and not tested.
///
/// # Errors
/// If the device or the run's folder fails.
pub fn fit<B: Backend>(
    trainer: &mut Trainer<B>,
    run_dir: Option<&RunWriter>,
    mut records: Vec<EpochRecord>,
    observer: &mut dyn Observer,
) -> Result<History> {
    let mut interrupted = false;
    let mut checkpointed = Stopwatch::start();
    while trainer.progress.epoch < trainer.config().epochs
        && !trainer.progress.stopped_early
        && !trainer.progress.diverged
    {
        let epoch = trainer.progress.epoch + 1;
        let hashed = match run_dir {
            Some(_) => is_hashed(trainer, epoch),
            None => observer.wants_hashes(epoch),
        };
        let (record, finished) = match trainer.epoch(hashed, observer)? {
            EpochEnd::Interrupted => {
                interrupted = true;
                break;
            }
            EpochEnd::Finished(record) => (record, true),
            EpochEnd::Diverged(record) => (record, false),
        };
        if let Some(run_dir) = run_dir {
            run_dir.append(&record)?;
            if finished && checkpointed.elapsed() >= CHECKPOINT_INTERVAL {
                run_dir.checkpoint(trainer)?;
                checkpointed = Stopwatch::start();
            }
        }
        let best = trainer
            .progress
            .best
            .is_some_and(|b| b.epoch == record.epoch);
        let control = observer.epoch(&record, best);
        records.push(record);
        if control == Control::Stop {
            break;
        }
    }
    if let Some(run_dir) = run_dir {
        run_dir.checkpoint(trainer)?;
    }
    let test = if interrupted { None } else { trainer.test()? };
    let summary = summarise(trainer, run_dir, &records, test, interrupted);
    if let Some(run_dir) = run_dir {
        run_dir.summarise(&summary)?;
    }
    Ok(History { records, summary })
}

/// Whether the tensors of an epoch are hashed: of epochs 1, 2, 4, 8 and so on, and once in so many samples. So hashing
/// takes under 1 % of the time, and a run that was resumed, or got more epochs, has the same records.
fn is_hashed<B: Backend>(trainer: &Trainer<B>, epoch: u32) -> bool {
    let samples = trainer.split().train.len() as u64;
    let times = |epochs: u32| u64::from(epochs) * samples / SAMPLES_PER_HASH;
    epoch.is_power_of_two() || times(epoch) > times(epoch - 1)
}

fn summarise<B: Backend>(
    trainer: &Trainer<B>,
    run_dir: Option<&RunWriter>,
    records: &[EpochRecord],
    test: Option<Evaluation>,
    interrupted: bool,
) -> Summary {
    let progress = &trainer.progress;
    let best = progress.best;
    let last = records.last();
    Summary {
        run_dir: run_dir.map(|r| r.run().path().display().to_string()),
        data: trainer.data().name.clone(),
        task: trainer.config().task,
        network: trainer.mlp().spec().describe(),
        parameters: trainer.mlp().layout().parameter_count(),
        seed: trainer.config().seed,
        train_samples: trainer.split().train.len(),
        val_samples: trainer.split().validation.len(),
        test_samples: match (test, &trainer.data().test) {
            (Some(_), Some(samples)) => samples.len(),
            _ => 0,
        },
        epochs_run: progress.epoch,
        best_epoch: best.map(|b| b.epoch),
        epoch_seconds: records.iter().map(|r| r.train_seconds).collect(),
        train_loss: last.map(|r| r.train_loss).filter(|x| x.is_finite()),
        train_accuracy: last.and_then(|r| r.train_accuracy),
        val_accuracy: best.and_then(|b| b.val_accuracy),
        val_loss: best.and_then(|b| b.val_loss).filter(|x| x.is_finite()),
        val_others: best.map(|b| b.val_others).unwrap_or_default(),
        test_accuracy: test.and_then(|t| t.get(Metric::Accuracy)),
        test_loss: test
            .and_then(|t| t.get(Metric::Loss))
            .filter(|x| x.is_finite()),
        test_others: OtherMetrics::of(test),
        diverged: progress.diverged,
        stopped_early: progress.stopped_early,
        interrupted,
    }
}
