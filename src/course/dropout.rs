//! Chapter 8: dropout, noise that needs no memory.
//!
//! In training, dropout sets each number to 0 with probability p and enlarges the others, so that the expectation
//! stays. In evaluation it does nothing.
//!
//! # Derivation
//!
//! **Forward.** Let `$m_i$` be 0 with probability p, and 1 otherwise, independent of each other. Then
//! `$E[m_i] = 1 - p$`. Dividing by that keeps the expectation:
//!
//! ```math
//! y_i = \frac{m_i}{1-p}\, x_i, \qquad E[y_i] = \frac{1-p}{1-p}\, x_i = x_i
//! ```
//!
//! So evaluation, where nothing is dropped, sees inputs of the size that training saw.
//!
//! **The noise that it adds.** `$m_i^2 = m_i$`, because 0 and 1 are their own squares:
//!
//! ```math
//! \operatorname{Var}[y_i] = \frac{E[m_i^2]}{(1-p)^2}\, x_i^2 - x_i^2 = \Big(\frac{1}{1-p} - 1\Big) x_i^2
//! = \frac{p}{1-p}\, x_i^2
//! ```
//!
//! With p = 0.5 the standard deviation is as large as the number itself. The noise is proportional to x: a unit that
//! others rely on a lot makes a lot of noise. Weights learn to spread what they need over many units.
//!
//! **Backward.** Once the mask is drawn, y is x times constants, entry by entry:
//!
//! ```math
//! dx_i = \frac{m_i}{1-p}\, dy_i
//! ```
//!
//! the same operation with the *same* mask. What did not take part gets no gradient.
//!
//! **Where the mask comes from.** It could be kept: a byte a number. This crate computes it again. A *counter-based*
//! generator gives the random word number i of a seed directly, without the words before it. The mask of element i is
//! a function of seed, update, layer and i:
//!
//! ```math
//! m_i = 1 \iff \mathrm{philox}\big(\lfloor i/4 \rfloor, \mathrm{layer}, \mathrm{step};\ \mathrm{seed}\big)_{i \bmod 4}
//! \ge \lfloor p\, 2^{32} \rfloor
//! ```
//!
//! A word is uniform in `$0 \dots 2^{32}-1$`, so it is below the bound with probability p, to within `$2^{-32}$`. Any
//! thread may compute any part of the mask, and a run that was stopped goes on with the same masks.
//!
//! **What it trains.** K units that may be missing are `$2^K$` networks with shared weights. Each update trains one of
//! them. Evaluation uses all units at once. For a network of a single softmax layer that is exactly the
//! renormalised geometric mean of all the networks' predictions; for deeper ones it is an approximation.
//!
//! # Cost
//!
//! One multiplication a number, forward and backward. The mask takes more: a call of Philox has 10 rounds of 2 wide
//! multiplications, 4 exclusive ors and 2 additions, 80 integer operations for 4 numbers. Bytes: the number is read and
//! written where it lies, 8; the mask moves none. Kept masks would move 1 byte a number forward and 1 backward.
//!
//! # Stability
//!
//! * The factor 1/(1 − p) is rounded once. Near p = 1 it is large, and few units carry everything.
//! * A dropped number is multiplied by 0, and not replaced by it: NaN and infinity stay visible.
//! * With batch norm behind dropout, training sees a larger variance than evaluation, by the formula above. In this
//!   crate's default order the norm comes first.
//!
//! # By hand
//!
//! ```
//! use chainrule::ops::dropout::Mask;
//! use chainrule::rng::{key, philox4x32};
//! # mod check { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/course/check.rs")); }
//! # use check::{assert_close, differences, dot};
//!
//! let mask = Mask { seed: 7, layer: 1, step: 42, p: 0.25 };
//! // The rule, element by element. ⌊0.25 · 2³²⌋ = 2³⁰
//! let factor = |i: u32| {
//!     let words = philox4x32([i / 4, mask.layer, mask.step as u32, 0], key(mask.seed));
//!     if words[i as usize % 4] >= 1 << 30 { 1.0 / 0.75 } else { 0.0 }
//! };
//! let x = [0.5, -1.0, 2.0, 3.0, -0.25, 1.5, 4.0];
//! let mut y = x;
//! mask.apply(&mut y);
//! let by_hand: Vec<f64> = (0..7).zip(x).map(|(i, x)| factor(i) * x).collect();
//! assert_eq!(y.to_vec(), by_hand);
//!
//! // Backward: the same mask on the gradient.
//! let dy = [1.0, 2.0, -1.0, 0.5, 3.0, -2.0, 1.0];
//! let mut dx = dy;
//! mask.apply(&mut dx);
//! let loss = |x: &[f64]| {
//!     let mut y = x.to_vec();
//!     mask.apply(&mut y);
//!     dot(&dy, &y)
//! };
//! assert_close(&dx, &differences(&x, loss));
//!
//! // Mean and variance over many updates: x and x² p/(1 − p) = x²/3.
//! let x = 3.0;
//! let draws: Vec<f64> = (0..20_000)
//!     .map(|step| {
//!         let mut y = [x];
//!         Mask { step, ..mask }.apply(&mut y);
//!         y[0]
//!     })
//!     .collect();
//! let mean = draws.iter().sum::<f64>() / 20_000.0;
//! let variance = draws.iter().map(|y| (y - x) * (y - x)).sum::<f64>() / 20_000.0;
//! assert!((mean - 3.0).abs() < 0.05, "{mean}");
//! assert!((variance - 3.0).abs() < 0.1, "{variance}");
//! ```
//!
//! # Exercise
//!
//! Apply the mask that is shown, and take the gradient back through it. The order is batch norm, dropout, activation:
//!
//! ```text
//! chainrule explain --widths 4,3 --batch-norm --dropout 0.2 --batch-size 4 --quiz --blank D1,dN1
//! chainrule gradcheck --dropout 0.5 --inputs 3 --widths 8 --classes 2 --all
//! ```
//!
//! # Sources
//!
//! * Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, “Dropout”, JMLR 15, 2014, sections 4 and 10.
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, section 7.12: the geometric mean.
//! * Salmon, Moraes, Dror, Shaw, “Parallel Random Numbers: As Easy as 1, 2, 3”, SC 2011.
//! * Li, Chen, Hu, Yang, “Understanding the Disharmony between Dropout and Batch Normalization”, CVPR 2019.
//!
//! Next: [chapter 9](super::init).
