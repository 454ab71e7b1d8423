//! Chapter 7: batch normalisation, a column that acts on itself.
//!
//! Batch norm shifts and scales each column of Y so that the batch has mean 0 and variance 1, and then gives it a mean
//! β and a scale γ that are learnt. Since the mean and the variance depend on every row, so does every gradient.
//!
//! # Derivation
//!
//! [`ops::batch_norm`](crate::ops::batch_norm) derives the gradient cell by cell. Here it is derived a second time,
//! with projections, which show what the formula does. Take one column x of n numbers; columns do not act on each
//! other.
//!
//! **Forward.** Subtracting the mean is a matrix times x, because the mean is `$\frac1n \mathbf{1}^\top x$`:
//!
//! ```math
//! c = x - \mathbf{1}\mu = P x, \qquad P = I - \frac1n \mathbf{1}\mathbf{1}^\top
//! ```
//!
//! P is symmetric, and `$PP = P$`: a column without a mean loses nothing more. It is the *projection* onto the columns
//! that sum to 0. Then
//!
//! ```math
//! \sigma^2 = \frac1n c^\top c, \qquad s = (\sigma^2 + \varepsilon)^{-1/2}, \qquad \hat x = s\,c, \qquad
//! y = \gamma \hat x + \beta \mathbf{1}
//! ```
//!
//! **Small changes.** A change δx makes
//!
//! * `$\delta c = P\,\delta x$`, since P is constant;
//! * `$\delta\sigma^2 = \frac2n c^\top \delta c$`, the product rule for `$c^\top c$`;
//! * `$\delta s = -\frac12 s^3\, \delta\sigma^2$`, the power rule.
//!
//! Put them into `$\delta\hat x = s\,\delta c + c\,\delta s$`, and use `$s\,c = \hat x$` twice:
//!
//! ```math
//! \delta\hat x = s\,\delta c - \frac1n\, c\, s^3\, c^\top \delta c
//! = s\Big(\delta c - \frac1n \hat x\, \hat x^\top \delta c\Big)
//! = s\Big(I - \frac1n \hat x \hat x^\top\Big) P\, \delta x
//! ```
//!
//! **Backward.** With `$g = d\hat x = \gamma\, dy$`, the loss changes by `$g^\top \delta\hat x$`. Transpose the matrix
//! in front of δx. Both its factors are symmetric, so only their order turns round, and `$P\hat x = \hat x$`:
//!
//! ```math
//! dx = s\, P \Big(I - \frac1n \hat x \hat x^\top\Big) g
//! = s\Big(g - \frac1n \sum_i g_i - \hat x\, \frac1n \sum_i g_i \hat x_i\Big)
//! ```
//!
//! In words: take out of g its mean and its part along `$\hat x$`, and scale. What is left changes neither the mean nor
//! the variance, to first order; anything else would be undone by the norm.
//!
//! The scale and shift are [chapter 3](super::chain_rule)'s rules for a row that is used n times:
//!
//! ```math
//! d\gamma = \sum_i dy_i\, \hat x_i, \qquad d\beta = \sum_i dy_i
//! ```
//!
//! **Three consequences.**
//!
//! * `$\sum_i dx_i = 0$`. The bias of the Linear in front gets exactly this sum. It has no gradient: β does its work.
//! * Scaling x by a > 0 changes nothing but the effect of ε. So the loss does not depend on the length of a row of W in
//!   front, and its gradient stands at right angles to that row: `$\langle W_j, dW_j\rangle = 0$` for ε = 0.
//!   Steps of gradient descent can only lengthen such a row, and a longer row turns more slowly.
//! * With n = 2 the column `$\hat x$` is ±1 whatever x is, and dx is 0 up to ε. With n = 1 there is no variance.
//!
//! **Evaluation.** One sample must not depend on its neighbours. So the running mean and variance of training are used,
//! which are constants: the norm is then a scale and a shift, and could be multiplied into W.
//!
//! # Cost
//!
//! | | operations a number | bytes a number |
//! |---|---|---|
//! | forward: sum, centre, square and add, scale, γ and β | 7 | x read, x̂ and y written: 12 |
//! | backward: dγ, dβ; then dx | 3 + 5 | dy and x̂ read, dx written: 12 |
//!
//! The sums need all rows before the first result is known. So each number is visited three times forward and twice
//! backward. In this crate 16 columns of a batch stay in cache meanwhile.
//!
//! # Stability
//!
//! * `$E[x^2] - E[x]^2$` needs one pass, and subtracts two large numbers: with a mean of 10,000 and a variance of 5 no
//!   digit is left in f32. Two passes, mean first, have no such loss.
//! * ε keeps s finite for a constant column, which becomes β.
//! * A column of tiny variance is enlarged by up to `$1/\sqrt\varepsilon = 316$`, its rounding errors too.
//!
//! # By hand
//!
//! ```
//! use chainrule::ops::batch_norm::{EPSILON, batch_norm_backward, batch_norm_forward};
//! # mod check { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/course/check.rs")); }
//! # use check::{assert_close, differences, dot};
//!
//! // One column: mean 3, deviations −2, −1, 3, variance (4 + 1 + 9)/3.
//! let (x, gamma, beta) = ([1.0, 2.0, 6.0], [2.0], [0.5]);
//! let s = 1.0 / (14.0_f64 / 3.0 + EPSILON).sqrt();
//! let x_hat = [-2.0 * s, -s, 3.0 * s];
//! let forward = |x: &[f64], gamma: &[f64], beta: &[f64]| {
//!     let (mut y, mut x_hat, mut inv_std) = ([0.0; 3], [0.0; 3], [0.0]);
//!     let (mut mean, mut var) = ([0.0], [1.0]);
//!     batch_norm_forward(&mut y, &mut x_hat, &mut inv_std, &mut mean, &mut var, x, gamma, beta);
//!     (y, x_hat, inv_std)
//! };
//! let (y, found, inv_std) = forward(&x, &gamma, &beta);
//! assert_close(&found, &x_hat);
//! assert_close(&y, &x_hat.map(|x| 2.0 * x + 0.5));
//!
//! // dx: take out of g = γ dy its mean and its part along x̂, and scale.
//! let dy = [1.0, -0.5, 2.0];
//! let g = dy.map(|dy| gamma[0] * dy);
//! let mean = g.iter().sum::<f64>() / 3.0;
//! let along = dot(&g, &x_hat) / 3.0;
//! let by_hand = [0, 1, 2].map(|i| s * (g[i] - mean - x_hat[i] * along));
//! let (mut dx, mut dgamma, mut dbeta) = (dy, [0.0], [0.0]);
//! batch_norm_backward(&mut dx, &mut dgamma, &mut dbeta, &found, &inv_std, &gamma);
//! assert_close(&dx, &by_hand);
//! assert_close(&dgamma, &[dot(&dy, &x_hat)]);
//! assert_close(&dbeta, &[2.5]);
//!
//! // All three against central differences.
//! let loss = |x: &[f64], gamma: &[f64], beta: &[f64]| dot(&dy, &forward(x, gamma, beta).0);
//! assert_close(&dx, &differences(&x, |x| loss(x, &gamma, &beta)));
//! assert_close(&dgamma, &differences(&gamma, |gamma| loss(&x, gamma, &beta)));
//! assert_close(&dbeta, &differences(&beta, |beta| loss(&x, &gamma, beta)));
//!
//! // It sums to 0, and stands at right angles to x̂ up to ε.
//! assert_close(&[dx.iter().sum()], &[0.0]);
//! assert!(dot(&dx, &x_hat).abs() < 1e-5);
//!
//! // One pass in f32 loses the variance of a column with a large mean. Two passes keep it.
//! let x = [10_001.0_f32, 10_002.0, 10_006.0];
//! let one_pass = x.iter().map(|x| x * x).sum::<f32>() / 3.0 - (x.iter().sum::<f32>() / 3.0).powi(2);
//! let (mut y, mut x_hat, mut inv_std, mut mean, mut var) = ([0.0; 3], [0.0; 3], [0.0], [0.0], [1.0]);
//! batch_norm_forward(&mut y, &mut x_hat, &mut inv_std, &mut mean, &mut var, &x, &[1.0], &[0.0]);
//! assert!((one_pass - 14.0 / 3.0).abs() > 0.5);
//! assert!((f64::from(inv_std[0]) - s).abs() < 1e-4);
//! ```
//!
//! # Exercise
//!
//! Normalise the numbers that are shown, and go back through the norm. Then see that b1 in front of it has no gradient:
//!
//! ```text
//! chainrule explain --widths 4,3 --batch-norm --batch-size 4 --quiz --blank xhat1,dgamma1,dbeta1,dxhat1,dY1,db1
//! chainrule gradcheck --batch-norm --inputs 3 --widths 4 --classes 2 --all
//! ```
//!
//! # Sources
//!
//! * Ioffe, Szegedy, “Batch Normalization”, ICML 2015, section 3.
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, section 8.7.1.
//! * van Laarhoven, “L2 Regularization versus Batch and Weight Normalization”, 2017: lengths of rows.
//! * Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, 2002, “Computing the sample
//!   variance”: one pass and two.
//!
//! Next: [chapter 8](super::dropout).
