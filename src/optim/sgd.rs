//! Stochastic gradient descent with momentum (Sutskever, Martens, Dahl, Hinton, “On the importance of initialization
//! and momentum in deep learning”, ICML 2013), in PyTorch's form.
//!
//! With rate η, momentum μ and decay λ:
//!
//! ```math
//! \begin{aligned}
//! g &\leftarrow g + \lambda w \\
//! m &\leftarrow \mu m + g \\
//! d &= \begin{cases} g + \mu m & \text{Nesterov} \\ m & \text{otherwise} \end{cases} \\
//! w &\leftarrow w - \eta\, d
//! \end{aligned}
//! ```
//!
//! The rate is applied outside of the buffer, so a change of the rate acts at once. The buffer starts at 0, so
//! after the first step it is g (dampening 0). For a constant gradient it grows towards `$g / (1-\mu)$`:
//! momentum 0.9 moves ten times as far as none. Nesterov's form looks one step ahead: d is the buffer after one
//! more step with the same gradient.
//!
//! λ is the gradient of `$\tfrac{\lambda}{2} w^2$`, an L2 penalty.

use super::{Rule, Step};
use crate::error::{Error, Result};
use crate::real::Real;

/// Settings of SGD. The default is plain gradient descent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// μ ≥ 0
    pub momentum: f64,
    /// Nesterov's form; needs momentum.
    pub nesterov: bool,
    /// λ ≥ 0, added to the gradient (L2).
    pub weight_decay: f64,
}

/// SGD's constants for one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep<R> {
    /// η
    pub lr: R,
    /// μ
    pub momentum: R,
    /// Nesterov's form.
    pub nesterov: bool,
    /// λ
    pub weight_decay: R,
    /// Factor of every gradient.
    pub gradient_scale: R,
}

impl Sgd {
    /// Refuses settings that do not fit each other, by key.
    pub fn validate(&self) -> Result<()> {
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::setting(
                "nesterov",
                "needs momentum > 0, found momentum 0",
            ));
        }
        Ok(())
    }

    /// The rule of one step.
    pub fn at<R: Real>(&self, step: &Step) -> SgdStep<R> {
        SgdStep {
            lr: R::from_f64(step.lr),
            momentum: R::from_f64(self.momentum),
            nesterov: self.nesterov,
            weight_decay: R::from_f64(self.weight_decay),
            gradient_scale: R::from_f64(step.gradient_scale),
        }
    }
}

impl<R: Real> Rule<R> for SgdStep<R> {
    #[inline(always)]
    fn update(&self, w: R, g: R, m: R, v: R) -> (R, R, R) {
        let g = self.gradient_scale * g + self.weight_decay * w;
        let m = self.momentum * m + g;
        let direction = if self.nesterov {
            g + self.momentum * m
        } else {
            m
        };
        (w - self.lr * direction, m, v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::{assert_close, step, walk};

    #[test]
    fn plain_descent_ignores_the_past() {
        let (w, _, v) = walk(Sgd::default().at(&step(0.1)), 1.0, &[0.5, -1.0]);
        assert_close(w, 1.0 - 0.05 + 0.1);
        assert_eq!(v, 0.0);
    }

    #[test]
    fn momentum_and_decay_by_hand() {
        let sgd = Sgd {
            momentum: 0.5,
            nesterov: false,
            weight_decay: 0.25,
        };
        // g 0.75, m 0.75, w 0.925; then g −0.76875, m 0.375 − 0.76875
        let (w, m, _) = walk(sgd.at(&step(0.1)), 1.0, &[0.5, -1.0]);
        assert_close(m, -0.39375);
        assert_close(w, 0.964375);
    }

    #[test]
    fn nesterov_by_hand() {
        let sgd = Sgd {
            momentum: 0.5,
            nesterov: true,
            weight_decay: 0.25,
        };
        // g 0.75, m 0.75, d 1.125, w 0.8875; then g −0.778125, m −0.403125, d −0.9796875
        let (w, m, _) = walk(sgd.at(&step(0.1)), 1.0, &[0.5, -1.0]);
        assert_close(m, -0.403125);
        assert_close(w, 0.98546875);
    }

    #[test]
    fn clipping_comes_before_decay() {
        let sgd = Sgd {
            weight_decay: 0.25,
            ..Sgd::default()
        };
        let half = Step {
            gradient_scale: 0.5,
            ..step(0.1)
        };
        let (w, m, _) = walk(sgd.at(&half), 1.0, &[0.5]);
        assert_close(m, 0.5);
        assert_close(w, 0.95);
    }

    #[test]
    fn settings_are_checked() {
        let refused = |sgd: Sgd| sgd.validate().unwrap_err().to_string();
        assert!(
            refused(Sgd {
                nesterov: true,
                ..Sgd::default()
            })
            .starts_with("nesterov: needs momentum")
        );
        assert!(Sgd::default().validate().is_ok());
    }
}
