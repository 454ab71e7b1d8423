//! Defaults that suit a table.
//!
//! Pictures keep the defaults of [`Config`](super::Config). A table of n training rows has others, where the user says
//! nothing:
//!
//! | setting | default |
//! |---|---|
//! | normalize | standard |
//! | batch_norm | false |
//! | batch_size | n / 100, in 16..256 |
//! | epochs | at most 200 |
//! | patience | 20, if the user does not say epochs and there is a validation part |
//! | monitor | val_loss |
//!
//! They were chosen on seven tables, and judged on seven others: `benches/peers` compares them with scikit-learn.

use super::Settings;
use crate::data::split::stratified;
use crate::data::{Dataset, Normalize};
use crate::metrics::ValidationMetric;

/// Share of the samples for validation.
pub(super) const DEFAULT_VALIDATION: f64 = 0.2;

const MAX_EPOCHS: u32 = 200;
const PATIENCE: u32 = 20;

impl Settings {
    /// These settings with the defaults that suit the data, and, if there are such, what was chosen in words.
    pub fn suited_to(&self, data: &Dataset) -> (Settings, Option<String>) {
        if !data.is_table() {
            return (self.clone(), None);
        }
        let validation = self.data.validation.unwrap_or(DEFAULT_VALIDATION);
        let (rows, has_validation) = match &data.validation {
            Some(_) => (data.train.len(), true),
            None => {
                let split =
                    stratified(&data.train.labels, validation, self.train.seed.unwrap_or(0));
                (split.train.len(), !split.validation.is_empty())
            }
        };
        let mut defaults = Settings::default();
        defaults.data.normalize = Some(Normalize::Standard);
        defaults.model.batch_norm = Some(false);
        defaults.train.batch_size = Some((rows / 100).clamp(16, 256).min(rows).max(1));
        if self.train.epochs.is_none() {
            defaults.train.epochs = Some(MAX_EPOCHS);
            defaults.train.patience = has_validation.then_some(PATIENCE);
        }
        defaults.train.monitor = Some(ValidationMetric::ValLoss);

        let suited = self.over(&defaults);
        let given = self.flat();
        let chosen: Vec<String> = defaults
            .flat()
            .into_iter()
            .filter(|(key, _)| !given.contains_key(key))
            .map(|(key, value)| {
                let name = key.split_once('.').map_or(key.as_str(), |(_, name)| name);
                format!("{name} {}", value.trim_matches('"'))
            })
            .collect();
        let notice = format!(
            "chosen for a table of {rows} training rows: {}",
            chosen.join(", ")
        );
        (suited, (!chosen.is_empty()).then_some(notice))
    }
}
