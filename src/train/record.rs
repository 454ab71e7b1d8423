//! What is written down of a run: a record of each epoch, and a summary.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::other_metrics::{OtherMetrics, of_test, of_validation};
use crate::data::Task;
use crate::metrics::{DataPart, Evaluation, Metric, PartMetric};
use crate::statistics::Interval;

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
    /// Share of correct samples, each before its update and with dropout. Numbers have none.
    pub train_accuracy: Option<f64>,
    /// Mean loss on the validation part.
    pub val_loss: Option<f64>,
    /// Share of correct validation samples.
    pub val_accuracy: Option<f64>,
    /// What else was measured on the validation part.
    #[serde(flatten, with = "of_validation")]
    pub val_others: OtherMetrics,
    /// The rate of the epoch's last update.
    pub lr: f64,
    /// Seconds in the training part, without validation and files; 0 where the system has no clock.
    pub train_seconds: f64,
    /// Training samples a second; 0 where the system has no clock.
    pub samples_per_second: f64,
    /// The SHA-256 of each tensor at the epoch's end, in hexadecimal, by its name in `model.safetensors`: of the bytes
    /// that such a file holds. A run that keeps files has them for every epoch of 8192 training samples or more; with
    /// fewer samples for one epoch in so many samples, and for epochs 1, 2, 4, 8 and so on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sha256: BTreeMap<String, String>,
    /// What computed the hashed tensors ([`Backend::reproducible_on`](crate::backend::Backend::reproducible_on)), if
    /// another kind of machine may give other bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed_on: Option<String>,
    /// What the layers did, the first one first, in a run that is watched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerRecord>,
}

/// A Linear with its activation, after an epoch. W is its matrix, of members all their output layers together. What is
/// no finite number, or has no meaning, is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// From 1; the last one is the output layer.
    pub layer: usize,
    /// The root mean square of the layer's outputs, those of the activation, in evaluation.
    pub activations: Option<f64>,
    /// The root mean square of ∂L/∂W.
    pub gradients: Option<f64>,
    /// The root mean square of W's change in one update.
    pub updates: Option<f64>,
    /// The root mean square of W.
    pub weights: Option<f64>,
    /// `updates / weights`.
    pub update_ratio: Option<f64>,
    /// The share of units whose activation is flat for every sample, and which therefore learn nothing: the output is 0
    /// (relu), or the slope at most a twentieth of the steepest (sigmoid, tanh). Other activations, and the output
    /// layer, have none.
    pub dead_units: Option<f64>,
}

