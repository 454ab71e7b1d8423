//! `Y = X Wᵀ + b` and its gradients ([`crate::ops::linear`]).

use ndarray::{ArrayView2, ArrayViewMut2};

use super::{SAMPLES, UNITS, WEIGHTS};
use crate::explain::expression::Id;
use crate::explain::expression::Index::{I, J, K, Zero};
use crate::explain::expression::sum;
use crate::explain::source::source;
use crate::explain::tape::{Grain, Part, Tape};
use crate::ops::linear::{linear_backward_input, linear_backward_parameters, linear_forward};

/// A linear map on a tape.
#[derive(Clone, Debug)]
pub(in crate::explain) struct Linear {
    /// Its number among the network's, from 1; 0 for the features' embedding.
    pub(in crate::explain) number: usize,
    /// What it reads `[n, in]`.
    pub(in crate::explain) x: Id,
    /// W `[out, in]`.
    pub(in crate::explain) w: Id,
    /// b `[1, out]`.
    pub(in crate::explain) b: Id,
}

/// The gradients of a linear map on a tape.
#[derive(Clone, Copy, Debug)]
pub(in crate::explain) struct LinearGradients {
    pub(in crate::explain) dw: Id,
    pub(in crate::explain) db: Id,
    /// That of what it reads.
    pub(in crate::explain) dx: Id,
}

impl Linear {
    /// Puts the output, of this name, on the tape.
    pub(in crate::explain) fn forward(&self, tape: &mut Tape, output: &str) -> Id {
        let Linear { number, x, w, b } = *self;
        let ([n, inputs], [outputs, _]) = (tape.shape(x), tape.shape(w));
        let (x_name, w_name, says) = (
            tape.node(x).name.clone(),
            tape.node(w).name.clone(),
            format!(
                "Each of {outputs} units adds up its {inputs} inputs, each times its weight, and its bias. A row of W \
                 is a unit, so Wᵀ brings the inputs of both side by side."
            ),
        );
        tape.begin(Part::Forward, format!("Linear {number}"), says);
        tape.keeps(format!(
            "{x_name} is kept: it is the factor of each weight, so d{w_name} needs it. {w_name} stands in memory \
             anyway, and carries the gradient back."
        ));
        tape.source(source!("ops/linear.rs", "pub fn linear_forward"));
        let expr = sum(K, inputs, x.at(I, K) * w.at(J, K)) + b.at(Zero, J);
        match tape.grain {
            Grain::Atomic => tape.put(output, SAMPLES, [n, outputs], expr),
            Grain::Fused => {
                let mut y = vec![f64::NAN; n * outputs];
                let out = ArrayViewMut2::from_shape((n, outputs), &mut y).expect("[n, out]");
                let bias = &tape.node(b).values;
                linear_forward(out, view(tape, x), view(tape, w), bias, 1);
                tape.put_computed(output, SAMPLES, [n, outputs], expr, y)
            }
        }
    }

    /// Puts dW, db and dX on the tape, from dY.
    pub(in crate::explain) fn backward(&self, tape: &mut Tape, dy: Id) -> LinearGradients {
        let Linear { number, x, w, b } = *self;
        let ([n, inputs], [outputs, _]) = (tape.shape(x), tape.shape(w));
        let [x_name, w_name, b_name, dy_name] = [x, w, b, dy].map(|id| tape.node(id).name.clone());
        let dimensions = format!(
            "Why transposed: {dy_name} is {n}×{outputs} and {x_name} is {n}×{inputs}. Only {dy_name}ᵀ {x_name} has the \
             shape {outputs}×{inputs} of {w_name}: the samples, {n} of them, are what is summed over, because each \
             sample used the same weight."
        );
        let says = format!(
            "{dimensions} A bias has the factor 1 in every sample, so its gradient is the sum."
        );
        tape.begin(
            Part::Backward,
            format!("Linear {number}: its parameters"),
            says,
        );
        tape.source(source!(
            "ops/linear.rs",
            "pub fn linear_backward_parameters"
        ));
        let dw_expr = sum(I, n, dy.at(I, J) * x.at(I, K));
        let db_expr = sum(I, n, dy.at(I, J));
        let (dw_name, db_name) = (format!("d{w_name}"), format!("d{b_name}"));
        let computed = matches!(tape.grain, Grain::Fused);
        let (dw, db) = if computed {
            let (mut dw, mut db) = (vec![f64::NAN; outputs * inputs], vec![f64::NAN; outputs]);
            let out = ArrayViewMut2::from_shape((outputs, inputs), &mut dw).expect("[out, in]");
            linear_backward_parameters(out, &mut db, view(tape, dy), view(tape, x), 1);
            (
                tape.put_computed(dw_name, WEIGHTS, [outputs, inputs], dw_expr, dw),
                tape.put_computed(db_name, UNITS, [1, outputs], db_expr, db),
            )
        } else {
            (
                tape.put(dw_name, WEIGHTS, [outputs, inputs], dw_expr),
                tape.put(db_name, UNITS, [1, outputs], db_expr),
            )
        };

        let first = match tape.node(x).expr {
            None => " Training needs no gradient of the batch, and leaves this product out.",
            Some(_) => "",
        };
        let says = format!(
            "Each input went into all {outputs} units, so its gradient is the sum over them, each times its weight.{first}"
        );
        tape.begin(Part::Backward, format!("Linear {number}: its input"), says);
        tape.source(source!("ops/linear.rs", "pub fn linear_backward_input"));
        let expr = sum(J, outputs, dy.at(I, J) * w.at(J, K));
        let name = format!("d{x_name}");
        let dx = if computed {
            let mut dx = vec![f64::NAN; n * inputs];
            let out = ArrayViewMut2::from_shape((n, inputs), &mut dx).expect("[n, in]");
            linear_backward_input(out, view(tape, dy), view(tape, w), 1);
            tape.put_computed(name, [I, K], [n, inputs], expr, dx)
        } else {
            tape.put(name, [I, K], [n, inputs], expr)
        };
        LinearGradients { dw, db, dx }
    }
}

fn view(tape: &Tape, id: Id) -> ArrayView2<'_, f64> {
    let node = tape.node(id);
    let [rows, columns] = node.shape;
    ArrayView2::from_shape((rows, columns), &node.values).expect("a matrix")
}
