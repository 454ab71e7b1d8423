//! Whether settings and data fit each other, before a run begins.

use std::sync::Arc;

use super::monitor;
use crate::backend::select::Precision;
use crate::data::{Dataset, Fitted, Normalizer, Split, TargetScale, Task};
use crate::error::Result;
use crate::model::tensors::TensorFile;
use crate::nn::NetworkSpec;
use crate::settings::{Config, setting_error};

/// Settings and data that fit each other, as a run takes them.
pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) data: Fitted,
    pub(super) split: Split,
    pub(super) spec: NetworkSpec,
    pub(super) normalizer: Normalizer,
    /// What standardises the numbers to predict.
    pub(super) target_scale: Option<TargetScale>,
}

impl Prepared {
    /// Splits the data, fits what is fitted on the training part, and checks everything.
    ///
    /// # Errors
    /// If settings and data do not fit each other.
    pub(super) fn new(
        config: Config,
        data: Arc<Dataset>,
        init_from: Option<&TensorFile<'_>>,
    ) -> Result<Self> {
        data.check()?;
        let config = config.for_data(&data)?;
        let data = data.with_classes(classes(&config, init_from));
        let split = config.split(&data);
        monitor::check(&config, &data, &split)?;
        check_weights(&data, &split)?;
        config
            .augment
            .check(data.image)
            .map_err(|e| crate::settings::within("data", e))?;
        let data = Fitted::new(data, &split.train, config.bins())?;
        let spec = config.network_for(&data)?;
        check_sizes(&config, &spec, &split)?;
        let normalizer = data.normalizer(config.normalize, &split.train);
        check_normalizer(&normalizer, &data, config.precision)?;
        let target_scale = target_scale(&data, &split)?;
        Ok(Prepared {
            config,
            data,
            split,
            spec,
            normalizer,
            target_scale,
        })
    }
}

/// Checks that a sample of the training part counts.
fn check_weights(data: &Dataset, split: &Split) -> Result<()> {
    let counts = |weights: &[f64]| split.train.iter().any(|&row| weights[row as usize] > 0.0);
    match &data.train.weights {
        Some(weights) if !counts(weights) => {
            let message = "expected a weight above 0 in the training part, found none";
            Err(setting_error("data.weight", message))
        }
        _ => Ok(()),
    }
}

/// Checks that factor and summand of each feature are numbers of the precision: a model file holds no others.
fn check_normalizer(normalizer: &Normalizer, data: &Fitted, precision: Precision) -> Result<()> {
    let mut each = normalizer.scale.iter().zip(&normalizer.shift);
    let Some(input) = each.position(|(&a, &b)| !(precision.holds(a) && precision.holds(b))) else {
        return Ok(());
    };
    let name = data.input_name(input);
    let more = match precision {
        Precision::F64 => "",
        _ => ", --precision f64 holds more",
    };
    let message = format!(
        "standard expects features whose mean and spread {precision} holds, found {name}; --drop leaves a column \
         out{more}"
    );
    Err(setting_error("data.normalize", message))
}

/// What standardises the numbers to predict; `None` in other tasks.
fn target_scale(data: &Fitted, split: &Split) -> Result<Option<TargetScale>> {
    if data.data().task != Task::Regression {
        return Ok(None);
    }
    let scale = TargetScale::fit(&data.train().labels, &split.train);
    match scale.as_ref().and_then(TargetScale::overflow) {
        None => Ok(scale),
        Some(column) => {
            let name = &data.data().class_names[column];
            let message = format!("expected numbers whose spread f64 holds, found {name:?}");
            Err(setting_error("data.label", message))
        }
    }
}

/// The classes that the class weights or the given initial weights have, where they are more than those of the data.
fn classes(config: &Config, init_from: Option<&TensorFile<'_>>) -> usize {
    let weights = config.loss.class_weights().map_or(0, <[f64]>::len);
    let outputs = init_from.and_then(TensorFile::last_layer_outputs);
    weights.max(outputs.unwrap_or(0))
}

/// Checks sizes and names, but no values: that a run with these settings can learn from such data.
///
/// # Errors
/// If it cannot.
pub fn check_fit(config: &Config, data: &Dataset) -> Result<()> {
    let config = &config.clone().for_data(data)?;
    let classes = data.classes().max(classes(config, None));
    let spec = config.network(data.train.width, classes)?;
    let split = config.split(data);
    check_sizes(config, &spec, &split)?;
    monitor::check(config, data, &split)
}

/// Fits what a run with these settings fits on the training part of the data, and checks it.
///
/// # Errors
/// If the run could not begin with it.
pub fn check_values(config: &Config, data: &Arc<Dataset>) -> Result<()> {
    Prepared::new(config.clone(), data.clone(), None).map(drop)
}

fn check_sizes(config: &Config, spec: &NetworkSpec, split: &Split) -> Result<()> {
    if config.batch_size == 1 && spec.has_batch_norm() {
        let message =
            "expected at least 2: batch normalisation has no variance of one sample; found 1";
        return Err(setting_error("train.batch_size", message));
    }
    if split.validation.is_empty() {
        for (key, given) in [
            ("train.patience", config.patience.is_some()),
            (
                "schedule.name = plateau",
                config.schedule.plateau().is_some(),
            ),
        ] {
            if given {
                return Err(setting_error(key, "expected validation data, found none"));
            }
        }
    }
    Ok(())
}
