//! The optimiser and the schedule that the settings name, and back.
//!
//! Each key that the named one has is taken out of a copy. What is left over belongs to another one and is refused.

use super::keys::{self, KEYS};
use super::value::Value;
use super::{Config, OptimizerName, OptimizerSettings, ScheduleName, ScheduleSettings, Settings};
use crate::error::Result;
use crate::optim::{Adam, AdamW, Optimizer, RmsProp, Rprop, Schedule, Sgd};

/// The optimiser, with its own defaults for what is not said.
///
/// # Errors
/// Names a key that it does not have, or that does not fit another one.
pub(super) fn optimizer(settings: &OptimizerSettings) -> Result<Optimizer> {
    let name = settings.name.unwrap_or_default();
    let mut given = OptimizerSettings {
        name: None,
        lr: None,
        ..settings.clone()
    };
    let optimizer = match name {
        OptimizerName::Sgd => {
            let default = Sgd::default();
            Optimizer::Sgd(Sgd {
                momentum: given.momentum.take().unwrap_or(default.momentum),
                nesterov: given.nesterov.take().unwrap_or(default.nesterov),
                weight_decay: given.weight_decay.take().unwrap_or(default.weight_decay),
            })
        }
        OptimizerName::Adam => {
            let default = Adam::default();
            Optimizer::Adam(Adam {
                beta1: given.beta1.take().unwrap_or(default.beta1),
                beta2: given.beta2.take().unwrap_or(default.beta2),
                eps: given.eps.take().unwrap_or(default.eps),
                weight_decay: given.weight_decay.take().unwrap_or(default.weight_decay),
            })
        }
        OptimizerName::AdamW => {
            let default = AdamW::default();
            Optimizer::AdamW(AdamW {
                beta1: given.beta1.take().unwrap_or(default.beta1),
                beta2: given.beta2.take().unwrap_or(default.beta2),
                eps: given.eps.take().unwrap_or(default.eps),
                weight_decay: given.weight_decay.take().unwrap_or(default.weight_decay),
            })
        }
        OptimizerName::RmsProp => {
            let default = RmsProp::default();
            Optimizer::RmsProp(RmsProp {
                alpha: given.alpha.take().unwrap_or(default.alpha),
                eps: given.eps.take().unwrap_or(default.eps),
                momentum: given.momentum.take().unwrap_or(default.momentum),
                weight_decay: given.weight_decay.take().unwrap_or(default.weight_decay),
            })
        }
        OptimizerName::Rprop => Optimizer::Rprop(Rprop {}),
    };
    let rest = Settings {
        optimizer: given,
        ..Settings::default()
    };
    nothing_left(&rest, &name)?;
    optimizer
        .validate()
        .map_err(|e| keys::within("optimizer", e))?;
    Ok(optimizer)
}

/// The optimiser written out, so that the file alone repeats it.
pub(super) fn optimizer_settings(optimizer: &Optimizer, lr: f64) -> OptimizerSettings {
    let mut settings = OptimizerSettings {
        lr: Some(lr),
        ..OptimizerSettings::default()
    };
    let name = match optimizer {
        Optimizer::Sgd(sgd) => {
            settings.momentum = Some(sgd.momentum);
            settings.nesterov = Some(sgd.nesterov);
            settings.weight_decay = Some(sgd.weight_decay);
            OptimizerName::Sgd
        }
        Optimizer::Adam(adam) => {
            settings.beta1 = Some(adam.beta1);
            settings.beta2 = Some(adam.beta2);
            settings.eps = Some(adam.eps);
            settings.weight_decay = Some(adam.weight_decay);
            OptimizerName::Adam
        }
        Optimizer::AdamW(adamw) => {
            settings.beta1 = Some(adamw.beta1);
            settings.beta2 = Some(adamw.beta2);
            settings.eps = Some(adamw.eps);
            settings.weight_decay = Some(adamw.weight_decay);
            OptimizerName::AdamW
        }
        Optimizer::RmsProp(rmsprop) => {
            settings.alpha = Some(rmsprop.alpha);
            settings.eps = Some(rmsprop.eps);
            settings.momentum = Some(rmsprop.momentum);
            settings.weight_decay = Some(rmsprop.weight_decay);
            OptimizerName::RmsProp
        }
        Optimizer::Rprop(_) => OptimizerName::Rprop,
    };
    settings.name = Some(name);
    settings
}

