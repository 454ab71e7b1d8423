//! Softmax and cross-entropy ([`crate::ops::loss::cross_entropy`]).

use super::Objective;
use crate::data::Labels;
use crate::explain::expression::Expr;
use crate::explain::expression::Function::{Exp, Log, Square};
use crate::explain::expression::Id;
use crate::explain::expression::Index::{I, J, K, Zero};
use crate::explain::expression::Relation::Equal;
use crate::explain::expression::{choose, max, of, sum};
use crate::explain::operations::{ONE, ROWS, SAMPLES, UNITS};
use crate::explain::source::{SourceFunction, source};
use crate::explain::tape::{Grain, Part, Tape};
use crate::ops::loss::cross_entropy::CrossEntropy;

const SOURCE: SourceFunction = source!("ops/loss/cross_entropy.rs", "fn loss_of_rows");

/// Puts the loss of the outputs z on the tape, then their gradient, which it returns.
pub(super) fn put(tape: &mut Tape, objective: &Objective<'_>, u: Id, z: Id) -> Id {
    match tape.grain {
        Grain::Atomic => atomic(tape, objective, u, z),
        Grain::Fused => fused(tape, objective, u, z),
    }
}

/// U `[n, classes]`: how much each log-probability counts in the loss.
pub(super) fn targets(
    tape: &mut Tape,
    objective: &Objective<'_>,
    options: &CrossEntropy,
    shape: [usize; 2],
) -> Id {
    let Labels::Classes(labels) = objective.labels else {
        unreachable!("the loss was checked against its targets")
    };
    let [n, classes] = shape;
    tape.begin(
        Part::Loss,
        "Targets",
        "T has a 1 at each sample's class. U says how much each log-probability counts in the mean over the batch.",
    );
    let one_hot = |i: usize| f64::from(u8::from(labels[i / classes] as usize == i % classes));
    let t = tape.given("T", SAMPLES, shape, (0..n * classes).map(one_hot).collect());
    let s = objective.put_weights(tape);
    let w = (options.class_weights.clone()).map(|w| tape.given("w", UNITS, [1, classes], w));
    let weighted = |mut expr: Expr| {
        if let Some(w) = w {
            expr = w.at(Zero, J) * expr;
        }
        match s {
            Some(s) => s.at(I, Zero) * expr,
            None => expr,
        }
    };
    let total = match s.or(w) {
        None => Expr::Named("n", n as f64),
        Some(_) => {
            let total = sum(I, n, sum(J, classes, weighted(t.at(I, J))));
            tape.put("total", ONE, [1, 1], total).at(Zero, Zero)
        }
    };
    let is_weightless = tape
        .find("total")
        .is_some_and(|total| total.values[0] == 0.0);
    let smoothing = options.label_smoothing;
    let share = match smoothing {
        0.0 => t.at(I, J),
        _ => {
            let epsilon = || Expr::Named("ε", smoothing);
            (1.0 - epsilon()) * t.at(I, J) + epsilon() / Expr::Named("C", classes as f64)
        }
    };
    let expr = match is_weightless {
        // The engine's loss of a batch without weight is 0.
        true => Expr::Number(0.0),
        false => weighted(share) / total,
    };
    tape.put("U", SAMPLES, shape, expr)
}

fn atomic(tape: &mut Tape, objective: &Objective<'_>, u: Id, z: Id) -> Id {
    let [n, classes] = tape.shape(z);
    let (shape, rows) = ([n, classes], [n, 1]);
    objective.begin(
        tape,
        "Probabilities are exponentials, divided by their sum. The largest output of a row is taken off before: that \
         changes no probability, and no exponential overflows. The loss is the mean of −log of the right class's \
         probability.",
        "Everything is kept here. The fused form needs only the outputs.",
    );
    tape.source(SOURCE);
    let zmax = tape.put("zmax", ROWS, rows, max(J, classes, z.at(I, J)));
    let s = tape.put("S", SAMPLES, shape, z.at(I, J) - zmax.at(I, Zero));
    let e = tape.put("E", SAMPLES, shape, of(Exp, s.at(I, J)));
    let esum = tape.put("Esum", ROWS, rows, sum(J, classes, e.at(I, J)));
    let p = tape.put("P", SAMPLES, shape, e.at(I, J) / esum.at(I, Zero));
    let logp = tape.put("logP", SAMPLES, shape, of(Log, p.at(I, J)));
    let loss = -sum(I, n, sum(J, classes, u.at(I, J) * logp.at(I, J)));
    tape.put("L", ONE, [1, 1], loss);

    objective.begin_backward(
        tape,
        "Each line is the local derivative of one line of the forward, times the gradient that came in. A number that \
         went two ways gets two terms.",
    );
    tape.source(SOURCE);
    let dlogp = tape.put("dlogP", SAMPLES, shape, objective.of_mean(-u.at(I, J)));
    let dp = tape.put("dP", SAMPLES, shape, dlogp.at(I, J) / p.at(I, J));
    let desum = dp.at(I, J) * e.at(I, J) / of(Square, esum.at(I, Zero));
    let desum = tape.put("dEsum", ROWS, rows, -sum(J, classes, desum));
    let de = dp.at(I, J) / esum.at(I, Zero) + desum.at(I, Zero);
    let de = tape.put("dE", SAMPLES, shape, de);
    let ds = tape.put("dS", SAMPLES, shape, de.at(I, J) * e.at(I, J));
    let dzmax = tape.put("dzmax", ROWS, rows, -sum(J, classes, ds.at(I, J)));
    let of_max = choose(z.at(I, J), Equal, zmax.at(I, Zero), dzmax.at(I, Zero), 0.0);
    tape.put("dZ", SAMPLES, shape, ds.at(I, J) + of_max)
}

fn fused(tape: &mut Tape, objective: &Objective<'_>, u: Id, z: Id) -> Id {
    let [n, classes] = tape.shape(z);
    let shape = [n, classes];
    let (loss, gradient) = objective.compute(&tape.node(z).values);
    objective.begin(
        tape,
        "−log of a probability without the probability: the logarithm of the sum of exponentials, less the output \
         itself. It never takes the logarithm of 0.",
        "Only the outputs are kept: the backward computes the probabilities again.",
    );
    tape.source(SOURCE);
    let zmax = tape.put("zmax", ROWS, [n, 1], max(J, classes, z.at(I, J)));
    let exp_sum = || sum(K, classes, of(Exp, z.at(I, K) - zmax.at(I, Zero)));
    let nll = of(Log, exp_sum()) - (z.at(I, J) - zmax.at(I, Zero));
    let expr = sum(I, n, sum(J, classes, u.at(I, J) * nll));
    tape.put_computed("L", ONE, [1, 1], expr, vec![loss]);

    objective.begin_backward(
        tape,
        "Joined with the logarithm, softmax has a derivative without quotients: the probability, less the target.",
    );
    tape.source(SOURCE);
    let p = of(Exp, z.at(I, J) - zmax.at(I, Zero)) / exp_sum();
    let expr = p * sum(K, classes, u.at(I, K)) - u.at(I, J);
    tape.put_computed("dZ", SAMPLES, shape, objective.of_mean(expr), gradient)
}
