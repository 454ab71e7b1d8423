//! What a run's folder says about the run at a glance.

use std::path::PathBuf;

use super::RunDir;
use super::monitor::best_record;
use super::record::{EpochRecord, Summary};
use crate::data::Task;
use crate::error::Result;
use crate::metrics::{DataPart, Evaluation, PartMetric};
use crate::settings::{Config, Settings};

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
    /// A process works on it.
    Running,
    /// It was killed; it can be resumed.
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
            Status::Running => "running",
            Status::Unfinished => "unfinished",
        }
    }
}

/// One run. What was not measured is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// The run's folder.
    pub run_dir: PathBuf,
    /// What its model tells of a sample.
    pub task: Task,
    /// How far it came.
    pub status: Status,
    /// Finished epochs.
    pub epochs: u32,
    /// The epoch whose weights are the model.
    pub best_epoch: Option<u32>,
    /// Metrics of the model on the validation part.
    pub validation: Option<Evaluation>,
    /// Metrics of the model on the test part.
    pub test: Option<Evaluation>,
    /// Seconds in the training parts of all epochs.
    pub seconds: f64,
    /// Its settings.
    pub settings: Settings,
}

impl Overview {
    /// The value of a metric of the model, if it was measured.
    pub fn get(&self, PartMetric { part, metric }: PartMetric) -> Option<f64> {
        let evaluation = match part {
            DataPart::Training => None,
            DataPart::Validation => self.validation,
            DataPart::Test => self.test,
        };
        evaluation.and_then(|e| e.get(metric))
    }
}

impl RunDir {
    /// Reads settings, records and summary.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn overview(&self) -> Result<Overview> {
        let settings = self.settings()?;
        let config = Config::new(&settings)?;
        let records = self.records()?;
        // A run that was resumed after it had ended has a summary of its first part only.
        let summary = self
            .summary()?
            .filter(|s| s.epoch_seconds.len() >= records.len());
        let best = best_record(&records, config.monitor.metric());
        let summarised = summary.as_ref();
        let finished = |r: &&EpochRecord| r.train_loss.is_finite();
        Ok(Overview {
            run_dir: self.path().to_owned(),
            task: config.task,
            status: match self.holder() {
                Some(_) => Status::Running,
                None => summarised.map_or(Status::Unfinished, status),
            },
            epochs: summarised.map_or_else(
                || records.iter().filter(finished).count() as u32,
                |s| s.epochs_run,
            ),
            best_epoch: best.map(|r| r.epoch),
            validation: best.and_then(|r| r.evaluation(DataPart::Validation)),
            test: summarised.and_then(|s| s.evaluation(DataPart::Test)),
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::metrics::Metric;
    use crate::train::OtherMetrics;
    use std::fs;

    fn record(epoch: u32, val: Option<(f64, f64)>) -> String {
        let (accuracy, loss) = (val.map(|v| v.0), val.map(|v| v.1));
        let record = EpochRecord {
            epoch,
            train_loss: 1.5,
            train_loss_sum: 3.0,
            train_accuracy: Some(0.5),
            val_loss: loss,
            val_accuracy: accuracy,
            val_others: OtherMetrics::default(),
            lr: 0.1,
            train_seconds: 0.25,
            samples_per_second: 10.0,
            sha256: BTreeMap::new(),
            computed_on: None,
            layers: Vec::new(),
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
        assert_eq!(seen.best_epoch, Some(3));
        let value = |name| seen.get(PartMetric::from_name(name).unwrap());
        assert_eq!(value("val_accuracy"), Some(0.75));
        assert_eq!(value("val_loss"), Some(0.8));
        assert_eq!((seen.seconds, seen.test), (1.0, None));
        let (_dir, by_loss) = run(&records, "[train]\nmonitor = \"val_loss\"\n");
        assert_eq!(by_loss.overview().unwrap().best_epoch, Some(4));
    }

    #[test]
    fn a_metric_on_request_chooses_the_epoch() {
        let with_f1 = |(epoch, f1): (u32, f64)| {
            let line = record(epoch, Some((0.5, 1.0)));
            line.replace("\"lr\"", &format!("\"val_f1_macro\":{f1},\"lr\""))
        };
        let records: String = (1..).zip([0.2, 0.6, 0.4]).map(with_f1).collect();
        let (_dir, run) = run(&records, "[train]\nmonitor = \"val_f1_macro\"\n");
        let seen = run.overview().unwrap();
        let f1 = Metric::F1Macro.of(DataPart::Validation);
        assert_eq!((seen.best_epoch, seen.get(f1)), (Some(2), Some(0.6)));
    }

    #[test]
    fn a_diverged_epoch_is_not_the_best() {
        let diverged = record(2, None).replace("1.5", "null");
        let (_dir, run) = run(&(record(1, Some((0.3, 2.0))) + &diverged), "");
        let seen = run.overview().unwrap();
        assert_eq!((seen.epochs, seen.best_epoch), (1, Some(1)));
        let accuracy = Metric::Accuracy.of(DataPart::Validation);
        assert_eq!(seen.get(accuracy), Some(0.3));
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
