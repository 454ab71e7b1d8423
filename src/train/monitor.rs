//! Which epoch is the best one, and when to stop waiting for a better one.

use serde::{Deserialize, Serialize};

use super::other_metrics::{OtherMetrics, of_validation};
use super::record::EpochRecord;
use crate::data::{Dataset, Labels, Split, Task};
use crate::error::Result;
use crate::metrics::{DataPart, Evaluation, Metric};
use crate::settings::{Config, setting_error};

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// From 1.
    pub epoch: u32,
    /// Finished updates at its end.
    pub update: u64,
    /// Its validation accuracy, if there is validation data.
    pub val_accuracy: Option<f64>,
    /// Its validation loss.
    pub val_loss: Option<f64>,
    /// What else was measured.
    #[serde(flatten, with = "of_validation")]
    pub val_others: OtherMetrics,
}

impl Best {
    pub(super) fn new(epoch: u32, update: u64, validation: Option<Evaluation>) -> Self {
        let value = |metric| validation.and_then(|e| e.get(metric));
        Best {
            epoch,
            update,
            val_accuracy: value(Metric::Accuracy),
            val_loss: value(Metric::Loss),
            val_others: OtherMetrics::of(validation),
        }
    }

    /// What its weights come to on the validation part, if there is one.
    pub fn validation(&self) -> Option<Evaluation> {
        Evaluation::measured(|metric| match metric {
            Metric::Accuracy => self.val_accuracy,
            Metric::Loss => self.val_loss,
            other => self.val_others.get(other),
        })
    }
}

/// Checks that what a run goes by can be measured on its validation part.
///
/// # Errors
/// Names the setting and what the part lacks.
pub(super) fn check(config: &Config, data: &Dataset, split: &Split) -> Result<()> {
    check_task(config)?;
    for (key, monitor) in config.monitors() {
        if let Some((expected, found)) = lacking(monitor.metric(), config.task, data, split) {
            let message = format!("expected {expected} for {}, found {found}", monitor.name());
            return Err(setting_error(key, message));
        }
    }
    Ok(())
}

/// What a metric needs and the validation part lacks, and what it has instead.
fn lacking(
    metric: Metric,
    task: Task,
    data: &Dataset,
    split: &Split,
) -> Option<(&'static str, String)> {
    let rows = &split.validation;
    let labels = &data.validation.as_ref().unwrap_or(&data.train).labels;
    match labels {
        _ if rows.is_empty() => {
            let is_wanted = metric.is_on_request(task);
            is_wanted.then(|| ("validation data", "none".to_owned()))
        }
        _ if metric == Metric::R2 && rows.len() == 1 => {
            Some(("at least two validation samples", "1".to_owned()))
        }
        _ if !metric.needs_two_classes() => None,
        Labels::Classes(labels) => {
            let mut classes = rows.iter().map(|&row| labels[row as usize]);
            let first = classes
                .next()
                .filter(|&class| classes.all(|c| c == class))?;
            let found = match data.class_names.get(first as usize) {
                Some(name) => format!("only {name:?}"),
                None => format!("only class {first}"),
            };
            Some(("validation samples of at least two classes", found))
        }
        Labels::Values { values, columns } => {
            let has = |row: u32, column: usize| values[row as usize * columns + column] > 0.5;
            let is_mixed = |column| {
                rows.iter()
                    .any(|&row| has(row, column) != has(rows[0], column))
            };
            let any = (0..*columns).any(is_mixed);
            let expected = "a label that some validation samples have and others do not";
            (!any).then(|| (expected, "none".to_owned()))
        }
    }
}

/// Checks that models of the run's task are judged by what the run goes by.
fn check_task(config: &Config) -> Result<()> {
    for (key, monitor) in config.monitors() {
        if !monitor.metric().is_of(config.task) {
            let metrics = Metric::of_task(config.task).iter();
            let names: Vec<String> = metrics.map(|m| m.of(DataPart::Validation).name()).collect();
            let message = format!(
                "expected {} with task {}, found {}",
                names.join(", "),
                config.task.name(),
                monitor.name()
            );
            return Err(setting_error(key, message));
        }
    }
    Ok(())
}

/// Whether a new epoch is better than the best one before it. Without validation data the later epoch is.
pub(super) fn is_better(
    monitor: Metric,
    new: Option<Evaluation>,
    best: Option<Evaluation>,
) -> bool {
    match (new, best) {
        (Some(new), Some(best)) => new.beats(&best, monitor),
        _ => true,
    }
}

/// The epoch of a run whose weights are its model, going by the records alone. Epochs that diverged do not count.
pub(super) fn best_record(records: &[EpochRecord], monitor: Metric) -> Option<&EpochRecord> {
    let validation = |record: &EpochRecord| record.evaluation(DataPart::Validation);
    let finished = records.iter().filter(|r| r.train_loss.is_finite());
    finished.reduce(
        |best, new| match is_better(monitor, validation(new), validation(best)) {
            true => new,
            false => best,
        },
    )
}

/// How long a run has waited for a better epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Patience {
    /// The score to beat: the value that is monitored, signed so that the larger one is better.
    #[serde(rename = "patience_score")]
    score: Option<f64>,
    /// Epochs since the score was beaten.
    waited: u32,
}

