//! A course in thirteen chapters: what a network computes, how its gradients are derived, and why training is fast.
//!
//! Read with a pencil, from top to bottom. It needs sums, derivatives and the product of two matrices, and no more.
//! `cargo doc --no-deps --open` shows it with its formulas.
//!
//! | chapter | about | code |
//! |---|---|---|
//! | 1 [`forward`] | from inputs to outputs | [`nn::Mlp`](crate::nn::Mlp) |
//! | 2 [`loss`] | what is minimised, and why that | [`ops::loss`](crate::ops::loss) |
//! | 3 [`chain_rule`] | gradients of matrices, and where the transpose comes from | [`nn::gradcheck`](crate::nn::gradcheck) |
//! | 4 [`linear`] | the three products of a layer | [`ops::linear`](crate::ops::linear) |
//! | 5 [`activations`] | one derivative a number | [`ops::activation`](crate::ops::activation) |
//! | 6 [`cross_entropy`] | softmax and logarithm in one step | [`ops::loss::cross_entropy`](crate::ops::loss::cross_entropy) |
//! | 7 [`batch_norm`] | a column that acts on itself | [`ops::batch_norm`](crate::ops::batch_norm) |
//! | 8 [`dropout`] | noise that needs no memory | [`ops::dropout`](crate::ops::dropout) |
//! | 9 [`init`] | numbers that neither vanish nor explode | [`nn::init`](crate::nn::init) |
//! | 10 [`optimizers`] | from a gradient to a step | [`optim`](crate::optim) |
//! | 11 [`schedules`] | rates that change | [`optim::schedule`](crate::optim::schedule) |
//! | 12 [`products`] | why a product takes the time that it takes | [`gemm`](mod@crate::gemm) |
//! | 13 [`reproducibility`] | the same bits, every time | [`rng`](crate::rng), [`ops::reduce`](crate::ops::reduce) |
//!
//! # A chapter's parts
//!
//! * What it is, in two sentences.
//! * The derivation. Each step says why it is allowed.
//! * The cost: operations, and bytes that must be moved.
//! * Stability: where rounding or overflow would spoil the numbers, and what is done about it.
//! * By hand: an example that computes the formulas on numbers, and compares with this crate's functions. It is a
//!   test. Gradients are also compared with central differences, which chapter 3 explains. The functions `differences`,
//!   `dot` and `assert_close` are in `src/course/check.rs`.
//! * An exercise with its command. `explain --quiz` writes a page, `explain/quiz.html`, with blanks for the answers,
//!   and says which are right. Where there is nothing to fill in, another command measures what was to be predicted.
//! * Sources.
//!
//! # Notation
//!
//! The [symbols](crate#symbols) are those of the whole crate. A batch has n rows, one a sample.
//! A gradient has the tensor's name with a d in front: `$dX_{ij} = \partial L / \partial X_{ij}$`. So it has the same
//! shape. `$\circ$` multiplies entry by entry. `$\mathbf{1}$` is a column of ones, as long as is needed.
//! Small changes are written with δ.
//!
//! Exercises number the blocks from 1, as `explain` does: `$Y_1 = X W_1^\top + \mathbf{1} b_1^\top$`, batch norm
//! `xhat1` and `N1`, dropout `D1`, activation `H1`, and the last Linear's output Z.
//!
//! # How costs are counted
//!
//! An addition or a multiplication is one operation; a fused multiply-add is two. Numbers have 4 bytes (f32). Bytes are
//! counted as if the cache were large: what goes in is read once, and what comes out is written once. The ratio of the
//! two decides what limits the time. Chapter 12 says how.

pub mod activations;
pub mod batch_norm;
pub mod chain_rule;
pub mod cross_entropy;
pub mod dropout;
pub mod forward;
pub mod init;
pub mod linear;
pub mod loss;
pub mod optimizers;
pub mod products;
pub mod reproducibility;
pub mod schedules;
