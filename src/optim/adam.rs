//! Adam (Kingma & Ba, “Adam: A Method for Stochastic Optimization”, ICLR 2015, algorithm 1) and AdamW (Loshchilov &
//! Hutter, “Decoupled Weight Decay Regularization”, ICLR 2019, algorithm 2), in PyTorch's form.
//!
//! Adam keeps running means of the gradient and of its square:
//!
//! ```math
//! m \leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2
//! ```
//!
//! Both start at 0, so after t steps their weights add up to only `$1-\beta^t$`. Dividing by that makes them
//! averages again. The weight moves by their ratio:
//!
//! ```math
//! w \leftarrow w - \eta\, \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \varepsilon}
//! ```
//!
//! The ratio does not change if all gradients are scaled, so η alone sets the length of a step. The length is
//! about η while the gradient keeps its sign, and less if the sign changes. The first step is
//! `$\eta\,\mathrm{sign}(g)$`. ε is added outside of the root and after the correction.
//!
//! Two measures keep the numbers away from the slow subnormal ones ([why](super#no-subnormal-numbers)): |g|
//! counts as at least `$2^{-50}$` where it is squared, and numbers that have decayed to nearly nothing become
//! 0.
//!
//! Adam and AdamW differ in weight decay λ. Adam adds `$\lambda w$` to the gradient (L2). The decay is then
//! divided by `$\sqrt v$` too, so weights with large gradients hardly decay. AdamW shrinks the weight itself
//! before the step: `$w \leftarrow (1 - \eta\lambda)\, w$`. One rule, [`AdamStep`], serves both.

use super::{Rule, Step, squarable, with_l2};
use crate::real::Real;

/// Settings of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// β₁ in `[0, 1)`, 0.9.
    pub beta1: f64,
    /// β₂ in `[0, 1)`, 0.999.
    pub beta2: f64,
    /// ε ≥ 0, 1e-8.
    pub eps: f64,
    /// λ ≥ 0, added to the gradient (L2), 0.
    pub weight_decay: f64,
}

/// Settings of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// β₁ in `[0, 1)`, 0.9.
    pub beta1: f64,
    /// β₂ in `[0, 1)`, 0.999.
    pub beta2: f64,
    /// ε ≥ 0, 1e-8.
    pub eps: f64,
    /// λ ≥ 0, shrinks the weight by `$1 - \eta\lambda$` a step, 0.01.
    pub weight_decay: f64,
}

/// The constants of Adam and AdamW for one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep<R> {
    /// `$\eta / (1-\beta_1^t)$`
    pub step_size: R,
    /// `$1 / \sqrt{1-\beta_2^t}$`
    pub root_correction: R,
    /// β₁
    pub beta1: R,
    /// `$1-\beta_1$`
    pub one_minus_beta1: R,
    /// β₂
    pub beta2: R,
    /// `$1-\beta_2$`
    pub one_minus_beta2: R,
    /// ε
    pub eps: R,
    /// λ of Adam, 0 for AdamW.
    pub l2: R,
    /// `$1 - \eta\lambda$` of AdamW, 1 for Adam.
    pub shrink: R,
    /// Factor of every gradient.
    pub gradient_scale: R,
}

impl Default for Adam {
    fn default() -> Self {
        Adam {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
        }
    }
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
        }
    }
}

impl Adam {
    /// The rule of one step.
    pub fn at<R: Real>(&self, step: &Step) -> AdamStep<R> {
        // In f32 the difference 1 − β₂ᵗ would lose most of its digits for small t.
        let correction1 = 1.0 - power(self.beta1, step.t);
        let correction2 = 1.0 - power(self.beta2, step.t);
        AdamStep {
            step_size: R::from_f64(step.lr / correction1),
            root_correction: R::from_f64(1.0 / correction2.sqrt()),
            beta1: R::from_f64(self.beta1),
            one_minus_beta1: R::from_f64(1.0 - self.beta1),
            beta2: R::from_f64(self.beta2),
            one_minus_beta2: R::from_f64(1.0 - self.beta2),
            eps: R::from_f64(self.eps),
            l2: R::from_f64(self.weight_decay),
            shrink: R::ONE,
            gradient_scale: R::from_f64(step.gradient_scale),
        }
    }
}

