//! What is measured: a line an epoch, and a summary a run.

use serde::{Deserialize, Serialize};

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
    /// The rate of the epoch's last update.
    pub lr: f64,
    /// Seconds in the training part, without validation and files.
    pub train_seconds: f64,
    /// Training samples a second.
    pub samples_per_second: f64,
}

/// JSON has no NaN: it is written as null.
fn null_is_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// What a run came to: `summary.json`, and the object that `train --json` prints. What has no data is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
