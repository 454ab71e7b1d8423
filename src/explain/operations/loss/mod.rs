//! Losses: one number from all outputs, and its gradient ([`crate::ops::loss`]).

mod cross_entropy;
mod values;

use crate::data::Labels;
use crate::explain::expression::Id;
use crate::explain::tape::{Grain, Part, Tape};
use crate::ops::loss::{Loss, TargetKind, Targets};

/// What the outputs are compared with, and how.
#[derive(Clone, Debug)]
pub(in crate::explain) struct Objective<'a> {
    /// The loss.
    pub(in crate::explain) loss: &'a Loss,
    /// What the outputs should be.
    pub(in crate::explain) labels: &'a Labels,
    /// A weight a sample.
    pub(in crate::explain) weights: Option<&'a [f64]>,
}

impl Objective<'_> {
    fn targets(&self) -> Targets<'_> {
        let kind = match self.labels {
            Labels::Classes(classes) => TargetKind::Classes(classes),
            Labels::Values { values, columns } => TargetKind::Values {
                values,
                columns: *columns,
            },
        };
        Targets {
            kind,
            weights: self.weights,
        }
    }

    /// The engine's loss of the outputs, and its gradient.
    fn compute(&self, outputs: &[f64]) -> (f64, Vec<f64>) {
        let mut gradient = vec![f64::NAN; outputs.len()];
        let loss = (self.loss).compute(Some(&mut gradient), outputs, self.targets());
        (loss.objective, gradient)
    }

    /// Puts the loss of the outputs z on the tape, called L, then the outputs' gradient, which it returns.
    pub(in crate::explain) fn put(&self, tape: &mut Tape, z: Id) -> Id {
        match self.loss {
            Loss::CrossEntropy(options) => cross_entropy::put(tape, self, options, z),
            Loss::BinaryCrossEntropy(options) => {
                let terms = values::Terms::of_labels(tape, self, options);
                terms.put(tape, self, z)
            }
            Loss::MeanSquaredError | Loss::Huber(_) | Loss::MeanAbsoluteError => {
                values::Terms::of_numbers(tape, self).put(tape, self, z)
            }
        }
    }

    /// Puts the samples' weights on the tape, if there are any: s `[n, 1]`.
    fn put_weights(&self, tape: &mut Tape) -> Option<Id> {
        let weights = self.weights?.to_vec();
        let shape = [weights.len(), 1];
        Some(tape.given("s", super::ROWS, shape, weights))
    }

    fn begin(&self, tape: &mut Tape, says: &str, keeps: &str) {
        tape.begin(Part::Loss, format!("Loss: {}", self.loss.name()), says);
        tape.keeps(keeps);
    }

    fn begin_backward(&self, tape: &mut Tape, says: &str) {
        let by = match tape.grain {
            Grain::Atomic => "one operation at a time",
            Grain::Fused => "in one formula",
        };
        let title = format!("Loss: {}, {by}", self.loss.name());
        tape.begin(Part::Backward, title, says);
    }
}
