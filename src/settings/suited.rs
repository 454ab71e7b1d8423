//! Defaults that suit a table.
//!
//! Pictures keep the defaults of [`Config`](super::Config). A table of n training rows has others, where the user says
//! nothing:
//!
//! | setting | default |
//! |---|---|
//! | task | what the labels suggest |
//! | normalize | standard |
//! | batch_norm | false |
//! | batch_size | n / 100, in 16..256 |
//! | epochs | at most 200 |
//! | patience | 20, if the user does not say epochs and there is a validation part |
//! | monitor | val_loss |
//!
//! They were chosen on seven tables, and judged on seven others: `benches/peers` compares them with scikit-learn.

use super::Settings;
use crate::data::{Dataset, Normalize, Task, Validation};
use crate::metrics::ValidationMetric;

/// Share of the samples for validation.
pub(super) const DEFAULT_VALIDATION: f64 = 0.2;

/// Samples per update, if they are pictures.
pub(super) const DEFAULT_BATCH_SIZE: usize = 100;
/// Passes over the training part, if it is pictures.
pub(super) const DEFAULT_EPOCHS: u32 = 10;

/// The most passes over the training part of a table.
const MAX_EPOCHS: u32 = 200;
const PATIENCE: u32 = 20;

fn unless<T, U>(said: &Option<T>, default: U) -> Option<U> {
    said.is_none().then_some(default)
}

impl Settings {
    /// The defaults that pictures have, and that every data set had in earlier versions, where tables have others.
    pub fn of_pictures() -> Settings {
        let mut defaults = Settings::default();
        defaults.data.normalize = Some(Normalize::Auto);
        defaults.model.batch_norm = Some(true);
        defaults.train.batch_size = Some(DEFAULT_BATCH_SIZE);
        defaults.train.epochs = Some(DEFAULT_EPOCHS);
        defaults.train.monitor = Some(ValidationMetric::ValAccuracy);
        defaults
    }

    /// The defaults that suit the data, of settings that these do not say, and, if there are such, what was chosen in
    /// words.
    pub fn suited_to(&self, data: &Dataset) -> (Settings, Option<String>) {
        let mut chosen = Settings::default();
        let is_classification = data.task == Task::Classification;
        let task = unless(&self.data.task, data.task);
        chosen.data.task = task.filter(|_| !is_classification);
        if !data.is_table() {
            let notice = chosen
                .data
                .task
                .map(|task| format!("chosen: task {}", task.name()));
            return (chosen, notice);
        }
        // Settings that are refused are so before they get here.
        let validation =
            (self.data.how_to_validate()).unwrap_or(Validation::Share(DEFAULT_VALIDATION));
        let split = data.split(validation, self.train.seed.unwrap_or(0));
        let (rows, has_validation) = (split.train.len(), !split.validation.is_empty());
        let batch_size = (rows / 100).clamp(16, 256).min(rows).max(1);
        let is_timed = self.train.epochs.is_some();
        chosen.data.normalize = unless(&self.data.normalize, Normalize::Standard);
        chosen.model.batch_norm = unless(&self.model.batch_norm, false);
        chosen.train.batch_size = unless(&self.train.batch_size, batch_size);
        chosen.train.epochs = unless(&self.train.epochs, MAX_EPOCHS);
        let patience = unless(&self.train.patience, PATIENCE);
        chosen.train.patience = patience.filter(|_| has_validation && !is_timed);
        chosen.train.monitor = unless(&self.train.monitor, ValidationMetric::ValLoss);
        let words: Vec<String> = chosen
            .flat()
            .into_iter()
            .map(|(key, value)| {
                let name = key.split_once('.').map_or(key.as_str(), |(_, name)| name);
                format!("{name} {}", value.trim_matches('"'))
            })
            .collect();
        let notice = format!(
            "chosen for a table of {rows} training rows: {}",
            words.join(", ")
        );
        (chosen, (!words.is_empty()).then_some(notice))
    }
}