impl AdamW {
    /// The rule of one step.
    pub fn at<R: Real>(&self, step: &Step) -> AdamStep<R> {
        AdamStep {
            shrink: R::from_f64(1.0 - step.lr * self.weight_decay),
            ..self.as_adam(0.0).at(step)
        }
    }

    fn as_adam(&self, weight_decay: f64) -> Adam {
        Adam {
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            weight_decay,
        }
    }
}

/// βᵗ by the portable library, since the last bit of the system's `pow` may differ between machines.
fn power(beta: f64, t: u64) -> f64 {
    libm::pow(beta, t as f64)
}

impl<R: Real> Rule<R> for AdamStep<R> {
    #[inline(always)]
    fn update(&self, w: R, g: R, m: R, v: R) -> (R, R, R) {
        let w = self.shrink * w;
        let g = with_l2(self.gradient_scale * g, self.l2, w);
        let m = self.beta1 * m + self.one_minus_beta1 * g;
        let size = squarable(g);
        let v = self.beta2 * v + self.one_minus_beta2 * size * size;
        let root = v.sqrt() * self.root_correction + self.eps;
        (w - self.step_size * m / root, m, v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::{assert_close, step};

    /// ε = 1 shows where ε is added.
    const BY_HAND: Adam = Adam {
        beta1: 0.5,
        beta2: 0.75,
        eps: 1.0,
        weight_decay: 0.0,
    };

    #[test]
    fn two_steps_by_hand() {
        // m 2, v 4; corrected 4 and 16
        let (w, m, v) = BY_HAND.at(&step(0.1)).update(1.0, 4.0, 0.0, 0.0);
        assert_close(m, 2.0);
        assert_close(v, 4.0);
        assert_close(w, 1.0 - 0.1 * 4.0 / 5.0);
        // m 2, v 4 again, but now divided by 1 − 0.25 and 1 − 0.5625
        let second = Step { t: 2, ..step(0.1) };
        let (w, m, v) = BY_HAND.at(&second).update(w, 2.0, m, v);
        assert_close(m, 2.0);
        assert_close(v, 4.0);
        let ratio = (8.0 / 3.0) / ((64.0_f64 / 7.0).sqrt() + 1.0);
        assert_close(w, 0.92 - 0.1 * ratio);
    }

    #[test]
    fn decay_of_adam_and_adamw_by_hand() {
        let l2 = Adam {
            weight_decay: 0.5,
            ..BY_HAND
        };
        let (w, _, _) = l2.at(&step(0.1)).update(1.0, 4.0, 0.0, 0.0);
        assert_close(w, 1.0 - 0.1 * 4.5 / 5.5);
        let decoupled = AdamW {
            beta1: 0.5,
            beta2: 0.75,
            eps: 1.0,
            weight_decay: 0.5,
        };
        let (w, _, _) = decoupled.at(&step(0.1)).update(1.0, 4.0, 0.0, 0.0);
        assert_close(w, 0.95 - 0.1 * 4.0 / 5.0);
    }

    #[test]
    fn first_step_has_the_size_of_the_rate() {
        for g in [-300.0, -1e-3, 2e-4, 7.0] {
            let (w, _, _) = Adam::default()
                .at::<f64>(&step(0.1))
                .update(1.0, g, 0.0, 0.0);
            assert!((w - (1.0 - 0.1 * g.signum())).abs() < 1e-5, "{g}: {w}");
            let (w, _, _) = Adam::default()
                .at::<f32>(&step(0.1))
                .update(1.0, g as f32, 0.0, 0.0);
            assert!((w - (1.0 - 0.1 * g.signum()) as f32).abs() < 1e-5);
        }
    }
}
