//! Whether settings and data fit each other, before a run begins.

use super::monitor;
use crate::backend::select::Precision;
use crate::data::{Dataset, Fitted, Normalizer, Split};
use crate::error::Result;
use crate::model::tensors::TensorFile;
use crate::nn::NetworkSpec;
use crate::settings::{Config, setting_error};

/// Checks that a sample of the training part counts.
pub(super) fn check_weights(data: &Dataset, split: &Split) -> Result<()> {
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
pub(super) fn check_normalizer(
    normalizer: &Normalizer,
    data: &Fitted,
    precision: Precision,
) -> Result<()> {
    let mut each = normalizer.scale.iter().zip(&normalizer.shift);
    let Some(input) = each.position(|(&a, &b)| !(precision.holds(a) && precision.holds(b))) else {
        return Ok(());
    };
    let name = data.input_name(input);
    let message = format!(
        "standard expects features whose mean and spread {precision} holds, found {name}; --drop leaves a column out, \
         --precision f64 holds more"
    );
    Err(setting_error("data.normalize", message))
}

/// The classes that the class weights or the given initial weights have, where they are more than those of the data.
pub(super) fn classes(config: &Config, init_from: Option<&TensorFile<'_>>) -> usize {
    let weights = config.loss.class_weights().map_or(0, <[f64]>::len);
    let outputs = init_from.and_then(TensorFile::last_layer_outputs);
    weights.max(outputs.unwrap_or(0))
}

/// Checks that a run with these settings can learn from the data, as [`Trainer::new`] does.
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

pub(super) fn check_sizes(config: &Config, spec: &NetworkSpec, split: &Split) -> Result<()> {
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
