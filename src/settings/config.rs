//! Settings, checked: every value present, in range, and of the type that the engine uses.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ModelSettings, OptimizerSettings, ScheduleSettings, Settings};
use crate::backend::Order;
use crate::backend::select::{Device, Precision};
use crate::data::Dataset;
use crate::data::augment::Augment;
use crate::data::normalize::Normalize;
use crate::data::split::{Split, stratified};
use crate::error::{Error, Result};
use crate::metrics::ValidationMetric;
use crate::nn::NetworkSpec;
use crate::nn::init::Init;
use crate::nn::spec::hidden_widths;
use crate::ops::activation::Activation;
use crate::ops::loss::Loss;
use crate::ops::loss::cross_entropy::CrossEntropy;
use crate::optim::{By, Optimizer, Schedule};
use crate::threads::check_threads;

/// More hidden layers than this are refused as a mistake.
const MAX_DEPTH: usize = 10_000;

/// A run, completely described but for the data's own sizes.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Config {
    pub data: Option<PathBuf>,
    pub label: Option<String>,
    pub validation: f64,
    pub test: bool,
    pub normalize: Normalize,
    pub augment: Augment,
    /// Units of the hidden layers.
    pub hidden: Vec<usize>,
    pub batch_norm: bool,
    pub activation: Activation,
    pub dropout: f64,
    pub order: Order,
    pub init: Init,
    pub epochs: u32,
    pub batch_size: usize,
    pub seed: u64,
    /// `None`: as many as rayon would use.
    pub threads: Option<usize>,
    pub precision: Precision,
    pub device: Device,
    pub shuffle: bool,
    pub drop_last: bool,
    pub loss: Loss,
    /// 0 is off.
    pub clip_norm: f64,
    pub patience: Option<u32>,
    pub min_delta: f64,
    pub monitor: ValidationMetric,
    pub optimizer: Optimizer,
    pub lr: f64,
    pub schedule: Schedule,
    pub by: By,
    pub warmup: u64,
    /// The settings with every default filled in: what `config.toml` of a run holds.
    pub resolved: Settings,
}

impl Config {
    /// Fills in defaults and checks every value.
    ///
    /// # Errors
    /// Names the key, what is allowed and what was found.
    pub fn new(settings: &Settings) -> Result<Self> {
        let Settings {
            data,
            model,
            train,
            optimizer,
            schedule,
        } = settings.clone();
        let hidden = hidden(&model)?;
        let precision = train.precision.unwrap_or_default();
        let device = train.device.unwrap_or_default();
        check_device(device, precision)?;
        let (rule, lr) = check_optimizer(&optimizer)?;
        let (course, by, warmup) = check_schedule(&schedule)?;
        let mut config = Config {
            data: data.path,
            label: data.label,
            validation: in_range("data.validation", data.validation.unwrap_or(0.2), 0.0, 1.0)?,
            test: data.test.unwrap_or(true),
            normalize: data.normalize.unwrap_or_default(),
            augment: augment(data.augment.as_deref().unwrap_or("none"))?,
            hidden,
            batch_norm: model.batch_norm.unwrap_or(true),
            activation: model.activation.unwrap_or_default(),
            dropout: in_range("model.dropout", model.dropout.unwrap_or(0.0), 0.0, 1.0)?,
            order: model.order.unwrap_or_default(),
            init: parse("model.init", model.init.clone())?.unwrap_or_default(),
            epochs: at_least_one("train.epochs", train.epochs.unwrap_or(10) as usize)? as u32,
            batch_size: at_least_one("train.batch_size", train.batch_size.unwrap_or(100))?,
            seed: train.seed.unwrap_or(0),
            threads: train.threads.map(check_threads).transpose()?,
            precision,
            device,
            shuffle: train.shuffle.unwrap_or(true),
            drop_last: train.drop_last.unwrap_or(false),
            loss: Loss::CrossEntropy(CrossEntropy {
                label_smoothing: smoothing(train.label_smoothing.unwrap_or(0.0))?,
                class_weights: train.class_weights.map(check_weights).transpose()?,
            }),
            clip_norm: not_negative("train.clip_norm", train.clip_norm.unwrap_or(0.0))?,
            patience: train
                .patience
                .map(|n| at_least_one("train.patience", n as usize))
                .transpose()?
                .map(|n| n as u32),
            min_delta: not_negative("train.min_delta", train.min_delta.unwrap_or(0.0))?,
            monitor: train.monitor.unwrap_or_default(),
            optimizer: rule,
            lr,
            schedule: course,
            by,
            warmup,
            resolved: Settings::default(),
        };
        config.resolved = config.to_settings(&model)?;
        Ok(config)
    }

