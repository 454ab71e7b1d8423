//! What is written down of a run: a record of each epoch, and a summary.

use serde::{Deserialize, Serialize};

use crate::metrics::{DataPart, Evaluation, Metric, PartMetric};
use crate::statistics::Interval;

/// Metrics of the validation part that are measured only where they are asked for. One that was not is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OnRequest {
    /// Mean recall of the classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_balanced_accuracy: Option<f64>,
    /// Mean F1 of the classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_f1_macro: Option<f64>,
    /// Area under the ROC curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_roc_auc: Option<f64>,
    /// Average precision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_average_precision: Option<f64>,
}

impl OnRequest {
    /// Those that an evaluation on the validation part has.
    pub fn of(evaluation: Option<Evaluation>) -> Self {
        let value = |metric| evaluation.and_then(|e| e.get(metric));
        OnRequest {
            val_balanced_accuracy: value(Metric::BalancedAccuracy),
            val_f1_macro: value(Metric::F1Macro),
            val_roc_auc: value(Metric::RocAuc),
            val_average_precision: value(Metric::AveragePrecision),
        }
    }

    /// The value of a metric, if it was measured.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::BalancedAccuracy => self.val_balanced_accuracy,
            Metric::F1Macro => self.val_f1_macro,
            Metric::RocAuc => self.val_roc_auc,
            Metric::AveragePrecision => self.val_average_precision,
            Metric::Accuracy | Metric::Loss => None,
        }
    }
}

/// One epoch: a line of `metrics.jsonl`. What was not measured, or is not finite, is null there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: u32,
    /// Mean objective over the epoch's samples, each before its update.
    #[serde(deserialize_with = "null_is_nan")]
    pub train_loss: f64,
    /// The batches' mean objectives, summed.
    #[serde(deserialize_with = "null_is_nan")]
    pub train_loss_sum: f64,
    /// Share of correct samples, each before its update and with dropout.
    pub train_accuracy: f64,
    /// Mean cross-entropy on the validation part.
    pub val_loss: Option<f64>,
    /// Share of correct validation samples.
    pub val_accuracy: Option<f64>,
    /// What else was asked for.
    #[serde(flatten)]
    pub on_request: OnRequest,
    /// The rate of the epoch's last update.
    pub lr: f64,
    /// Seconds in the training part, without validation and files.
    pub train_seconds: f64,
    /// Training samples a second.
    pub samples_per_second: f64,
}

impl EpochRecord {
    /// The value of a metric, if it was measured.
    pub fn get(&self, PartMetric { part, metric }: PartMetric) -> Option<f64> {
        match (part, metric) {
            (DataPart::Training, Metric::Accuracy) => Some(self.train_accuracy),
            (DataPart::Training, Metric::Loss) => Some(self.train_loss),
            (DataPart::Validation, Metric::Accuracy) => self.val_accuracy,
            (DataPart::Validation, Metric::Loss) => self.val_loss,
            (DataPart::Validation, metric) => self.on_request.get(metric),
            (DataPart::Training | DataPart::Test, _) => None,
        }
    }

    /// All metrics of a part, if one was measured.
    pub fn evaluation(&self, part: DataPart) -> Option<Evaluation> {
        Evaluation::measured(|metric| self.get(metric.of(part)))
    }
}

/// JSON has no NaN: it is written as null.
fn null_is_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The outcome of a run: `summary.json`, and the object that `train --json` prints. What has no data is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The run's folder.
    pub run_dir: Option<String>,
    /// The data set's name.
    pub data: String,
    /// The network in words.
    pub network: String,
    /// Trained numbers.
    pub parameters: usize,
    /// The seed.
    pub seed: u64,
    /// Samples in the training part.
    pub train_samples: usize,
    /// Samples in the validation part.
    pub val_samples: usize,
    /// Samples that were tested on.
    #[serde(default)]
    pub test_samples: usize,
    /// Finished epochs.
    pub epochs_run: u32,
    /// The epoch whose weights are the model; without validation data the last one.
    pub best_epoch: Option<u32>,
    /// Seconds in the training part of each epoch.
    pub epoch_seconds: Vec<f64>,
    /// Training loss of the last epoch.
    pub train_loss: Option<f64>,
    /// Training accuracy of the last epoch.
    pub train_accuracy: Option<f64>,
    /// Validation accuracy of the model.
    pub val_accuracy: Option<f64>,
    /// Validation loss of the model.
    pub val_loss: Option<f64>,
    /// What else of the model was asked for.
    #[serde(flatten)]
    pub on_request: OnRequest,
    /// Test accuracy of the model.
    pub test_accuracy: Option<f64>,
    /// Test loss of the model.
    pub test_loss: Option<f64>,
    /// The loss stopped being a number.
    pub diverged: bool,
    /// Patience ran out before the last epoch.
    pub stopped_early: bool,
    /// A signal ended the run before its last epoch.
    pub interrupted: bool,
}

