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
//!
//! # No subnormal numbers
//!
//! A pixel that is 0 in every sample gives its weights a gradient of exactly 0, and then the moments only decay. Adam's
//! m loses a tenth a step, and `$0.9^{830} \approx 10^{-38}$` is where the normal numbers of f32 end. Below it lie the
//! subnormal ones, which processors compute with at a fraction of their speed (in microcode, on many), and there m stays
//! for the rest of the run: at 4 units of the last place `$0.9 \cdot 4 = 3.6$` rounds to 4 again. The mean of g² gets
//! there too, by 0.99 after 8 700 steps, by 0.999 after 87 000. So no rule leaves anything there:
//!
//! * In every [`FLUSH_INTERVAL`]-th step [`update`] sets to 0 what has decayed below [`Real::TINY`], `$2^{-100}$` in f32, among the
//!   weights (they decay under weight decay) and the m. With ε = 1e-8 such an m moves its weight by less than
//!   `$10^{-22}\eta$`. In between nothing falls further than from there to the end of the normal numbers,
//!   `$2^{-126}$`, as long as it keeps a third of itself a step.
//! * Where g is squared, its magnitude counts as `$2^{-50}$` at least. That keeps v, a mean of such squares, above
//!   `$2^{-100}(1-\beta_2)$`. It acts as a second ε of 9e-16 beside the one of 1e-8, whose f32 has no digits that small.
//!   With ε = 0 it is the only one: a gradient that was always 0 gives a step of 0, not 0/0.
//!
//! A gradient that comes in subnormal is taken as it is: it is the product of an operation that was slow before.
//! Numbers of ordinary size keep every bit. The processor's own modes for this (flush to zero) stay off: they would
//! change the arithmetic of everything else on the thread.

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

use adam::AdamStep;
use rmsprop::RmsPropStep;
use rprop::RpropStep;
use sgd::SgdStep;

use crate::error::{Error, Result};
use crate::real::Real;

/// Every so many steps tiny values are flushed to 0: see [the module's docs](self).
pub const FLUSH_INTERVAL: u64 = 16;

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
pub struct StepRule<R> {
    rule: AnyRule<R>,
    /// Whether tiny values are flushed in this step.
    flushes: bool,
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
        let flushes = step.t.is_multiple_of(FLUSH_INTERVAL);
        StepRule { rule, flushes }
    }
}

impl<R: Real> StepRule<R> {
    /// One step over slices of equal length.
    ///
    /// Inlined, so that a caller compiled for a wider instruction set gets wider loops; the bits are the same.
    #[inline(always)]
    pub fn apply(&self, w: &mut [R], g: &[R], m: &mut [R], v: &mut [R]) {
        let (flushes, zero) = (self.flushes, R::ZERO);
        // A λ of 0 is written as a constant, for a loop without it.
        match self.rule {
            AnyRule::Sgd(rule) => run(rule, flushes, w, g, m, v),
            AnyRule::Adam(rule) if rule.l2 == zero => {
                run(AdamStep { l2: zero, ..rule }, flushes, w, g, m, v);
            }
            AnyRule::Adam(rule) => run(rule, flushes, w, g, m, v),
            AnyRule::RmsProp(rule) if rule.weight_decay == zero => {
                let weight_decay = zero;
                let rule = RmsPropStep {
                    weight_decay,
                    ..rule
                };
                run(rule, flushes, w, g, m, v);
            }
            AnyRule::RmsProp(rule) => run(rule, flushes, w, g, m, v),
            AnyRule::Rprop(rule) => run(rule, flushes, w, g, m, v),
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
    flushes: bool,
    w: &mut [R],
    g: &[R],
    m: &mut [R],
    v: &mut [R],
) {
    if flushes {
        apply(Flushed(rule), w, g, m, v);
    } else {
        apply(rule, w, g, m, v);
    }
}

/// A rule that then flushes tiny values to 0. In every step it would cost up to a half of the loop's time.
#[derive(Clone, Copy, Debug)]
struct Flushed<U>(U);

impl<R: Real, U: Rule<R>> Rule<R> for Flushed<U> {
    #[inline(always)]
    fn update(&self, w: R, g: R, m: R, v: R) -> (R, R, R) {
        let (w, m, v) = self.0.update(w, g, m, v);
        (w.flush(), m.flush(), v)
    }
}

/// g + λw. Where λ is 0 by construction nothing of it is left in the loop.
#[inline(always)]
fn with_l2<R: Real>(g: R, l2: R, w: R) -> R {
    if l2 == R::ZERO { g } else { g + l2 * w }
}

/// |g|, but at least √[`Real::TINY`]: a number whose square, times any 1 − β, is normal. NaN stays NaN.
#[inline(always)]
fn squarable<R: Real>(g: R) -> R {
    let smallest = R::TINY.sqrt();
    let g = g.abs();
    if g < smallest { smallest } else { g }
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
