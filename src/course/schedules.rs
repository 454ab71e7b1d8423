//! Chapter 11: schedules, rates that change.
//!
//! A schedule gives the learning rate of each step. Large rates go far, small rates come near: a run needs both, in
//! this order.
//!
//! # Derivation
//!
//! **Why the rate must fall.** The gradient of a batch is that of all data plus noise. Take the parabola of [chapter
//! 10](super::optimizers), `$g = \lambda w + s\,\xi$`, with noise ξ of mean 0 and variance 1, new in every step:
//!
//! ```math
//! w' = w - \eta(\lambda w + s\,\xi) = (1 - \eta\lambda)\, w - \eta s\, \xi
//! ```
//!
//! Square it and take the expectation. The mixed term is 0, because ξ is independent of w and has mean 0:
//!
//! ```math
//! E[w'^2] = (1-\eta\lambda)^2\, E[w^2] + \eta^2 s^2
//! ```
//!
//! Where this comes to rest, both sides are the same number. With
//! `$1 - (1-\eta\lambda)^2 = \eta\lambda\,(2 - \eta\lambda)$`:
//!
//! ```math
//! E[w^2] = \frac{\eta s^2}{\lambda\,(2 - \eta\lambda)}
//! ```
//!
//! The weight does not reach the minimum. It stays in a cloud whose size is proportional to η. A tenth of the rate
//! makes a tenth of the loss that is left, and takes ten times as many steps to get there. A larger batch makes s²
//! smaller, by the same factor.
//!
//! **How fast it may fall.** Against the part that shrinks, `$\prod (1 - \eta_t\lambda)$` must tend to 0, for which
//! `$\sum \eta_t = \infty$`. Against the noise, `$\sum \eta_t^2 < \infty$` is enough. `$1/t$` does both; real runs are
//! finite and choose their shape freely.
//!
//! **Cosine** falls slowly at first, fast in the middle and slowly at the end, over T steps:
//!
//! ```math
//! \eta_t = \frac{\eta}{2}\Big(1 + \cos\frac{\pi t}{T}\Big)
//! ```
//!
//! Its mean is half of η: `$\cos(\pi t/T)$` and `$\cos(\pi (T-t)/T)$` cancel. Only t = 0 has no partner, so the mean
//! over `$t = 0, \dots, T-1$` is `$\frac\eta2(1 + \frac1T)$`.
//!
//! **Warm-up** raises the rate over the first W steps, `$\eta_t = \eta\,(t+1)/W$`. At the start gradients change fast
//! from step to step, and a long step soon leaves the region that its gradient describes. Adam's v is then a mean of
//! few gradients, and may be far too small.
//!
//! The other schedules are in [`optim::schedule`](crate::optim::schedule), with their formulas.
//!
//! # Cost
//!
//! Some ten operations a step or an epoch, and no bytes: a network has one rate. A schedule is a function of the step's
//! number alone. So a run that was stopped needs no state to go on; only plateau, which looks at results, has one.
//!
//! # Stability
//!
//! * Rates are computed in f64 and rounded once.
//! * `$\gamma^t$` is a power, and not a product that is kept and multiplied on, whose roundings would add up.
//! * Cosine and power come from a portable library: the last bit of the system's may differ between machines, and every
//!   weight after it.
//!
//! # By hand
//!
//! ```
//! use std::f64::consts::PI;
//!
//! use chainrule::optim::{Optimizer, Schedule, Sgd, Step, update};
//! use chainrule::rng::{Purpose, standard_normal, stream};
//! # mod check { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/course/check.rs")); }
//! # use check::assert_close;
//!
//! // Cosine over 8 steps: half a wave, whose mean is η/2 · (1 + 1/8).
//! let rates = |schedule: &Schedule, warmup: u64, steps: u64| -> Vec<f64> {
//!     (0..steps).map(|t| schedule.rate(0.1, warmup, t, steps)).collect()
//! };
//! let cosine = rates(&Schedule::Cosine, 0, 8);
//! let by_hand: Vec<f64> = (0..8).map(|t| 0.05 * (1.0 + (PI * f64::from(t) / 8.0).cos())).collect();
//! assert_close(&cosine, &by_hand);
//! assert_close(&[cosine.iter().sum::<f64>() / 8.0], &[0.05 * 1.125]);
//!
//! // Warm-up over 4 steps, then γᵗ from the schedule's own step 0.
//! let halving = rates(&Schedule::Exponential { gamma: 0.5 }, 4, 7);
//! assert_close(&halving, &[0.025, 0.05, 0.075, 0.1, 0.1, 0.05, 0.025]);
//!
//! // The cloud: the mean of w² over many noisy steps, against η s² / (λ (2 − ηλ)).
//! let (curvature, noise) = (2.0, 0.5);
//! let rest = |lr: f64| {
//!     let mut rng = stream(0, Purpose::GradCheck);
//!     let (mut w, mut m, mut v) = ([0.0], [0.0], [0.0]);
//!     let steps = 100_000;
//!     let mut sum = 0.0;
//!     for t in 1..=steps {
//!         let g = [curvature * w[0] + noise * standard_normal(&mut rng)];
//!         let step = Step { lr, t, gradient_scale: 1.0 };
//!         update(&Optimizer::Sgd(Sgd::default()), &step, &mut w, &g, &mut m, &mut v);
//!         sum += w[0] * w[0];
//!     }
//!     sum / steps as f64
//! };
//! for lr in [0.2, 0.02] {
//!     let by_hand = lr * noise * noise / (curvature * (2.0 - lr * curvature));
//!     assert!((rest(lr) / by_hand - 1.0).abs() < 0.05, "{} against {by_hand}", rest(lr));
//! }
//! ```
//!
//! # Exercise
//!
//! Compute the rates of four epochs of cosine after one epoch of warm-up, with a base rate of 0.001. A run shows them
//! in its column `lr`:
//!
//! ```text
//! chainrule train --epochs 5 --schedule cosine --warmup 1 --width 50
//! ```
//!
//! # Sources
//!
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, section 8.3.1.
//! * Robbins, Monro, “A Stochastic Approximation Method”, *Annals of Mathematical Statistics* 22(3), 1951.
//! * Loshchilov, Hutter, “SGDR: Stochastic Gradient Descent with Warm Restarts”, ICLR 2017, section 3.
//! * Goyal et al., “Accurate, Large Minibatch SGD”, 2017, section 2.2: warm-up.
//!
//! Next: [chapter 12](super::products).
