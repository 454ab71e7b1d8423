//! Optimisers: how a gradient changes a weight.
//!
//! Every optimiser here treats each weight alone. It is therefore written as a rule for *one* element,
//!
//! ```math
//! (w,\ g,\ m,\ v) \;\mapsto\; (w',\ m',\ v')
//! ```
//!
//! where g is the gradient, and m and v are two numbers that the optimiser keeps for this weight (both 0 at the
//! start of a run). The rule is the [`Rule`] trait; [`apply`] runs it over slices. The rule also needs rates,
//! decay and bias corrections, which are the same for all elements of a step. They are computed once a step in
//! f64 and rounded to the type of the weights: [`sgd::SgdStep`], [`adam::AdamStep`], [`rmsprop::RmsPropStep`],
//! [`rprop::RpropStep`].
//!
//! | optimiser | m | v | source |
//! |---|---|---|---|
//! | [`Sgd`] | momentum buffer | unused | Sutskever et al. 2013 |
//! | [`Adam`], [`AdamW`] | mean of g | mean of g² | Kingma & Ba 2015; Loshchilov & Hutter 2019 |
//! | [`RmsProp`] | momentum buffer | mean of g² | Hinton 2012, lecture 6e |
//! | [`Rprop`] | previous g | step size | Riedmiller & Braun 1993 |
//!
//! Meaning and defaults are PyTorch's. There is one parameter group, so weight decay also acts on biases and
//! batch-norm parameters.
//!
//! A step has this order: the gradient is scaled (clipping, see [`clip`]), L2 decay `$\lambda w$` is added to
//! it, then the rule moves the weight.
//!
//! Each product and each sum is rounded by itself; none are fused. So the result does not depend on the
//! instruction set. No element depends on another, so callers may split the slices anywhere and give the parts
//! to threads: every bit stays the same.
//!
//! # No subnormal numbers
//!
//! A pixel that is 0 in every sample gives its weights a gradient of exactly 0, and the moments then only
//! decay. Adam's m loses a tenth a step. After about 830 steps it reaches the end of the normal numbers of f32,
//! since `$0.9^{830} \approx 10^{-38}$`. Below are the subnormal numbers, with which processors compute at a
//! fraction of their speed (many in microcode). There m would stay for the rest of the run: at 4 units of the
//! last place `$0.9 \cdot 4 = 3.6$` rounds to 4 again. The mean of g² would get there too, with a factor of
//! 0.99 after 8 700 steps, with 0.999 after 87 000. Two measures prevent this:
//!
//! * Every [`FLUSH_INTERVAL`] steps [`update`] flushes the weights (which decay under weight decay) and m:
//!   numbers that have decayed below [`Real::TINY`], `$2^{-100}$` in f32, become 0. With ε = 1e-8 such an m
//!   moves its weight by less than `$10^{-22}\eta$`. Between two flushes no number falls from there to the end
//!   of the normal numbers, `$2^{-126}$`, as long as it keeps a third of itself a step.
//! * Where g is squared, its magnitude counts as at least `$2^{-50}$`. That keeps v, a mean of such squares,
//!   above `$2^{-100}(1-\beta_2)$`. It acts as a second ε of 9e-16 beside the first one of 1e-8, which in f32
//!   has no digits that small. With ε = 0 it is the only one: a gradient that was always 0 gives a step of 0,
//!   not 0/0.
//!
//! A subnormal gradient is used as it is, because the operation that computed it was slow already. Numbers of
//! ordinary size keep every bit. The processor's own flush-to-zero modes stay off, because they would change
//! all other arithmetic of the thread.

pub mod adam;
pub mod clip;
pub mod rmsprop;
pub mod rprop;
pub mod schedule;
pub mod sgd;

#[cfg(test)]
mod tests;

pub use adam::{Adam, AdamW};
pub use rmsprop::RmsProp;
pub use rprop::Rprop;
pub use schedule::{By, Plateau, Schedule};
pub use sgd::Sgd;

use adam::AdamStep;
use rmsprop::RmsPropStep;
use rprop::RpropStep;
use sgd::SgdStep;

use crate::error::Result;
use crate::real::Real;

/// The number of steps from one flush of tiny numbers to the next: see [the module's
/// docs](self#no-subnormal-numbers).
pub const FLUSH_INTERVAL: u64 = 16;

