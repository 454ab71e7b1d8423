//! A linear map of each feature by itself ([`crate::ops::feature_linear`]), written as one whose weights lie in blocks.

use super::linear::{Linear, LinearGradients};
use super::{UNITS, WEIGHTS};
use crate::explain::expression::Id;
use crate::explain::expression::Index::{J, K, Zero};
use crate::explain::source::source;
use crate::explain::tape::{Part, Tape};

/// The embedding of features on a tape.
#[derive(Clone, Debug)]
pub(in crate::explain) struct EmbeddingStep {
    /// W `[out, in]`, with zeros between the features' blocks.
    pub(in crate::explain) w: Id,
    /// b `[1, out]`.
    pub(in crate::explain) b: Id,
    /// 1 where W has a parameter.
    pub(in crate::explain) own_w: Id,
    /// 1 where b has a parameter.
    pub(in crate::explain) own_b: Id,
    /// 1 where a value stays as it is.
    pub(in crate::explain) stays: Id,
}

impl EmbeddingStep {
    /// Puts the embedded features on the tape, and returns them with the linear map that gave them.
    pub(in crate::explain) fn forward(&self, tape: &mut Tape, x: Id) -> (Linear, Id) {
        let (w, b) = (self.w, self.b);
        tape.begin(
            Part::Forward,
            "Embedding: its weights",
            "Each feature has a linear map of its own, from its columns of X to its columns of H0. Side by side they are \
             one matrix with a block for each feature and zeros elsewhere. A value that is not embedded has a 1.",
        );
        tape.source(source!(
            "ops/feature_linear.rs",
            "pub fn feature_linear_forward"
        ));
        let v = self.own_w.at(J, K) * w.at(J, K) + self.stays.at(J, K);
        let v = tape.put("V0", WEIGHTS, tape.shape(w), v);
        let c = self.own_b.at(Zero, J) * b.at(Zero, J);
        let c = tape.put("c0", UNITS, tape.shape(b), c);
        let linear = Linear {
            number: 0,
            x,
            w: v,
            b: c,
        };
        let out = linear.forward(tape, "H0");
        (linear, out)
    }

    /// Puts the gradients of its parameters on the tape, from that of its output.
    pub(in crate::explain) fn backward(&self, tape: &mut Tape, linear: &Linear, dy: Id) {
        let LinearGradients { dw, db, .. } = linear.backward(tape, dy);
        tape.begin(
            Part::Backward,
            "Embedding: its weights",
            "Zeros between the blocks are no parameters, so they have no gradient.",
        );
        tape.source(source!(
            "ops/feature_linear.rs",
            "pub fn feature_linear_backward_parameters"
        ));
        let own = self.own_w.at(J, K) * dw.at(J, K);
        tape.put("dW0", WEIGHTS, tape.shape(self.w), own);
        let own = self.own_b.at(Zero, J) * db.at(Zero, J);
        tape.put("db0", UNITS, tape.shape(self.b), own);
    }
}
