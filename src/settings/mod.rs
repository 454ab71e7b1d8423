//! The settings of a run: what a user may say, in a TOML file or as flags, and how the two are laid over the defaults.
//!
//! Every key is written once, here: its name in the file is its field, its flag and its help text come from the same line. An absent key is
//! `None`, so that layers can be told apart; [`Config`] is the checked result.

mod config;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub use config::Config;
pub(crate) use config::within;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::backend::Order;
use crate::backend::select::{Device, Precision};
use crate::data::normalize::Normalize;
use crate::error::{Error, Result};
use crate::metrics::ValidationMetric;
use crate::ops::activation::Activation;

/// All settings, by section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `[data]`
    #[command(flatten)]
    pub data: DataSettings,
    /// `[model]`
    #[command(flatten)]
    pub model: ModelSettings,
    /// `[train]`
    #[command(flatten)]
    pub train: TrainSettings,
    /// `[optimizer]`
    #[command(flatten)]
    pub optimizer: OptimizerSettings,
    /// `[schedule]`
    #[command(flatten)]
    pub schedule: ScheduleSettings,
}

/// What to learn from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Data")]
pub struct DataSettings {
    /// Data set: a folder of IDX or NPY files, an NPZ or a CSV file, plain or gzip [default: Fashion-MNIST, looked for in $CHAINRULE_DATA, data/fashion-mnist, /usr/share/datasets/fashion-mnist]
    #[arg(long = "data", value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// CSV column that holds the label, by name or by index (from 0; negative from the end) [default: label, class, target or y; else the last]
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub label: Option<String>,
    /// Share of the training samples that is kept for validation, drawn class by class [default: 0.2]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub validation: Option<f64>,
    /// Evaluate on the test set after training [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub test: Option<bool>,
    /// auto: bytes to 0..1, floats as they are; standard: mean 0 and deviation 1, fitted on the training part [default: auto]
    #[arg(long, value_name = "HOW")]
    pub normalize: Option<Normalize>,
    /// Random changes of each training image: flip, shift=PIXELS (or crop=PIXELS), noise=DEVIATION, joined by commas [default: none]
    #[arg(long, value_name = "LIST")]
    pub augment: Option<String>,
}

/// The network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Model")]
pub struct ModelSettings {
    /// Units of the first hidden layer [default: 500]
    #[arg(long, value_name = "UNITS")]
    pub width: Option<usize>,
    /// Linear layers, the last one included [default: 2]
    #[arg(long, value_name = "LAYERS")]
    pub depth: Option<usize>,
    /// Units of every hidden layer, instead of --width, --depth and --taper
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub widths: Option<Vec<usize>>,
    /// Make each hidden layer narrower than the one before by width/(depth-1), rounded down [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub taper: Option<bool>,
    /// Batch normalisation after each hidden Linear [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub batch_norm: Option<bool>,
    /// Nonlinearity of the hidden layers [default: relu]
    #[arg(long, value_name = "NAME")]
    pub activation: Option<Activation>,
    /// Probability of dropping a hidden unit in training [default: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub dropout: Option<f64>,
    /// Whether dropout or the activation comes first [default: dropout_activation]
    #[arg(long, value_name = "NAME")]
    pub order: Option<Order>,
    /// Initial weights: default, kaiming_uniform, kaiming_normal, xavier_uniform, xavier_normal; the last four also with a gain, as in xavier_normal=1.5 [default: default]
    #[arg(long, value_name = "NAME")]
    pub init: Option<String>,
}

