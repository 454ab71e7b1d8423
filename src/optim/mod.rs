//! Optimisers: how a gradient changes a weight.
//!
//! Every optimiser here treats each weight alone. It is therefore written as a rule for *one* element,
//!
//! ```math
//! (w,\ g,\ m,\ v) \;\mapsto\; (w',\ m',\ v')
//! ```
//!
//! where g is the gradient and m and v are two numbers that the optimiser remembers for this weight (both 0 at the
//! start of a run). The rule is the [`Rule`] trait; [`apply`] runs it over slices. What the rule needs besides (rates,
//! decay, bias corrections) is the same for all elements of a step. It is computed once a step in f64 and rounded to
//! the type of the weights: [`sgd::SgdStep`], [`adam::AdamStep`], [`rmsprop::RmsPropStep`], [`rprop::RpropStep`].
//!
//! | optimiser | m | v | source |
//! |---|---|---|---|
//! | [`Sgd`] | momentum buffer | unused | Sutskever et al. 2013 |
//! | [`Adam`], [`AdamW`] | mean of g | mean of g² | Kingma & Ba 2015; Loshchilov & Hutter 2019 |
//! | [`RmsProp`] | momentum buffer | mean of g² | Hinton 2012, lecture 6e |
//! | [`Rprop`] | previous g | step size | Riedmiller & Braun 1993 |
//!
//! Meaning and defaults are PyTorch's. There is one parameter group: decay reaches biases and batch-norm parameters
//! too.
//!
//! Order of a step: the gradient is scaled (clipping, see [`clip`]), L2 decay `$\lambda w$` is added to it, then the rule
//! moves the weight.
//!
//! The products and sums are rounded one by one, never fused. So the result does not depend on the instruction set, and
//! since no element looks at another, callers may cut the slices where they like and give the parts to threads: not a
//! bit changes.

pub mod adam;
pub mod clip;
pub mod rmsprop;
pub mod rprop;
pub mod schedule;
pub mod sgd;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use adam::{Adam, AdamW};
pub use rmsprop::RmsProp;
pub use rprop::Rprop;
pub use schedule::{By, Plateau, Schedule};
pub use sgd::Sgd;

use crate::error::{Error, Result};
use crate::real::Real;

/// One optimiser's step for one element.
pub trait Rule<R: Real>: Copy + Send + Sync {
    /// New `(w, m, v)` from weight w, gradient g and the two remembered numbers.
    fn update(&self, w: R, g: R, m: R, v: R) -> (R, R, R);
}

/// What changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Learning rate of this step.
    pub lr: f64,
    /// The number of this update, from 1.
    pub t: u64,
    /// Every gradient is multiplied by this first: [`clip::scale`], or 1 without clipping.
    pub gradient_scale: f64,
}

/// An optimiser with its settings.
///
/// In a file it is a table: `name` (`sgd`, `adam`, `adamw`, `rmsprop`, `rprop`) and the settings; one left out has its
/// default, a key that the optimiser does not have is refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam, weight decay as L2.
    Adam(Adam),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// RMSprop.
    RmsProp(RmsProp),
    /// Resilient backpropagation.
    Rprop(Rprop),
}

impl Default for Optimizer {
    fn default() -> Self {
        Optimizer::Adam(Adam::default())
    }
}

impl Optimizer {
    /// Refuses settings that make no sense, by key.
    pub fn validate(&self) -> Result<()> {
        match self {
            Optimizer::Sgd(sgd) => sgd.validate(),
            Optimizer::Adam(adam) => adam.validate(),
            Optimizer::AdamW(adamw) => adamw.validate(),
            Optimizer::RmsProp(rmsprop) => rmsprop.validate(),
            Optimizer::Rprop(_) => Ok(()),
        }
    }
}

/// Runs a rule over slices of equal length. `g` is read only, the others are changed in place.
#[inline(always)]
pub fn apply<R: Real, U: Rule<R>>(rule: U, w: &mut [R], g: &[R], m: &mut [R], v: &mut [R]) {
    let n = w.len();
    assert_eq!(g.len(), n, "one gradient per weight");
    assert_eq!(m.len(), n, "one first moment per weight");
    assert_eq!(v.len(), n, "one second moment per weight");
    for i in 0..n {
        (w[i], m[i], v[i]) = rule.update(w[i], g[i], m[i], v[i]);
    }
}

/// An optimiser's rule with its constants for one step.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum StepRule<R> {
    Sgd(sgd::SgdStep<R>),
    Adam(adam::AdamStep<R>),
    RmsProp(rmsprop::RmsPropStep<R>),
    Rprop(rprop::RpropStep<R>),
}

impl Optimizer {
    /// The rule of one step.
    pub fn at<R: Real>(&self, step: &Step) -> StepRule<R> {
        match self {
            Optimizer::Sgd(sgd) => StepRule::Sgd(sgd.at(step)),
            Optimizer::Adam(adam) => StepRule::Adam(adam.at(step)),
            Optimizer::AdamW(adamw) => StepRule::Adam(adamw.at(step)),
            Optimizer::RmsProp(rmsprop) => StepRule::RmsProp(rmsprop.at(step)),
            Optimizer::Rprop(rprop) => StepRule::Rprop(rprop.at(step)),
        }
    }
}

impl<R: Real> StepRule<R> {
    /// One step over slices of equal length.
    ///
    /// Inlined, so that a caller compiled for a wider instruction set gets wider loops; the bits are the same.
    #[inline(always)]
    pub fn apply(&self, w: &mut [R], g: &[R], m: &mut [R], v: &mut [R]) {
        match *self {
            StepRule::Sgd(rule) => apply(rule, w, g, m, v),
            StepRule::Adam(rule) => apply(rule, w, g, m, v),
            StepRule::RmsProp(rule) => apply(rule, w, g, m, v),
            StepRule::Rprop(rule) => apply(rule, w, g, m, v),
        }
    }
}

/// One step of `optimizer` over slices of equal length.
#[inline(always)]
pub fn update<R: Real>(
    optimizer: &Optimizer,
    step: &Step,
    w: &mut [R],
    g: &[R],
    m: &mut [R],
    v: &mut [R],
) {
    optimizer.at(step).apply(w, g, m, v);
}

/// Refuses what is not a finite number ≥ 0: a rate, a decay, a clipping norm.
pub fn check_non_negative(key: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::setting(
            key,
            format!("must be a finite number >= 0, found {value}"),
        ))
    }
}

/// Refuses what is not in `[0, 1)`: the share that a running mean keeps of its past.
fn check_fraction(key: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        Ok(())
    } else {
        Err(Error::setting(
            key,
            format!("must be at least 0 and less than 1, found {value}"),
        ))
    }
}
