//! Settings, checked: every value present, in range, and of the type that the engine uses.

use super::suited::{DEFAULT_BATCH_SIZE, DEFAULT_EPOCHS, DEFAULT_VALIDATION};
use super::{ClassWeights, Column, DataSettings, Label, ModelSettings, Settings, keys, rules};
use crate::backend::Order;
use crate::backend::select::{Device, Precision};
use crate::data::augment::Augment;
use crate::data::normalize::Normalize;
use crate::data::split::{Split, stratified};
use crate::data::{Dataset, DialectOptions, LoadOptions, TableOptions};
use crate::error::Result;
use crate::metrics::{Metric, ValidationMetric};
use crate::nn::NetworkSpec;
use crate::nn::init::Init;
use crate::nn::spec::hidden_widths;
use crate::ops::activation::Activation;
use crate::ops::loss::Loss;
use crate::ops::loss::cross_entropy::CrossEntropy;
use crate::optim::{By, Optimizer, Schedule};

/// A run, completely described: by [`Config::new`] as far as no data are needed, then by [`Config::for_data`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Config {
    /// What to load, and how to read it.
    pub source: LoadOptions,
    pub validation: f64,
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
    /// `None`: `RAYON_NUM_THREADS`, else one per core.
    pub threads: Option<usize>,
    pub precision: Precision,
    pub device: Device,
    pub shuffle: bool,
    pub drop_last: bool,
    /// As given.
    pub class_weights: Option<ClassWeights>,
    /// Its class weights are in the order of the classes. Those that need the data come with [`Config::for_data`].
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
    /// What the schedule waits for, if it waits (plateau).
    pub schedule_monitor: ValidationMetric,
    /// What a search judges the run by. It is not a setting of the run.
    pub objective: Option<ValidationMetric>,
    /// The settings with every default filled in: what `config.toml` of a run holds.
    pub resolved: Settings,
    /// What the data changed in the settings, for the user.
    pub notices: Vec<String>,
    /// The settings as they were given.
    pub(super) given: Settings,
}

impl Config {
    /// Fills in defaults and checks every value.
    ///
    /// # Errors
    /// Names the key, what is allowed and what was found.
    pub fn new(settings: &Settings) -> Result<Self> {
        settings.check()?;
        let Settings {
            data,
            model,
            train,
            optimizer,
            schedule,
        } = settings;
        let precision = train.precision.unwrap_or_default();
        let device = train.device.unwrap_or_default();
        check_device(device, precision)?;
        train.class_weights.as_ref().map_or(Ok(()), check_weights)?;
        let augment = data.augment.as_deref().unwrap_or("none");
        let init = model.init.as_deref().map(str::parse).transpose();
        let mut config = Config {
            source: data.load_options()?,
            validation: data.validation.unwrap_or(DEFAULT_VALIDATION),
            normalize: data.normalize.unwrap_or_default(),
            augment: augment.parse().map_err(|e| keys::within("data", e))?,
            hidden: hidden(model)?,
            batch_norm: model.batch_norm.unwrap_or(true),
            activation: model.activation.unwrap_or_default(),
            dropout: model.dropout.unwrap_or(0.0),
            order: model.order.unwrap_or_default(),
            init: init
                .map_err(|e| keys::error("model.init", e))?
                .unwrap_or_default(),
            epochs: train.epochs.unwrap_or(DEFAULT_EPOCHS),
            batch_size: train.batch_size.unwrap_or(DEFAULT_BATCH_SIZE),
            seed: train.seed.unwrap_or(0),
            threads: train.threads,
            precision,
            device,
            shuffle: train.shuffle.unwrap_or(true),
            drop_last: train.drop_last.unwrap_or(false),
            class_weights: train.class_weights.clone(),
            loss: Loss::CrossEntropy(CrossEntropy {
                label_smoothing: train.label_smoothing.unwrap_or(0.0),
                class_weights: match &train.class_weights {
                    Some(ClassWeights::InOrder(weights)) => Some(weights.clone()),
                    _ => None,
                },
            }),
            clip_norm: train.clip_norm.unwrap_or(0.0),
            patience: train.patience,
            min_delta: train.min_delta.unwrap_or(0.0),
            monitor: train.monitor.unwrap_or_default(),
            optimizer: rules::optimizer(optimizer)?,
            lr: optimizer.lr.unwrap_or(0.001),
            schedule: rules::schedule(schedule)?,
            by: schedule.by.unwrap_or_default(),
            warmup: schedule.warmup.unwrap_or(0),
            schedule_monitor: schedule.monitor.unwrap_or(ValidationMetric::ValLoss),
            objective: None,
            resolved: Settings::default(),
            notices: Vec::new(),
            given: settings.clone(),
        };
        config.resolved = config.to_settings(settings);
        Ok(config)
    }

