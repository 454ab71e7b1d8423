//! Random targets of any loss, for the gradient check.

use rand::distr::StandardUniform;
use rand::{Rng, RngExt};

use crate::data::Task;
use crate::ops::loss::{Loss, TargetKind, Targets};
use crate::rng::standard_normal;

/// How far a residual stays from where a loss, or its slope, has a kink.
const CLEARANCE: f64 = 1e-3;

/// Targets that a loss takes, and sample weights.
pub(super) struct RandomTargets {
    classes: Vec<u32>,
    /// In place of classes, with the number of values a row.
    values: Option<(Vec<f64>, usize)>,
    weights: Vec<f64>,
}

impl RandomTargets {
    /// Targets `[rows, outputs]` for these logits, and weights in [0, 1).
    ///
    /// Numbers to be predicted lie about the logits, and none so near one that a central difference would cross a kink.
    pub(super) fn draw(
        loss: &Loss,
        logits: &[f64],
        [rows, outputs]: [usize; 2],
        rng: &mut impl Rng,
    ) -> Self {
        let count = rows * outputs;
        let classes = match loss.task() {
            Task::Classification => (0..rows)
                .map(|_| rng.random_range(0..outputs as u32))
                .collect(),
            Task::Regression | Task::Multilabel => Vec::new(),
        };
        let values = match loss.task() {
            Task::Classification => None,
            Task::Regression => Some(logits.iter().map(|&z| number(loss, z, rng)).collect()),
            Task::Multilabel => Some(
                (0..count)
                    .map(|_| f64::from(u8::from(rng.random_bool(0.5))))
                    .collect(),
            ),
        };
        RandomTargets {
            classes,
            values: values.map(|values| (values, outputs)),
            weights: (0..rows).map(|_| rng.sample(StandardUniform)).collect(),
        }
    }

    /// The targets, with the weights or without.
    pub(super) fn targets(&self, weighted: bool) -> Targets<'_> {
        let kind = match &self.values {
            None => TargetKind::Classes(&self.classes),
            Some((values, columns)) => TargetKind::Values {
                values,
                columns: *columns,
            },
        };
        let weights = weighted.then_some(&self.weights[..]);
        Targets { kind, weights }
    }
}

/// A number that the output z is to predict.
fn number(loss: &Loss, z: f64, rng: &mut impl Rng) -> f64 {
    let kink = match loss {
        Loss::Huber(options) => options.delta,
        _ => 0.0,
    };
    loop {
        let residual: f64 = standard_normal(rng);
        let y = z - residual;
        if ((z - y).abs() - kink).abs() > CLEARANCE {
            return y;
        }
    }
}
