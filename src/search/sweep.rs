//! One-at-a-time series: one setting takes one value after the other, and all others stay as they are.
//!
//! A series is a study like any other, over a grid of one parameter, with several repeats of each value.

use serde_json::Value;

use super::distribution::Distribution;
use super::journal::{Storage, Study, TrialState};
use super::plan::{Plan, PrunerName, SamplerName};
use super::space::Space;
use crate::error::{Error, Result};
use crate::metrics::{Direction, ValidationMetric};
use crate::settings::Settings;
use crate::statistics::student::{self, Mean};

/// A setting and the values that it takes, written as behind its flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The setting's name.
    pub parameter: String,
    /// The values, separated by commas, or by slashes if the values contain commas.
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
    /// If the setting does not exist, or a value is not one of its values.
    pub fn plan(
        &self,
        base: &Settings,
        seed: u64,
        repeats: u32,
        objective: ValidationMetric,
    ) -> Result<Plan> {
        let mut space = Space::default();
        space.add_choices(&self.parameter, &self.values)?;
        let mut base = base.clone();
        // No run of it is kept.
        base.train.watch = None;
        let name = format!("sweep-{}", self.parameter.replace('-', "_"));
        Ok(Plan {
            name,
            space,
            base,
            unsaid: Settings::default(),
            seed,
            repeats,
            objective,
            sampler: SamplerName::Grid,
            pruner: PrunerName::None,
        })
    }
}

/// The results for a value of a series.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Cell {
    /// The value.
    pub value: Value,
    /// The objective of each repeat, in order.
    pub repeats: Vec<f64>,
    /// Their mean with its interval; `None` if the trial has not ended or has diverged.
    pub mean: Option<Mean>,
    /// Whether the loss of a repeat was not a number.
    pub diverged: bool,
}

/// A series' cells in the order of its values.
///
/// # Errors
/// If the study is not a series.
pub fn cells(plan: &Plan, storage: &Storage, study: &Study) -> Result<Vec<Cell>> {
    let Some((name, Distribution::Categorical { choices })) = plan.space.iter().next() else {
        return Err(Error::Check(format!(
            "the study {:?} is no series",
            study.name
        )));
    };
    let (noted, limits) = (plan.objective.name(), plan.objective.metric().limits());
    Ok(Cell::all(storage, study, (name, choices), &noted, limits))
}

impl Cell {
    /// A cell for each of a parameter's values, judged by the numbers that its trial has noted under a name, one per
    /// repeat. They lie within `limits`.
    pub fn all(
        storage: &Storage,
        study: &Study,
        (parameter, values): (&str, &[Value]),
        noted: &str,
        limits: (f64, f64),
    ) -> Vec<Self> {
        let cell = |value| Cell::of(storage, study, (parameter, value), noted);
        let mut cells: Vec<Cell> = values.iter().map(cell).collect();
        let measured = |cell| match cell {
            &Cell { diverged: true, .. } => &[],
            Cell { repeats, .. } => repeats.as_slice(),
        };
        let groups: Vec<&[f64]> = cells.iter().map(measured).collect();
        let means = student::means(&groups, limits);
        cells
            .iter_mut()
            .zip(means)
            .for_each(|(cell, mean)| cell.mean = mean);
        cells
    }

    /// Without its mean.
    fn of(storage: &Storage, study: &Study, (name, value): (&str, &Value), metric: &str) -> Self {
        let trial = storage
            .trials(study)
            .find(|t| t.state().has_result() && t.parameter(name).as_ref() == Some(value));
        let repeats: Vec<f64> = trial.map_or_else(Vec::new, |t| t.noted(metric));
        let complete = trial.is_some_and(|t| t.state() == TrialState::Complete);
        Cell {
            value: value.clone(),
            mean: None,
            repeats,
            diverged: trial.is_some() && !complete,
        }
    }
}

/// How the intervals of a series' means were computed, if not from each value's own repeats. `format` writes a value.
pub fn pooling_note(cells: &[Cell], format: impl Fn(f64) -> String) -> Option<String> {
    let means = || cells.iter().filter_map(|cell| cell.mean);
    let pooled = means().find_map(|mean| mean.pooled)?;
    let mut note = format!(
        "Few repeats each: the 95 % intervals take the standard deviation that the values have in common, {} with {} degrees of freedom, and end where the metric does.",
        format(pooled.deviation),
        pooled.freedom
    );
    if means().any(|mean| mean.pooled.is_none()) {
        note += " A value whose repeats differ far more keeps its own.";
    }
    Some(note)
}

/// The best and the worst of the cells that have ended; those that diverged are the worst.
pub fn extremes(cells: &[Cell], direction: Direction) -> Option<(&Cell, &Cell)> {
    let cost = |cell: &Cell| cell.mean.map_or(f64::INFINITY, |m| direction.cost(m.mean));
    let order = |a: &&Cell, b: &&Cell| cost(a).total_cmp(&cost(b));
    let ended = || cells.iter().filter(|c| c.mean.is_some() || c.diverged);
    ended().min_by(order).zip(ended().max_by(order))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metric;

    #[test]
    fn the_six_series_are_the_study_s() {
        let plans: Vec<Plan> = Series::six()
            .iter()
            .map(|s| {
                s.plan(&Settings::default(), 0, 3, ValidationMetric::default())
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
    fn what_diverged_is_the_worst() {
        let cell = |repeats: &[f64], diverged| Cell {
            value: Value::Null,
            repeats: repeats.to_vec(),
            mean: student::means(&[repeats], Metric::Loss.limits())[0],
            diverged,
        };
        let cells = [
            cell(&[0.5], false),
            cell(&[], true),
            cell(&[0.25, 0.35], false),
            cell(&[], false),
        ];
        let ends = |cells, direction| {
            let place = |cell: &Cell| std::ptr::from_ref(cell).addr();
            let (best, worst) = extremes(cells, direction).unwrap();
            (place(best), place(worst))
        };
        let place = |i: usize| std::ptr::from_ref(&cells[i]).addr();
        assert_eq!(ends(&cells, Direction::Maximize), (place(0), place(1)));
        assert_eq!(ends(&cells, Direction::Minimize), (place(2), place(1)));
        assert_eq!(extremes(&cells[3..], Direction::Minimize), None);
    }

    #[test]
    fn a_single_value_is_a_series_too() {
        let series = |parameter: &str, values: &str| Series {
            parameter: parameter.into(),
            values: values.into(),
        };
        let one = series("batch-size", "64")
            .plan(&Settings::default(), 0, 1, ValidationMetric::ValLoss)
            .unwrap();
        assert_eq!(
            (one.name.as_str(), one.space.cardinality()),
            ("sweep-batch_size", Some(1))
        );
        let lists = series("widths", "256,128/512")
            .plan(&Settings::default(), 0, 1, ValidationMetric::ValLoss)
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
                    .plan(&Settings::default(), 0, 1, ValidationMetric::ValLoss)
                    .unwrap_err()
                    .exit_code(),
                2
            );
        }
    }
}