    /// What the data make of it: the defaults that suit a table, a batch that the training part can fill, and the
    /// weights of classes that were said by name or are balanced.
    ///
    /// # Errors
    /// If the data have no class of a name.
    pub fn for_data(self, data: &Dataset) -> Result<Self> {
        let (chosen, notice) = self.given.suited_to(data);
        let mut config = match notice.is_some() {
            true => Config {
                objective: self.objective,
                ..Config::new(&self.given.over(&chosen))?
            },
            false => self,
        };
        config.notices.extend(notice);
        let split = config.split(data);
        let samples = split.train.len();
        if config.batch_size > samples && samples > 0 {
            let asked = std::mem::replace(&mut config.batch_size, samples);
            config.resolved.train.batch_size = Some(samples);
            let notice = format!("batches of {samples}, all training samples, in place of {asked}");
            config.notices.push(notice);
        }
        if let Some(weights) = &config.class_weights {
            let counts = || class_counts(data, &split.train);
            let weights = weights
                .of(&data.class_names, counts)
                .map_err(|why| keys::error("train.class_weights", why))?;
            if let Loss::CrossEntropy(loss) = &mut config.loss {
                loss.class_weights = Some(weights);
            }
        }
        Ok(config)
    }

    /// Every value written out, so that the file alone repeats the run.
    fn to_settings(&self, given: &Settings) -> Settings {
        let model = &given.model;
        let mut s = Settings {
            data: given.data.clone(),
            ..Settings::default()
        };
        s.data.validation = Some(self.validation);
        s.data.test = Some(self.source.test);
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
        if let Loss::CrossEntropy(loss) = &self.loss {
            s.train.label_smoothing = Some(loss.label_smoothing);
        }
        s.train.class_weights.clone_from(&self.class_weights);
        s.train.clip_norm = Some(self.clip_norm);
        s.train.patience = self.patience;
        s.train.min_delta = Some(self.min_delta);
        s.train.monitor = Some(self.monitor);
        s.optimizer = rules::optimizer_settings(&self.optimizer, self.lr);
        s.schedule = rules::schedule_settings(self);
        s
    }

    /// The metrics of the validation part by which the run goes, each with the setting that says so.
    pub(crate) fn monitors(&self) -> impl Iterator<Item = (&'static str, ValidationMetric)> {
        let plateau = self.schedule.plateau().map(|_| self.schedule_monitor);
        let monitors = [
            ("train.monitor", Some(self.monitor)),
            ("schedule.monitor", plateau),
            ("objective (--objective)", self.objective),
        ];
        monitors.into_iter().filter_map(|(key, m)| Some((key, m?)))
    }

    /// Those of [`Config::monitors`] that are measured on request.
    pub(crate) fn measured_on_request(&self) -> Vec<Metric> {
        let metrics = self.monitors().map(|(_, monitor)| monitor.metric());
        metrics.filter(|metric| metric.is_on_request()).collect()
    }