    /// Every value written out, so that the file alone repeats the run.
    fn to_settings(&self, model: &ModelSettings) -> Result<Settings> {
        let mut s = Settings::default();
        s.data.path.clone_from(&self.data);
        s.data.label.clone_from(&self.label);
        s.data.validation = Some(self.validation);
        s.data.test = Some(self.test);
        s.data.normalize = Some(self.normalize);
        s.data.augment = Some(self.augment.to_string());
        if model.widths.is_some() {
            s.model.widths = Some(self.hidden.clone());
        } else {
            s.model.width = Some(model.width.unwrap_or(DEFAULT_WIDTH));
            s.model.depth = Some(model.depth.unwrap_or(DEFAULT_DEPTH));
            s.model.taper = Some(model.taper.unwrap_or(true));
        }
        s.model.batch_norm = Some(self.batch_norm);
        s.model.activation = Some(self.activation);
        s.model.dropout = Some(self.dropout);
        s.model.order = Some(self.order);
        s.model.init = Some(self.init.to_string());
        s.train.epochs = Some(self.epochs);
        s.train.batch_size = Some(self.batch_size);
        s.train.seed = Some(self.seed);
        s.train.threads = self.threads;
        s.train.precision = Some(self.precision);
        s.train.device = Some(self.device);
        s.train.shuffle = Some(self.shuffle);
        s.train.drop_last = Some(self.drop_last);
        let Loss::CrossEntropy(loss) = &self.loss;
        s.train.label_smoothing = Some(loss.label_smoothing);
        s.train.class_weights.clone_from(&loss.class_weights);
        s.train.clip_norm = Some(self.clip_norm);
        s.train.patience = self.patience;
        s.train.min_delta = Some(self.min_delta);
        s.train.monitor = Some(self.monitor);
        s.optimizer = convert("optimizer", &self.optimizer)?;
        s.optimizer.lr = Some(self.lr);
        s.schedule = convert("schedule", &self.schedule)?;
        s.schedule.by = Some(
            if self.by == By::Epoch {
                "epoch"
            } else {
                "update"
            }
            .into(),
        );
        s.schedule.warmup = Some(self.warmup);
        Ok(s)
    }

    /// The network for data of these sizes.
    ///
    /// # Errors
    /// If the sizes cannot be a network, or there is not one class weight per class.
    pub fn network(&self, inputs: usize, classes: usize) -> Result<NetworkSpec> {
        if let Some(weights) = self.loss.class_weights()
            && weights.len() != classes
        {
            let message = format!(
                "expected {classes} weights, one per class, found {}",
                weights.len()
            );
            return Err(Error::setting("train.class_weights", message));
        }
        let spec = NetworkSpec {
            inputs,
            hidden: self.hidden.clone(),
            outputs: classes,
            batch_norm: self.batch_norm,
            activation: self.activation,
            dropout: self.dropout,
            order: self.order,
        };
        spec.validate()?;
        Ok(spec)
    }

    /// Which samples of `data.train` are learnt from, and which of it (or of `data.validation`, if there is one) validate.
    pub fn split(&self, data: &Dataset) -> Split {
        match &data.validation {
            Some(own) => Split {
                train: (0..data.train.labels.len() as u32).collect(),
                validation: (0..own.labels.len() as u32).collect(),
            },
            None => stratified(&data.train.labels, self.validation, self.seed),
        }
    }
}

const DEFAULT_WIDTH: usize = 500;
const DEFAULT_DEPTH: usize = 2;

fn hidden(model: &ModelSettings) -> Result<Vec<usize>> {
    if let Some(widths) = &model.widths {
        for (key, given) in [
            ("width", model.width.is_some()),
            ("depth", model.depth.is_some()),
            ("taper", model.taper.is_some()),
        ] {
            if given {
                let message = format!("expected either widths or {key}, found both");
                return Err(Error::setting("model.widths", message));
            }
        }
        for &width in widths {
            at_least_one("model.widths", width)?;
        }
        return Ok(widths.clone());
    }
    let width = at_least_one("model.width", model.width.unwrap_or(DEFAULT_WIDTH))?;
    let depth = at_least_one("model.depth", model.depth.unwrap_or(DEFAULT_DEPTH))?;
    if depth > MAX_DEPTH {
        let message = format!("expected at most {MAX_DEPTH} layers, found {depth}");
        return Err(Error::setting("model.depth", message));
    }
    Ok(hidden_widths(width, depth, model.taper.unwrap_or(true)))
}

