//! Chapter 1: the forward pass, from inputs to outputs.
//!
//! A network is a list of blocks; each takes the output of the block before it. The forward pass computes them in
//! order, and keeps what the backward pass will need.
//!
//! # Derivation
//!
//! **One unit.** A unit has a weight for each of its inputs, and a bias. Its output is
//!
//! ```math
//! y = \sum_k w_k x_k + b
//! ```
//!
//! **One layer.** A layer has several units on the same inputs. Unit j has its weights in row j of W `[out, in]`:
//!
//! ```math
//! y_j = \sum_k W_{jk} x_k + b_j
//! ```
//!
//! **A batch.** Samples are the rows of X `[n, in]`. Each row i is treated alike:
//!
//! ```math
//! Y_{ij} = \sum_k X_{ik} W_{jk} + b_j
//! ```
//!
//! A product of matrices sums over the *columns* of the left factor and the *rows* of the right one. Here k counts
//! columns of both X and W. So W must be transposed: `$W_{jk} = (W^\top)_{kj}$`. The bias is the same in every row,
//! which a column of ones writes as a product:
//!
//! ```math
//! Y = X W^\top + \mathbf{1} b^\top
//! ```
//!
//! The shapes agree: `[n, in]` times `[in, out]` is `[n, out]`. Row i of Y depends on row i of X and on no other row.
//!
//! **Two layers need something in between.** Put one layer into the next:
//!
//! ```math
//! (X W_1^\top + \mathbf{1} b_1^\top) W_2^\top + \mathbf{1} b_2^\top
//! = X (W_2 W_1)^\top + \mathbf{1} (W_2 b_1 + b_2)^\top
//! ```
//!
//! because `$W_1^\top W_2^\top = (W_2 W_1)^\top$` and `$b_1^\top W_2^\top = (W_2 b_1)^\top$`. That is one layer again:
//! two Linear layers in a row can do no more than one. So an activation f, which is not linear, stands between them. It
//! takes each number by itself ([chapter 5](super::activations)):
//!
//! ```math
//! H = f(Y), \qquad H_{ij} = f(Y_{ij})
//! ```
//!
//! **The network.** With `$H_0 = X$` and K hidden blocks:
//!
//! ```math
//! Y_k = H_{k-1} W_k^\top + \mathbf{1} b_k^\top, \quad H_k = f(Y_k) \quad (k = 1, \dots, K), \qquad
//! Z = H_K W_{K+1}^\top + \mathbf{1} b_{K+1}^\top
//! ```
//!
//! The last block has no activation: a number to predict may be of any size, and the losses for classes bring their own
//! function ([chapter 6](super::cross_entropy)). Batch norm ([chapter 7](super::batch_norm)) and dropout
//! ([chapter 8](super::dropout)) may stand between `$Y_k$` and the activation.
//!
//! **What is kept.** [Chapter 4](super::linear) will need the inputs `$H_{k-1}$` of each Linear. Chapter 5 will need
//! `$Y_k$` or `$H_k$`. So training keeps every block's numbers until the backward pass has used them.
//!
//! # Cost
//!
//! | | a Linear | 784-500-10, n = 100 |
//! |---|---|---|
//! | parameters | (in + 1) · out | 397,510 |
//! | operations | 2 · n · in · out, and n · out for the bias | 79.5 million |
//! | bytes | 4 (n · in + in · out + n · out) | 2.3 million |
//! | operations a byte | | 34 |
//!
//! A sum of `in` products has `in` multiplications and about as many additions. The other parts of a block touch each
//! of its n · out numbers a few times: they cost 1/in as much in operations, but not in bytes.
//!
//! # Stability
//!
//! A sum of k products in floating-point numbers has an error of at most
//!
//! ```math
//! |\hat y - y| \le \gamma_k \sum_i |w_i x_i|, \qquad \gamma_k = \frac{k u}{1 - k u}
//! ```
//!
//! with the unit roundoff `$u = 2^{-24}$` of f32. Errors of both signs cancel, so that the error seen grows about as
//! `$\sqrt k\, u$`. With 784 inputs this costs one or two of seven digits. What endangers a deep network is not
//! rounding, but the size of its numbers: [chapter 9](super::init).
//!
//! # By hand
//!
//! Two inputs, two hidden units with relu, two outputs, one sample. First the formulas, with a pencil's numbers. Then
//! the whole network by this crate. Last, that two Linear layers without an activation are one.
//!
//! ```
//! use chainrule::backend::{Input, Mode, Order, Plain};
//! use chainrule::gemm::{Beta, gemm};
//! use chainrule::nn::{Mlp, NetworkSpec};
//! use chainrule::ops::activation::Activation;
//! use ndarray::{Array2, array};
//!
//! let x = array![[1.0, 2.0]];
//! let (w1, b1) = (array![[1.0, -1.0], [2.0, 0.0]], array![[0.5, -1.0]]);
//! let (w2, b2) = (array![[1.0, 1.0], [0.0, -2.0]], array![[0.0, 3.0]]);
//!
//! // Y₁ = (1·1 − 1·2 + 0.5, 2·1 + 0·2 − 1) = (−0.5, 1)
//! let y1 = x.dot(&w1.t()) + &b1;
//! assert_eq!(y1, array![[-0.5, 1.0]]);
//! // H₁ = (0, 1), Z = (0 + 1 + 0, 0 − 2 + 3) = (1, 1)
//! let h1 = y1.mapv(|y: f64| y.max(0.0));
//! let z = h1.dot(&w2.t()) + &b2;
//! assert_eq!(z, array![[1.0, 1.0]]);
//!
//! // The network keeps its parameters in one row of numbers: W₁, b₁, W₂, b₂.
//! let spec = NetworkSpec {
//!     inputs: 2,
//!     hidden: vec![2],
//!     outputs: 2,
//!     batch_norm: false,
//!     activation: Activation::Relu,
//!     dropout: 0.0,
//!     order: Order::DropoutActivation,
//!     members: 1,
//!     embedding: None,
//! };
//! let params: Vec<f64> = [&w1, &b1, &w2, &b2].into_iter().flatten().copied().collect();
//! let mut network = Mlp::new(Plain::<f64>::new(1), spec, 1)?;
//! network.load(&params, &[])?;
//! let rows = x.into_raw_vec_and_offset().0;
//! network.forward(Input::Values { buf: &rows, rows: 1 }, Mode::Eval)?;
//! assert_eq!(network.logits(1)?, [1.0, 1.0]);
//!
//! // (X W₁ᵀ + 1b₁ᵀ) W₂ᵀ + 1b₂ᵀ = X (W₂ W₁)ᵀ + 1(W₂ b₁ + b₂)ᵀ
//! let mut w = Array2::zeros((2, 2));
//! gemm(w2.view(), w1.view(), Beta::Overwrite, w.view_mut(), 1);
//! let x = array![[3.0, -5.0], [0.25, 8.0]];
//! let two = (x.dot(&w1.t()) + &b1).dot(&w2.t()) + &b2;
//! let one = x.dot(&w.t()) + &(b1.dot(&w2.t()) + &b2);
//! assert_eq!(two, one);
//! # Ok::<(), chainrule::Error>(())
//! ```
//!
//! # Exercise
//!
//! Compute Y1, H1 and Z of a network with three hidden units from the weights that are shown:
//!
//! ```text
//! chainrule explain --widths 3 --batch-norm false --batch-size 2 --quiz --blank Y1,H1,Z
//! ```
//!
//! # Sources
//!
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, chapter 6 up to section 6.1: why a linear network cannot
//!   compute an exclusive or.
//! * Bishop, *Pattern Recognition and Machine Learning*, 2006, section 5.1.
//! * Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, 2002, section 3.1: the bound of a sum.
//!
//! Next: [chapter 2](super::loss).
