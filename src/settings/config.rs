//! Settings, checked: every value present, in range, and of the type that the engine uses.

use super::embed::{Embedding, embedding, write_embedding};
use super::loss::{loss, loss_before_data, write_loss};
use super::suited::{DEFAULT_BATCH_SIZE, DEFAULT_EPOCHS, DEFAULT_VALIDATION};
use super::{ClassWeights, Column, DataSettings, Label, ModelSettings, Settings, keys, rules};
use crate::backend::Order;
use crate::backend::select::{Device, Precision};
use crate::data::augment::Augment;
use crate::data::normalize::Normalize;
use crate::data::{
    Dataset, DialectOptions, Fitted, LoadOptions, Schema, Split, TableOptions, Task, Validation,
};
use crate::error::Result;
use crate::metrics::{Metric, ValidationMetric};
use crate::nn::init::Init;
use crate::nn::spec::hidden_widths;
use crate::nn::{FeatureEmbedding, NetworkSpec};
use crate::ops::activation::Activation;
use crate::ops::loss::Loss;
use crate::ops::loss::binary_cross_entropy::BinaryCrossEntropy;
use crate::optim::{By, Optimizer, Schedule};

/// A run, completely described: by [`Config::new`] as far as no data are needed, then by [`Config::for_data`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Config {
    /// What to load, and how to read it.
    pub source: LoadOptions,
    pub validation: Validation,
    pub normalize: Normalize,
    pub augment: Augment,
    /// Units of the hidden layers.
    pub hidden: Vec<usize>,
    pub batch_norm: bool,
    pub activation: Activation,
    pub dropout: f64,
    pub order: Order,
    pub init: Init,
    /// How the numbers of a table enter; `None`: as they are.
    pub embedding: Option<Embedding>,
    /// Networks in one.
    pub members: usize,
    pub epochs: u32,
    pub batch_size: usize,
    pub seed: u64,
    /// What is predicted; what the data suggest comes with [`Config::for_data`].
    pub task: Task,
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
    /// Whether the layers are looked at after each epoch.
    pub watch: bool,
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
        let loss = loss_before_data(train, data.task)?;
        let task = loss.task();
        let augment = data.augment.as_deref().unwrap_or("none");
        let init = model.init.as_deref().map(str::parse).transpose();
        let mut config = Config {
            source: data.load_options()?,
            validation: data.how_to_validate()?,
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
            embedding: embedding(model)?,
            members: model.members.unwrap_or(1),
            epochs: train.epochs.unwrap_or(DEFAULT_EPOCHS),
            batch_size: train.batch_size.unwrap_or(DEFAULT_BATCH_SIZE),
            seed: train.seed.unwrap_or(0),
            threads: train.threads,
            precision,
            device,
            shuffle: train.shuffle.unwrap_or(true),
            drop_last: train.drop_last.unwrap_or(false),
            class_weights: train.class_weights.clone(),
            task,
            loss,
            clip_norm: train.clip_norm.unwrap_or(0.0),
            patience: train.patience,
            min_delta: train.min_delta.unwrap_or(0.0),
            monitor: train.monitor.unwrap_or(match task {
                Task::Classification => ValidationMetric::default(),
                Task::Regression | Task::Multilabel => ValidationMetric::ValLoss,
            }),
            watch: train.watch.unwrap_or(false),
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
        config.loss = loss(&config.given.train, data.task)?;
        config.task = data.task;
        config.check_folds(data)?;
        if config.embedding.is_some() && !data.is_table() {
            let message = "expected a table, whose numbers can be encoded, found pictures";
            return Err(keys::error("model.embed", message));
        }
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

    /// Checks that the training samples can be dealt to the folds.
    fn check_folds(&self, data: &Dataset) -> Result<()> {
        let Validation::Fold { folds, .. } = self.validation else {
            return Ok(());
        };
        let found = match &data.validation {
            Some(_) => "a validation part in the data".to_owned(),
            None if (folds as usize) > data.train.len() => format!("{} samples", data.train.len()),
            None => return Ok(()),
        };
        let message = format!("expected samples to deal to {folds} folds, found {found}");
        Err(keys::error("data.folds", message))
    }

    /// Every value written out, so that the file alone repeats the run.
    fn to_settings(&self, given: &Settings) -> Settings {
        let model = &given.model;
        let mut s = Settings {
            data: given.data.clone(),
            ..Settings::default()
        };
        s.data.validation = match self.validation {
            Validation::Share(share) => Some(share),
            Validation::Fold { .. } => None,
        };
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
        write_embedding(&mut s.model, self.embedding);
        s.model.members = (self.members > 1).then_some(self.members);
        s.train.epochs = Some(self.epochs);
        s.train.batch_size = Some(self.batch_size);
        s.train.seed = Some(self.seed);
        s.train.threads = self.threads;
        s.train.precision = Some(self.precision);
        s.train.device = Some(self.device);
        s.train.shuffle = Some(self.shuffle);
        s.train.drop_last = Some(self.drop_last);
        write_loss(&mut s.train, &self.loss);
        s.train.class_weights.clone_from(&self.class_weights);
        s.train.clip_norm = Some(self.clip_norm);
        s.train.patience = self.patience;
        s.train.min_delta = Some(self.min_delta);
        s.train.monitor = Some(self.monitor);
        s.train.watch = self.watch.then_some(true);
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
        metrics
            .filter(|metric| metric.is_on_request(self.task))
            .collect()
    }

    /// The most bins of a number that is encoded piecewise linearly, if numbers are.
    pub fn bins(&self) -> Option<u32> {
        self.embedding.map(|embedding| embedding.bins)
    }

    /// The network for data as it takes them.
    ///
    /// # Errors
    /// As [`Config::network`].
    pub fn network_for(&self, data: &Fitted) -> Result<NetworkSpec> {
        let mut spec = self.network(data.train().width, data.data().classes())?;
        let spans = data.schema().map_or_else(Vec::new, Schema::binned_inputs);
        let width = self.embedding.map_or(0, |embedding| embedding.width);
        if width > 0 && !spans.is_empty() {
            spec.embedding = Some(FeatureEmbedding { spans, width });
            spec.validate().map_err(keys::with_flag)?;
        }
        Ok(spec)
    }

    /// The network for data of these sizes, whose numbers are embedded by no layer of their own.
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
        if let Loss::BinaryCrossEntropy(BinaryCrossEntropy {
            positive_weights: Some(weights),
        }) = &self.loss
            && weights.len() != classes
        {
            let found = weights.len();
            let message = format!("expected {classes} weights, one per label, found {found}");
            return Err(keys::error("train.positive_weights", message));
        }
        let spec = NetworkSpec {
            inputs,
            hidden: self.hidden.clone(),
            outputs: classes,
            batch_norm: self.batch_norm,
            activation: self.activation,
            dropout: self.dropout,
            order: self.order,
            members: self.members,
            embedding: None,
        };
        spec.validate().map_err(keys::with_flag)?;
        Ok(spec)
    }

    /// Which samples of `data.train` are learnt from, and which of it validate, or of `data.validation` if there is
    /// one.
    pub fn split(&self, data: &Dataset) -> Split {
        data.split(self.validation, self.seed)
    }
}