/// The schedule, with defaults where there are such for what is not said.
///
/// # Errors
/// Names a key that it needs or does not have, or that does not fit another one.
pub(super) fn schedule(settings: &ScheduleSettings) -> Result<Schedule> {
    let name = settings.name.unwrap_or_default();
    let mut given = ScheduleSettings {
        name: None,
        by: None,
        warmup: None,
        ..settings.clone()
    };
    let needed = |key: &str| {
        let message = format!(
            "expected a value with name = {}, found none",
            name.written()
        );
        keys::error(&format!("schedule.{key}"), message)
    };
    let schedule = match name {
        ScheduleName::Constant => Schedule::Constant,
        ScheduleName::Step => Schedule::Step {
            step_size: given.step_size.take().ok_or_else(|| needed("step_size"))?,
            gamma: given.gamma.take().unwrap_or(Schedule::GAMMA),
        },
        ScheduleName::MultiStep => Schedule::MultiStep {
            milestones: given
                .milestones
                .take()
                .ok_or_else(|| needed("milestones"))?,
            gamma: given.gamma.take().unwrap_or(Schedule::GAMMA),
        },
        ScheduleName::Exponential => Schedule::Exponential {
            gamma: given.gamma.take().ok_or_else(|| needed("gamma"))?,
        },
        ScheduleName::Cosine => Schedule::Cosine,
        ScheduleName::OneCycle => Schedule::OneCycle {
            pct_start: given.pct_start.take().unwrap_or(Schedule::PCT_START),
        },
        ScheduleName::Plateau => {
            given.monitor = None;
            Schedule::Plateau {
                factor: given.factor.take().unwrap_or(Schedule::FACTOR),
                patience: given.patience.take().unwrap_or(Schedule::PATIENCE),
            }
        }
    };
    let rest = Settings {
        schedule: given,
        ..Settings::default()
    };
    nothing_left(&rest, &name)?;
    schedule
        .validate(settings.by.unwrap_or_default())
        .map_err(|e| keys::within("schedule", e))?;
    Ok(schedule)
}

/// The schedule written out, so that the file alone repeats it.
pub(super) fn schedule_settings(config: &Config) -> ScheduleSettings {
    let mut settings = ScheduleSettings {
        by: Some(config.by),
        warmup: Some(config.warmup),
        ..ScheduleSettings::default()
    };
    let name = match &config.schedule {
        Schedule::Constant => ScheduleName::Constant,
        Schedule::Step { step_size, gamma } => {
            (settings.step_size, settings.gamma) = (Some(*step_size), Some(*gamma));
            ScheduleName::Step
        }
        Schedule::MultiStep { milestones, gamma } => {
            (settings.milestones, settings.gamma) = (Some(milestones.clone()), Some(*gamma));
            ScheduleName::MultiStep
        }
        Schedule::Exponential { gamma } => {
            settings.gamma = Some(*gamma);
            ScheduleName::Exponential
        }
        Schedule::Cosine => ScheduleName::Cosine,
        Schedule::OneCycle { pct_start } => {
            settings.pct_start = Some(*pct_start);
            ScheduleName::OneCycle
        }
        Schedule::Plateau { factor, patience } => {
            (settings.factor, settings.patience) = (Some(*factor), Some(*patience));
            settings.monitor = Some(config.schedule_monitor);
            ScheduleName::Plateau
        }
    };
    settings.name = Some(name);
    settings
}

/// Refuses keys that the optimiser or schedule of this name does not have.
fn nothing_left(rest: &Settings, name: &impl Value) -> Result<()> {
    match KEYS.iter().find(|key| key.is_set(rest)) {
        None => Ok(()),
        Some(key) => {
            let message = format!("expected no such key with name = {}", name.written());
            Err(key.error(message))
        }
    }
}