impl Summary {
    /// The value of a metric, if it was measured.
    pub fn get(&self, PartMetric { part, metric }: PartMetric) -> Option<f64> {
        match (part, metric) {
            (DataPart::Training, Metric::Accuracy) => self.train_accuracy,
            (DataPart::Training, Metric::Loss) => self.train_loss,
            (DataPart::Validation, Metric::Accuracy) => self.val_accuracy,
            (DataPart::Validation, Metric::Loss) => self.val_loss,
            (DataPart::Test, Metric::Accuracy) => self.test_accuracy,
            (DataPart::Test, Metric::Loss) => self.test_loss,
            (DataPart::Validation, metric) => self.on_request.get(metric),
            (DataPart::Training | DataPart::Test, _) => None,
        }
    }

    /// All metrics of a part, if one was measured.
    pub fn evaluation(&self, part: DataPart) -> Option<Evaluation> {
        Evaluation::measured(|metric| self.get(metric.of(part)))
    }

    /// The 95 % interval of a metric on the test part, if it was measured and is a proportion.
    pub fn test_interval(&self, metric: Metric) -> Option<Interval> {
        let value = self.get(metric.of(DataPart::Test))?;
        metric.interval(value, self.test_samples as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"epoch":2,"train_loss":null,"train_loss_sum":3.0,"train_accuracy":0.5,"val_loss":0.75,"val_accuracy":0.625,"lr":0.1,"train_seconds":0.25,"samples_per_second":10.0}"#;

    #[test]
    fn a_record_keeps_its_fields_and_their_order() {
        let record: EpochRecord = serde_json::from_str(RECORD).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), RECORD);
        let value = |name| record.get(PartMetric::from_name(name).unwrap());
        assert_eq!(value("train_accuracy"), Some(0.5));
        assert!(value("train_loss").unwrap().is_nan());
        assert_eq!(
            (value("val_accuracy"), value("val_loss")),
            (Some(0.625), Some(0.75))
        );
        assert_eq!(value("test_loss"), None);
    }

    #[test]
    fn metrics_on_request_are_written_where_they_were_measured() {
        let mut record: EpochRecord = serde_json::from_str(RECORD).unwrap();
        let asked = [(Metric::F1Macro, 0.5), (Metric::RocAuc, 0.75)];
        record.on_request = OnRequest::of(Some(Evaluation::new(asked)));
        let json = serde_json::to_string(&record).unwrap();
        let after = r#""val_accuracy":0.625,"#;
        let more = r#""val_f1_macro":0.5,"val_roc_auc":0.75,"#;
        assert_eq!(json, RECORD.replace(after, &format!("{after}{more}")));
        let again: EpochRecord = serde_json::from_str(&json).unwrap();
        assert_eq!(again.on_request, record.on_request);
        for metric in Metric::ALL.into_iter().filter(|m| m.is_on_request()) {
            let of_part = metric.of(DataPart::Validation);
            let written = serde_json::to_value(&record).unwrap()[of_part.name()].as_f64();
            assert_eq!(record.get(of_part), written);
        }
    }

    /// A later version may write down more.
    #[test]
    fn fields_that_are_not_known_are_ignored() {
        let later = RECORD.replace('{', r#"{"val_f1":0.5,"#);
        let record: EpochRecord = serde_json::from_str(&later).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), RECORD);

        let summary = r#"{"run_dir":null,"data":"d","network":"1-2","parameters":4,"seed":0,"train_samples":8,"val_samples":2,"test_samples":100,"epochs_run":1,"best_epoch":1,"epoch_seconds":[0.5],"train_loss":1.0,"train_accuracy":0.25,"val_accuracy":0.5,"val_loss":2.0,"test_accuracy":0.75,"test_loss":3.0,"diverged":false,"stopped_early":false,"interrupted":false}"#;
        let later = summary.replace("{", r#"{"test_f1":[0.5],"#);
        let found: Summary = serde_json::from_str(&later).unwrap();
        assert_eq!(serde_json::to_string(&found).unwrap(), summary);
    }

    #[test]
    fn every_metric_of_a_summary_is_found_by_its_name() {
        let summary = Summary {
            train_loss: Some(1.0),
            train_accuracy: Some(2.0),
            val_loss: Some(3.0),
            val_accuracy: Some(4.0),
            on_request: OnRequest {
                val_balanced_accuracy: Some(6.0),
                val_f1_macro: Some(7.0),
                val_roc_auc: Some(8.0),
                val_average_precision: Some(9.0),
            },
            test_loss: Some(5.0),
            test_accuracy: Some(0.75),
            test_samples: 100,
            ..Summary::default()
        };
        let json = serde_json::to_value(&summary).unwrap();
        for part in DataPart::ALL {
            for metric in Metric::ALL {
                let of_part = metric.of(part);
                assert_eq!(summary.get(of_part), json[of_part.name()].as_f64());
            }
        }
        assert_eq!(
            summary.test_interval(Metric::Accuracy),
            Metric::Accuracy.interval(0.75, 100)
        );
        assert_eq!(summary.test_interval(Metric::Loss), None);
    }
}
