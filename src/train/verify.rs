//! Whether a run gives the same numbers again: it is trained a second time, and each epoch is compared with its record.
//!
//! Losses, metrics and rates of every epoch are compared, to the last digit. The records of many epochs also have the
//! SHA-256 of each tensor, and equal hashes are equal bits. Runs of earlier versions have none.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::fit::{Control, Observer, Start};
use super::record::{EpochRecord, Summary};
use super::run::{RunOptions, run_with};
use super::run_dir::{METRICS, RunDir};
use super::trainer::Progress;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::{Model, model_path};
use crate::settings::{Config, setting_error};

/// Fields of a record that are not compared as numbers: its times, what is looked at by itself, and what follows from
/// the weights.
const NOT_NUMBERS: [&str; 5] = [
    "train_seconds",
    "samples_per_second",
    "sha256",
    "computed_on",
    "layers",
];

/// What training a run again has shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// Epochs that are the same, from the first on: their losses, metrics and rates, and their tensors if they have
    /// hashes.
    pub epochs: u32,
    /// Those of them whose tensors have hashes.
    pub hashed_epochs: u32,
    /// Whether `model.safetensors` is of an epoch that was compared, and holds its bits.
    pub is_same_model: bool,
    /// The first difference.
    pub difference: Option<Difference>,
    /// What limits the comparison, in words.
    pub notices: Vec<String>,
}

/// Where a run and its repetition part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The first epoch that differs.
    pub epoch: u32,
    /// Its tensors that differ.
    pub tensors: Vec<String>,
    /// Its losses, metrics and rates that differ.
    pub metrics: Vec<MetricDifference>,
    /// The epoch itself is the same, but not the tensors of `model.safetensors`, which should be its.
    pub is_in_model_file: bool,
}

/// A number of a record that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricDifference {
    /// Its name in the record.
    pub name: String,
    /// What the run recorded.
    pub recorded: Value,
    /// What training again gives.
    pub found: Value,
}

/// The settings with which a run is trained again: its own, but its patience does not end it, and it is not tested. The
/// caller may change where the data are, and on what it is computed.
///
/// # Errors
/// If they cannot be read.
pub fn config_to_verify(run: &RunDir) -> Result<Config> {
    let mut config = Config::new(&run.settings()?)?;
    // It may have changed when the run was resumed; it changes no weight.
    config.patience = config.patience.map(|_| config.epochs);
    config.source.test = false;
    config.watch = false;
    Ok(config)
}

/// Trains a run again, up to its last recorded epoch, and compares each epoch. Nothing is written.
///
/// `config` is that of [`config_to_verify`]. Of `options` the initial weights count, which a run does not record, and
/// whether to compute one operation at a time.
///
/// # Errors
/// If the run has no record, its settings or data are not those that it was trained with, or training fails;
/// [`Error::Interrupted`] if the observer asks to stop.
pub fn verify(
    run: &RunDir,
    config: Config,
    data: Arc<Dataset>,
    options: &RunOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Verification> {
    let records = run.records()?;
    if records.is_empty() {
        return Err(Error::format(
            &run.file(METRICS),
            "file",
            "the record of an epoch",
            "none",
        ));
    }
    check_origin(run, &config, &data)?;
    let mut comparison = Verifier {
        notices: notices(run, &config, &records),
        recorded: &records,
        same: 0,
        hashed: 0,
        difference: None,
        observer,
    };
    let again = RunOptions {
        init_from: options.init_from,
        plain: options.plain,
        ..RunOptions::default()
    };
    let outcome = run_with(config, data, &again, &mut comparison)?;
    if outcome.summary.interrupted {
        let message = format!("interrupted; {} epochs are the same", comparison.same);
        return Err(Error::Interrupted(message));
    }
    let is_same_model = comparison.conclude(run, outcome.model.as_ref())?;
    if comparison.difference.as_ref().is_some_and(|d| d.epoch == 1) && options.init_from.is_none() {
        let notice = "if the run began with --init-from, it needs the same file to be verified";
        comparison.notices.push(notice.to_owned());
    }
    Ok(Verification {
        epochs: comparison.same,
        hashed_epochs: comparison.hashed,
        is_same_model,
        difference: comparison.difference,
        notices: comparison.notices,
    })
}

/// Checks that settings and data are those of the run.
fn check_origin(run: &RunDir, config: &Config, data: &Dataset) -> Result<()> {
    let config = config.clone().for_data(data)?;
    run.check_settings(&config.resolved, config.schedule.spans_run())?;
    match run.data_hash()? {
        Some(hash) if hash != data.hash => {
            let (path, found) = (data.path.display(), &data.hash);
            let message = format!(
                "expected the data that the run was trained on (hash {hash}), found {path} (hash {found})"
            );
            Err(setting_error("data.path", message))
        }
        _ => Ok(()),
    }
}

/// What limits the comparison before it begins.
fn notices(run: &RunDir, config: &Config, records: &[EpochRecord]) -> Vec<String> {
    let mut notices = Vec::new();
    if let Some(holder) = run.holder() {
        notices.push(format!(
            "{holder} works on the run: its {} epochs so far are compared",
            records.len()
        ));
    } else if records.len() < config.epochs as usize {
        notices.push(format!(
            "{} of {} epochs are recorded, and compared",
            records.len(),
            config.epochs
        ));
    }
    if records.iter().all(|record| record.sha256.is_empty()) {
        let notice =
            "the run recorded no hashes: losses, metrics and rates are compared, not weights";
        notices.push(notice.to_owned());
    }
    notices
}

/// Compares each epoch with its record, and ends the run at the first that differs or the last that is recorded.
struct Verifier<'a> {
    recorded: &'a [EpochRecord],
    /// Epochs that are the same.
    same: u32,
    /// Those of them whose tensors have hashes.
    hashed: u32,
    difference: Option<Difference>,
    notices: Vec<String>,
    observer: &'a mut dyn Observer,
}

