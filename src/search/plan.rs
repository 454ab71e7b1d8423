//! What a search is, completely described: two processes with equal plans do the same work.

use std::sync::Arc;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use super::distribution::Distribution;
use super::pruner::{Hyperband, Median, Never, Pruner, SuccessiveHalving};
use super::sampler::{Grid, Random, Sampler, Sobol, Tpe};
use super::space::{Point, Space};
use crate::backend::select::Device;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::metrics::ValidationMetric;
use crate::rng;
use crate::settings::{Config, Settings};
use crate::train::{check_fit, check_values};

/// Where to look next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum SamplerName {
    /// Uniformly random points
    #[default]
    Random,
    /// Scrambled Sobol sequence: random points, evenly spread
    Sobol,
    /// Tree-structured Parzen estimator: points near good trials
    Tpe,
    /// Every point of a finite space, in order
    Grid,
}

/// What to give up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum PrunerName {
    /// Stop no trial
    #[default]
    None,
    /// Stop trials that are worse than the median of the complete trials at the same epoch
    Median,
    /// Asynchronous successive halving: at epochs 1, 4, 16, … one trial in four continues
    Asha,
    /// Successive halving with several values of the first epoch
    Hyperband,
}

/// A search.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The study's name in its file.
    pub name: String,
    /// What is searched.
    pub space: Space,
    /// Everything else of a run.
    pub base: Settings,
    /// What holds where they say nothing; it is not written down.
    pub unsaid: Settings,
    /// What points, weights and all else are drawn from.
    pub seed: u64,
    /// Runs of each point, with different seeds; their mean counts.
    pub repeats: u32,
    /// The metric to be made as good as possible.
    pub objective: ValidationMetric,
    /// How.
    pub sampler: SamplerName,
    /// What ends early.
    pub pruner: PrunerName,
}

/// More runs of each point than this are refused as a mistake: a trial notes something of each.
const MAX_REPEATS: u32 = 10_000;

/// Which random numbers repeats have; apart from all other uses of the study's seed.
const REPEAT: u32 = 0x5245_5045;

/// The same, of a point in a grid.
const GRID: u32 = 0x4752_4944;

impl Plan {
    /// Checks it: at the middle of the space, and there with every choice and both ends of every range.
    ///
    /// # Errors
    /// If there is nothing to search, or the settings make no run that could be validated.
    pub fn check(&self) -> Result<()> {
        if self.space.is_empty() {
            let message = "expected at least one range or list of choices, such as --lr 0.0005..0.005:log, found none";
            return Err(Error::setting("the search space", message));
        }
        if !(1..=MAX_REPEATS).contains(&self.repeats) {
            let message = format!("expected from 1 to {MAX_REPEATS}, found {}", self.repeats);
            return Err(Error::setting("repeats (--repeats)", message));
        }
        self.probes()
            .iter()
            .try_for_each(|point| self.config(point, 0, 0).map(drop))
    }

    /// Checks that runs of it can learn from and be validated on the data, at the same points as [`Plan::check`]. The
    /// values of the data are checked once, since few settings matter to them.
    ///
    /// # Errors
    /// If they cannot.
    pub fn check_fit(&self, data: &Arc<Dataset>) -> Result<()> {
        for point in self.probes() {
            let config = self.config(&point, 0, 0)?;
            if config.split(data).validation.is_empty() {
                let message = "expected validation data to search with, found none";
                return Err(Error::setting("data.validation", message));
            }
            check_fit(&config, data)?;
        }
        check_values(&self.config(&self.space.middle(), 0, 0)?, data)
    }

    /// Where trials compute.
    pub(super) fn device(&self) -> Device {
        self.base.train.device.unwrap_or_default()
    }

    /// The middle of the space, there with every choice and with both ends of every range.
    fn probes(&self) -> Vec<Point> {
        let middle = self.space.middle();
        let mut probes = vec![middle.clone()];
        for (i, distribution) in self.space.distributions().enumerate() {
            let values = match *distribution {
                Distribution::Categorical { ref choices } => {
                    (0..choices.len()).map(|choice| choice as f64).collect()
                }
                Distribution::Float { low, high, .. } => vec![low, high],
                Distribution::Int { low, high, .. } => vec![low as f64, high as f64],
            };
            probes.extend(values.into_iter().map(|value| {
                let mut point = middle.clone();
                point[i] = value;
                point
            }));
        }
        probes
    }

    /// The settings of a repeat at a point.
    ///
    /// # Errors
    /// If they do not fit each other.
    pub fn config(&self, point: &[f64], slot: u32, repeat: u32) -> Result<Config> {
        let base = self.base.over(&self.unsaid);
        let mut settings = self.space.settings(point, &base)?;
        settings.train.seed = Some(self.repeat_seed(point, slot, repeat));
        settings.train.threads = None;
        settings.data.test = Some(false);
        let mut config = Config::new(&settings)?;
        config.objective = Some(self.objective);
        Ok(config)
    }

    /// The seed of a repeat, with 53 bits, so that any program reads it exactly: a function of the study's seed, the
    /// repeat and the slot. In a grid it is the point that counts and not its place, so that more values, or another
    /// order, change no run.
    pub fn repeat_seed(&self, point: &[f64], slot: u32, repeat: u32) -> u64 {
        let counter = match self.sampler {
            SamplerName::Grid => [self.fingerprint(point), repeat, GRID, 0],
            _ => [slot, repeat, REPEAT, 0],
        };
        let [low, high, ..] = rng::philox4x32(counter, rng::key(self.seed));
        ((u64::from(high) << 32) | u64::from(low)) >> 11
    }

