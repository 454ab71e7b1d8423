//! What there is of a run.

use std::sync::Arc;

use super::facts::SampleFacts;
use crate::data;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::ops::loss::Loss;
use crate::settings::Config;
use crate::train::{EpochRecord, RunDir, Summary};

/// A figure of a run, and where in the run it was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) value: f64,
    pub(super) place: Option<String>,
}

impl Found {
    pub(super) fn new(value: f64) -> Self {
        Found { value, place: None }
    }

    pub(super) fn at(value: f64, place: impl Into<String>) -> Self {
        let place = Some(place.into());
        Found { value, place }
    }
}

/// A figure, or why there is none.
pub(super) type Value = std::result::Result<Found, String>;

/// A run as its folder and its data show it.
pub(super) struct Case {
    pub(super) config: Config,
    /// The epochs whose loss is a number.
    pub(super) records: Vec<EpochRecord>,
    /// The epoch in which it diverged.
    pub(super) diverged: Option<u32>,
    pub(super) summary: Option<Summary>,
    /// The training part, or why it cannot be looked at.
    pub(super) samples: std::result::Result<SampleFacts, String>,
    classes: Option<usize>,
}

impl Case {
    pub(super) fn read(run: &RunDir) -> Result<Self> {
        let config = Config::new(&run.settings()?)?;
        let mut records = run.records()?;
        let summary = run.summary()?;
        let is_number = |r: &EpochRecord| r.train_loss.is_finite();
        let first_bad = records.iter().find(|r| !is_number(r)).map(|r| r.epoch);
        records.retain(is_number);
        let has_diverged = summary.as_ref().is_some_and(|s| s.diverged);
        let after_last = records.last().map_or(0, |r| r.epoch) + 1;
        let samples = read_samples(run, &config).map_err(|e| e.to_string());
        let classes = match &samples {
            Ok(facts) => Some(facts.class_counts.len()),
            Err(_) => Model::read(run.path())
                .ok()
                .map(|m| m.description.class_names.len()),
        };
        Ok(Case {
            diverged: first_bad.or(has_diverged.then_some(after_last)),
            config,
            records,
            summary,
            samples,
            classes,
        })
    }

    /// The last epoch whose loss is a number.
    pub(super) fn last(&self) -> std::result::Result<&EpochRecord, String> {
        self.records
            .last()
            .ok_or_else(|| "no epoch has ended".to_owned())
    }

    /// The objective of a network that knows nothing of its inputs: the entropy of the classes (without their counts,
    /// or with class weights, that of equal classes), or the loss of a standardised target by its mean, as if it were
    /// normal.
    pub(super) fn baseline(&self) -> std::result::Result<f64, String> {
        let normal_mean = libm::sqrt(2.0 / std::f64::consts::PI);
        match &self.config.loss {
            Loss::CrossEntropy(_) => {
                let counts = self.samples.as_ref().map(|facts| &facts.class_counts[..]);
                match (counts, self.classes) {
                    (Ok(counts), _) if self.config.class_weights.is_none() => Ok(entropy(counts)),
                    (_, Some(classes)) => Ok(libm::log(classes as f64)),
                    _ => Err("the number of classes is not known without data and model".into()),
                }
            }
            Loss::BinaryCrossEntropy(bce) if bce.positive_weights.is_some() => {
                Err("the loss of knowing nothing is not known with --positive-weights".into())
            }
            Loss::BinaryCrossEntropy(_) => Ok(std::f64::consts::LN_2),
            Loss::MeanSquaredError => Ok(1.0),
            Loss::MeanAbsoluteError => Ok(normal_mean),
            Loss::Huber(huber) => Ok((huber.delta * normal_mean).min(0.5)),
        }
    }
}

/// −Σ p log p of these counts.
fn entropy(counts: &[(String, usize)]) -> f64 {
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let terms = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(_, count)| {
            let p = *count as f64 / all as f64;
            -p * libm::log(p)
        });
    terms.sum()
}

/// The training part, if the data are still where they were, and the same.
fn read_samples(run: &RunDir, config: &Config) -> Result<SampleFacts> {
    let data = Arc::new(data::load(&config.source)?);
    if run.data_hash()?.is_some_and(|hash| hash != data.hash) {
        let (expected, found) = ("the data that the run was trained on", "other ones");
        return Err(Error::format(&data.path, "data set", expected, found));
    }
    let config = config.clone().for_data(&data)?;
    let split = config.split(&data);
    SampleFacts::of(data, &split.train, config.bins())
}
