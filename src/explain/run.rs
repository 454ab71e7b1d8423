//! Trains up to a step, and takes it apart.

use std::sync::Arc;

use super::differences::{Differences, differences};
use super::network::{Numbers, Setting};
use super::operations::loss::Objective;
use super::parameters::parameter_groups;
use super::tape::{Grain, Tape, difference, larger};
use crate::backend::Plain;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::tensors::TensorFile;
use crate::nn::{Layout, NetworkSpec};
use crate::settings::Config;
use crate::train::{NextStep, Trainer};

/// The most cells that the tapes of all steps may have together.
pub const MOST_CELLS: usize = 40_000;

/// Steps of a training, taken apart.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The network.
    pub spec: NetworkSpec,
    /// The settings of the run.
    pub config: Config,
    /// The data's name.
    pub data: String,
    /// Names of the classes, or of what is predicted.
    pub outputs: Vec<String>,
    /// The steps, in the order in which they were asked for.
    pub steps: Vec<ExplainedStep>,
}

/// One training step.
#[derive(Clone, Debug)]
pub struct ExplainedStep {
    /// Its batch, rate and number.
    pub next: NextStep,
    /// In both grains, the atomic one first.
    pub tapes: [Tape; 2],
    /// Central differences of every gradient, by its name.
    pub differences: Differences,
    /// The largest difference of two tensors of one name in both grains, relative to their largest number (or to 1e-6,
    /// if that is larger).
    pub between_grains: f64,
    /// The largest difference of the new parameters in the fused grain from those of the training itself.
    pub from_training: f64,
}

impl ExplainedStep {
    /// Its tape in a grain.
    pub fn tape(&self, grain: Grain) -> &Tape {
        &self.tapes[grain as usize]
    }

    /// The largest difference of a gradient from its central difference, relative to the tensor's largest number, and
    /// the gradient's name. Cells at a kink do not count.
    pub fn from_differences(&self) -> (f64, &str) {
        let mut worst = (0.0, "");
        for (name, numeric) in &self.differences {
            let Some(node) = self.tape(Grain::Atomic).find(name) else {
                continue;
            };
            let pairs = node.values.iter().zip(numeric);
            let (exact, numeric): (Vec<f64>, Vec<f64>) =
                pairs.filter_map(|(&x, n)| n.map(|n| (x, n))).unzip();
            // Rounding of the loss limits what a difference of tiny gradients can show.
            let size = exact
                .iter()
                .chain(&numeric)
                .fold(1e-3, |size, x| larger(size, x.abs()));
            let apart = exact
                .iter()
                .zip(&numeric)
                .fold(0.0, |apart, (a, b)| larger(apart, (a - b).abs()));
            if larger(worst.0, apart / size) != worst.0 {
                worst = (apart / size, name);
            }
        }
        worst
    }
}

/// Takes steps of a training apart: those of these numbers, counted from 0. All is computed in f64.
///
/// # Errors
/// If settings and data do not fit each other, the run ends or diverges before a step, or the tapes have more than
/// [`MOST_CELLS`] cells.
pub fn explain(
    config: &Config,
    data: Arc<Dataset>,
    init_from: Option<&TensorFile<'_>>,
    steps: &[u64],
) -> Result<Explanation> {
    let mut trainer = Trainer::new(Plain::<f64>::new(1), config.clone(), data, init_from)?;
    check(&trainer, steps.len())?;
    let mut order = steps.to_vec();
    order.sort_unstable();
    order.dedup();
    let mut found = Vec::new();
    let mut cells = 0;
    for &number in &order {
        let step = step(&mut trainer, number)?;
        cells += step.tapes.iter().map(Tape::cells).sum::<usize>();
        if cells > MOST_CELLS {
            return Err(too_many(cells));
        }
        found.push(step);
    }
    Ok(Explanation {
        spec: trainer.mlp().spec().clone(),
        config: trainer.config().clone(),
        data: trainer.data().name.clone(),
        outputs: trainer.data().class_names.clone(),
        steps: found,
    })
}

/// Refuses what no tape can hold, before anything is trained.
fn check(trainer: &Trainer<Plain<f64>>, steps: usize) -> Result<()> {
    // W, dW and W after the step, in both grains.
    let parameters = trainer.mlp().layout().parameter_count();
    let at_least = steps.saturating_mul(6 * parameters);
    match at_least > MOST_CELLS {
        true => Err(too_many(at_least)),
        false => Ok(()),
    }
}

fn too_many(cells: usize) -> Error {
    let message = format!(
        "expected at most {MOST_CELLS} numbers to show, found at least {cells}: take fewer features, narrower layers \
         (--widths 4,3), smaller batches (--batch-size 4) or fewer steps (--step 0)"
    );
    Error::setting("explain", message)
}

/// Trains up to a step, takes it apart, and does it.
fn step(trainer: &mut Trainer<Plain<f64>>, number: u64) -> Result<ExplainedStep> {
    trainer.train_until(number)?;
    let next = trainer.next_step()?;
    let numbers = numbers(trainer)?;
    let layout = trainer.mlp().layout().clone();
    let config = trainer.config();
    let setting = Setting {
        layout: &layout,
        numbers: &numbers,
        next: &next,
        objective: Objective {
            loss: &config.loss,
            labels: &next.labels,
            weights: next.weights.as_deref(),
            members: trainer.mlp().spec().members,
        },
        optimizer: &config.optimizer,
        clip_norm: config.clip_norm,
        seed: config.seed,
    };
    let tapes = Grain::ALL.map(|grain| setting.tape(grain));
    let differences = differences(&tapes[0]);
    let between_grains = between(&tapes);
    trainer.train_until(number + 1)?;
    let after = self::numbers(trainer)?;
    let from_training = from_training(&tapes[1], &layout, &after);
    Ok(ExplainedStep {
        next,
        tapes,
        differences,
        between_grains,
        from_training,
    })
}

fn numbers(trainer: &Trainer<Plain<f64>>) -> Result<Numbers> {
    let mlp = trainer.mlp();
    Ok(Numbers {
        params: mlp.read(|s| &s.params)?,
        m: mlp.read(|s| &s.m)?,
        v: mlp.read(|s| &s.v)?,
        running: mlp.read_running()?,
    })
}

/// The largest difference of two tensors of one name.
fn between([atomic, fused]: &[Tape; 2]) -> f64 {
    let pairs = atomic
        .nodes
        .iter()
        .filter_map(|a| fused.find(&a.name).map(|b| (a, b)));
    pairs.fold(0.0, |worst, (a, b)| {
        larger(worst, difference(&a.values, &b.values))
    })
}

/// The largest difference of a tape's new parameters and running statistics from these.
fn from_training(tape: &Tape, layout: &Layout, after: &Numbers) -> f64 {
    let mut worst = 0.0;
    let mut compare = |name: &str, expected: &[f64]| {
        let new = tape
            .find(&format!("{name}_new"))
            .expect("every parameter is updated");
        worst = larger(worst, difference(&new.values, expected));
    };
    for group in parameter_groups(layout) {
        for tensor in &group.tensors {
            compare(&tensor.name, &tensor.of(&after.params));
        }
        for (name, range) in group.running {
            compare(&name, &after.running[range]);
        }
    }
    worst
}
