//! A multilayer-perceptron engine written by hand, without autodiff: every operation is a forward function with its backward beside it,
//! derived in its documentation and checked against central differences.
//!
//! # Where to read
//!
//! | to see | read |
//! |---|---|
//! | the mathematics, one operation at a time | [`ops`] |
//! | how the chain rule joins them into a network | [`nn::Mlp`], [`backend::Plain`] |
//! | how a gradient is checked | [`nn::gradcheck`] |
//! | how weights change | [`optim`] |
//! | the same network on a GPU | `kernels/`, `backend::cuda` (feature `cuda`) |
//! | a whole run, from data to checkpoint | [`train`] |
//! | how good settings are searched for | [`search`], [`report`] |
//! | how fast it is, and against what | [`mod@bench`] |
//!
//! Dependencies point one way; the right side uses the left:
//!
//! ```text
//! real error rng durable text statistics metrics  <-  simd threads  <-  gemm  <-  ops optim  <-  backend  <-  nn  <-  settings model  <-  train  <-  search  <-  report  <-  cli
//!                                                            data  <-  backend  train
//!                                                        gemm  nn  train  <-  bench  <-  cli
//! ```
//!
//! # Symbols
//!
//! | symbol | shape | meaning |
//! |---|---|---|
//! | X | `[n, in]` | a batch of n samples, one a row |
//! | W, b | `[out, in]`, `[out]` | weights and bias of a Linear |
//! | γ, β | `[out]` | scale and shift of a batch norm |
//! | Z | `[n, classes]` | logits |
//! | L | | the loss, one number |
//! | dX, dW, … | as X, W, … | the gradient of L |
//! | m, v | as the parameters | moments of the optimiser |
//!
//! All matrices are row-major. Everything is generic over [`real::Real`], `f32` or `f64`.
//!
//! # A run in a few lines
//!
//! ```
//! use std::sync::Arc;
//! use chainrule::backend::Plain;
//! use chainrule::data::Dataset;
//! use chainrule::settings::{Config, Settings};
//! use chainrule::train::{Trainer, fit};
//! use ndarray::Array2;
//!
//! # fn main() -> chainrule::Result<()> {
//! // Two interleaved classes on a line: which third of [0, 1) is x in?
//! let x = Array2::from_shape_fn((300, 1), |(i, _)| i as f32 / 300.0);
//! let labels: Vec<u32> = (0..300).map(|i| u32::from((100..200).contains(&i))).collect();
//! let data = Arc::new(Dataset::from_arrays(x.view(), &labels)?);
//!
//! let mut settings = Settings::default();
//! settings.model.widths = Some(vec![32, 16]);
//! settings.train.epochs = Some(60);
//! settings.train.batch_size = Some(20);
//! settings.optimizer.lr = Some(0.01);
//!
//! let mut trainer = Trainer::new(Plain::<f32>::new(1), Config::new(&settings)?, data, None)?;
//! // No folder, no records of an earlier part, nobody watching (a callback per epoch: implement `Observer`).
//! let outcome = fit(&mut trainer, None, Vec::new(), &mut ())?;
//! assert!(outcome.summary.val_accuracy.unwrap() > 0.9);
//!
//! let model = trainer.model().expect("an epoch has ended");
//! let probabilities = model.predict_proba(ndarray::array![[0.1], [0.5]].view())?;
//! assert!(probabilities[(0, 0)] > 0.5 && probabilities[(1, 1)] > 0.5);
//! # Ok(())
//! # }
//! ```

pub mod backend;
pub mod bench;
pub mod cli;
pub mod data;
pub(crate) mod durable;
pub mod error;
pub mod gemm;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod real;
pub mod report;
pub mod rng;
pub mod search;
pub mod settings;
pub mod simd;
pub mod statistics;
pub mod text;
pub mod threads;
pub mod train;

pub use error::{Error, Result};
