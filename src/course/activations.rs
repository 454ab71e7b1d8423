//! Chapter 5: activations, one derivative a number.
//!
//! An activation bends each number of Y by itself. Without one, a deep network could do no more than a single layer
//! ([chapter 1](super::forward)).
//!
//! # Derivation
//!
//! **Backward.** `$H_{ij} = f(Y_{ij})$` depends on one cell of Y. So the sum of the chain rule has one term:
//!
//! ```math
//! dY_{ij} = dH_{ij}\, f'(Y_{ij}), \qquad dY = dH \circ f'(Y)
//! ```
//!
//! **relu**, `$\max(0, y)$`. The slope is 1 right of 0, and 0 left of it. At 0 there is a kink. Every slope between 0
//! and 1 lies below the function there, a *subgradient*. This crate takes 0, as PyTorch does.
//!
//! **sigmoid**, `$\sigma(y) = 1/(1 + e^{-y})$`. By the chain rule for `$1/q$` with `$q = 1 + e^{-y}$`,
//! `$q' = -e^{-y}$`:
//!
//! ```math
//! \sigma' = -\frac{1}{q^2}\, q' = \frac{e^{-y}}{(1+e^{-y})^2}
//! = \frac{1}{1+e^{-y}} \cdot \frac{e^{-y}}{1+e^{-y}} = \sigma\,(1-\sigma)
//! ```
//!
//! The last step holds because `$1 - \sigma = e^{-y}/(1+e^{-y})$`. So backward needs only the output.
//!
//! **tanh**, `$(e^y - e^{-y})/(e^y + e^{-y})$`. Divide above and below by `$e^y$`: `$(1 - e^{-2y})/(1 + e^{-2y})$`.
//! Hence
//!
//! ```math
//! \tanh y = 2\sigma(2y) - 1, \qquad \tanh' = 4\sigma(1-\sigma) = (1 + \tanh y)(1 - \tanh y) = 1 - \tanh^2 y
//! ```
//!
//! with `$\sigma = (1 + \tanh y)/2$` taken at 2y.
//!
//! **silu**, `$y\,\sigma(y)$`, and **gelu**, `$y\,\Phi(y)$`, are products. With `$(uv)' = u'v + uv'$`:
//!
//! ```math
//! \mathrm{silu}' = \sigma + y\,\sigma(1-\sigma), \qquad \mathrm{gelu}' = \Phi + y\,\varphi
//! ```
//!
//! where Φ is the normal distribution function and φ its density, `$\Phi' = \varphi$`. The whole list is in
//! [`ops::activation`](crate::ops::activation).
//!
//! **What the slope does to a deep network.** K blocks multiply a gradient by K slopes. The largest slope of the
//! sigmoid is at 0: `$\frac12 \cdot \frac12 = \frac14$`. So sigmoids alone shrink it by `$4^{-K}$` or more; weights
//! would have to make up for it. Where |y| is large, sigmoid and tanh are flat (*saturated*), and almost nothing comes
//! through. relu lets the gradients of all positive inputs through unchanged. A relu whose input is negative for every
//! sample passes nothing on, and its weights stay as they are (*dead*); leaky_relu and elu leave a slope there.
//!
//! # Cost
//!
//! | | operations a number | bytes a number |
//! |---|---|---|
//! | relu, leaky_relu, forward or backward | 1 or 2 | forward 8, backward 12 |
//! | sigmoid, tanh, silu, elu forward | 20 to 30: an exponential is a polynomial of degree 7, and a division follows | 8 |
//! | their backward | 2 to 6 from what was kept; silu has the sigmoid once more | 12 |
//!
//! Forward reads y and writes h; backward reads dh and what was kept, and writes dy. Beside a product with in = 784,
//! which has 1568 operations a number, even 30 are few. But they move as many bytes as the product's output, so this
//! crate applies them while the numbers are still in cache.
//!
//! # Stability
//!
//! * The form `$e^y / (1 + e^y)$` is ∞/∞ in f32 for y > 88. This crate computes `$e^{-|y|}$`, which is at most 1, and
//!   divides 1 by `$1 + e^{-|y|}$` for positive y, and `$e^{-|y|}$` by it for negative y.
//! * `$1 - \sigma$` loses digits where σ is near 1. But there the gradient is small. Losses do not go this way: they
//!   use `$1 - \sigma(y) = \sigma(-y)$`.
//! * elu is `$e^y - 1$`, whose digits cancel near 0. It is computed by `exp_m1`, which has its own series there.
//! * NaN stays NaN: a relu written as `max(0, y)` would make 0 of it, and a broken run would look healthy.
//!
//! # By hand
//!
//! ```
//! use chainrule::ops::activation::{Activation, activation_backward, activation_forward};
//! # mod check { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/course/check.rs")); }
//! # use check::{assert_close, differences};
//!
//! type Function = fn(f64) -> f64;
//! fn sigmoid(y: f64) -> f64 {
//!     1.0 / (1.0 + (-y).exp())
//! }
//! // Each with its derivative, as derived above.
//! let functions: [(Activation, Function, Function); 4] = [
//!     (Activation::Relu, |y| y.max(0.0), |y| if y > 0.0 { 1.0 } else { 0.0 }),
//!     (Activation::Sigmoid, sigmoid, |y| sigmoid(y) * (1.0 - sigmoid(y))),
//!     (Activation::Tanh, |y| 2.0 * sigmoid(2.0 * y) - 1.0, |y| 4.0 * sigmoid(2.0 * y) * (1.0 - sigmoid(2.0 * y))),
//!     (Activation::Silu, |y| y * sigmoid(y), |y| sigmoid(y) + y * sigmoid(y) * (1.0 - sigmoid(y))),
//! ];
//! let y = [-3.0, -0.75, 0.25, 2.0];
//! let dh = [1.0, -2.0, 0.5, 3.0];
//! for (kind, f, slope) in functions {
//!     let mut h = [0.0; 4];
//!     activation_forward(kind, &mut h, &y);
//!     assert_close(&h, &y.map(f));
//!
//!     let mut dy = dh;
//!     activation_backward(kind, &mut dy, &y, &h);
//!     let by_hand: Vec<f64> = y.iter().zip(dh).map(|(&y, dh)| dh * slope(y)).collect();
//!     assert_close(&dy, &by_hand);
//!     assert_close(&dy, &differences(&y, |y| y.iter().zip(dh).map(|(&y, dh)| dh * f(y)).sum()));
//! }
//!
//! // gelu and the others have no formula in Rust's own library. Their slopes against differences of their values.
//! for kind in [Activation::Gelu, Activation::Elu, Activation::LeakyRelu, Activation::Identity] {
//!     let forward = |y: &[f64]| {
//!         let mut h = [0.0; 4];
//!         activation_forward(kind, &mut h, y);
//!         h
//!     };
//!     let mut dy = dh;
//!     activation_backward(kind, &mut dy, &y, &forward(&y));
//!     assert_close(&dy, &differences(&y, |y| forward(y).iter().zip(dh).map(|(h, dh)| dh * h).sum()));
//! }
//!
//! // In f32 one of the usual forms is ∞/∞ far from 0. This crate's is not, and keeps its digits on both sides.
//! assert!((100.0_f32.exp() / (1.0 + 100.0_f32.exp())).is_nan());
//! let mut h = [0.0_f32; 2];
//! activation_forward(Activation::Sigmoid, &mut h, &[100.0, -80.0]);
//! assert_eq!(h[0], 1.0);
//! assert!((f64::from(h[1]) / (-80.0_f64).exp() - 1.0).abs() < 1e-6);
//! ```
//!
//! # Exercise
//!
//! Compute H1 and dY1 of a network with tanh. Then let the slopes of gelu be checked:
//!
//! ```text
//! chainrule explain --widths 3 --activation tanh --batch-norm false --batch-size 2 --quiz --blank H1,dY1
//! chainrule gradcheck --activation gelu --batch-norm false --inputs 3 --widths 4 --classes 2 --all
//! ```
//!
//! # Sources
//!
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, sections 3.10 and 6.3.
//! * Glorot, Bordes, Bengio, “Deep Sparse Rectifier Neural Networks”, AISTATS 2011.
//! * Hochreiter, Bengio, Frasconi, Schmidhuber, “Gradient Flow in Recurrent Nets”, 2001: slopes that multiply.
//!
//! Next: [chapter 6](super::cross_entropy).
