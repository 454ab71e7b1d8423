//! How long the rest of a search will take, from a model of the cost of each trial and the speed measured so far.

use std::time::Duration;

use super::journal::{Storage, Study};
use super::plan::{Plan, SamplerName};
use super::run::StudyTask;
use super::study::Claim;
use super::watch::Assignment;
use crate::data::Dataset;
use crate::error::Result;
use crate::nn::Layout;
use crate::settings::Config;

/// The cost of an update beside its products, in multiply-adds per parameter. An optimiser reads and writes
/// weights and moments, and does no product.
const COST_PER_PARAMETER: f64 = 20.0;

/// The cost of an update whatever its size: barriers, losses, short loops.
const COST_PER_UPDATE: f64 = 2e6;

/// What a run costs, in multiply-adds. Only ratios are used, so a processor's speed cancels out.
///
/// # Errors
/// If the settings do not give a network for these data.
pub fn cost_of_run(config: &Config, data: &Dataset) -> Result<f64> {
    let config = config.clone().for_data(data)?;
    let spec = config.network(data.train.width, data.classes())?;
    let parameters = Layout::new(&spec).parameter_count() as f64;
    let held_out = match data.validation {
        Some(_) => 0.0,
        None => config.validation.share(),
    };
    let samples = data.train.len() as f64 * (1.0 - held_out);
    let updates = (samples / config.batch_size as f64).ceil();
    // Forward, the weights' gradient and the input's gradient: three multiply-adds for each parameter and sample. The
    // first layer has two, because its input needs no gradient.
    let first = spec.inputs * spec.hidden.first().unwrap_or(&spec.outputs);
    let products = samples * (3.0 * parameters - first as f64);
    let epoch = products + updates * (COST_PER_PARAMETER * parameters + COST_PER_UPDATE);
    Ok(epoch * f64::from(config.epochs))
}

fn cost_of_trial(plan: &Plan, point: &[f64], data: &Dataset) -> Result<f64> {
    let run = cost_of_run(&plan.config(point, 0, 0)?, data)?;
    Ok(run * f64::from(plan.repeats))
}

/// The costs of a task's trials.
#[derive(Clone, Debug)]
enum Costs {
    /// The cost of each point of a grid.
    Each(Vec<f64>),
    /// The cost of a trial in the middle of the space, and the number of trials.
    Middle(f64, usize),
}

impl Costs {
    fn of(task: &StudyTask<'_>, data: &Dataset) -> Result<Self> {
        let (plan, trials) = (task.plan, task.trials);
        Ok(match plan.sampler {
            SamplerName::Grid => {
                let points = (0..trials as u64).map_while(|i| plan.space.nth(i));
                Costs::Each(
                    points
                        .map(|point| cost_of_trial(plan, &point, data))
                        .collect::<Result<_>>()?,
                )
            }
            _ => Costs::Middle(cost_of_trial(plan, &plan.space.middle(), data)?, trials),
        })
    }

    /// The cost of all trials that have no result yet.
    fn left(&self, plan: &Plan, storage: &Storage, study: &Study) -> f64 {
        match self {
            Costs::Middle(cost, trials) => {
                cost * trials.saturating_sub(storage.results(study)) as f64
            }
            Costs::Each(costs) => {
                let is_done = |index: u64| {
                    let Some(point) = plan.space.nth(index) else {
                        return true;
                    };
                    let same = |t: &&super::journal::Trial| {
                        plan.space.iter().zip(&point).all(|((name, d), &x)| {
                            t.parameter(name).is_some_and(|p| d.external(x) == Some(p))
                        })
                    };
                    storage
                        .trials(study)
                        .filter(same)
                        .any(|t| t.state().has_result())
                };
                (0..)
                    .zip(costs)
                    .filter(|(i, _)| !is_done(*i))
                    .map(|(_, cost)| cost)
                    .sum()
            }
        }
    }

    fn of_claim(&self, claim: &Claim) -> f64 {
        match self {
            Costs::Middle(cost, _) => *cost,
            Costs::Each(costs) => costs.get(claim.slot as usize).copied().unwrap_or(0.0),
        }
    }
}

/// The cost that is done, the cost that is left, and the speed.
#[derive(Clone, Debug)]
pub struct Pace {
    costs: Vec<Costs>,
    /// The cost of the work after the trials.
    afterwards: f64,
    /// The cost that was left when this process began, and the cost that is left now. Running trials count as
    /// left.
    at_start: f64,
    left: f64,
    /// The cost of each worker's trial, and the share of it that is done.
    running: Vec<(f64, f64)>,
}