/// The loop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Training")]
pub struct TrainSettings {
    /// Passes over the training part [default: 10]
    #[arg(long, value_name = "N")]
    pub epochs: Option<u32>,
    /// Samples per update [default: 100]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Seed of weights, split, order, dropout and augmentation [default: 0]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Threads; the result does not depend on them [default: $RAYON_NUM_THREADS, else one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Numbers to compute with [default: f32]
    #[arg(long, value_name = "NAME")]
    pub precision: Option<Precision>,
    /// Where to compute: cpu, cuda or cuda:N (the N-th NVIDIA GPU, from 0) [default: cpu]
    #[arg(long, value_name = "NAME")]
    pub device: Option<Device>,
    /// A new order of the samples every epoch [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub shuffle: Option<bool>,
    /// Leave out an epoch's last batch if it is shorter than the others [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub drop_last: Option<bool>,
    /// Label smoothing, in 0..1 [default: 0]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub label_smoothing: Option<f64>,
    /// One weight per class in the loss [default: all 1]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    pub class_weights: Option<Vec<f64>>,
    /// Scale gradients so that their norm is at most this; 0 is off [default: 0]
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub clip_norm: Option<f64>,
    /// Stop after this many epochs without improvement of --monitor [default: off]
    #[arg(long, value_name = "EPOCHS")]
    pub patience: Option<u32>,
    /// What counts as an improvement for --patience [default: 0]
    #[arg(long, value_name = "DELTA", allow_negative_numbers = true)]
    pub min_delta: Option<f64>,
    /// What makes an epoch the best; ties go to the lower loss, then to the earlier epoch [default: val_accuracy]
    #[arg(long, value_name = "NAME")]
    pub monitor: Option<ValidationMetric>,
}

/// The optimiser. Keys that the chosen one does not have are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Optimizer")]
pub struct OptimizerSettings {
    /// Rule for the update [default: adam]
    #[arg(long = "optimizer", id = "optimizer", value_name = "NAME", value_parser = ["sgd", "adam", "adamw", "rmsprop", "rprop"])]
    pub name: Option<String>,
    /// Learning rate [default: 0.001]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// Momentum of sgd and rmsprop [default: 0]
    #[arg(long, value_name = "MU", allow_negative_numbers = true)]
    pub momentum: Option<f64>,
    /// Nesterov's form of sgd's momentum [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub nesterov: Option<bool>,
    /// L2 penalty; for adamw decoupled decay [default: 0; adamw 0.01]
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// Decay of adam's first moment [default: 0.9]
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    pub beta1: Option<f64>,
    /// Decay of adam's second moment [default: 0.999]
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    pub beta2: Option<f64>,
    /// Added to the denominator of adam and rmsprop [default: 1e-8]
    #[arg(long, value_name = "EPS", allow_negative_numbers = true)]
    pub eps: Option<f64>,
    /// Decay of rmsprop's mean square [default: 0.99]
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true)]
    pub alpha: Option<f64>,
}

/// The learning rate's course. Keys that the chosen one does not have are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Args)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleSettings {
    /// Course of the learning rate [default: constant]
    #[arg(long = "schedule", id = "schedule", value_name = "NAME", value_parser = ["constant", "step", "multistep", "exponential", "cosine", "onecycle", "plateau"])]
    pub name: Option<String>,
    /// Step the schedule after each epoch or each update [default: epoch]
    #[arg(long = "schedule-by", id = "schedule-by", value_name = "WHEN", value_parser = ["epoch", "update"])]
    pub by: Option<String>,
    /// Steps between two reductions (step)
    #[arg(long, value_name = "N")]
    pub step_size: Option<u64>,
    /// Factor of a reduction (step, multistep: 0.1 by default; exponential)
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    pub gamma: Option<f64>,
    /// Steps at which to reduce (multistep)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub milestones: Option<Vec<u64>>,
    /// Share of the run in which the rate rises (onecycle) [default: 0.3]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub pct_start: Option<f64>,
    /// Factor of a reduction (plateau) [default: 0.1]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    pub factor: Option<f64>,
    /// Epochs without improvement before a reduction (plateau) [default: 10]
    #[arg(
        long = "schedule-patience",
        id = "schedule-patience",
        value_name = "EPOCHS"
    )]
    pub patience: Option<u64>,
    /// Steps over which the rate first rises in equal parts [default: 0]
    #[arg(long, value_name = "N")]
    pub warmup: Option<u64>,
}

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// Names the line of an unknown key or of a value of the wrong type.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        Self::from_toml(path, &text)
    }

    /// Reads the text of a TOML file.
    ///
    /// # Errors
    /// As for [`Settings::from_file`].
    pub fn from_toml(path: &Path, text: &str) -> Result<Self> {
        parse(path, text)
    }

    /// These settings, and where one is absent that of `lower`.
    pub fn over(&self, lower: &Settings) -> Self {
        let mut table = lower.to_table();
        for (section, keys) in self.to_table() {
            match (table.get_mut(&section), keys) {
                (Some(toml::Value::Table(below)), toml::Value::Table(keys)) => below.extend(keys),
                (_, keys) => {
                    table.insert(section, keys);
                }
            }
        }
        table.try_into().expect("keys of two settings are settings")
    }

    /// The settings that are present, as a table of sections.
    fn to_table(&self) -> toml::Table {
        toml::Table::try_from(self).expect("settings are a table")
    }

    /// Every present setting as ("section.key", value as in a TOML file).
    pub fn flat(&self) -> BTreeMap<String, String> {
        let mut flat = BTreeMap::new();
        for (section, keys) in self.to_table() {
            for (key, value) in keys.as_table().into_iter().flatten() {
                flat.insert(format!("{section}.{key}"), value.to_string());
            }
        }
        flat
    }

    /// As the text of a TOML file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are a table")
    }
}