    /// 32 bits of the parameters' names and values.
    fn fingerprint(&self, point: &[f64]) -> u32 {
        let value = |((name, distribution), &x): ((&str, &Distribution), &f64)| {
            format!("{name}={};", distribution.external(x).unwrap_or_default())
        };
        let text: String = self.space.iter().zip(point).map(value).collect();
        crc32fast::hash(text.as_bytes())
    }

    /// The sampler with its seed.
    pub(super) fn sampler(&self) -> Box<dyn Sampler> {
        let seed = self.seed;
        match self.sampler {
            SamplerName::Random => Box::new(Random { seed }),
            SamplerName::Sobol => Box::new(Sobol { seed }),
            SamplerName::Tpe => Box::new(Tpe { seed }),
            SamplerName::Grid => Box::new(Grid),
        }
    }

    /// The pruner, for trials of this number of epochs, over all repeats.
    pub(super) fn pruner(&self, epochs: u64) -> Box<dyn Pruner> {
        match self.pruner {
            PrunerName::None => Box::new(Never),
            PrunerName::Median => Box::new(Median::default()),
            PrunerName::Asha => Box::new(SuccessiveHalving::default()),
            PrunerName::Hyperband => Box::new(Hyperband::new(epochs)),
        }
    }

    /// All that decides what trials are and come to, for the study file.
    pub(super) fn describe(&self, data_hash: &str) -> Value {
        let space: serde_json::Map<_, _> = self
            .space
            .iter()
            .map(|(name, d)| (name.to_owned(), json!(d.to_json())))
            .collect();
        let mut base = self.base.clone();
        // Where things are, how many do the work and what is written down of it do not change what comes out.
        (base.data.path, base.data.test) = (None, None);
        (base.train.threads, base.train.seed, base.train.watch) = (None, None, None);
        json!({
            "format": 1,
            "seed": self.seed,
            "repeats": self.repeats,
            "objective": self.objective,
            "sampler": self.sampler,
            "pruner": self.pruner,
            "space": space,
            "base": base.flat(),
            "data": data_hash,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let mut space = Space::default();
        space.add("lr", "0.001..0.01").unwrap();
        Plan {
            name: "s".into(),
            space,
            base: Settings::default(),
            unsaid: Settings::default(),
            seed: 3,
            repeats: 2,
            objective: ValidationMetric::default(),
            sampler: SamplerName::default(),
            pruner: PrunerName::default(),
        }
    }

    #[test]
    fn every_repeat_has_its_own_seed() {
        let plan = plan();
        let mut seeds: Vec<u64> = (0..50)
            .flat_map(|slot| (0..3).map(move |repeat| (slot, repeat)))
            .map(|(s, r)| plan.repeat_seed(&[0.005], s, r))
            .collect();
        assert!(seeds.iter().all(|&s| s < 1 << 53));
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 150);
        let other = Plan {
            seed: 4,
            ..plan.clone()
        };
        assert_ne!(
            other.repeat_seed(&[0.005], 0, 0),
            plan.repeat_seed(&[0.005], 0, 0)
        );
    }

    #[test]
    fn in_a_grid_the_value_decides_and_not_its_place() {
        let grid = |values: &str| {
            let mut space = Space::default();
            space.add("width", values).unwrap();
            Plan {
                space,
                sampler: SamplerName::Grid,
                ..plan()
            }
        };
        let (two, three) = (grid("50,100"), grid("200,100,50"));
        assert_eq!(
            two.repeat_seed(&[0.0], 0, 1),
            three.repeat_seed(&[2.0], 2, 1)
        );
        assert_ne!(two.repeat_seed(&[0.0], 0, 1), two.repeat_seed(&[1.0], 0, 1));
        assert_ne!(two.repeat_seed(&[0.0], 0, 1), two.repeat_seed(&[0.0], 0, 0));
    }

    #[test]
    fn a_plan_that_cannot_run_is_refused() {
        plan().check().unwrap();
        let empty = Plan {
            space: Space::default(),
            ..plan()
        };
        assert!(empty.check().unwrap_err().to_string().contains("--lr"));
        let mut wrong = plan();
        wrong.base.model.dropout = Some(2.0);
        assert!(
            wrong
                .check()
                .unwrap_err()
                .to_string()
                .contains("model.dropout")
        );
    }

    /// The first trial that draws such a value would otherwise be the first to say so.
    #[test]
    fn the_ends_of_a_range_are_checked() {
        for (setting, range) in [("dropout", "0..1.5"), ("dropout", "-0.1..0.5")] {
            let mut space = Space::default();
            space.add(setting, range).unwrap();
            let error = Plan { space, ..plan() }.check().unwrap_err();
            assert!(error.to_string().contains("model.dropout"), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn the_description_is_about_results_only() {
        let describe = |plan: &Plan| plan.describe("hash");
        let mut elsewhere = plan();
        elsewhere.base.data.path = Some("other/place".into());
        elsewhere.base.train.threads = Some(7);
        elsewhere.base.train.watch = Some(true);
        assert_eq!(describe(&elsewhere), describe(&plan()));
        assert_ne!(
            describe(&Plan {
                repeats: 3,
                ..plan()
            }),
            describe(&plan())
        );
        let mut wider = plan();
        wider.base.model.width = Some(9);
        assert_ne!(describe(&wider), describe(&plan()));
    }
}