impl EpochRecord {
    /// The value of a metric, if it was measured.
    pub fn get(&self, PartMetric { part, metric }: PartMetric) -> Option<f64> {
        match (part, metric) {
            (DataPart::Training, Metric::Accuracy) => self.train_accuracy,
            (DataPart::Training, Metric::Loss) => Some(self.train_loss),
            (DataPart::Validation, Metric::Accuracy) => self.val_accuracy,
            (DataPart::Validation, Metric::Loss) => self.val_loss,
            (DataPart::Validation, metric) => self.val_others.get(metric),
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
    /// What the model says of a sample; classes are not written down.
    #[serde(default, skip_serializing_if = "Task::is_classification")]
    pub task: Task,
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
    /// What else of the model was measured on the validation part.
    #[serde(flatten, with = "of_validation")]
    pub val_others: OtherMetrics,
    /// Test accuracy of the model.
    pub test_accuracy: Option<f64>,
    /// Test loss of the model.
    pub test_loss: Option<f64>,
    /// What else of the model was measured on the test part.
    #[serde(flatten, with = "of_test")]
    pub test_others: OtherMetrics,
    /// The loss, a weight or a running statistic stopped being a finite number.
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
            (DataPart::Validation, metric) => self.val_others.get(metric),
            (DataPart::Test, metric) => self.test_others.get(metric),
            (DataPart::Training, _) => None,
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

    /// Accuracy and loss have fields of their own.
    #[test]
    fn other_metrics_are_written_where_they_were_measured() {
        let mut record: EpochRecord = serde_json::from_str(RECORD).unwrap();
        let asked = [
            (Metric::Loss, 0.1),
            (Metric::Accuracy, 0.2),
            (Metric::F1Macro, 0.5),
            (Metric::RocAuc, 0.75),
        ];
        record.val_others = OtherMetrics::of(Some(Evaluation::new(asked)));
        let json = serde_json::to_string(&record).unwrap();
        let after = r#""val_accuracy":0.625,"#;
        let more = r#""val_f1_macro":0.5,"val_roc_auc":0.75,"#;
        assert_eq!(json, RECORD.replace(after, &format!("{after}{more}")));
        let again: EpochRecord = serde_json::from_str(&json).unwrap();
        assert_eq!(again.val_others, record.val_others);
        for metric in Metric::ALL {
            let of_part = metric.of(DataPart::Validation);
            let written = serde_json::to_value(&record).unwrap()[of_part.name()].as_f64();
            assert_eq!(record.get(of_part), written);
        }
    }

    #[test]
    fn a_record_of_numbers_has_their_metrics_and_no_accuracy() {
        let json = RECORD
            .replace("0.5,\"val_loss\"", "null,\"val_loss\"")
            .replace(
                "\"val_accuracy\":0.625",
                "\"val_accuracy\":null,\"val_rmse\":1234567.8,\"val_mae\":0.25,\"val_r2\":-1e300",
            );
        let record: EpochRecord = serde_json::from_str(&json).unwrap();
        let value = |name| record.get(PartMetric::from_name(name).unwrap());
        assert_eq!(
            (value("train_accuracy"), value("val_accuracy")),
            (None, None)
        );
        assert_eq!(value("val_rmse"), Some(1_234_567.8));
        assert_eq!(
            (value("val_r2"), value("val_f1_micro")),
            (Some(-1e300), None)
        );
        let again = serde_json::to_string(&record).unwrap();
        let read: EpochRecord = serde_json::from_str(&again).unwrap();
        assert_eq!(read.val_others, record.val_others);
        assert_eq!(again.replace("1e+300", "1e300"), json);
    }

    #[test]
    fn a_metric_that_is_no_number_is_refused_by_its_name() {
        let with = |text: &str| {
            let json = RECORD.replace('{', &format!("{{\"val_r2\":{text},"));
            serde_json::from_str::<EpochRecord>(&json)
        };
        let r2 = Metric::R2.of(DataPart::Validation);
        assert_eq!(with("0.5").unwrap().get(r2), Some(0.5));
        assert_eq!(with("1").unwrap().get(r2), Some(1.0));
        assert_eq!(with("null").unwrap().get(r2), None);
        for text in ["\"high\"", "[0.5]", "true"] {
            let error = with(text).unwrap_err().to_string();
            assert!(error.contains("val_r2"), "{error}");
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
        let of = |first: f64| {
            let values = (0..).map(|i| first + f64::from(i));
            OtherMetrics::of(Some(Evaluation::new(Metric::ALL.into_iter().zip(values))))
        };
        let summary = Summary {
            train_loss: Some(1.0),
            train_accuracy: Some(2.0),
            val_loss: Some(3.0),
            val_accuracy: Some(4.0),
            val_others: of(6.0),
            test_others: of(20.0),
            test_loss: Some(5.0),
            test_accuracy: Some(0.75),
            test_samples: 100,
            task: Task::Multilabel,
            ..Summary::default()
        };
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["task"], "multilabel");
        assert_eq!(
            serde_json::from_value::<Summary>(json.clone()).unwrap(),
            summary
        );
        for part in DataPart::ALL {
            for metric in Metric::ALL {
                let of_part = metric.of(part);
                assert_eq!(summary.get(of_part), json[of_part.name()].as_f64());
                let is_measured =
                    part != DataPart::Training || matches!(metric, Metric::Accuracy | Metric::Loss);
                assert_eq!(summary.get(of_part).is_some(), is_measured);
            }
        }
        assert_eq!(
            summary.test_interval(Metric::Accuracy),
            Metric::Accuracy.interval(0.75, 100)
        );
        assert_eq!(summary.test_interval(Metric::Loss), None);
    }
}
