//! The members' scales of an ensemble, and the sums over its members ([`crate::ops::member_scale`]).

use super::WEIGHTS;
use crate::explain::expression::Expr;
use crate::explain::expression::Id;
use crate::explain::expression::Index::{J, K, Zero};
use crate::explain::expression::sum;
use crate::explain::source::source;
use crate::explain::tape::{Grain, Part, Tape};
use crate::ops::member_scale::{scale_weights, scale_weights_backward};

/// The title of the sums over members.
pub(in crate::explain) const SUMS_OVER_MEMBERS: &str = "Sums over the members";

/// A member's scale of the first layer's inputs, on a tape.
#[derive(Clone, Copy, Debug)]
pub(in crate::explain) struct MemberScale {
    /// The first layer's W `[out, in]`.
    pub(in crate::explain) w: Id,
    /// The member's r `[1, in]`.
    pub(in crate::explain) r: Id,
}

impl MemberScale {
    /// Puts the member's weights V on the tape.
    pub(in crate::explain) fn forward(&self, tape: &mut Tape) -> Id {
        let MemberScale { w, r } = *self;
        let says = "Members share W, but each sees the inputs with its own scale r. To scale the inputs or the columns of \
                    W is the same, so the member computes with its own weights V.";
        tape.begin(Part::Forward, "Scale of the inputs", says);
        tape.source(source!("ops/member_scale.rs", "pub fn scale_weights"));
        let expr = w.at(J, K) * r.at(Zero, K);
        let shape = tape.shape(w);
        match tape.grain {
            Grain::Atomic => tape.put("V1", WEIGHTS, shape, expr),
            Grain::Fused => {
                let mut scaled = vec![f64::NAN; shape[0] * shape[1]];
                let [w, r] = [w, r].map(|id| &tape.node(id).values);
                scale_weights::<_, 1>(&mut scaled, w, r);
                tape.put_computed("V1", WEIGHTS, shape, expr, scaled)
            }
        }
    }

    /// Puts the gradient of the scale on the tape, from that of V, and returns the member's part of dW, as a formula.
    pub(in crate::explain) fn backward(&self, tape: &mut Tape, dv: Id) -> Expr {
        let MemberScale { w, r } = *self;
        let [outputs, inputs] = tape.shape(w);
        let says = "An entry of r is in a whole column of V, so its gradient is the sum over that column. An entry of W is \
                    in one entry of every member's V.";
        tape.begin(Part::Backward, "Scale of the inputs", says);
        tape.source(source!(
            "ops/member_scale.rs",
            "pub fn scale_weights_backward"
        ));
        let expr = sum(J, outputs, dv.at(J, K) * w.at(J, K));
        let axes = [Zero, K];
        match tape.grain {
            Grain::Atomic => tape.put("dr", axes, [1, inputs], expr),
            Grain::Fused => {
                let mut dr = vec![f64::NAN; inputs];
                let mut dw = vec![0.0; outputs * inputs];
                let [dv, w, r] = [dv, w, r].map(|id| &tape.node(id).values);
                scale_weights_backward([&mut dw, &mut dr], dv, w, r);
                tape.put_computed("dr", axes, [1, inputs], expr, dr)
            }
        };
        dv.at(J, K) * r.at(Zero, K)
    }
}

/// Puts a gradient on the tape to which every member has a part, after the tensor `of` that they share.
pub(in crate::explain) fn put_sum(tape: &mut Tape, of: Id, parts: Vec<Expr>) -> Id {
    let node = tape.node(of);
    let (name, axes, shape) = (format!("d{}", node.name), node.axes, node.shape);
    let sum = parts.into_iter().reduce(|a, b| a + b);
    tape.put(name, axes, shape, sum.expect("there are members"))
}

/// Begins the sums over members.
pub(in crate::explain) fn begin_sums(tape: &mut Tape) {
    let says = "What all members share went into every member's loss, so its gradient is the sum of their parts.";
    tape.begin(Part::Backward, SUMS_OVER_MEMBERS, says);
    tape.source(source!("backend/mod.rs", "pub(crate) fn of_member"));
}
