//! The settings of a run, in three steps.
//!
//! 1. [`Settings`]: what a person said, in a TOML file or as flags. What was not said is `None`, and
//!    [`Settings::over`] lays one layer over another, field by field.
//! 2. [`Config::new`]: every default filled in and every value checked, as far as that needs no data.
//! 3. [`Config::for_data`]: what the data make of it, with the defaults that suit a table. A run's `config.toml` holds
//!    the result.
//!
//! A key is one line of its section's struct here: field, flag and help text. The table in `keys.rs` adds the range
//! of its numbers and whether a search may vary it.

mod class_weights;
mod columns;
#[cfg(feature = "cli")]
mod command_line;
mod config;
mod embed;
mod flags;
mod keys;
mod layers;
mod loss;
mod range;
mod rules;
mod suited;
#[cfg(all(test, feature = "cli"))]
mod tests;
mod value;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use class_weights::{ClassWeights, WeightRule};
pub use columns::{Column, Delimiter, Label};
pub use config::Config;
pub use embed::{Embed, Embedding};
pub use loss::LossName;

pub(crate) use keys::{error as setting_error, within};
pub(crate) use loss::loss;
#[cfg(feature = "cli")]
pub(crate) use {
    command_line::{flags, plain, quoted},
    flags::utf8_path,
    keys::Key,
    layers::read_file,
    value::Kind,
};

use flags::with_flags;
#[cfg(feature = "cli")]
use flags::{column, label};

use crate::backend::Order;
use crate::backend::select::{Device, Precision};
use crate::data::normalize::Normalize;
use crate::data::{Decimal, Task};
use crate::metrics::ValidationMetric;
use crate::ops::activation::Activation;
use crate::optim::By;

with_flags! {

/// All settings, by section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Data")]
pub struct DataSettings {
    /// Data set: a folder of IDX or NPY files, an NPZ or a CSV file, plain or gzip [default: Fashion-MNIST from
    /// $CHAINRULE_DATA, data/fashion-mnist or /usr/share/datasets/fashion-mnist]
    #[arg(long = "data", value_name = "PATH", value_parser = utf8_path())]
    pub path: Option<PathBuf>,
    /// What to predict [default: what the labels suggest: words and few whole numbers are classes, fractional numbers
    /// are values to predict, several columns of 0 and 1 are several labels]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "TASK")]
    pub task: Option<Task>,
    /// CSV column of the label: its name, or its index (from 0; negative counts from the end); several columns are
    /// separated by commas [default: label, class, target or y, else the last column]
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, value_parser = label())]
    pub label: Option<Label>,
    /// Column that says how much each sample counts in training, from 0 on; it is no feature [default: none]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, value_parser = column())]
    pub weight: Option<Column>,
    /// Columns to leave out, by name or index, separated by commas
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', allow_hyphen_values = true, value_parser = column())]
    pub drop: Option<Vec<Column>>,
    /// Columns that name rows, separated by commas: left out in training, kept beside predictions
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', allow_hyphen_values = true, value_parser = column())]
    pub id: Option<Vec<Column>>,
    /// Columns to take as numbers, separated by commas [default: those that hold numbers alone]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', allow_hyphen_values = true, value_parser = column())]
    pub numeric: Option<Vec<Column>>,
    /// Columns to take as categories, separated by commas [default: those that hold words]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', allow_hyphen_values = true, value_parser = column())]
    pub categorical: Option<Vec<Column>>,
    /// Words for a missing value, separated by commas; an empty cell is missing always [default: NA,N/A,nan,null,?]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub missing: Option<Vec<String>>,
    /// Character between the columns of a CSV file, or "tab" [default: found in the file: , ; tab or |]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true)]
    pub delimiter: Option<Delimiter>,
    /// Decimal separator of a CSV file: . or , [default: found in the file]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "CHAR")]
    pub decimal: Option<Decimal>,
    /// Whether the first row of a CSV file has the names of the columns [default: found in the file]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub header: Option<bool>,
    /// Share of the training samples to use for validation, drawn from each class [default: 0.2]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    pub validation: Option<f64>,
    /// Cross-validation: the samples are dealt to this many folds, each class to all of them; train makes a run a fold,
    /// in which the fold is the validation part [default: none]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "K", allow_hyphen_values = true)]
    pub folds: Option<u32>,
    /// Train the run of this fold alone, from 1 [default: all folds]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub fold: Option<u32>,
    /// Evaluate on the test set after training [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub test: Option<bool>,
    /// Share of the samples to set aside as test part, drawn from each class, the same for every seed [default: none]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    pub test_split: Option<f64>,
    /// File whose samples are the test part [default: none]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "PATH", value_parser = utf8_path())]
    pub test_data: Option<PathBuf>,
    /// auto: bytes divided by 255, floats unchanged; standard: mean 0 and standard deviation 1 over the training
    /// samples [default: auto; tables: standard]
    #[arg(long, value_name = "HOW")]
    pub normalize: Option<Normalize>,
    /// Random changes of each training image, separated by commas: flip, shift=PIXELS (or crop=PIXELS), noise=DEVIATION
    /// [default: none]
    #[arg(long, value_name = "LIST")]
    pub augment: Option<String>,
}