impl Patience {
    /// Counts an epoch; whether `limit` epochs have passed without an improvement by more than `min_delta`.
    pub(super) fn runs_out(
        &mut self,
        monitor: Metric,
        validation: &Evaluation,
        min_delta: f64,
        limit: Option<u32>,
    ) -> bool {
        let value = validation.get(monitor).unwrap_or(f64::NAN);
        let score = monitor.direction().score(value);
        if self.score.is_none_or(|best| score > best + min_delta) {
            self.score = (!score.is_nan()).then_some(score);
            self.waited = 0;
            return false;
        }
        self.waited += 1;
        limit.is_some_and(|limit| self.waited >= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Features, Samples};
    use crate::settings::Settings;
    use std::path::PathBuf;

    fn evaluation(accuracy: f64, loss: f64) -> Evaluation {
        Evaluation::new([(Metric::Accuracy, accuracy), (Metric::Loss, loss)])
    }

    #[test]
    fn the_earlier_of_equal_epochs_is_the_best() {
        let (a, b) = (evaluation(0.5, 1.0), evaluation(0.5, 0.9));
        for metric in Metric::ALL {
            assert!(is_better(metric, Some(b), Some(a)));
            assert!(!is_better(metric, Some(a), Some(a)));
        }
    }

    #[test]
    fn without_validation_data_the_last_epoch_is_the_best() {
        assert!(is_better(Metric::Accuracy, None, None));
        assert_eq!(Best::new(3, 7, None).validation(), None);
    }

    #[test]
    fn a_best_epoch_keeps_its_evaluation() {
        let found = evaluation(0.5, 1.0);
        assert_eq!(Best::new(3, 7, Some(found)).validation(), Some(found));
    }

    #[test]
    fn patience_waits_in_the_direction_of_its_metric() {
        let ends = |metric, values: &[f64]| {
            let mut patience = Patience::default();
            let end = |x: &f64| patience.runs_out(metric, &evaluation(*x, *x), 0.1, Some(2));
            values.iter().position(end)
        };
        assert_eq!(ends(Metric::Accuracy, &[0.5, 0.55, 0.58]), Some(2));
        assert_eq!(ends(Metric::Accuracy, &[0.5, 0.55, 0.7, 0.7]), None);
        assert_eq!(ends(Metric::Loss, &[0.5, 0.45, 0.42]), Some(2));
        assert_eq!(ends(Metric::Loss, &[0.5, 0.45, 0.3, 0.3]), None);
        // A value that is no number improves on nothing, and whatever follows improves on it.
        assert_eq!(ends(Metric::Loss, &[f64::NAN, 9.0, 9.0]), None);
        assert_eq!(ends(Metric::Loss, &[1.0, f64::NAN, f64::NAN]), Some(2));
    }

    /// Two labels, of which one is on all samples and the other on the first alone.
    #[test]
    fn several_labels_are_ranked_where_they_differ() {
        let samples = Samples {
            features: Features::U8(vec![0; 3]),
            width: 1,
            labels: Labels::Values {
                values: vec![1.0, 1.0, 1.0, 0.0, 1.0, 0.0],
                columns: 2,
            },
            weights: None,
        };
        let data = Dataset {
            train: samples,
            validation: None,
            test: None,
            task: Task::Multilabel,
            class_names: ["a", "b"].map(str::to_owned).to_vec(),
            unseen: Vec::new(),
            image: None,
            table: None,
            name: String::new(),
            path: PathBuf::new(),
            hash: String::new(),
            notices: Vec::new(),
        };
        let lacks = |metric, task, validation: &[u32]| {
            let split = Split {
                train: Vec::new(),
                validation: validation.to_vec(),
            };
            lacking(metric, task, &data, &split).map(|(expected, _)| expected)
        };
        assert_eq!(lacks(Metric::RocAuc, Task::Multilabel, &[0, 1]), None);
        let differ = "a label that some validation samples have and others do not";
        assert_eq!(
            lacks(Metric::RocAuc, Task::Multilabel, &[1, 2]),
            Some(differ)
        );
        assert_eq!(lacks(Metric::F1Micro, Task::Multilabel, &[1, 2]), None);
        assert_eq!(
            lacks(Metric::RocAuc, Task::Multilabel, &[]),
            Some("validation data")
        );
        assert_eq!(lacks(Metric::R2, Task::Regression, &[0, 1]), None);
        let two = "at least two validation samples";
        assert_eq!(lacks(Metric::R2, Task::Regression, &[0]), Some(two));
        assert_eq!(lacks(Metric::R2, Task::Regression, &[]), None);
    }

    #[test]
    fn a_metric_of_another_task_is_refused() {
        let with = |task, monitor: &str| {
            let mut settings = Settings::default();
            settings.train.monitor = Some(serde_json::from_value(monitor.into()).unwrap());
            let mut config = Config::new(&settings).unwrap();
            config.task = task;
            check_task(&config)
        };
        assert!(with(Task::Regression, "val_r2").is_ok());
        assert!(with(Task::Multilabel, "val_accuracy").is_ok());
        let error = with(Task::Regression, "val_accuracy").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let expected =
            "expected val_rmse, val_mae, val_r2, val_loss with task regression, found val_accuracy";
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(with(Task::Classification, "val_f1_micro").is_err());
    }

    #[test]
    fn patience_is_saved_under_the_names_of_older_checkpoints() {
        let patience = Patience {
            score: Some(-0.5),
            waited: 1,
        };
        let json = r#"{"patience_score":-0.5,"waited":1}"#;
        assert_eq!(serde_json::to_string(&patience).unwrap(), json);
        assert_eq!(serde_json::from_str::<Patience>(json).unwrap(), patience);
    }
}
