//! The losses of numbers and of several labels: a term an output, and their mean ([`crate::ops::loss`]).

use super::Objective;
use crate::data::Labels;
use crate::explain::expression::Expr;
use crate::explain::expression::Function::{Abs, Exp, Log, Sigmoid, Sign, Square};
use crate::explain::expression::Id;
use crate::explain::expression::Index::{I, J, Zero};
use crate::explain::expression::Relation::Greater;
use crate::explain::expression::{choose, of, sum};
use crate::explain::operations::{ONE, ROWS, SAMPLES, UNITS};
use crate::explain::source::{SourceFunction, source};
use crate::explain::tape::{Grain, Part, Tape};
use crate::ops::loss::Loss;
use crate::ops::loss::binary_cross_entropy::BinaryCrossEntropy;

/// The targets on a tape, and what weighs the terms.
pub(in crate::explain) struct Terms {
    t: Id,
    s: Option<Id>,
    positive: Option<Id>,
}

impl Terms {
    pub(super) fn of_numbers(tape: &mut Tape, objective: &Objective<'_>) -> Self {
        let says = "T holds the numbers that the outputs should be, standardised as the network learns them.";
        Self::begin(tape, objective, says)
    }

    pub(super) fn of_labels(
        tape: &mut Tape,
        objective: &Objective<'_>,
        options: &BinaryCrossEntropy,
    ) -> Self {
        let terms = Self::begin(
            tape,
            objective,
            "T has a 1 for each label of a sample that is present.",
        );
        let weights = options.positive_weights.clone();
        let positive = weights.map(|p| tape.given("w", UNITS, [1, p.len()], p));
        Terms { positive, ..terms }
    }

    fn begin(tape: &mut Tape, objective: &Objective<'_>, says: &str) -> Self {
        let Labels::Values { values, columns } = objective.labels else {
            unreachable!("the loss was checked against its targets")
        };
        tape.begin(Part::Loss, "Targets", says);
        let shape = [values.len() / columns, *columns];
        let t = tape.given("T", SAMPLES, shape, values.clone());
        let s = objective.put_weights(tape);
        if let Some(s) = s {
            tape.put("total", ONE, [1, 1], sum(I, shape[0], s.at(I, Zero)));
        }
        Terms {
            t,
            s,
            positive: None,
        }
    }

    /// The weight of a sample's mean term in the loss: 1/n, or its share of all weights.
    fn share(&self, tape: &Tape) -> Expr {
        let n = tape.shape(self.t)[0] as f64;
        match (self.s, tape.id("total")) {
            // The engine's loss of a batch without weight is 0.
            (Some(_), Some(total)) if tape.node(total).values[0] == 0.0 => Expr::Number(0.0),
            (Some(s), Some(total)) => s.at(I, Zero) / total.at(Zero, Zero),
            _ => 1.0 / Expr::Named("n", n),
        }
    }

    /// Puts the loss of the outputs z on the tape, then their gradient, which it returns.
    pub(super) fn put(&self, tape: &mut Tape, objective: &Objective<'_>, z: Id) -> Id {
        match tape.grain {
            Grain::Atomic => self.atomic(tape, objective, z),
            Grain::Fused => self.fused(tape, objective, z),
        }
    }

    fn atomic(&self, tape: &mut Tape, objective: &Objective<'_>, z: Id) -> Id {
        let [n, columns] = tape.shape(z);
        let (shape, rows, share) = ([n, columns], [n, 1], self.share(tape));
        let count = || Expr::Named("C", columns as f64);
        objective.begin(
            tape,
            "A term for each output, their mean over a sample's outputs, and the mean of those over the batch.",
            "The terms' inputs are kept: their derivatives are functions of them.",
        );
        tape.source(source(objective.loss));
        let terms = self.forward(tape, objective.loss, z);
        let lrow = sum(J, columns, terms.at(I, J)) / count();
        let lrow = tape.put("lrow", ROWS, rows, lrow);
        let loss = sum(I, n, share.clone() * lrow.at(I, Zero));
        tape.put("L", ONE, [1, 1], loss);

        objective.begin_backward(
            tape,
            "Each line is the local derivative of one line of the forward, times the gradient that came in.",
        );
        tape.source(source(objective.loss));
        let dlrow = tape.put("dlrow", ROWS, rows, objective.of_mean(share));
        let dq = tape.put("dQ", SAMPLES, shape, dlrow.at(I, Zero) / count());
        self.backward(tape, objective.loss, z, dq)
    }

    /// Q `[n, C]`, the terms.
    fn forward(&self, tape: &mut Tape, loss: &Loss, z: Id) -> Id {
        let (t, shape) = (self.t, tape.shape(z));
        if matches!(loss, Loss::BinaryCrossEntropy(_)) {
            let p = tape.put("P", SAMPLES, shape, of(Sigmoid, z.at(I, J)));
            let present = tape.put("logP", SAMPLES, shape, of(Log, p.at(I, J)));
            let absent = tape.put("logA", SAMPLES, shape, of(Log, 1.0 - p.at(I, J)));
            let [present, absent] = [
                self.present() * present.at(I, J),
                (1.0 - t.at(I, J)) * absent.at(I, J),
            ];
            return tape.put("Q", SAMPLES, shape, -(present + absent));
        }
        let r = tape.put("R", SAMPLES, shape, z.at(I, J) - t.at(I, J));
        let term = term(loss, r.at(I, J));
        tape.put("Q", SAMPLES, shape, term)
    }