/// Reads the text of a TOML file; an error names the line.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|e| {
        let before = &text[..e.span().map_or(0, |s| s.start).min(text.len())];
        let place = format!("line {}", before.matches('\n').count() + 1);
        Error::format(path, place, "settings", e.message().trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("case.toml");
        fs::write(&path, text).unwrap();
        Settings::from_file(&path)
    }

    #[test]
    fn layers() {
        let file =
            parse("[train]\nepochs = 3\nseed = 9\n[model]\nwidths = [7, 5]\n[optimizer]\nlr = 1\n")
                .unwrap();
        let mut flags = Settings::default();
        flags.train.epochs = Some(4);
        flags.model.dropout = Some(0.5);
        let both = flags.over(&file);
        assert_eq!((both.train.epochs, both.train.seed), (Some(4), Some(9)));
        assert_eq!(
            (both.model.widths.clone(), both.model.dropout),
            (Some(vec![7, 5]), Some(0.5))
        );
        assert_eq!(both.optimizer.lr, Some(1.0));
        assert_eq!(parse(&both.to_toml()).unwrap(), both);
    }

    #[test]
    fn devices_go_both_ways() {
        for (text, device, shown) in [
            ("cpu", Device::Cpu, "cpu"),
            ("cuda", Device::Cuda(0), "cuda:0"),
            ("cuda:3", Device::Cuda(3), "cuda:3"),
        ] {
            let settings = parse(&format!("[train]\ndevice = \"{text}\"\n")).unwrap();
            assert_eq!(settings.train.device, Some(device));
            assert_eq!(device.to_string(), shown);
            assert_eq!(parse(&settings.to_toml()).unwrap(), settings);
        }
        for text in ["gpu", "cuda:", "cuda:-1", "cuda:x", "CUDA"] {
            let error = parse(&format!("[train]\ndevice = \"{text}\"\n")).unwrap_err();
            assert!(error.to_string().contains("cuda:N"), "{error}");
        }
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, line, word) in [
            (
                "[train]\nepochs = 3\nlearning_rate = 1\n",
                "line 3",
                "learning_rate",
            ),
            ("[trian]\nepochs = 3\n", "line 1", "trian"),
            ("[train]\n\nepochs = \"ten\"\n", "line 3", "ten"),
            ("[train]\nepochs = -1\n", "line 2", "-1"),
            ("[model]\nactivation = \"rely\"\n", "line 2", "rely"),
            ("[model\n", "line 1", "]"),
        ] {
            let error = parse(text).unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains(line) && message.contains(word),
                "{message}"
            );
            assert_eq!(error.exit_code(), 2);
        }
    }
}