/// The network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Model")]
pub struct ModelSettings {
    /// Number of units in the first hidden layer [default: 500]
    #[arg(long, value_name = "UNITS", allow_hyphen_values = true)]
    pub width: Option<usize>,
    /// Number of Linear layers, the output layer included [default: 2]
    #[arg(long, value_name = "LAYERS", allow_hyphen_values = true)]
    pub depth: Option<usize>,
    /// Number of units in each hidden layer, separated by commas; instead of --width, --depth and --taper
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub widths: Option<Vec<usize>>,
    /// Make each hidden layer narrower than the previous one by width/(depth-1), rounded down [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub taper: Option<bool>,
    /// Batch normalisation after each hidden Linear [default: true; tables: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub batch_norm: Option<bool>,
    /// Activation function of the hidden layers [default: relu]
    #[arg(long, value_name = "NAME")]
    pub activation: Option<Activation>,
    /// Probability of dropping a hidden unit in training [default: 0]
    #[arg(long, value_name = "P", allow_hyphen_values = true)]
    pub dropout: Option<f64>,
    /// Order of dropout and activation in a block [default: dropout_activation]
    #[arg(long, value_name = "NAME")]
    pub order: Option<Order>,
    /// What becomes of each number of a table: piecewise fills bins at the quantiles of the training samples, so that
    /// the network bends where the data are [default: none]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "HOW")]
    pub embed: Option<Embed>,
    /// Most bins of a number, with --embed piecewise [default: 48]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub bins: Option<u32>,
    /// Width of a linear layer for each number's bins alone, before the first layer; 0 is none [default: 0]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "UNITS", allow_hyphen_values = true)]
    pub embed_width: Option<usize>,
    /// Networks in one: members share all layers but a scale of their inputs and the output layer, and their
    /// predictions are averaged [default: 1]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "K", allow_hyphen_values = true)]
    pub members: Option<usize>,
    /// Initial weights: default, kaiming_uniform, kaiming_normal, xavier_uniform, xavier_normal; the last four take a
    /// gain, as in xavier_normal=1.5 [default: default]
    #[arg(long, value_name = "NAME")]
    pub init: Option<String>,
}

/// The loop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Training")]
pub struct TrainSettings {
    /// Passes over the training part [default: 10; tables: at most 200, and --patience 20]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub epochs: Option<u32>,
    /// Samples per update; at most the training samples [default: 100; tables: 1/100 of the training samples, in
    /// 16..256]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub batch_size: Option<usize>,
    /// Seed of initial weights, split, sample order, dropout and augmentation [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub seed: Option<u64>,
    /// Most threads; a run uses fewer where that is faster, with the same result [default: $RAYON_NUM_THREADS, else one
    /// per core]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub threads: Option<usize>,
    /// Number format [default: f32]
    #[arg(long, value_name = "NAME")]
    pub precision: Option<Precision>,
    /// Where to compute: cpu, cuda or cuda:N (the N-th NVIDIA GPU, from 0) [default: cpu]
    #[arg(long, value_name = "NAME")]
    pub device: Option<Device>,
    /// Shuffle the samples every epoch [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub shuffle: Option<bool>,
    /// Skip an epoch's last batch if it is shorter than the others [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub drop_last: Option<bool>,
    /// What to minimise [default: cross_entropy for classes, mse for values, bce for several labels]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "NAME")]
    pub loss: Option<LossName>,
    /// Where the Huber loss turns from squared to absolute, in standard deviations of the target [default: 1]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "DELTA", allow_hyphen_values = true)]
    pub delta: Option<f64>,
    /// How much a sample that has a label weighs against one that has not, one number per label, separated by commas
    /// [default: all 1]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub positive_weights: Option<Vec<f64>>,
    /// Share of the target that is spread over all classes, in 0..1 [default: 0]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    pub label_smoothing: Option<f64>,
    /// One weight per class in the loss, weights by name as in cat=2,dog=0.5, or balanced: the rarer a class in the
    /// training part, the more its samples weigh [default: all 1]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub class_weights: Option<ClassWeights>,
    /// Largest norm of the gradient; larger gradients are scaled down; 0 turns clipping off [default: 0]
    #[arg(long, value_name = "NORM", allow_hyphen_values = true)]
    pub clip_norm: Option<f64>,
    /// Stop after this many epochs without improvement of --monitor [default: off; tables without --epochs: 20]
    #[arg(long, value_name = "EPOCHS", allow_hyphen_values = true)]
    pub patience: Option<u32>,
    /// Smallest improvement that counts for --patience [default: 0]
    #[arg(long, value_name = "DELTA", allow_hyphen_values = true)]
    pub min_delta: Option<f64>,
    /// What makes an epoch the best; ties go to the lower loss, then to the earlier epoch [default: val_accuracy;
    /// tables: val_loss]
    #[arg(long, value_name = "NAME")]
    pub monitor: Option<ValidationMetric>,
    /// After each epoch, write down of each layer how large its activations, gradients, updates and weights are, and
    /// how many of its units are dead; the weights stay the same. The default run takes 1 to 2 % longer, one of 1400
    /// rows 40 % longer [default: false]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub watch: Option<bool>,
}

