//! Chapter 10: optimisers, from a gradient to a step.
//!
//! The gradient says in which direction the loss rises fastest. An optimiser decides how far to go against it, and what
//! to remember from one step to the next.
//!
//! # Derivation
//!
//! **Gradient descent.** To first order a step δ changes the loss by `$\langle g, \delta\rangle$`. Among all steps of
//! one length, the opposite of g makes it least. With a rate η:
//!
//! ```math
//! w \leftarrow w - \eta g, \qquad L(w - \eta g) \approx L(w) - \eta \lVert g \rVert^2
//! ```
//!
//! **How large η may be.** Near a minimum the loss is a parabola along each axis of its curvature:
//! `$L = \frac12 \lambda w^2$`, with `$g = \lambda w$`. Then
//!
//! ```math
//! w_t = (1 - \eta\lambda)^t\, w_0
//! ```
//!
//! It shrinks if `$|1 - \eta\lambda| < 1$`, that is `$\eta < 2/\lambda$`. The steepest axis sets the largest rate. A
//! flat axis then needs about `$\lambda_{\max}/\lambda_{\min}$` steps. All that follows is about this ratio.
//!
//! **Momentum** keeps a decaying sum of gradients, `$m \leftarrow \mu m + g$` and `$w \leftarrow w - \eta m$`.
//! Unrolled:
//!
//! ```math
//! m_t = \sum_{i=1}^t \mu^{t-i} g_i
//! ```
//!
//! Along a flat axis gradients agree, and the sum tends to `$g/(1-\mu)$`: ten times the rate for μ = 0.9. Along a steep
//! one they alternate and cancel.
//!
//! **RMSprop** divides by the size of recent gradients, so that steep and flat axes take steps of one length:
//!
//! ```math
//! v \leftarrow \alpha v + (1-\alpha) g^2, \qquad w \leftarrow w - \eta\, g/(\sqrt v + \varepsilon)
//! ```
//!
//! **Adam** has both. Its means start at 0, and are too small at first. For a constant gradient, the sum of a geometric
//! series gives
//!
//! ```math
//! m_t = (1-\beta_1) \sum_{i=1}^t \beta_1^{t-i} g = (1 - \beta_1^t)\, g, \qquad v_t = (1 - \beta_2^t)\, g^2
//! ```
//!
//! So dividing by `$1-\beta^t$` gives g and g² back, for every t:
//!
//! ```math
//! w \leftarrow w - \eta\, \frac{m_t / (1-\beta_1^t)}{\sqrt{v_t / (1-\beta_2^t)} + \varepsilon}
//! ```
//!
//! The first step is `$\eta\, g/(|g| + \varepsilon)$`, nearly `$\eta\operatorname{sign}(g)$`, whatever the size of g.
//!
//! **Weight decay.** The penalty `$\frac\lambda2 w^2$` has the gradient `$\lambda w$`, and SGD with it is
//! `$w \leftarrow (1 - \eta\lambda) w - \eta g$`. In Adam that term would be divided by `$\sqrt v$` too. **AdamW**
//! leaves it out of the gradient and shrinks the weight itself, as SGD does.
//!
//! Rprop, Nesterov's form and clipping are in [`optim`](crate::optim).
//!
//! # Cost
//!
//! A step touches every weight once, whatever the batch size.
//!
//! | | operations a weight | bytes a weight |
//! |---|---|---|
//! | SGD | 2 | w and g read, w written: 12 |
//! | with momentum | 4 | m too: 20 |
//! | Adam | about 13, with a root and a division | w, g, m, v read, w, m, v written: 28 |
//!
//! Half an operation a byte: memory sets the time, not arithmetic ([chapter 12](super::products)). 784-500-10 has
//! 398,510 parameters with batch norm, and 28 bytes each are 11 MB a step. So this crate applies the rule to each tile
//! of dW while the tile is in cache, which saves writing and reading g. The input's gradient is computed with the old
//! weights first. Mazur's example shows why: `tests/textbook` repeats it in both orders.
//!
//! # Stability
//!
//! * ε keeps a weight whose gradients are near 0 from being moved by their noise at full rate.
//! * `$1 - \beta_2^t$` at t = 1 is 0.001, a difference of two numbers near 1. It is computed in f64.
//! * g² in f32 underflows for |g| below `$10^{-23}$`; means decay into subnormal numbers, which are slow.
//!   [`optim`](crate::optim#no-subnormal-numbers) says what is done.
//! * A rate above 2/λ multiplies the weight by more than 1 a step: the run diverges, and is recorded as diverged.
//!
//! # By hand
//!
//! ```
//! use chainrule::optim::{Adam, AdamW, Optimizer, RmsProp, Sgd, Step, update};
//! # mod check { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/course/check.rs")); }
//! # use check::assert_close;
//!
//! /// The weights after each step on L = λw²/2, whose gradient is λw.
//! fn descend(optimizer: Optimizer, lr: f64, curvature: f64, start: f64, steps: u64) -> Vec<f64> {
//!     let (mut w, mut m, mut v) = ([start], [0.0], [0.0]);
//!     (1..=steps)
//!         .map(|t| {
//!             let g = [curvature * w[0]];
//!             let step = Step { lr, t, gradient_scale: 1.0 };
//!             update(&optimizer, &step, &mut w, &g, &mut m, &mut v);
//!             w[0]
//!         })
//!         .collect()
//! }
//!
//! // Gradient descent: (1 − ηλ)ᵗ w₀, which grows once η is above 2/λ.
//! let sgd = Optimizer::Sgd(Sgd::default());
//! assert_close(&descend(sgd, 0.1, 4.0, 1.0, 3), &[0.6, 0.36, 0.216]);
//! assert!(descend(sgd, 0.49, 4.0, 1.0, 50)[49].abs() < 0.5 && descend(sgd, 0.51, 4.0, 1.0, 50)[49].abs() > 2.0);
//!
//! // Adam, three steps by the formulas.
//! let (beta1, beta2, eps, lr) = (0.9_f64, 0.999_f64, 1e-8, 0.1);
//! let (mut w, mut m, mut v) = (1.0, 0.0, 0.0);
//! let mut by_hand = Vec::new();
//! let (mut power1, mut power2) = (1.0, 1.0);
//! for _ in 0..3 {
//!     let g = 4.0 * w;
//!     (m, v) = (beta1 * m + (1.0 - beta1) * g, beta2 * v + (1.0 - beta2) * g * g);
//!     (power1, power2) = (power1 * beta1, power2 * beta2);
//!     w -= lr * (m / (1.0 - power1)) / ((v / (1.0 - power2)).sqrt() + eps);
//!     by_hand.push(w);
//! }
//! assert_close(&descend(Optimizer::Adam(Adam::default()), lr, 4.0, 1.0, 3), &by_hand);
//!
//! // The first step is η sign(g). AdamW shrinks the weight by 1 − ηλ first.
//! assert_close(&by_hand[..1], &[0.9]);
//! let adamw = Optimizer::AdamW(AdamW { weight_decay: 0.5, ..AdamW::default() });
//! assert_close(&descend(adamw, 0.1, 4.0, 1.0, 1), &[0.95 - 0.1]);
//!
//! // Momentum: m is 1, then 0.9 · 1 + 0.9. RMSprop: v is 0.1 · 10², the step 1/√10.
//! let momentum = Optimizer::Sgd(Sgd { momentum: 0.9, ..Sgd::default() });
//! assert_close(&descend(momentum, 0.1, 1.0, 1.0, 2), &[0.9, 0.9 - 0.18]);
//! let rmsprop = RmsProp { alpha: 0.9, ..RmsProp::default() };
//! assert_close(&descend(Optimizer::RmsProp(rmsprop), 0.1, 1.0, 10.0, 1), &[10.0 - 1.0 / 10.0_f64.sqrt()]);
//! ```
//!
//! # Exercise
//!
//! Compute the gradient dW2, and from it the weights after the first step of AdamW, `W2_new`: each weight is shrunk by
//! 1 − ηλ, and moved by η against the sign of its gradient.
//!
//! ```text
//! chainrule explain --widths 4,3 --batch-norm false --optimizer adamw --batch-size 2 --quiz --blank dW2,W2_new
//! ```
//!
//! # Sources
//!
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, sections 4.3, 8.3 and 8.5.
//! * Kingma, Ba, “Adam: A Method for Stochastic Optimization”, ICLR 2015, sections 2 and 3.
//! * Loshchilov, Hutter, “Decoupled Weight Decay Regularization”, ICLR 2019, section 2.
//! * Sutskever, Martens, Dahl, Hinton, “On the importance of initialization and momentum in deep learning”, ICML 2013.
//!
//! Next: [chapter 11](super::schedules).