fn check_optimizer(settings: &OptimizerSettings) -> Result<(Optimizer, f64)> {
    let lr = settings.lr.unwrap_or(0.001);
    if !(lr.is_finite() && lr >= 0.0) {
        return Err(Error::setting(
            "optimizer.lr",
            format!("expected a rate of at least 0, found {lr}"),
        ));
    }
    let name = settings.name.clone().unwrap_or_else(|| "adam".into());
    let keys = OptimizerSettings {
        name: Some(name),
        lr: None,
        ..settings.clone()
    };
    let optimizer: Optimizer = convert("optimizer", &keys)?;
    optimizer.validate().map_err(|e| within("optimizer", e))?;
    Ok((optimizer, lr))
}

fn check_schedule(settings: &ScheduleSettings) -> Result<(Schedule, By, u64)> {
    let by = match settings.by.as_deref() {
        None | Some("epoch") => By::Epoch,
        Some("update") => By::Update,
        Some(other) => {
            let message = format!("expected epoch or update, found {other:?}");
            return Err(Error::setting("schedule.by", message));
        }
    };
    let name = settings.name.clone().unwrap_or_else(|| "constant".into());
    let keys = ScheduleSettings {
        name: Some(name),
        by: None,
        warmup: None,
        ..settings.clone()
    };
    let schedule: Schedule = convert("schedule", &keys)?;
    schedule.validate(by).map_err(|e| within("schedule", e))?;
    Ok((schedule, by, settings.warmup.unwrap_or(0)))
}

/// From one description to another with the same keys: the optional settings of all optimisers to the one that is named, or back. A key
/// that the named one does not have is refused.
fn convert<T: Serialize + DeserializeOwned>(section: &str, from: &impl Serialize) -> Result<T> {
    let invalid = |e: serde_json::Error| Error::setting(section, e.to_string());
    let mut given = serde_json::to_value(from).map_err(invalid)?;
    if let Some(keys) = given.as_object_mut() {
        keys.retain(|_, value| !value.is_null());
    }
    let converted: T = serde_json::from_value(given.clone())
        .map_err(|e| Error::setting(section, format!("with name = {}: {e}", given["name"])))?;
    let taken = serde_json::to_value(&converted).map_err(invalid)?;
    for key in given.as_object().into_iter().flat_map(|keys| keys.keys()) {
        if taken.get(key).is_none() {
            let message = format!("expected no such key with name = {}", given["name"]);
            return Err(Error::setting(format!("{section}.{key}"), message));
        }
    }
    Ok(converted)
}

fn augment(text: &str) -> Result<Augment> {
    text.parse().map_err(|e| within("data", e))
}

/// Puts the section before the key of an error.
pub(crate) fn within(section: &str, error: Error) -> Error {
    match error {
        Error::Setting { key, message } => Error::Setting {
            key: format!("{section}.{key}"),
            message,
        },
        other => other,
    }
}

fn parse<T: std::str::FromStr<Err: ToString>>(
    key: &str,
    text: Option<String>,
) -> Result<Option<T>> {
    text.map(|text| {
        text.parse()
            .map_err(|e: T::Err| Error::setting(key, e.to_string()))
    })
    .transpose()
}

/// A GPU computes in f32.
fn check_device(device: Device, precision: Precision) -> Result<()> {
    match (device, precision) {
        (Device::Cpu, _) | (_, Precision::F32) => Ok(()),
        (Device::Cuda(_), other) => {
            let name = if other == Precision::F64 {
                "f64"
            } else {
                "bf16"
            };
            let message = format!("expected f32 with device {device}, found {name}");
            Err(Error::setting("train.precision", message))
        }
    }
}

fn at_least_one(key: &str, value: usize) -> Result<usize> {
    if value >= 1 {
        return Ok(value);
    }
    Err(Error::setting(
        key,
        format!("expected at least 1, found {value}"),
    ))
}

/// From `low` up to but without `high`.
fn in_range(key: &str, value: f64, low: f64, high: f64) -> Result<f64> {
    if (low..high).contains(&value) {
        return Ok(value);
    }
    Err(Error::setting(
        key,
        format!("expected a number in [{low}, {high}), found {value}"),
    ))
}