    /// The network for data of these sizes.
    ///
    /// # Errors
    /// If the sizes cannot be a network, or there is not one class weight per class.
    pub fn network(&self, inputs: usize, classes: usize) -> Result<NetworkSpec> {
        let refuse = |found: String| {
            let message = format!("expected {classes} weights, one per class, found {found}");
            Err(keys::error("train.class_weights", message))
        };
        match (&self.class_weights, self.loss.class_weights()) {
            (_, Some(weights)) if weights.len() != classes => {
                return refuse(weights.len().to_string());
            }
            (Some(_), None) => return refuse("weights that need data".into()),
            _ => {}
        }
        let spec = NetworkSpec {
            inputs,
            hidden: self.hidden.clone(),
            outputs: classes,
            batch_norm: self.batch_norm,
            activation: self.activation,
            dropout: self.dropout,
            order: self.order,
            members: 1,
            embedding: None,
        };
        spec.validate().map_err(keys::with_flag)?;
        Ok(spec)
    }

    /// Which samples of `data.train` are learnt from, and which of it validate, or of `data.validation` if there is
    /// one.
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

/// How many of these training samples each class has.
fn class_counts(data: &Dataset, rows: &[u32]) -> Vec<usize> {
    let mut counts = vec![0; data.classes()];
    for &row in rows {
        let class = data.train.labels[row as usize] as usize;
        if let Some(count) = counts.get_mut(class) {
            *count += 1;
        }
    }
    counts
}

const DEFAULT_WIDTH: usize = 500;
const DEFAULT_DEPTH: usize = 2;

fn hidden(model: &ModelSettings) -> Result<Vec<usize>> {
    let Some(widths) = &model.widths else {
        let width = model.width.unwrap_or(DEFAULT_WIDTH);
        let depth = model.depth.unwrap_or(DEFAULT_DEPTH);
        return Ok(hidden_widths(width, depth, model.taper.unwrap_or(true)));
    };
    for (key, given) in [
        ("width", model.width.is_some()),
        ("depth", model.depth.is_some()),
        ("taper", model.taper.is_some()),
    ] {
        if given {
            let message = format!("expected either widths or {key}, found both");
            return Err(keys::error("model.widths", message));
        }
    }
    Ok(widths.clone())
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
            Err(keys::error("train.precision", message))
        }
    }
}

impl DataSettings {
    /// What to load, and how to read it.
    ///
    /// # Errors
    /// If there are several label columns, or two test parts.
    pub fn load_options(&self) -> Result<LoadOptions> {
        let columns = |list: &Option<Vec<Column>>| {
            let columns = list.iter().flatten();
            columns.map(|column| column.text().to_owned()).collect()
        };
        if self.test_split.is_some() && self.test_data.is_some() {
            let message = "expected either a share or a file, found both";
            return Err(keys::error("data.test_split", message));
        }
        Ok(LoadOptions {
            path: self.path.clone(),
            test: self.test.unwrap_or(true),
            test_split: self.test_split,
            test_data: self.test_data.clone(),
            table: TableOptions {
                label: self.label.as_ref().map(label).transpose()?,
                drop: columns(&self.drop),
                id: columns(&self.id),
                numeric: columns(&self.numeric),
                categorical: columns(&self.categorical),
                missing: self.missing.clone(),
                dialect: DialectOptions {
                    delimiter: self.delimiter.map(|delimiter| delimiter.0),
                    decimal: self.decimal,
                    header: self.header,
                },
            },
        })
    }
}

/// The only column of labels.
fn label(label: &Label) -> Result<String> {
    label.column().map(str::to_owned).ok_or_else(|| {
        let message = format!("expected one column, found {:?}", label.columns());
        keys::error("data.label", message)
    })
}

fn check_weights(weights: &ClassWeights) -> Result<()> {
    let is_computed = matches!(weights, ClassWeights::Computed(_));
    if is_computed || weights.values().any(|weight| weight > 0.0) {
        return Ok(());
    }
    let message = "expected a weight above 0, found none";
    Err(keys::error("train.class_weights", message))
}
