//! Rprop, resilient backpropagation (Riedmiller & Braun, “A direct adaptive method for faster backpropagation learning:
//! the RPROP algorithm”, ICNN 1993), in PyTorch's form.
//!
//! Only the sign of the gradient counts. Each weight has its own step size Δ (here v). While the sign stays, Δ
//! grows. If the sign flips, the step went past a minimum and Δ shrinks:
//!
//! ```math
//! \Delta \leftarrow \Delta \cdot \begin{cases}
//! 1.2 & g\,g_{\text{prev}} > 0 \\
//! 0.5 & g\,g_{\text{prev}} < 0 \\
//! 1 & \text{otherwise}
//! \end{cases}
//! \qquad \text{kept within } [10^{-6}, 50]
//! ```
//!
//! ```math
//! g \leftarrow 0 \ \text{ if the sign flipped}, \qquad
//! w \leftarrow w - \mathrm{sign}(g)\, \Delta, \qquad
//! g_{\text{prev}} \leftarrow g
//! ```
//!
//! After a flip the weight rests for one step. The stored gradient is then 0, so the next step has factor 1.
//! The rate sets the first Δ and nothing else. There is no weight decay, because the rule uses signs only.
//!
//! Rprop is made for gradients over the whole data set: with small batches the signs are noise.

use super::{Rule, Step};
use crate::real::Real;

const SHRINK: f64 = 0.5;
const GROW: f64 = 1.2;
const SMALLEST: f64 = 1e-6;
const LARGEST: f64 = 50.0;

/// Rprop has no settings; its constants are the paper's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rprop {}

/// Rprop's constants for one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RpropStep<R> {
    /// The step size of the first step; `None` later, when v holds it.
    pub first: Option<R>,
    /// Factor of every gradient.
    pub gradient_scale: R,
}

impl Rprop {
    /// The rule of one step.
    pub fn at<R: Real>(&self, step: &Step) -> RpropStep<R> {
        RpropStep {
            first: (step.t == 1).then(|| R::from_f64(step.lr)),
            gradient_scale: R::from_f64(step.gradient_scale),
        }
    }
}

impl<R: Real> Rule<R> for RpropStep<R> {
    #[inline(always)]
    fn update(&self, w: R, g: R, m: R, v: R) -> (R, R, R) {
        let g = self.gradient_scale * g;
        // Not g·m: the product of two small gradients would be subnormal or 0.
        let agreement = g * sign(m);
        let flipped = agreement < R::ZERO;
        let factor = if flipped {
            R::from_f64(SHRINK)
        } else if agreement > R::ZERO {
            R::from_f64(GROW)
        } else {
            R::ONE
        };
        let v = (self.first.unwrap_or(v) * factor)
            .max(R::from_f64(SMALLEST))
            .min(R::from_f64(LARGEST));
        let g = if flipped { R::ZERO } else { g };
        (w - sign(g) * v, g, v)
    }
}

/// −1, 0 or 1. NaN stays NaN, so that a diverged run is seen.
#[inline(always)]
fn sign<R: Real>(x: R) -> R {
    if x > R::ZERO {
        R::ONE
    } else if x < R::ZERO {
        -R::ONE
    } else {
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::{assert_close, step};

    #[test]
    fn grows_rests_and_turns() {
        // g, then w, m, v after the step
        let expected = [
            (2.0, 0.9, 2.0, 0.1),
            (3.0, 0.78, 3.0, 0.12),
            (-1.0, 0.78, 0.0, 0.06),
            (-1.0, 0.84, -1.0, 0.06),
            (-5.0, 0.912, -5.0, 0.072),
            (0.0, 0.912, 0.0, 0.072),
        ];
        let (mut w, mut m, mut v) = (1.0, 0.0, 0.0);
        for (t, (g, new_w, new_m, new_v)) in (1..).zip(expected) {
            (w, m, v) = Rprop {}.at(&Step { t, ..step(0.1) }).update(w, g, m, v);
            assert_close(w, new_w);
            assert_close(m, new_m);
            assert_close(v, new_v);
        }
    }

    #[test]
    fn step_sizes_stay_within_their_limits() {
        let first = |lr| Rprop {}.at::<f64>(&step(lr)).update(0.0, 1.0, 0.0, 0.0).2;
        assert_close(first(100.0), 50.0);
        assert_close(first(1e-9), 1e-6);
        let later = Rprop {}.at::<f64>(&Step { t: 2, ..step(0.1) });
        assert_close(later.update(0.0, 1.0, 1.0, 49.0).2, 50.0);
        assert_close(later.update(0.0, 1.0, -1.0, 1.5e-6).2, 1e-6);
    }
}