/// An optimiser's step for one element.
pub trait Rule<R: Real>: Copy + Send + Sync {
    /// Returns the new `(w, m, v)` from weight w, gradient g and the two kept numbers.
    fn update(&self, w: R, g: R, m: R, v: R) -> (R, R, R);
}

/// The inputs of a rule that change from step to step.
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
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// Refuses settings that do not fit each other, by key.
    pub fn validate(&self) -> Result<()> {
        match self {
            Optimizer::Sgd(sgd) => sgd.validate(),
            _ => Ok(()),
        }
    }
}

/// Runs a rule over slices of equal length. It reads `g` and changes the others in place.
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
pub struct StepRule<R> {
    rule: AnyRule<R>,
    is_flushed: bool,
}

#[derive(Clone, Copy, Debug)]
enum AnyRule<R> {
    Sgd(SgdStep<R>),
    Adam(AdamStep<R>),
    RmsProp(RmsPropStep<R>),
    Rprop(RpropStep<R>),
}

impl Optimizer {
    /// The rule of one step.
    pub fn at<R: Real>(&self, step: &Step) -> StepRule<R> {
        let rule = match self {
            Optimizer::Sgd(sgd) => AnyRule::Sgd(sgd.at(step)),
            Optimizer::Adam(adam) => AnyRule::Adam(adam.at(step)),
            Optimizer::AdamW(adamw) => AnyRule::Adam(adamw.at(step)),
            Optimizer::RmsProp(rmsprop) => AnyRule::RmsProp(rmsprop.at(step)),
            Optimizer::Rprop(rprop) => AnyRule::Rprop(rprop.at(step)),
        };
        let is_flushed = step.t.is_multiple_of(FLUSH_INTERVAL);
        StepRule { rule, is_flushed }
    }
}

impl<R: Real> StepRule<R> {
    /// One step over slices of equal length.
    ///
    /// Inlined, so that a caller compiled for a wider instruction set gets wider loops. The bits are the same.
    #[inline(always)]
    pub fn apply(&self, w: &mut [R], g: &[R], m: &mut [R], v: &mut [R]) {
        let (is_flushed, zero) = (self.is_flushed, R::ZERO);
        // A λ of 0 is passed as a constant, so that the compiler leaves it out of the loop.
        match self.rule {
            AnyRule::Sgd(rule) => run(rule, is_flushed, w, g, m, v),
            AnyRule::Adam(rule) if rule.l2 == zero => {
                run(AdamStep { l2: zero, ..rule }, is_flushed, w, g, m, v);
            }
            AnyRule::Adam(rule) => run(rule, is_flushed, w, g, m, v),
            AnyRule::RmsProp(rule) if rule.weight_decay == zero => {
                let weight_decay = zero;
                let rule = RmsPropStep {
                    weight_decay,
                    ..rule
                };
                run(rule, is_flushed, w, g, m, v);
            }
            AnyRule::RmsProp(rule) => run(rule, is_flushed, w, g, m, v),
            AnyRule::Rprop(rule) => run(rule, is_flushed, w, g, m, v),
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

#[inline(always)]
fn run<R: Real, U: Rule<R>>(
    rule: U,
    is_flushed: bool,
    w: &mut [R],
    g: &[R],
    m: &mut [R],
    v: &mut [R],
) {
    if is_flushed {
        apply(Flushed(rule), w, g, m, v);
    } else {
        apply(rule, w, g, m, v);
    }
}

/// A rule followed by a flush of tiny w and m. Flushing in every step would cost up to half of the loop's time.
#[derive(Clone, Copy, Debug)]
struct Flushed<U>(U);

impl<R: Real, U: Rule<R>> Rule<R> for Flushed<U> {
    #[inline(always)]
    fn update(&self, w: R, g: R, m: R, v: R) -> (R, R, R) {
        let (w, m, v) = self.0.update(w, g, m, v);
        (w.flush(), m.flush(), v)
    }
}

/// g + λw. If λ is a constant 0, the compiler removes the term from the loop.
#[inline(always)]
fn with_l2<R: Real>(g: R, l2: R, w: R) -> R {
    if l2 == R::ZERO { g } else { g + l2 * w }
}

/// |g|, but at least √[`Real::TINY`], so that its square times any 1 − β is normal. NaN stays NaN.
#[inline(always)]
fn squarable<R: Real>(g: R) -> R {
    let smallest = R::TINY.sqrt();
    let g = g.abs();
    if g < smallest { smallest } else { g }
}
