//! Activations and their derivatives ([`crate::ops::activation`]).

use super::SAMPLES;
use crate::explain::expression::Expr;
use crate::explain::expression::Function::{
    Exp, ExpM1, NormalCdf, NormalDensity, Sigmoid, Square, Tanh,
};
use crate::explain::expression::Id;
use crate::explain::expression::Index::{I, J};
use crate::explain::expression::Relation::Greater;
use crate::explain::expression::{choose, of};
use crate::explain::source::source;
use crate::explain::tape::{Grain, Part, Tape};
use crate::ops::activation::{Activation, LEAKY_SLOPE, activation_backward, activation_forward};

/// f(x)
fn function(kind: Activation, x: Expr) -> Expr {
    let positive = |otherwise: Expr| choose(x.clone(), Greater, 0.0, x.clone(), otherwise);
    match kind {
        Activation::Relu => positive(Expr::Number(0.0)),
        Activation::LeakyRelu => positive(LEAKY_SLOPE * x.clone()),
        Activation::Sigmoid => of(Sigmoid, x),
        Activation::Tanh => of(Tanh, x),
        Activation::Gelu => x.clone() * of(NormalCdf, x),
        Activation::Silu => x.clone() * of(Sigmoid, x),
        Activation::Elu => positive(of(ExpM1, x.clone())),
        Activation::Identity => x,
    }
}

/// f′(x), where y = f(x).
fn derivative(kind: Activation, x: Expr, y: Expr) -> Expr {
    let positive = |otherwise: Expr| choose(x.clone(), Greater, 0.0, 1.0, otherwise);
    match kind {
        Activation::Relu => positive(Expr::Number(0.0)),
        Activation::LeakyRelu => positive(Expr::Number(LEAKY_SLOPE)),
        Activation::Sigmoid => y.clone() * (1.0 - y),
        Activation::Tanh => 1.0 - of(Square, y),
        Activation::Gelu => of(NormalCdf, x.clone()) + x.clone() * of(NormalDensity, x),
        Activation::Silu => {
            let s = of(Sigmoid, x.clone());
            s.clone() * (1.0 + x * (1.0 - s))
        }
        Activation::Elu => positive(of(Exp, x.clone())),
        Activation::Identity => Expr::Number(1.0),
    }
}

/// Puts f(x), of this name, on the tape.
pub(in crate::explain) fn forward(
    tape: &mut Tape,
    kind: Activation,
    number: usize,
    x: Id,
    name: &str,
) -> Id {
    let kind_name = kind.name();
    tape.begin(
        Part::Forward,
        format!("Activation {number}: {kind_name}"),
        "The same function of each value. Without it all linear maps together would be one linear map.",
    );
    let kept = match kind {
        Activation::Sigmoid | Activation::Tanh => {
            "Its output is kept: the derivative is a function of it."
        }
        Activation::Identity => "Nothing is kept: the derivative is 1.",
        _ => "Its input is kept: the derivative is a function of it.",
    };
    tape.keeps(kept);
    tape.source(source!("ops/activation.rs", "pub fn activation_forward"));
    let (shape, expr) = (tape.shape(x), function(kind, x.at(I, J)));
    match tape.grain {
        Grain::Atomic => tape.put(name, SAMPLES, shape, expr),
        Grain::Fused => {
            let mut y = vec![f64::NAN; shape[0] * shape[1]];
            activation_forward(kind, &mut y, &tape.node(x).values);
            tape.put_computed(name, SAMPLES, shape, expr, y)
        }
    }
}

/// Puts the input's gradient on the tape, from that of the output, of what went in and out.
pub(in crate::explain) fn backward(
    tape: &mut Tape,
    kind: Activation,
    number: usize,
    [x, y, dy]: [Id; 3],
) -> Id {
    let name = format!("d{}", tape.node(x).name);
    let shape = tape.shape(x);
    tape.begin(
        Part::Backward,
        format!("Activation {number}: {}", kind.name()),
        "Each value acted on one output only, so its gradient is that output's, times the local derivative.",
    );
    tape.source(source!("ops/activation.rs", "pub fn activation_backward"));
    let slope = derivative(kind, x.at(I, J), y.at(I, J));
    match tape.grain {
        Grain::Atomic => {
            let slope = tape.put(format!("slope{number}"), SAMPLES, shape, slope);
            let expr = slope.at(I, J) * dy.at(I, J);
            tape.put(name, SAMPLES, shape, expr)
        }
        Grain::Fused => {
            let mut dx = tape.node(dy).values.clone();
            activation_backward(kind, &mut dx, &tape.node(x).values, &tape.node(y).values);
            tape.put_computed(name, SAMPLES, shape, slope * dy.at(I, J), dx)
        }
    }
}
