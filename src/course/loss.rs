//! Chapter 2: the loss, one number that training makes small.
//!
//! A loss compares the outputs of a batch with what they should have been. Which comparison is right follows from what
//! one believes about the data.
//!
//! # Derivation
//!
//! **Likelihood.** Let a network with parameters θ give, for an input x, a probability `$p(y \mid x; \theta)$` to each
//! possible target y. The best θ is the one under which the data that were seen are most probable. If samples are
//! independent, their probabilities multiply:
//!
//! ```math
//! \max_\theta \prod_{i=1}^n p(y_i \mid x_i; \theta)
//! ```
//!
//! The logarithm grows with its argument, so it has its maximum at the same place, and it makes a sum of the product.
//! A minus sign makes a minimum of the maximum. Dividing by n moves nothing:
//!
//! ```math
//! L(\theta) = \frac1n \sum_{i=1}^n \ell_i, \qquad \ell_i = -\log p(y_i \mid x_i; \theta)
//! ```
//!
//! **Numbers.** Let y be the output z plus an error that is normally distributed with variance σ²:
//!
//! ```math
//! -\log p(y \mid z) = -\log\Big(\frac{1}{\sqrt{2\pi\sigma^2}}\, e^{-(y-z)^2/2\sigma^2}\Big)
//! = \frac{(z-y)^2}{2\sigma^2} + \frac12\log(2\pi\sigma^2)
//! ```
//!
//! The second term has no z in it, and `$1/2\sigma^2$` is a positive factor. Neither moves the minimum. What is left is
//! the squared error. With C outputs a sample, each alike:
//!
//! ```math
//! L = \frac{1}{nC} \sum_{ij} (Z_{ij} - Y_{ij})^2
//! ```
//!
//! **Other beliefs give other losses**, by the same step:
//!
//! | belief about y | `$-\log p$` up to constants | loss |
//! |---|---|---|
//! | normal, mean z | `$(z-y)^2$` | [`mean_squared_error`](mod@crate::ops::loss::mean_squared_error) |
//! | Laplace, median z | `$\lvert z-y \rvert$` | [`mean_absolute_error`](mod@crate::ops::loss::mean_absolute_error) |
//! | one of C classes, with probabilities p | `$-\log p_y$` | [`cross_entropy`](crate::ops::loss::cross_entropy), chapter 6 |
//! | yes with probability p | `$-y \log p - (1-y) \log(1-p)$` | [`binary_cross_entropy`](mod@crate::ops::loss::binary_cross_entropy) |
//!
//! **The gradient** of the mean squared error. `$Z_{ij}$` occurs in one term of the sum only, and
//! `$\partial (z-y)^2 / \partial z = 2(z-y)$`:
//!
//! ```math
//! dZ = \frac{2}{nC} (Z - Y)
//! ```
//!
//! **Why a mean and not a sum.** A mean has a gradient whose size does not depend on n. So a learning rate keeps its
//! meaning when the batch size changes.
//!
//! **About the factor ½.** Textbooks often write `$\frac12 \sum_j (z_j - y_j)^2$` for one sample, so that the 2 of the
//! derivative cancels. For C = 2 outputs this *is* the mean: `$\frac1C \sum_j = \frac12 \sum_j$`. Mazur's well-known
//! example has two outputs, and `tests/textbook` repeats its numbers with this crate's loss as it stands.
//!
//! **What the minimum means.** Let all outputs be one constant z. `$\partial L/\partial z = 0$` says
//! `$\sum (z - y_i) = 0$`: z is the mean of the targets. For absolute errors the derivative counts signs, and the
//! minimum is the median, which one wild target cannot move.
//!
//! # Cost
//!
//! Forward 3 operations an output (difference, square, sum), backward 2 (difference, factor). Bytes: z and y are read,
//! dz is written, 12 an output. A network has few outputs, so the loss takes no time worth counting.
//!
//! # Stability
//!
//! * Terms are added up in f64: the mean of many f32 terms keeps its digits.
//! * The difference of two numbers within a factor of 2 of each other is exact (Sterbenz). Near the target nothing is
//!   lost.
//! * In f32 the square overflows beyond errors of `$1.8 \cdot 10^{19}$`. A loss that is infinite or NaN changes no
//!   weight, and ends the run as diverged. Targets are standardised before training, so that errors are near 1.
//! * A probability is never computed before its logarithm is taken: chapter 6.
//!
//! # By hand
//!
//! ```
//! use chainrule::ops::loss::WeightedValues;
//! use chainrule::ops::loss::mean_squared_error::mean_squared_error;
//! # mod check { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/course/check.rs")); }
//! # use check::{assert_close, differences};
//!
//! // Two samples, two outputs. The errors are 1, −2 and 3, 0.
//! let (z, y) = ([2.0, 0.0, 3.0, 5.0], [1.0, 2.0, 0.0, 5.0]);
//! let (n, c) = (2.0, 2.0);
//! let loss = |z: &[f64]| z.iter().zip(&y).map(|(z, y)| (z - y) * (z - y)).sum::<f64>() / (n * c);
//! assert_eq!(loss(&z), (1.0 + 4.0 + 9.0 + 0.0) / 4.0);
//! let by_hand: Vec<f64> = z.iter().zip(&y).map(|(z, y)| 2.0 / (n * c) * (z - y)).collect();
//! assert_eq!(by_hand, [0.5, -1.0, 1.5, 0.0]);
//!
//! let targets = WeightedValues { values: &y, columns: 2, weights: None };
//! let mut dz = [0.0; 4];
//! let found = mean_squared_error(Some(&mut dz), &z, targets);
//! assert_eq!(found.objective, loss(&z));
//! assert_close(&dz, &by_hand);
//! assert_close(&dz, &differences(&z, loss));
//!
//! // A normal density: −log p differs from the squared error by a factor and a constant.
//! let sigma = 0.7_f64;
//! let density = |z: f64, y: f64| {
//!     (-(y - z) * (y - z) / (2.0 * sigma * sigma)).exp() / (2.0 * std::f64::consts::PI * sigma * sigma).sqrt()
//! };
//! let difference = -density(1.5, 1.0).ln() + density(0.2, 1.0).ln();
//! assert_close(&[difference * 2.0 * sigma * sigma], &[0.25 - 0.64]);
//! ```
//!
//! # Exercise
//!
//! Compute the loss of the outputs that are shown, and its gradient. Then let all gradients of a regression be checked:
//!
//! ```text
//! chainrule explain --task regression --widths 3 --batch-norm false --batch-size 2 --quiz --blank L,dZ
//! chainrule gradcheck --task regression --loss mse --inputs 3 --classes 2 --widths 4 --all
//! ```
//!
//! # Sources
//!
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, sections 5.5 (likelihood) and 6.2.1 (losses).
//! * Bishop, *Pattern Recognition and Machine Learning*, 2006, section 5.2.
//! * Mazur, “A Step by Step Backpropagation Example”, 2015, mattmazur.com.
//!
//! Next: [chapter 3](super::chain_rule).
