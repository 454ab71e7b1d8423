//! RMSprop (Hinton, “Neural Networks for Machine Learning”, lecture 6e, 2012), in PyTorch's form.
//!
//! The gradient is divided by the root of a running mean of its square. So steps are about as long in steep
//! directions as in flat ones. With rate η, momentum μ and decay λ:
//!
//! ```math
//! \begin{aligned}
//! g &\leftarrow g + \lambda w \\
//! v &\leftarrow \alpha v + (1-\alpha)\, g^2 \\
//! m &\leftarrow \mu m + \frac{g}{\sqrt v + \varepsilon} \\
//! w &\leftarrow w - \eta\, m
//! \end{aligned}
//! ```
//!
//! v starts at 0 and is not corrected for that, unlike in Adam. With α = 0.99 the first steps are up to ten
//! times as long as the later ones. The rate is applied outside of the momentum buffer.

use super::{Rule, Step, squarable, with_l2};
use crate::real::Real;

/// Settings of RMSprop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// α in `[0, 1)`: the share of its past that v keeps, 0.99.
    pub alpha: f64,
    /// ε ≥ 0, added after the root, 1e-8.
    pub eps: f64,
    /// μ ≥ 0, 0.
    pub momentum: f64,
    /// λ ≥ 0, added to the gradient (L2), 0.
    pub weight_decay: f64,
}

/// RMSprop's constants for one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsPropStep<R> {
    /// η
    pub lr: R,
    /// α
    pub alpha: R,
    /// `$1-\alpha$`
    pub one_minus_alpha: R,
    /// ε
    pub eps: R,
    /// μ
    pub momentum: R,
    /// λ
    pub weight_decay: R,
    /// Factor of every gradient.
    pub gradient_scale: R,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp {
            alpha: 0.99,
            eps: 1e-8,
            momentum: 0.0,
            weight_decay: 0.0,
        }
    }
}

impl RmsProp {
    /// The rule of one step.
    pub fn at<R: Real>(&self, step: &Step) -> RmsPropStep<R> {
        RmsPropStep {
            lr: R::from_f64(step.lr),
            alpha: R::from_f64(self.alpha),
            one_minus_alpha: R::from_f64(1.0 - self.alpha),
            eps: R::from_f64(self.eps),
            momentum: R::from_f64(self.momentum),
            weight_decay: R::from_f64(self.weight_decay),
            gradient_scale: R::from_f64(step.gradient_scale),
        }
    }
}

impl<R: Real> Rule<R> for RmsPropStep<R> {
    #[inline(always)]
    fn update(&self, w: R, g: R, m: R, v: R) -> (R, R, R) {
        let g = with_l2(self.gradient_scale * g, self.weight_decay, w);
        let size = squarable(g);
        let v = self.alpha * v + self.one_minus_alpha * size * size;
        let m = self.momentum * m + g / (v.sqrt() + self.eps);
        (w - self.lr * m, m, v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::{assert_close, step, walk};

    /// ε = 1 shows where ε is added.
    const BY_HAND: RmsProp = RmsProp {
        alpha: 0.75,
        eps: 1.0,
        momentum: 0.5,
        weight_decay: 0.0,
    };

    #[test]
    fn two_steps_by_hand() {
        // v 4, m 4/3; then v 4 again, m 2/3 + 2/3
        let (w, m, v) = walk(BY_HAND.at(&step(0.1)), 1.0, &[4.0, 2.0]);
        assert_close(v, 4.0);
        assert_close(m, 4.0 / 3.0);
        assert_close(w, 1.0 - 0.1 * 4.0 / 3.0 - 0.1 * 4.0 / 3.0);
    }

    #[test]
    fn decay_is_part_of_the_squared_gradient() {
        let decay = RmsProp {
            weight_decay: 2.0,
            ..BY_HAND
        };
        let (w, m, v) = walk(decay.at(&step(0.1)), 1.0, &[4.0]);
        assert_close(v, 9.0);
        assert_close(m, 1.5);
        assert_close(w, 0.85);
    }
}
