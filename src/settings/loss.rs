//! The loss that the settings name, and back.

use serde::{Deserialize, Serialize};

use super::{ClassWeights, TrainSettings, keys};
use crate::data::Task;
use crate::error::Result;
use crate::ops::loss::Loss;
use crate::ops::loss::binary_cross_entropy::BinaryCrossEntropy;
use crate::ops::loss::cross_entropy::CrossEntropy;
use crate::ops::loss::huber::Huber;

/// What training minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "cli", value(rename_all = "snake_case"))]
pub enum LossName {
    /// Softmax and cross-entropy (classification)
    CrossEntropy,
    /// Sigmoid and binary cross-entropy of each label (multilabel)
    Bce,
    /// Mean squared error (regression)
    Mse,
    /// Squared error up to --delta, absolute error beyond (regression)
    Huber,
    /// Mean absolute error (regression)
    Mae,
}

impl LossName {
    /// The task that it is for.
    pub(super) fn task(self) -> Task {
        match self {
            LossName::CrossEntropy => Task::Classification,
            LossName::Bce => Task::Multilabel,
            LossName::Mse | LossName::Huber | LossName::Mae => Task::Regression,
        }
    }

    /// The loss of a task, if none is said.
    fn of_task(task: Task) -> Self {
        match task {
            Task::Classification => LossName::CrossEntropy,
            Task::Regression => LossName::Mse,
            Task::Multilabel => LossName::Bce,
        }
    }
}

/// The loss, with its own defaults for what is not said.
///
/// # Errors
/// If it does not fit the task, or an option is said that it does not have.
pub(crate) fn loss(settings: &TrainSettings, task: Task) -> Result<Loss> {
    let name = settings.loss.unwrap_or(LossName::of_task(task));
    if name.task() != task {
        let message = format!(
            "expected a loss for {} (--task), found {}, which is for {}",
            task.name(),
            name.loss(settings).name(),
            name.task().name()
        );
        return Err(keys::error("train.loss", message));
    }
    let loss = name.loss(settings);
    let is_smooth = settings.label_smoothing.is_some_and(|share| share > 0.0);
    let (classes, labels) = (LossName::CrossEntropy, LossName::Bce);
    for (key, is_said, owner) in [
        ("train.label_smoothing", is_smooth, classes),
        (
            "train.class_weights",
            settings.class_weights.is_some(),
            classes,
        ),
        (
            "train.positive_weights",
            settings.positive_weights.is_some(),
            labels,
        ),
        ("train.delta", settings.delta.is_some(), LossName::Huber),
    ] {
        if is_said && name != owner {
            let message = format!("the loss {} has no such option", loss.name());
            return Err(keys::error(key, message));
        }
    }
    Ok(loss)
}

/// The loss as far as it is known without data: what task it is for, and so which options it has, the data may say.
///
/// # Errors
/// As [`loss`], if the settings say the task or the loss.
pub(super) fn loss_before_data(settings: &TrainSettings, task: Option<Task>) -> Result<Loss> {
    match (task, settings.loss) {
        (None, None) => Ok(LossName::CrossEntropy.loss(settings)),
        (None, Some(name)) => loss(settings, name.task()),
        (Some(task), _) => loss(settings, task),
    }
}

impl LossName {
    /// The loss, with those of its options that are said.
    fn loss(self, settings: &TrainSettings) -> Loss {
        match self {
            LossName::CrossEntropy => Loss::CrossEntropy(CrossEntropy {
                label_smoothing: settings.label_smoothing.unwrap_or(0.0),
                class_weights: match &settings.class_weights {
                    Some(ClassWeights::InOrder(weights)) => Some(weights.clone()),
                    _ => None,
                },
            }),
            LossName::Bce => Loss::BinaryCrossEntropy(BinaryCrossEntropy {
                positive_weights: settings.positive_weights.clone(),
            }),
            LossName::Mse => Loss::MeanSquaredError,
            LossName::Huber => Loss::Huber(Huber {
                delta: settings.delta.unwrap_or(1.0),
            }),
            LossName::Mae => Loss::MeanAbsoluteError,
        }
    }

    fn of_loss(loss: &Loss) -> Self {
        match loss {
            Loss::CrossEntropy(_) => LossName::CrossEntropy,
            Loss::BinaryCrossEntropy(_) => LossName::Bce,
            Loss::MeanSquaredError => LossName::Mse,
            Loss::Huber(_) => LossName::Huber,
            Loss::MeanAbsoluteError => LossName::Mae,
        }
    }
}

/// Writes the loss out, so that the file alone repeats it. That of classes goes without saying.
pub(super) fn write_loss(settings: &mut TrainSettings, loss: &Loss) {
    settings.loss = Some(LossName::of_loss(loss));
    match loss {
        Loss::CrossEntropy(options) => {
            settings.loss = None;
            settings.label_smoothing = Some(options.label_smoothing);
        }
        Loss::BinaryCrossEntropy(options) => {
            settings
                .positive_weights
                .clone_from(&options.positive_weights);
        }
        Loss::Huber(options) => settings.delta = Some(options.delta),
        Loss::MeanSquaredError | Loss::MeanAbsoluteError => {}
    }
}
