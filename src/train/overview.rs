//! What a run's folder says about the run at a glance.

use std::path::PathBuf;

use super::RunDir;
use super::record::{EpochRecord, Summary};
use super::trainer::best_record;
use crate::error::Result;
use crate::settings::Config;
use crate::settings::Settings;

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All epochs are done.
    Finished,
    /// Patience ran out.
    StoppedEarly,
    /// The loss stopped being a number.
    Diverged,
    /// A signal ended it; it can be resumed.
    Interrupted,
    /// It has not ended: still running, or killed.
    Unfinished,
}

impl Status {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Status::Finished => "finished",
            Status::StoppedEarly => "stopped early",
            Status::Diverged => "diverged",
            Status::Interrupted => "interrupted",
            Status::Unfinished => "unfinished",
        }
    }
}

/// One run. What was not measured is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// The run's folder.
    pub run_dir: PathBuf,
    /// How far it came.
    pub status: Status,
    /// Finished epochs.
    pub epochs: u32,
    /// The epoch whose weights are the model.
    pub best_epoch: Option<u32>,
    /// Validation accuracy of the model.
    pub val_accuracy: Option<f64>,
    /// Validation loss of the model.
    pub val_loss: Option<f64>,
    /// Test accuracy of the model.
    pub test_accuracy: Option<f64>,
    /// Test loss of the model.
    pub test_loss: Option<f64>,
    /// Seconds in the training parts of all epochs.
    pub seconds: f64,
    /// Its settings.
    pub settings: Settings,
}

impl RunDir {
    /// Reads settings, records and summary.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn overview(&self) -> Result<Overview> {
        let settings = self.settings()?;
        let monitor = Config::new(&settings)?.monitor;
        let records = self.records()?;
        // A run that was resumed after it had ended has a summary of its first part only.
        let summary = self
            .summary()?
            .filter(|s| s.epoch_seconds.len() >= records.len());
        let best = best_record(&records, monitor);
        let summarised = summary.as_ref();
        let finished = |r: &&EpochRecord| r.train_loss.is_finite();
        Ok(Overview {
            run_dir: self.path().to_owned(),
            status: summarised.map_or(Status::Unfinished, status),
            epochs: summarised.map_or_else(
                || records.iter().filter(finished).count() as u32,
                |s| s.epochs_run,
            ),
            best_epoch: best.map(|r| r.epoch),
            val_accuracy: best.and_then(|r| r.val_accuracy),
            val_loss: best.and_then(|r| r.val_loss),
            test_accuracy: summarised.and_then(|s| s.test_accuracy),
            test_loss: summarised.and_then(|s| s.test_loss),
            seconds: records.iter().map(|r| r.train_seconds).sum(),
            settings,
        })
    }
}

fn status(summary: &Summary) -> Status {
    match summary {
        Summary { diverged: true, .. } => Status::Diverged,
        Summary {
            interrupted: true, ..
        } => Status::Interrupted,
        Summary {
            stopped_early: true,
            ..
        } => Status::StoppedEarly,
        _ => Status::Finished,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn record(epoch: u32, val: Option<(f64, f64)>) -> String {
        let (accuracy, loss) = (val.map(|v| v.0), val.map(|v| v.1));
        let record = EpochRecord {
            epoch,
            train_loss: 1.5,
            train_loss_sum: 3.0,
            train_accuracy: 0.5,
            val_loss: loss,
            val_accuracy: accuracy,
            lr: 0.1,
            train_seconds: 0.25,
            samples_per_second: 10.0,
        };
        serde_json::to_string(&record).unwrap() + "\n"
    }

    fn run(metrics: &str, settings: &str) -> (tempfile::TempDir, RunDir) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.toml"), settings).unwrap();
        fs::write(dir.path().join("metrics.jsonl"), metrics).unwrap();
        let run = RunDir::open(dir.path()).unwrap();
        (dir, run)
    }

    #[test]
    fn an_unfinished_run_goes_by_its_records() {
        let val = [(0.5, 1.0), (0.75, 0.9), (0.75, 0.8), (0.6, 0.1)];
        let records: String = (1..).zip(val).map(|(e, v)| record(e, Some(v))).collect();
        let torn = records.clone() + "{\"epo";
        let (_dir, by_accuracy) = run(&torn, "");
        let seen = by_accuracy.overview().unwrap();
        assert_eq!((seen.status, seen.epochs), (Status::Unfinished, 4));
        assert_eq!(
            (seen.best_epoch, seen.val_accuracy, seen.val_loss),
            (Some(3), Some(0.75), Some(0.8))
        );
        assert_eq!((seen.seconds, seen.test_accuracy), (1.0, None));
        let (_dir, by_loss) = run(&records, "[train]\nmonitor = \"val_loss\"\n");
        assert_eq!(by_loss.overview().unwrap().best_epoch, Some(4));
    }

    #[test]
    fn a_diverged_epoch_is_not_the_best() {
        let diverged = record(2, None).replace("1.5", "null");
        let (_dir, run) = run(&(record(1, Some((0.3, 2.0))) + &diverged), "");
        let seen = run.overview().unwrap();
        assert_eq!((seen.epochs, seen.best_epoch), (1, Some(1)));
        assert_eq!(seen.val_accuracy, Some(0.3));
    }

    #[test]
    fn a_broken_record_is_reported() {
        let (_dir, run) = run("{}\n", "");
        let error = run.overview().unwrap_err().to_string();
        assert!(
            error.contains("metrics.jsonl") && error.contains("line 1"),
            "{error}"
        );
    }
}