    /// dZ from the gradient of the terms.
    fn backward(&self, tape: &mut Tape, loss: &Loss, z: Id, dq: Id) -> Id {
        let shape = tape.shape(z);
        let id = |tape: &Tape, name: &str| tape.id(name).expect("put by the forward");
        if matches!(loss, Loss::BinaryCrossEntropy(_)) {
            let p = id(tape, "P");
            let present = tape.put("dlogP", SAMPLES, shape, -self.present() * dq.at(I, J));
            let absent = -(1.0 - self.t.at(I, J)) * dq.at(I, J);
            let absent = tape.put("dlogA", SAMPLES, shape, absent);
            let dp = present.at(I, J) / p.at(I, J) - absent.at(I, J) / (1.0 - p.at(I, J));
            let dp = tape.put("dP", SAMPLES, shape, dp);
            let dz = p.at(I, J) * (1.0 - p.at(I, J)) * dp.at(I, J);
            return tape.put("dZ", SAMPLES, shape, dz);
        }
        let r = id(tape, "R");
        let dr = tape.put("dR", SAMPLES, shape, slope(loss, r.at(I, J)) * dq.at(I, J));
        tape.put("dZ", SAMPLES, shape, dr.at(I, J))
    }

    /// The weight of a term of a label that is present.
    fn present(&self) -> Expr {
        match self.positive {
            Some(w) => w.at(Zero, J) * self.t.at(I, J),
            None => self.t.at(I, J),
        }
    }

    fn fused(&self, tape: &mut Tape, objective: &Objective<'_>, z: Id) -> Id {
        let ([n, columns], loss) = (tape.shape(z), objective.loss);
        let (objective_value, gradient) = objective.compute(&tape.node(z).values);
        let share = || self.share(tape) / Expr::Named("C", columns as f64);
        let (x, t) = (|| z.at(I, J), || self.t.at(I, J));
        let (term, slope) = match loss {
            Loss::BinaryCrossEntropy(_) => {
                let present = self.present() * minus_log_sigmoid(x());
                let absent = (1.0 - t()) * minus_log_sigmoid(-x());
                let pull = (1.0 - t()) * of(Sigmoid, x()) - self.present() * of(Sigmoid, -x());
                (present + absent, pull)
            }
            _ => (term(loss, x() - t()), slope(loss, x() - t())),
        };
        let value = sum(I, n, share() * sum(J, columns, term));
        let slope = objective.of_mean(share() * slope);
        objective.begin(
            tape,
            "The weighted mean of the terms in one formula.",
            "Only the outputs are kept.",
        );
        tape.source(source(loss));
        tape.put_computed("L", ONE, [1, 1], value, vec![objective_value]);
        objective.begin_backward(tape, "The slope of each term, times its share in the mean.");
        tape.source(source(loss));
        tape.put_computed("dZ", SAMPLES, [n, columns], slope, gradient)
    }
}

/// −log σ(x), without overflow: max(−x, 0) + log(1 + e^(−|x|)).
fn minus_log_sigmoid(x: Expr) -> Expr {
    let positive = choose(-x.clone(), Greater, 0.0, -x.clone(), 0.0);
    positive + of(Log, 1.0 + of(Exp, -of(Abs, x)))
}

/// A loss's term of the residual r.
fn term(loss: &Loss, r: Expr) -> Expr {
    match loss {
        Loss::Huber(options) => {
            let delta = || Expr::Named("δ", options.delta);
            let far = delta() * (of(Abs, r.clone()) - 0.5 * delta());
            choose(
                of(Abs, r.clone()),
                Greater,
                delta(),
                far,
                0.5 * of(Square, r),
            )
        }
        Loss::MeanAbsoluteError => of(Abs, r),
        _ => of(Square, r),
    }
}

/// Its derivative.
fn slope(loss: &Loss, r: Expr) -> Expr {
    match loss {
        Loss::Huber(options) => {
            let delta = || Expr::Named("δ", options.delta);
            let far = delta() * of(Sign, r.clone());
            choose(of(Abs, r.clone()), Greater, delta(), far, r)
        }
        Loss::MeanAbsoluteError => of(Sign, r),
        _ => 2.0 * r,
    }
}

fn source(loss: &Loss) -> SourceFunction {
    match loss {
        Loss::BinaryCrossEntropy(_) => {
            source!(
                "ops/loss/binary_cross_entropy.rs",
                "pub fn binary_cross_entropy"
            )
        }
        Loss::Huber(_) => source!("ops/loss/huber.rs", "pub fn huber"),
        Loss::MeanAbsoluteError => {
            source!(
                "ops/loss/mean_absolute_error.rs",
                "pub fn mean_absolute_error"
            )
        }
        _ => source!(
            "ops/loss/mean_squared_error.rs",
            "pub fn mean_squared_error"
        ),
    }
}
