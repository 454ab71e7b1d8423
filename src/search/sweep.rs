//! One-at-a-time series: one setting takes one value after the other, everything else stays as it is.
//!
//! A series is a study like any other, over a grid of one parameter, with several repeats of each value.

use super::distribution::Distribution;
use super::journal::{State, Storage, Study};
use super::plan::{Objective, Plan, PrunerName, SamplerName};
use super::space::Space;
use crate::analysis::student::{self, Mean};
use crate::error::{Error, Result};
use crate::train::Settings;

/// A setting and the values that it takes, as they would be written behind its flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The setting's name.
    pub parameter: String,
    /// Joined by commas; by slashes where values have commas themselves.
    pub values: String,
}

impl Series {
    /// The six series of the study.
    pub fn six() -> Vec<Series> {
        let series = [
            ("lr", "0.00001,0.0001,0.001,0.01,0.1,1"),
            ("activation", "relu,leaky_relu,sigmoid,tanh"),
            ("width", "50,100,200,500,1000"),
            ("depth", "4,8,16,32"),
            ("batch_size", "16,32,64,128,256"),
            ("dropout", "0.1,0.2,0.4,0.8"),
        ];
        series
            .map(|(parameter, values)| Series {
                parameter: parameter.into(),
                values: values.into(),
            })
            .into()
    }

    /// The study of this series: `sweep-<setting>`.
    ///
    /// # Errors
    /// If there is no such setting, or the values are none of its.
    pub fn plan(
        &self,
        base: &Settings,
        seed: u64,
        repeats: u32,
        objective: Objective,
    ) -> Result<Plan> {
        let mut space = Space::default();
        space.add_choices(&self.parameter, &self.values)?;
        let name = format!("sweep-{}", self.parameter.replace('-', "_"));
        Ok(Plan {
            name,
            space,
            base: base.clone(),
            seed,
            repeats,
            objective,
            sampler: SamplerName::Grid,
            pruner: PrunerName::None,
        })
    }
}

/// What a value of a series has come to.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Cell {
    /// The value.
    pub value: serde_json::Value,
    /// The objective of each repeat, in their order.
    pub repeats: Vec<f64>,
    /// Their mean with its interval; none if nothing has ended, or it diverged.
    pub mean: Option<Mean>,
    /// A repeat's loss was not a number.
    pub diverged: bool,
}

/// A series' cells in the order of its values.
///
/// # Errors
/// If the study is no series.
pub fn cells(plan: &Plan, storage: &Storage, study: &Study) -> Result<Vec<Cell>> {
    let Some((name, Distribution::Categorical { choices })) = plan.space.iter().next() else {
        return Err(Error::Check(format!(
            "the study {:?} is no series",
            study.name
        )));
    };
    let cell = |value: &serde_json::Value| {
        let trial = storage
            .trials(study)
            .find(|t| t.state().has_result() && t.parameter(name).as_ref() == Some(value));
        let noted = trial.and_then(|t| t.content.user_attrs.get(plan.objective.name())?.as_array());
        let repeats: Vec<f64> = noted
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_f64)
            .collect();
        let complete = trial.is_some_and(|t| t.state() == State::Complete);
        let mean = student::mean(&repeats).filter(|_| complete);
        Cell {
            value: value.clone(),
            repeats,
            mean,
            diverged: trial.is_some() && !complete,
        }
    };
    Ok(choices.iter().map(cell).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_six_series_are_the_study_s() {
        let plans: Vec<Plan> = Series::six()
            .iter()
            .map(|s| {
                s.plan(&Settings::default(), 0, 3, Objective::ValAccuracy)
                    .unwrap()
            })
            .collect();
        assert_eq!(
            plans
                .iter()
                .map(|p| p.space.cardinality().unwrap())
                .sum::<u64>(),
            28
        );
        for plan in &plans {
            plan.check().unwrap();
            let n = plan.space.cardinality().unwrap();
            assert!((0..n).all(|i| plan.config(&plan.space.nth(i).unwrap(), 0, 0).is_ok()));
        }
    }

    #[test]
    fn a_single_value_is_a_series_too() {
        let series = |parameter: &str, values: &str| Series {
            parameter: parameter.into(),
            values: values.into(),
        };
        let one = series("batch-size", "64")
            .plan(&Settings::default(), 0, 1, Objective::ValLoss)
            .unwrap();
        assert_eq!(
            (one.name.as_str(), one.space.cardinality()),
            ("sweep-batch_size", Some(1))
        );
        let lists = series("widths", "256,128/512")
            .plan(&Settings::default(), 0, 1, Objective::ValLoss)
            .unwrap();
        assert_eq!(lists.space.cardinality(), Some(2));
        for (parameter, values) in [
            ("speed", "1,2"),
            ("lr", "fast"),
            ("lr", ""),
            ("width", "1..5"),
        ] {
            assert_eq!(
                series(parameter, values)
                    .plan(&Settings::default(), 0, 1, Objective::ValLoss)
                    .unwrap_err()
                    .exit_code(),
                2
            );
        }
    }
}
