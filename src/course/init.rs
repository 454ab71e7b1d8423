//! Chapter 9: initial weights, and numbers that neither vanish nor explode.
//!
//! Every block multiplies the size of its numbers by a factor, forward and backward. Initial weights are drawn such
//! that this factor is near 1, because K blocks take it to the power K.
//!
//! # Derivation
//!
//! Let weights be independent with mean 0 and variance v, biases 0, and let them be independent of the inputs.
//! The *root mean square* (RMS) of a matrix is the root of the mean of its squares.
//!
//! **Forward.** The square of `$Y_{ij} = \sum_k X_{ik} W_{jk}$` has terms `$X_{ik} X_{il} W_{jk} W_{jl}$`. For k ≠ l
//! their expectation is 0, since the weights are independent with mean 0. What is left:
//!
//! ```math
//! E[Y_{ij}^2] = \sum_k E[X_{ik}^2]\, E[W_{jk}^2] = in \cdot v \cdot E[X^2]
//! ```
//!
//! The inputs need no mean of 0. That matters, because the outputs of a relu have none.
//!
//! **The activation** takes a share a of the square, `$E[H^2] = a\, E[Y^2]$`.
//!
//! * relu: Y is as often negative as positive, and half of the square is lost: a = 1/2.
//! * tanh: a is 1 for small Y, and less for larger ones.
//!
//! So a block keeps the RMS if
//!
//! ```math
//! a \cdot in \cdot v = 1
//! ```
//!
//! **Backward.** `$dX = dY\, W$` sums over outputs, and `$dY = dH \circ f'(Y)$`. By the same argument
//!
//! ```math
//! E[dX^2] = out \cdot v \cdot E[f'(Y)^2]\; E[dH^2]
//! ```
//!
//! For relu `$f'^2$` is 1 in half of the cells: the factor is `$out \cdot v / 2$`. Forward wants 1/in and backward
//! wants 1/out. Both hold only for square layers.
//!
//! | scheme | v | from |
//! |---|---|---|
//! | Kaiming | `$g^2/in$` | forward; `$g^2 = 1/a$`, so `$g = \sqrt2$` for relu |
//! | Xavier | `$2g^2/(in + out)$` | a compromise: in and out replaced by their mean |
//! | default | `$1/(3\,in)$` | U(±1/√in): a uniform number in ±c has variance c²/3 |
//!
//! The default is PyTorch's, and it is too small. With relu a block multiplies the RMS by
//! `$\sqrt{1/3 \cdot 1/2} = 6^{-1/2} = 0.41$`; ten blocks make `$10^{-4}$` of it. It works since networks are seldom
//! deep without batch norm, which sets every column back to variance 1.
//!
//! # Measured
//!
//! 30 blocks without batch norm, which narrow from 300 to 90 units, on 100 samples. X and `$dH_{30}$` are drawn with
//! RMS 1. The numbers are RMS over ten seeds; a test measures them anew.
//!
//! | activation | init | `$H_1$` | `$H_{10}$` | `$H_{30}$` | `$dH_{20}$` | dX |
//! |---|---|---|---|---|---|---|
//! | relu | default | 0.41 | 0.03 | 0.04 | 1e-4 | 1e-12 |
//! | relu | kaiming_uniform | 1.00 | 0.99 | 1.08 | 0.74 | 0.56 |
//! | relu | xavier_uniform | 1.01 | 1.06 | 1.46 | 0.85 | 0.75 |
//! | tanh | default | 0.46 | 0.05 | 0.07 | 3e-3 | 3e-8 |
//! | tanh | kaiming_uniform | 0.76 | 0.65 | 0.66 | 1.97 | 7.45 |
//! | tanh | xavier_uniform | 0.76 | 0.66 | 0.66 | 2.06 | 8.32 |
//! | sigmoid | default | 0.52 | 0.51 | 0.50 | 2e-9 | 2e-26 |
//! | sigmoid | kaiming_uniform | 0.54 | 0.52 | 0.51 | 4e-7 | 7e-20 |
//! | sigmoid | xavier_uniform | 0.54 | 0.52 | 0.51 | 5e-7 | 1e-19 |
//!
//! Read it against the derivation:
//!
//! * relu, default: 0.41 after one block, as computed. Activations then stay at 0.03, which is the size of the biases,
//!   the same for every sample. Gradients have no such floor, and vanish:
//!   `$6^{-15} \sqrt{90/300} = 10^{-12}$`, as computed too.
//! * relu, Kaiming: forward 1, as it was made for. Backward each block has the factor out/in, which leaves
//!   `$\sqrt{90/300} = 0.55$` of dX. Xavier has the fourth root of that backward, 0.74, and its inverse forward, 1.35.
//! * tanh: the gain 5/3 is a little too large backward. Beside what narrowing takes, gradients grow by 8 to 9 % a
//!   block.
//! * sigmoid: activations are near ½ and look healthy. But slopes of at most ¼ take the gradient, whatever the scheme.
//!
//! All schemes and gains are in [`nn::init`](crate::nn::init).
//!
//! # Cost
//!
//! in · out random numbers, once. A normal number takes a logarithm and a root, and a uniform one neither. Bytes: 4 a
//! weight are written. They are drawn in f64 and in a fixed order, so that f32 and f64 start from the same point.
//!
//! # Stability
//!
//! * The smallest normal number of f32 is `$10^{-38}$`. At 0.41 a block, gradients reach it after 98 blocks, and are 0
//!   soon after. At a factor of 2, numbers overflow after 128.
//! * Long before, weights of the first blocks do not move: their gradients are small beside those of the last ones.
//!   Adam divides by the size of the gradient and hides it, down to its ε of `$10^{-8}$`.
//! * Equal weights stay equal: units that start alike get the same gradient. So weights are random, and 0 will not do.
//!   Biases may be 0.
//!
//! # By hand
//!
//! One block with 400 inputs and 200 outputs, forward and backward. Each size is within 5 % of its formula.
//!
//! ```
//! use chainrule::backend::Order;
//! use chainrule::nn::NetworkSpec;
//! use chainrule::nn::init::draw;
//! use chainrule::ops::activation::{Activation, activation_backward, activation_forward};
//! use chainrule::ops::linear::{linear_backward_input, linear_forward};
//! use chainrule::rng::{Purpose, standard_normal, stream};
//! use ndarray::{Array2, ArrayView2};
//!
//! let spec = NetworkSpec {
//!     inputs: 400,
//!     hidden: vec![200],
//!     outputs: 1,
//!     batch_norm: false,
//!     activation: Activation::Relu,
//!     dropout: 0.0,
//!     order: Order::DropoutActivation,
//!     members: 1,
//!     embedding: None,
//! };
//! let mut rng = stream(0, Purpose::GradCheck);
//! let mut normal = |columns| Array2::from_shape_fn((100, columns), |_| standard_normal(&mut rng) as f32);
//! let (x, dh) = (normal(400), normal(200));
//! let square = |x: &[f32]| x.iter().map(|&x| f64::from(x * x)).sum::<f64>() / x.len() as f64;
//!
//! let (inputs, outputs) = (400.0, 200.0);
//! let schemes = [
//!     ("default", 1.0 / (3.0 * inputs)),
//!     ("kaiming_normal", 2.0 / inputs),
//!     ("xavier_uniform", 2.0 * 2.0 / (inputs + outputs)),
//! ];
//! for (scheme, v) in schemes {
//!     let (params, _) = draw::<f32>(&spec, scheme.parse().unwrap(), 1);
//!     // W₁ and b₁ come first. The default draws biases too; here they are left out.
//!     let w = ArrayView2::from_shape((200, 400), &params[..80_000]).unwrap();
//!     let near = |found: f64, expected: f64| {
//!         assert!((found / expected - 1.0).abs() < 0.05, "{scheme}: {found} against {expected}");
//!     };
//!     near(square(w.as_slice().unwrap()), v);
//!
//!     // Forward: E[Y²] = in · v · E[X²], of which relu leaves half.
//!     let (mut y, mut h) = (Array2::zeros((100, 200)), [0.0; 20_000]);
//!     linear_forward(y.view_mut(), x.view(), w, &[0.0; 200], 1);
//!     let y = y.as_slice().unwrap();
//!     activation_forward(Activation::Relu, &mut h, y);
//!     near(square(y), inputs * v * square(x.as_slice().unwrap()));
//!     near(square(&h), inputs * v / 2.0);
//!
//!     // Backward: E[dX²] = out · v · ½ · E[dH²].
//!     let (mut dy, mut dx) = (dh.clone(), Array2::zeros((100, 400)));
//!     activation_backward(Activation::Relu, dy.as_slice_mut().unwrap(), y, &h);
//!     linear_backward_input(dx.view_mut(), dy.view(), w, 1);
//!     near(square(dx.as_slice().unwrap()), outputs * v / 2.0);
//! }
//! ```
//!
//! # Exercise
//!
//! Compute dH1 with Kaiming's weights, and once more with the default. How much smaller should it be on average? Then
//! let the gradients of a deep network be checked:
//!
//! ```text
//! chainrule explain --widths 4,3 --batch-norm false --init kaiming_normal --batch-size 2 --quiz --blank dH1
//! chainrule gradcheck --widths 8,8,8,8,8,8 --batch-norm false --activation tanh --init xavier_normal --inputs 8
//! ```
//!
//! # Sources
//!
//! * He, Zhang, Ren, Sun, “Delving Deep into Rectifiers”, ICCV 2015, section 2.2.
//! * Glorot, Bengio, “Understanding the difficulty of training deep feedforward neural networks”, AISTATS 2010,
//!   section 4.2.1.
//! * LeCun, Bottou, Orr, Müller, “Efficient BackProp”, 1998, section 4.6.
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, section 8.4.
//!
//! Next: [chapter 10](super::optimizers).