fn not_negative(key: &str, value: f64) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        return Ok(value);
    }
    Err(Error::setting(
        key,
        format!("expected a number of at least 0, found {value}"),
    ))
}

fn smoothing(value: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(Error::setting(
        "train.label_smoothing",
        format!("expected a number in [0, 1], found {value}"),
    ))
}

fn check_weights(weights: Vec<f64>) -> Result<Vec<f64>> {
    let usable =
        weights.iter().all(|w| w.is_finite() && *w >= 0.0) && weights.iter().any(|&w| w > 0.0);
    if usable {
        return Ok(weights);
    }
    let message = format!("expected numbers of at least 0, not all of them 0, found {weights:?}");
    Err(Error::setting("train.class_weights", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(toml: &str) -> Result<Config> {
        Config::new(&toml::from_str(toml).unwrap())
    }

    #[test]
    fn defaults_are_the_study_s() {
        let config = config("").unwrap();
        assert_eq!(
            (config.hidden.as_slice(), config.batch_size, config.epochs),
            (&[500][..], 100, 10)
        );
        assert_eq!(
            (config.lr, config.validation, config.dropout),
            (0.001, 0.2, 0.0)
        );
        assert_eq!(config.optimizer, Optimizer::default());
        assert_eq!(config.schedule, Schedule::Constant);
    }

    /// What a run writes down gives the same run again.
    #[test]
    fn resolved_settings_resolve_to_themselves() {
        for toml in [
            "",
            "[model]\nwidths = [9, 4]\ninit = \"xavier_normal=2\"\n[optimizer]\nname = \"sgd\"\nmomentum = 0.9\nnesterov = true\n",
            "[optimizer]\nname = \"adamw\"\n[schedule]\nname = \"multistep\"\nmilestones = [3, 9]\nby = \"update\"\nwarmup = 2\n",
            "[data]\naugment = \"flip,shift=2\"\n[schedule]\nname = \"plateau\"\nfactor = 0.5\npatience = 1\n[train]\nclass_weights = [1.0, 2.5]\n",
        ] {
            let first = config(toml).unwrap();
            let again = config(&first.resolved.to_toml()).unwrap();
            assert_eq!(again, first);
        }
    }

    #[test]
    fn nonsense_is_refused_by_key() {
        let cases = [
            ("[model]\ndepth = 0", "model.depth"),
            ("[model]\nwidth = 0", "model.width"),
            ("[model]\nwidths = [3, 0]", "model.widths"),
            ("[model]\nwidths = [3]\nwidth = 4", "model.widths"),
            ("[model]\ndropout = 1.0", "model.dropout"),
            ("[model]\ninit = \"he\"", "model.init"),
            ("[train]\nbatch_size = 0", "train.batch_size"),
            ("[train]\nepochs = 0", "train.epochs"),
            ("[train]\nthreads = 0", "train.threads"),
            ("[train]\nthreads = 1025", "train.threads"),
            (
                "[train]\ndevice = \"cuda\"\nprecision = \"f64\"",
                "train.precision",
            ),
            (
                "[train]\ndevice = \"cuda:1\"\nprecision = \"bf16\"",
                "train.precision",
            ),
            ("[train]\nlabel_smoothing = 1.5", "train.label_smoothing"),
            ("[train]\nclass_weights = [0.0, 0.0]", "train.class_weights"),
            ("[train]\nclip_norm = -1.0", "train.clip_norm"),
            ("[data]\nvalidation = 1.0", "data.validation"),
            ("[data]\naugment = \"rotate\"", "data.augment"),
            ("[optimizer]\nlr = -0.1", "optimizer.lr"),
            ("[optimizer]\nlr = nan", "optimizer.lr"),
            (
                "[optimizer]\nname = \"adam\"\nbeta1 = 1.0",
                "optimizer.beta1",
            ),
            ("[optimizer]\nname = \"adam\"\nmomentum = 0.9", "momentum"),
            (
                "[optimizer]\nname = \"sgd\"\nnesterov = true",
                "optimizer.nesterov",
            ),
            ("[optimizer]\nname = \"lion\"", "lion"),
            ("[schedule]\nname = \"step\"", "step_size"),
            ("[schedule]\nname = \"cosine\"\ngamma = 0.5", "gamma"),
            (
                "[schedule]\nname = \"plateau\"\nby = \"update\"",
                "schedule.by",
            ),
        ];
        for (toml, key) in cases {
            let error = config(toml).unwrap_err();
            assert!(error.to_string().contains(key), "{toml}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
