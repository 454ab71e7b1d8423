//! Dropout: the mask, and the product with it ([`crate::ops::dropout`]).

use super::SAMPLES;
use crate::explain::expression::Expr;
use crate::explain::expression::Id;
use crate::explain::expression::Index::{I, J};
use crate::explain::expression::Relation::AtLeast;
use crate::explain::expression::choose;
use crate::explain::source::source;
use crate::explain::tape::{Grain, Part, Tape};
use crate::ops::dropout::{Mask, multiply};
use crate::rng;

/// Puts the random words and the mask that they give on the tape.
pub(in crate::explain) fn mask(
    tape: &mut Tape,
    number: usize,
    shape: [usize; 2],
    mask: &Mask,
) -> Id {
    let len = shape[0] * shape[1];
    let threshold = (mask.p * 4_294_967_296.0).floor();
    tape.begin(
        Part::Forward,
        format!("Dropout {number}: the mask"),
        format!(
            "A unit is kept if its random word is at least ⌊p·2³²⌋ = {threshold:.0}, and is then multiplied by 1/(1 − p), \
             so that its mean stays. The words come from the generator Philox 4x32-10 with the seed {} as key. Its \
             counter is (⌊element/4⌋, layer, step low, step high), so the mask needs no memory: the backward draws it \
             again.",
            mask.seed
        ),
    );
    tape.source(source!("ops/dropout.rs", "pub fn apply<R: Real>"));
    let [low, high] = [mask.step as u32, (mask.step >> 32) as u32];
    let words = |i: usize| {
        let counter = [(i / 4) as u32, mask.layer, low, high];
        (
            counter,
            rng::philox4x32(counter, rng::key(mask.seed))[i % 4],
        )
    };
    let drawn = (0..len).map(|i| f64::from(words(i).1)).collect();
    let u = tape.given(format!("u{number}"), SAMPLES, shape, drawn);
    let notes = (0..len).map(|i| {
        let [a, b, c, d] = words(i).0;
        format!("word {} of the counter ({a}, {b}, {c}, {d})", i % 4)
    });
    tape.note(u, notes.collect());
    let kept = 1.0 / (1.0 - Expr::Named("p", mask.p));
    let expr = choose(u.at(I, J), AtLeast, threshold, kept, 0.0);
    let name = format!("mask{number}");
    match tape.grain {
        Grain::Atomic => tape.put(name, SAMPLES, shape, expr),
        Grain::Fused => {
            let mut factors = vec![f64::NAN; len];
            mask.factors(0, &mut factors);
            tape.put_computed(name, SAMPLES, shape, expr, factors)
        }
    }
}

/// Puts x times the mask on the tape, of this name: forward on activations, backward on their gradients.
pub(in crate::explain) fn apply(
    tape: &mut Tape,
    part: Part,
    number: usize,
    x: Id,
    mask: Id,
    name: &str,
) -> Id {
    let says = match part {
        Part::Forward => "Each value is multiplied by its mask.",
        _ => "The product with the mask is linear, so the gradient is multiplied by the same mask.",
    };
    tape.begin(part, format!("Dropout {number}"), says);
    tape.source(source!("ops/dropout.rs", "pub fn multiply"));
    let expr = mask.at(I, J) * x.at(I, J);
    let shape = tape.shape(x);
    match tape.grain {
        Grain::Atomic => tape.put(name, SAMPLES, shape, expr),
        Grain::Fused => {
            let mut product = tape.node(x).values.clone();
            multiply(&mut product, &tape.node(mask).values);
            tape.put_computed(name, SAMPLES, shape, expr, product)
        }
    }
}
