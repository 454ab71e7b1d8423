//! Losses: one number from all outputs, and its gradient ([`crate::ops::loss`]).

mod cross_entropy;
mod values;

use crate::data::Labels;
use crate::explain::expression::Expr;
use crate::explain::expression::Id;
use crate::explain::expression::Index::Zero;
use crate::explain::source::source;
use crate::explain::tape::{Grain, Part, Tape, of_member};
use crate::ops::loss::{Loss, TargetKind, Targets};
use values::Terms;

/// What the outputs are compared with, and how.
#[derive(Clone, Debug)]
pub(in crate::explain) struct Objective<'a> {
    /// The loss.
    pub(in crate::explain) loss: &'a Loss,
    /// What the outputs should be.
    pub(in crate::explain) labels: &'a Labels,
    /// A weight a sample.
    pub(in crate::explain) weights: Option<&'a [f64]>,
    /// The members of the ensemble; 1 for a network of its own. What is minimised is the mean of their losses.
    pub(in crate::explain) members: usize,
}

/// The targets on a tape.
pub(in crate::explain) enum TapedTargets {
    /// How much each log-probability counts.
    Classes(Id),
    /// Numbers or labels.
    Values(Terms),
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
        if self.members > 1 {
            let share = 1.0 / self.members as f64;
            gradient.iter_mut().for_each(|g| *g *= share);
        }
        (loss.objective, gradient)
    }

    /// A gradient of a member's loss, as one of the mean of all members' losses.
    fn of_mean(&self, gradient: Expr) -> Expr {
        match self.members {
            1 => gradient,
            members => gradient / Expr::Named("M", members as f64),
        }
    }

    /// Puts the mean of the members' losses on the tape, called L.
    pub(in crate::explain) fn put_mean(&self, tape: &mut Tape) {
        let own = (1..=self.members).map(|member| tape.id(&of_member("L", member)));
        let own = own.map(|id| id.expect("every member has a loss").at(Zero, Zero));
        let sum = own.reduce(|a, b| a + b).expect("there are members");
        let says = "What is minimised is the mean of the members' losses, so each gradient above has the factor 1/M. \
                    Every member learns by its own loss: a loss of their average would let them lean on each other.";
        tape.begin(Part::Loss, "Loss: the members' mean", says);
        tape.source(source!("nn/mlp/ensemble.rs", "fn mean"));
        let mean = self.of_mean(sum);
        tape.put("L", super::ONE, [1, 1], mean);
    }

    /// Puts what outputs of this shape are compared with on the tape.
    pub(in crate::explain) fn put_targets(
        &self,
        tape: &mut Tape,
        shape: [usize; 2],
    ) -> TapedTargets {
        match self.loss {
            Loss::CrossEntropy(options) => {
                TapedTargets::Classes(cross_entropy::targets(tape, self, options, shape))
            }
            Loss::BinaryCrossEntropy(options) => {
                TapedTargets::Values(Terms::of_labels(tape, self, options))
            }
            Loss::MeanSquaredError | Loss::Huber(_) | Loss::MeanAbsoluteError => {
                TapedTargets::Values(Terms::of_numbers(tape, self))
            }
        }
    }

    /// Puts the loss of the outputs z on the tape, called L, then the outputs' gradient, which it returns.
    pub(in crate::explain) fn put(&self, tape: &mut Tape, targets: &TapedTargets, z: Id) -> Id {
        match targets {
            TapedTargets::Classes(u) => cross_entropy::put(tape, self, *u, z),
            TapedTargets::Values(terms) => terms.put(tape, self, z),
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