impl Pace {
    /// A pace for `workers` workers. `afterwards` is the cost of the work after the trials ([`cost_of_run`]).
    ///
    /// # Errors
    /// If the settings do not give a network for these data.
    pub fn new(
        tasks: &[StudyTask<'_>],
        data: &Dataset,
        workers: usize,
        afterwards: f64,
    ) -> Result<Self> {
        Ok(Pace {
            costs: tasks
                .iter()
                .map(|t| Costs::of(t, data))
                .collect::<Result<_>>()?,
            afterwards,
            at_start: 0.0,
            left: 0.0,
            running: vec![(0.0, 0.0); workers],
        })
    }

    /// Call this before the first trial of this process.
    pub fn begin(&mut self, tasks: &[StudyTask<'_>], storage: &Storage) {
        self.update(tasks, storage);
        self.at_start = self.left;
    }

    /// Call this when a trial has ended.
    pub fn update(&mut self, tasks: &[StudyTask<'_>], storage: &Storage) {
        let left = |(costs, task): (&Costs, &StudyTask<'_>)| {
            storage
                .study(&task.plan.name)
                .map_or(0.0, |study| costs.left(task.plan, storage, study))
        };
        self.left = self.afterwards + self.costs.iter().zip(tasks).map(left).sum::<f64>();
    }

    /// Call this when the share `share` of a worker's trial is done, from 0 to 1.
    pub fn advance(&mut self, assignment: Assignment, claim: &Claim, share: f64) {
        if let (Some(running), Some(costs)) = (
            self.running.get_mut(assignment.worker),
            self.costs.get(assignment.task),
        ) {
            *running = (costs.of_claim(claim), share);
        }
    }

    /// Call this when a worker's trial has ended.
    pub fn end(&mut self, assignment: Assignment) {
        if let Some(running) = self.running.get_mut(assignment.worker) {
            *running = (0.0, 0.0);
        }
    }

    /// The time that the rest takes at the speed since the beginning.
    pub fn time_left(&self, elapsed: Duration) -> Option<Duration> {
        let under_way: f64 = self.running.iter().map(|(cost, share)| cost * share).sum();
        let done = self.at_start - self.left + under_way;
        let rest = (self.left - under_way).max(0.0);
        let seconds = elapsed.as_secs_f64() * rest / done;
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|_| done > 0.0 && rest > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ValidationMetric;
    use crate::search::sweep::Series;
    use crate::settings::Settings;

    #[test]
    fn time_left_follows_from_what_is_done() {
        let mut pace = Pace {
            costs: vec![Costs::Middle(10.0, 3)],
            afterwards: 5.0,
            at_start: 35.0,
            left: 35.0,
            running: vec![(0.0, 0.0); 2],
        };
        assert_eq!(pace.time_left(Duration::from_secs(9)), None);
        let (assignment, claim) = (
            Assignment { worker: 1, task: 0 },
            Claim {
                id: 0,
                number: 0,
                slot: 0,
                point: vec![0.0],
            },
        );
        pace.advance(assignment, &claim, 0.5);
        assert_eq!(
            pace.time_left(Duration::from_secs(5)),
            Some(Duration::from_secs(30))
        );
        pace.left = 25.0;
        pace.end(assignment);
        assert_eq!(
            pace.time_left(Duration::from_secs(10)),
            Some(Duration::from_secs(25))
        );
        pace.left = 0.0;
        assert_eq!(pace.time_left(Duration::from_secs(10)), None);
    }

    #[test]
    fn wider_deeper_and_smaller_batches_cost_more() {
        let x = ndarray::Array2::<f32>::zeros((100, 784));
        let labels: Vec<u32> = (0..100).map(|i| i % 10).collect();
        let data = Dataset::from_arrays(x.view(), &labels).unwrap();
        let costs = |parameter: &str, values: &str| {
            let series = Series {
                parameter: parameter.into(),
                values: values.into(),
            };
            let plan = series
                .plan(&Settings::default(), 0, 2, ValidationMetric::ValLoss)
                .unwrap();
            let task = StudyTask {
                plan: &plan,
                trials: 3,
                keep: 0,
            };
            match Costs::of(&task, &data).unwrap() {
                Costs::Each(costs) => costs,
                Costs::Middle(..) => unreachable!("a series is a grid"),
            }
        };
        for (parameter, values) in [
            ("width", "50,100,1000"),
            ("depth", "2,4,8"),
            ("batch-size", "64,32,16"),
        ] {
            let costs = costs(parameter, values);
            assert!(
                costs.is_sorted() && costs[0] < costs[2],
                "{parameter}: {costs:?}"
            );
        }
    }
}
