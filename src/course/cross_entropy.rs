//! Chapter 6: softmax and cross-entropy.
//!
//! Softmax turns a row of any numbers (*logits*) into probabilities; cross-entropy is the negative logarithm of the
//! probability that the right class got. Computed in one step, they have the simplest gradient of the whole network.
//!
//! # Derivation
//!
//! **Softmax.** Probabilities must be positive and add up to 1. The exponential makes a number positive, and dividing
//! by the sum does the rest. For one row z of C logits:
//!
//! ```math
//! p_j = \frac{e^{z_j}}{\sum_k e^{z_k}}
//! ```
//!
//! Adding one number to all logits changes nothing: `$e^{z_j + c} = e^c e^{z_j}$`, and `$e^c$` cancels. Only
//! differences count: `$\log(p_i/p_j) = z_i - z_j$`.
//!
//! **Cross-entropy.** With label y, [chapter 2](super::loss) gives
//!
//! ```math
//! \ell = -\log p_y = \log\sum_k e^{z_k} - z_y
//! ```
//!
//! **The gradient, the short way.** The second term gives −1 at j = y, and 0 elsewhere: `$-\delta_{jy}$`. The first is
//! the logarithm of a sum. By the chain rule
//!
//! ```math
//! \frac{\partial}{\partial z_j} \log\sum_k e^{z_k} = \frac{e^{z_j}}{\sum_k e^{z_k}} = p_j
//! \qquad\Rightarrow\qquad \frac{\partial \ell}{\partial z_j} = p_j - \delta_{jy}
//! ```
//!
//! **The gradient, the long way.** As if softmax and logarithm were two operations. By the rule for a quotient, with
//! `$s = \sum_k e^{z_k}$`:
//!
//! ```math
//! \frac{\partial p_c}{\partial z_j} = \frac{\delta_{cj} e^{z_c} s - e^{z_c} e^{z_j}}{s^2} = p_c\,(\delta_{cj} - p_j)
//! ```
//!
//! This is a full matrix for every row: each logit acts on all probabilities. The loss hands back
//! `$\partial\ell/\partial p_c = -\delta_{cy}/p_y$`, which picks one row of it:
//!
//! ```math
//! \sum_c -\frac{\delta_{cy}}{p_y}\, p_c\, (\delta_{cj} - p_j) = -(\delta_{yj} - p_j) = p_j - \delta_{jy}
//! ```
//!
//! `$p_y$` cancels. That is why the two are one operation here: the long way divides by `$p_y$` only to multiply by it.
//!
//! **A batch.** Let P hold the rows of probabilities, and T a row of zeros with a single 1 for each label. The mean
//! over n rows gives
//!
//! ```math
//! dZ = \frac1n (P - T)
//! ```
//!
//! Each row of dZ sums to 0, since probabilities and labels both sum to 1. A row's gradient is the difference between
//! what was said and what is right. No slope is in the way: a confident mistake has a gradient near 1, even though
//! softmax is flat there.
//!
//! Label smoothing, class weights and sample weights are in
//! [`ops::loss::cross_entropy`](crate::ops::loss::cross_entropy).
//!
//! # Cost
//!
//! A row of C logits takes C comparisons, C exponentials (20 operations each), C additions and a logarithm. Backward
//! has the exponentials again, which is cheaper than to keep them, and 2C operations. Bytes: 4C are read, 4C written,
//! and the label. With 10 classes that is a few hundred operations a sample, beside 1.6 million for the products of
//! 784-500-10.
//!
//! # Stability
//!
//! In f32 `$e^{89}$` is infinite, and ∞/∞ is NaN. Since only differences count, subtract the largest logit m first:
//!
//! ```math
//! \ell = \log\sum_k e^{z_k - m} - (z_y - m), \qquad m = \max_k z_k
//! ```
//!
//! Every exponent is at most 0, so nothing overflows. One of them is 0, so the sum is between 1 and C, and its
//! logarithm is harmless. Small terms may become 0, which is what they are beside 1. And `$\log p_y$` comes out right
//! even where `$p_y$` itself would be 0: a loss of 200 is no problem, though `$e^{-200}$` is no number of f32.
//!
//! # By hand
//!
//! Logits log 1, log 2, log 5: probabilities 1/8, 2/8 and 5/8.
//!
//! ```
//! use chainrule::ops::loss::cross_entropy::{CrossEntropy, softmax, softmax_cross_entropy};
//! # mod check { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/course/check.rs")); }
//! # use check::{assert_close, differences};
//!
//! let z = [1.0_f64.ln(), 2.0_f64.ln(), 5.0_f64.ln()];
//! let p = [0.125, 0.25, 0.625];
//! let mut found = z;
//! softmax(&mut found);
//! assert_close(&found, &p);
//!
//! // The label is class 1: ℓ = −log 1/4, dz = (1/8, 2/8 − 1, 5/8).
//! let plain = CrossEntropy::default();
//! let mut dz = [0.0; 3];
//! let loss = softmax_cross_entropy(Some(&mut dz), &z, &[1], None, &plain);
//! assert_close(&[loss.objective], &[4.0_f64.ln()]);
//! assert_close(&dz, &[0.125, -0.75, 0.625]);
//!
//! // The long way: the matrix p_c (δ_cj − p_j), times −1/p₁ in row 1.
//! let jacobian = |c: usize, j: usize| p[c] * (if c == j { 1.0 } else { 0.0 } - p[j]);
//! let long = [0, 1, 2].map(|j| -1.0 / p[1] * jacobian(1, j));
//! assert_close(&long, &dz);
//!
//! // A batch of two rows, against central differences. Each row of the gradient sums to 0.
//! let z = [0.5, -1.0, 2.0, 3.0, 0.0, -0.5];
//! let labels = [2, 1];
//! let mut dz = [0.0; 6];
//! softmax_cross_entropy(Some(&mut dz), &z, &labels, None, &plain);
//! let objective = |z: &[f64]| softmax_cross_entropy(None, z, &labels, None, &plain).objective;
//! assert_close(&dz, &differences(&z, objective));
//! assert_close(&[dz[0] + dz[1] + dz[2], dz[3] + dz[4] + dz[5]], &[0.0, 0.0]);
//!
//! // In f32 the definition fails for logits of 200; the stable form does not.
//! let z = [200.0_f32, 0.0];
//! assert!((z[0].exp() / (z[0].exp() + z[1].exp())).is_nan());
//! let mut dz = [0.0_f32; 2];
//! let loss = softmax_cross_entropy(Some(&mut dz), &z, &[1], None, &plain);
//! assert_eq!((loss.objective, dz), (200.0, [1.0, -1.0]));
//! ```
//!
//! # Exercise
//!
//! Compute the loss of the logits that are shown, and their gradient. Then let smoothing be checked:
//!
//! ```text
//! chainrule explain --widths 3 --batch-norm false --batch-size 2 --quiz --blank L,dZ
//! chainrule gradcheck --label-smoothing 0.1 --inputs 3 --widths 4 --classes 3 --all
//! ```
//!
//! # Sources
//!
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, sections 4.1 (overflow) and 6.2.2.3 (softmax).
//! * Bishop, *Pattern Recognition and Machine Learning*, 2006, section 4.3.4.
//! * Blanchard, Higham, Higham, “Accurately computing the log-sum-exp and softmax functions”, *IMA Journal of Numerical
//!   Analysis* 41(4), 2021.
//!
//! Next: [chapter 7](super::batch_norm).
