//! Chapter 4: the three products of a Linear.
//!
//! A Linear multiplies a batch by its weights and adds a bias. Its backward pass has two more products of the same
//! size: one for the weights, one for the input.
//!
//! # Derivation
//!
//! Forward, from [chapter 1](super::forward), with X `[n, in]`, W `[out, in]`, b `[out]`, Y `[n, out]`:
//!
//! ```math
//! Y = X W^\top + \mathbf{1} b^\top
//! ```
//!
//! [Chapter 3](super::chain_rule) has the rule for a product `$Y = AB$`: `$dA = dY\,B^\top$` and `$dB = A^\top dY$`.
//!
//! **The input.** Put `$A = X$` and `$B = W^\top$`. Two transposes cancel:
//!
//! ```math
//! dX = dY\, (W^\top)^\top = dY\, W \qquad [n, out]\,[out, in]
//! ```
//!
//! **The weights.** `$d(W^\top) = X^\top dY$`. Transpose both sides, and remember that a transposed product changes the
//! order of its factors:
//!
//! ```math
//! dW = (X^\top dY)^\top = dY^\top X \qquad [out, n]\,[n, in]
//! ```
//!
//! **The bias.** It is a product too, with `$A = \mathbf{1}$` and `$B = b^\top$`: `$d(b^\top) = \mathbf{1}^\top dY$`.
//! That is the sum of each column of dY:
//!
//! ```math
//! db_j = \sum_i dY_{ij}
//! ```
//!
//! The same cell by cell is in [`ops::linear`](crate::ops::linear).
//!
//! **What sums over what.** Each of the three products sums away another index:
//!
//! | product | sums over | because |
//! |---|---|---|
//! | `$Y = X W^\top$` | inputs | a unit sees all inputs |
//! | `$dX = dY\, W$` | outputs | an input acts on all units |
//! | `$dW = dY^\top X$` | samples | all samples share the weights |
//!
//! **One sample at a time.** Let `$x_i$` and `$dy_i$` be the rows of X and dY as columns. The sum over samples is a sum
//! of outer products:
//!
//! ```math
//! dW = \sum_{i=1}^n dy_i\, x_i^\top
//! ```
//!
//! An outer product has rank 1. So dW has at most rank n: a batch of 10 moves a matrix of 500 × 784 weights in at most
//! 10 directions.
//!
//! **The first layer needs no dX.** Nobody changes the data, so a training step leaves that product out.
//!
//! # Cost
//!
//! | | operations | bytes | n = 100, in = 784, out = 500 |
//! |---|---|---|---|
//! | Y | 2 · n · in · out + n · out | 4 (n·in + in·out + n·out) | 78.4 million, 2.1 MB |
//! | dW, db | 2 · n · in · out + n · out | 4 (n·in + n·out + in·out) | 78.4 million, 2.1 MB |
//! | dX | 2 · n · in · out | 4 (n·out + in·out + n·in) | 78.4 million, 2.1 MB |
//!
//! Together 6 operations a weight and sample; 4 in the first layer. Forward keeps X for the backward pass, and not Y.
//!
//! With one sample a batch, W is 99.7 % of the bytes, and every weight that is read serves one multiply-add. With n
//! samples it serves n. That is why batches are faster: [chapter 12](super::products).
//!
//! # Stability
//!
//! Each cell is a sum of `in`, `out` or n products, with the error of chapter 1. In this crate it is one chain of fused
//! multiply-adds in a fixed order: [chapter 13](super::reproducibility). Sums neither overflow nor vanish while
//! weights are of the size `$1/\sqrt{in}$`: [chapter 9](super::init).
//!
//! # By hand
//!
//! ```
//! use chainrule::ops::linear::{linear_backward_input, linear_backward_parameters, linear_forward};
//! use ndarray::{Array2, ArrayView2, array};
//! # mod check { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/course/check.rs")); }
//! # use check::{assert_close, differences, dot};
//!
//! let x = array![[1.0, 2.0, 3.0], [-1.0, 0.5, 2.0]];
//! let w = array![[2.0, 0.0, 1.0], [1.0, -1.0, 3.0]];
//! let b = [10.0, -1.0];
//! let mut y = Array2::zeros((2, 2));
//! linear_forward(y.view_mut(), x.view(), w.view(), &b, 1);
//! // Cell (0, 1): row 0 of X with row 1 of W, and b₁.
//! assert_eq!(y[(0, 1)], 1.0 * 1.0 + 2.0 * -1.0 + 3.0 * 3.0 - 1.0);
//!
//! let dy = array![[1.0, 2.0], [-1.0, 0.5]];
//! let (mut dw, mut dx, mut db) = (Array2::zeros((2, 3)), Array2::zeros((2, 3)), [0.0; 2]);
//! linear_backward_parameters(dw.view_mut(), &mut db, dy.view(), x.view(), 1);
//! linear_backward_input(dx.view_mut(), dy.view(), w.view(), 1);
//! // dW, cell (1, 2): column 1 of dY with column 2 of X. dX, cell (0, 2): row 0 of dY with column 2 of W.
//! assert_eq!(dw[(1, 2)], 2.0 * 3.0 + 0.5 * 2.0);
//! assert_eq!(dx[(0, 2)], 1.0 * 1.0 + 2.0 * 3.0);
//! assert_eq!(db, [1.0 - 1.0, 2.0 + 0.5]);
//!
//! // dW is the sum of the samples' outer products.
//! let outer = |i: usize| Array2::from_shape_fn((2, 3), |(j, k)| dy[(i, j)] * x[(i, k)]);
//! assert_eq!(dw, outer(0) + outer(1));
//!
//! // All three against central differences of L = Σ dY ∘ Y.
//! let flat = |m: &Array2<f64>| m.iter().copied().collect::<Vec<f64>>();
//! let loss = |x: &[f64], w: &[f64], b: &[f64]| {
//!     let view = |m| ArrayView2::from_shape((2, 3), m).unwrap();
//!     let mut y = Array2::zeros((2, 2));
//!     linear_forward(y.view_mut(), view(x), view(w), b, 1);
//!     dot(&flat(&dy), &flat(&y))
//! };
//! let (x, w) = (flat(&x), flat(&w));
//! assert_close(&flat(&dx), &differences(&x, |x| loss(x, &w, &b)));
//! assert_close(&flat(&dw), &differences(&w, |w| loss(&x, w, &b)));
//! assert_close(&db, &differences(&b, |b| loss(&x, &w, b)));
//! ```
//!
//! # Exercise
//!
//! Compute the weights' and the bias's gradient of the second layer, and the gradient that it hands on:
//!
//! ```text
//! chainrule explain --widths 4,3 --batch-norm false --batch-size 2 --quiz --blank dW2,db2,dH1
//! chainrule gradcheck --batch-norm false --inputs 5 --widths 4,3 --classes 2 --all
//! ```
//!
//! # Sources
//!
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, section 6.5.4, algorithms 6.3 and 6.4.
//! * Bishop, *Pattern Recognition and Machine Learning*, 2006, sections 5.3.1 and 5.3.3.
//!
//! Next: [chapter 5](super::activations).