impl Verifier<'_> {
    /// After the last epoch: whether the model of the run's file is that of training again. The file of a run that goes
    /// on may be of another epoch.
    fn conclude(&mut self, run: &RunDir, again: Option<&Model>) -> Result<bool> {
        if self.difference.is_some() {
            return Ok(false);
        }
        if let Some(record) = self.recorded.get(self.same as usize) {
            // Training again has ended before.
            self.difference = Some(Difference {
                epoch: record.epoch,
                tensors: in_order(record.sha256.keys()),
                metrics: Vec::new(),
                is_in_model_file: false,
            });
            return Ok(false);
        }
        let path = model_path(run.path());
        let Some(again) = again.filter(|_| path.is_file()) else {
            return Ok(false);
        };
        let recorded = Model::read(&path)?;
        let epoch = again.description.epoch;
        if epoch != recorded.description.epoch {
            let is_whole = |s: &Summary| s.best_epoch == Some(epoch) && s.epochs_run == self.same;
            if !run.summary()?.is_some_and(|summary| is_whole(&summary)) {
                return Ok(false);
            }
        }
        let tensors = recorded.differing_tensors(again);
        if tensors.is_empty() {
            return Ok(true);
        }
        self.difference = Some(Difference {
            epoch,
            tensors,
            metrics: Vec::new(),
            is_in_model_file: true,
        });
        Ok(false)
    }

    /// Says once for each kind of machine that a record was made on another one.
    fn note_other_machine(&mut self, recorded: &EpochRecord, found: &EpochRecord) {
        let is_known = !recorded.sha256.is_empty();
        if is_known && recorded.computed_on != found.computed_on {
            let name =
                |on: &Option<String>| on.clone().unwrap_or_else(|| "a processor in f32".into());
            let notice = format!(
                "computed on {}, now on {}: the same bits are promised on one kind of machine only",
                name(&recorded.computed_on),
                name(&found.computed_on)
            );
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
    }
}

impl Observer for Verifier<'_> {
    fn start(&mut self, start: &Start<'_>) {
        self.observer.start(start);
    }

    fn interrupted(&self) -> bool {
        self.observer.interrupted()
    }

    fn wants_hashes(&self, epoch: u32) -> bool {
        let recorded = self.recorded.get(epoch as usize - 1);
        recorded.is_some_and(|record| !record.sha256.is_empty())
    }

    fn batch(&mut self, progress: &Progress, batches: usize) {
        self.observer.batch(progress, batches);
    }

    fn epoch(&mut self, found: &EpochRecord, best: bool) -> Control {
        let control = self.observer.epoch(found, best);
        let recorded = &self.recorded[self.same as usize];
        self.note_other_machine(recorded, found);
        self.difference = difference(recorded, found);
        if self.difference.is_some() {
            return Control::Stop;
        }
        self.same += 1;
        self.hashed += u32::from(!recorded.sha256.is_empty());
        match self.same as usize == self.recorded.len() {
            true => Control::Stop,
            false => control,
        }
    }
}

/// What differs between the records of an epoch. What the run did not record is not compared.
fn difference(recorded: &EpochRecord, found: &EpochRecord) -> Option<Difference> {
    let differs = |name: &&String| recorded.sha256.get(*name) != found.sha256.get(*name);
    let names: BTreeSet<&String> = match recorded.sha256.is_empty() {
        true => BTreeSet::new(),
        false => recorded.sha256.keys().chain(found.sha256.keys()).collect(),
    };
    let tensors = in_order(names.iter().copied().filter(differs));
    let values = |record| serde_json::to_value(record).expect("a record is plain data");
    let (before, now) = (values(recorded), values(found));
    let fields = before.as_object().into_iter().flatten();
    let metrics: Vec<MetricDifference> = fields
        .filter(|(name, value)| !NOT_NUMBERS.contains(&name.as_str()) && now[name] != **value)
        .map(|(name, value)| MetricDifference {
            name: name.clone(),
            recorded: value.clone(),
            found: now[name].clone(),
        })
        .collect();
    if tensors.is_empty() && metrics.is_empty() {
        return None;
    }
    Some(Difference {
        epoch: found.epoch,
        tensors,
        metrics,
        is_in_model_file: false,
    })
}

/// Names of tensors in the order of the network's layers: numbers in them count as numbers.
fn in_order<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = names.cloned().collect();
    names.sort_by_cached_key(|name| {
        let parts = name.split('.');
        let part = |part: &str| (part.parse::<u64>().unwrap_or(u64::MAX), part.to_owned());
        parts.map(part).collect::<Vec<_>>()
    });
    names
}

#[cfg(test)]
mod tests;