/// How many of these training samples each class has.
fn class_counts(data: &Dataset, rows: &[u32]) -> Vec<usize> {
    let mut counts = vec![0; data.classes()];
    for &row in rows {
        let class = data.train.labels.classes()[row as usize] as usize;
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
    /// Which samples validate: those of the fold, if one is said, in place of a share.
    ///
    /// # Errors
    /// If there is no such fold, or a share is said too.
    pub(super) fn how_to_validate(&self) -> Result<Validation> {
        let refuse = |key, message: &str| Err(keys::error(key, message));
        let share = self.validation.unwrap_or(DEFAULT_VALIDATION);
        match (self.fold, self.folds) {
            (_, Some(_)) if self.validation.is_some() => refuse(
                "data.folds",
                "expected either folds or a validation share, found both",
            ),
            (Some(_), None) => refuse(
                "data.fold",
                "expected a number of folds (--folds), found none",
            ),
            (Some(number), Some(folds)) if number > folds => {
                let message =
                    format!("expected at most {folds}, the number of folds, found {number}");
                refuse("data.fold", &message)
            }
            (Some(number), Some(folds)) => Ok(Validation::Fold { number, folds }),
            (None, Some(_)) => {
                let message =
                    "expected the number of a fold (--fold): only train goes through all folds";
                refuse("data.folds", message)
            }
            (None, None) => Ok(Validation::Share(share)),
        }
    }

    /// What to load, and how to read it.
    ///
    /// # Errors
    /// If there are two test parts.
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
                task: self.task,
                labels: self.label.as_ref().map_or_else(Vec::new, Label::to_vec),
                weight: self.weight.as_ref().map(|weight| weight.text().to_owned()),
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

fn check_weights(weights: &ClassWeights) -> Result<()> {
    let is_computed = matches!(weights, ClassWeights::Computed(_));
    if is_computed || weights.values().any(|weight| weight > 0.0) {
        return Ok(());
    }
    let message = "expected a weight above 0, found none";
    Err(keys::error("train.class_weights", message))
}