/// The optimiser. Keys that the chosen one does not have are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Optimizer")]
pub struct OptimizerSettings {
    /// Optimiser [default: adam]
    #[arg(long = "optimizer", id = "optimizer", value_name = "NAME")]
    pub name: Option<OptimizerName>,
    /// Learning rate [default: 0.001]
    #[arg(long, value_name = "RATE", allow_hyphen_values = true)]
    pub lr: Option<f64>,
    /// Momentum (sgd, rmsprop) [default: 0]
    #[arg(long, value_name = "MU", allow_hyphen_values = true)]
    pub momentum: Option<f64>,
    /// Use Nesterov momentum (sgd) [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub nesterov: Option<bool>,
    /// L2 penalty; decoupled weight decay for adamw [default: 0; adamw 0.01]
    #[arg(long, value_name = "LAMBDA", allow_hyphen_values = true)]
    pub weight_decay: Option<f64>,
    /// Decay of the first moment (adam, adamw) [default: 0.9]
    #[arg(long, value_name = "BETA", allow_hyphen_values = true)]
    pub beta1: Option<f64>,
    /// Decay of the second moment (adam, adamw) [default: 0.999]
    #[arg(long, value_name = "BETA", allow_hyphen_values = true)]
    pub beta2: Option<f64>,
    /// Added to the denominator (adam, adamw, rmsprop) [default: 1e-8]
    #[arg(long, value_name = "EPS", allow_hyphen_values = true)]
    pub eps: Option<f64>,
    /// Decay of the mean square (rmsprop) [default: 0.99]
    #[arg(long, value_name = "ALPHA", allow_hyphen_values = true)]
    pub alpha: Option<f64>,
}

/// The learning rate's course. Keys that the chosen one does not have are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleSettings {
    /// Learning-rate schedule [default: constant]
    #[arg(long = "schedule", id = "schedule", value_name = "NAME")]
    pub name: Option<ScheduleName>,
    /// Whether the schedule steps after each epoch or each update [default: epoch]
    #[arg(long = "schedule-by", id = "schedule-by", value_name = "WHEN")]
    pub by: Option<By>,
    /// Schedule steps between two reductions (step)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub step_size: Option<u64>,
    /// Factor of each reduction (step, multistep: default 0.1; exponential)
    #[arg(long, value_name = "FACTOR", allow_hyphen_values = true)]
    pub gamma: Option<f64>,
    /// Schedule steps at which the rate is reduced (multistep)
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub milestones: Option<Vec<u64>>,
    /// Share of the run in which the rate rises (onecycle) [default: 0.3]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    pub pct_start: Option<f64>,
    /// Factor of a reduction (plateau) [default: 0.1]
    #[arg(long, value_name = "FACTOR", allow_hyphen_values = true)]
    pub factor: Option<f64>,
    /// Epochs without improvement before a reduction (plateau) [default: 10]
    #[arg(
        long = "schedule-patience",
        id = "schedule-patience",
        value_name = "EPOCHS",
        allow_hyphen_values = true
    )]
    pub patience: Option<u64>,
    /// What has to improve (plateau) [default: val_loss]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[arg(
        long = "schedule-monitor",
        id = "schedule-monitor",
        value_name = "NAME"
    )]
    pub monitor: Option<ValidationMetric>,
    /// Schedule steps of linear warm-up at the start [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub warmup: Option<u64>,
}

} // with_flags

/// The optimisers by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", value(rename_all = "lower"))]
#[allow(missing_docs)]
pub enum OptimizerName {
    Sgd,
    #[default]
    Adam,
    AdamW,
    RmsProp,
    Rprop,
}

/// The schedules by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", value(rename_all = "lower"))]
#[allow(missing_docs)]
pub enum ScheduleName {
    #[default]
    Constant,
    Step,
    MultiStep,
    Exponential,
    Cosine,
    OneCycle,
    Plateau,
}
