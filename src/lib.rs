//! A multilayer-perceptron engine written by hand, without autodiff: every operation is a forward function with its
//! backward beside it, derived in its documentation and checked against central differences.
//!
//! # Where to read
//!
//! | to see | read |
//! |---|---|
//! | it all derived, in thirteen chapters with exercises | [`course`] |
//! | the mathematics, one operation at a time | [`ops`] |
//! | how the chain rule joins them into a network | [`nn::Mlp`], [`backend::Plain`] |
//! | how a gradient is checked | [`nn::gradcheck`] |
//! | a step with all its numbers | `explain` (feature `cli`) |
//! | how weights change | [`optim`] |
//! | the same network on a GPU | `kernels/`, `backend::cuda` (feature `cuda`) |
//! | a whole run, from data to checkpoint | [`train`] |
//! | a trained network, its file and its use | [`model`] |
//! | how good settings are searched for | `search`, `report` (feature `cli`) |
//! | what is wrong with a run | `doctor` (feature `cli`) |
//! | how fast it is, and against what | `bench` (feature `cli`) |
//!
//! # Features
//!
//! | feature | holds |
//! |---|---|
//! | `cli` (default) | the program and what only it needs: `cli`, `explain`, `search`, `report`, `doctor`, `bench`; and the readers below |
//! | `gzip`, `png`, `zip` | readers of packed files, of PNG images and of NPZ files |
//! | `cuda` | the CUDA backend |
//!
//! Without features the library reads data, trains, saves, loads and predicts. It builds for `wasm32-unknown-unknown`
//! too; there it trains on one thread, in memory, with the same bits, and measures no times.
//!
//! # Modules
//!
//! A module uses only what stands below it; modules on one line do not use each other. A test holds this.
//!
//! ```text
//! course
//! cli
//! report bench doctor explain
//! search
//! train
//! model
//! settings
//! nn
//! backend
//! ops
//! gemm
//! metrics
//! statistics simd threads optim data
//! text real rng input
//! durable
//! lock
//! error
//! ```
//!
//! # Symbols
//!
//! | symbol | shape | meaning |
//! |---|---|---|
//! | X | `[n, in]` | a batch of n samples, one a row |
//! | W, b | `[out, in]`, `[out]` | weights and bias of a Linear |
//! | γ, β | `[out]` | scale and shift of a batch norm |
//! | Z | `[n, outputs]` | logits |
//! | L | | the loss, one number |
//! | dX, dW, … | as X, W, … | the gradient of L |
//! | m, v | as the parameters | moments of the optimiser |
//!
//! All matrices are row-major. Everything is generic over [`real::Real`], `f32` or `f64`.
//!
//! # Glossary
//!
//! | term | meaning |
//! |---|---|
//! | sample, batch | one row of the data; the rows of one update |
//! | step, update | forward, loss, backward and optimiser for one batch |
//! | epoch | one pass over the training part |
//! | run | a training from its first to its last epoch, and the folder that it writes |
//! | settings, config | what a person said (each key may be absent); the same with defaults, checked |
//! | spec | sizes and options of a network, without numbers |
//! | layout | which slice of a flat buffer is which tensor |
//! | block | Linear, and in hidden blocks batch norm, dropout and activation |
//! | stem | what comes before the first block: linear maps of single features, and the scales of members |
//! | ensemble, member, head | networks that share most weights; one of them; its own last Linear |
//! | running statistics | means and variances that a batch norm uses in evaluation |
//! | targets | what the loss compares the outputs with: a class a sample, or a value an output |
//! | sample weight | how much a sample counts in the objective |
//! | loss, objective | the function that is minimised; its value for a batch, smoothing and weights included |
//! | pending loss | the loss of a step that a device has begun and not yet delivered |
//! | metric, monitor | a score with a name and a direction; the metric that decides which epoch is the best |
//! | table, schema | rows of numbers, truth values and words; its columns, and how each becomes inputs of a network |
//! | device dataset | samples that a device keeps in its own memory |
//! | panel | 16 neighbouring columns of a matrix, stored row by row; kernels read panels in order |
//! | pack | copy a matrix into panels |
//! | micro-kernel, tile | the innermost loop of a product; the part of C that it keeps in registers |
//! | accumulators | the registers in which a micro-kernel sums |
//! | epilogue | what is done to a product's columns while they are in cache |
//! | prefetch | ask for memory before it is needed |
//! | flush | replace numbers too small for full precision (subnormals) by 0 |
//! | team, member, region | threads that work together; one of them; the closure that all of them run |
//! | event count | a counter that threads wait for |
//! | placement, assignment | on which processor a thread runs; which trial a worker runs |
//! | study, trial, repeat | points of one search in a journal; one point; one run of it |
//! | series, sweep | one setting with its values; several series |
//! | plan | what a study's workers must agree on: space, sampler, pruner, settings |
//! | journal | Optuna's file of a study: a record a line, only appended to |
//! | sampler, pruner | chooses the next point; decides whether a trial is given up |
//!
//! # A run from a program
//!
//! ```
//! use std::sync::Arc;
//!
//! use chainrule::data::Dataset;
//! use chainrule::settings::{Config, Settings};
//! use chainrule::train;
//! use ndarray::{Array2, array};
//!
//! fn main() -> chainrule::Result<()> {
//!     // Is x in the middle third of [0, 1)?
//!     let x = Array2::from_shape_fn((300, 1), |(i, _)| i as f32 / 300.0);
//!     let labels: Vec<u32> = (0..300).map(|i| u32::from((100..200).contains(&i))).collect();
//!     let data = Arc::new(Dataset::from_arrays(x.view(), &labels)?);
//!
//!     let mut settings = Settings::default();
//!     settings.model.widths = Some(vec![32, 16]);
//!     settings.train.epochs = Some(60);
//!     settings.train.batch_size = Some(20);
//!     settings.optimizer.lr = Some(0.01);
//!
//!     // No folder for the run's files, and no observer.
//!     let outcome = train::run(Config::new(&settings)?, data, None, &mut ())?;
//!     assert!(outcome.summary.val_accuracy > Some(0.9));
//!
//!     let model = outcome.model.expect("an epoch has ended");
//!     let probabilities = model.predict_proba(array![[0.1], [0.5]].view())?;
//!     assert!(probabilities[(0, 0)] > 0.5 && probabilities[(1, 1)] > 0.5);
//!     Ok(())
//! }
//! ```

// The program uses more of what is private here than the library does by itself.
#![cfg_attr(not(feature = "cli"), allow(dead_code))]

pub mod backend;
#[cfg(feature = "cli")]
pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod course;
pub mod data;
#[cfg(feature = "cli")]
pub mod doctor;
pub(crate) mod durable;
pub mod error;
#[cfg(feature = "cli")]
pub mod explain;
pub mod gemm;
pub(crate) mod input;
pub(crate) mod lock;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod real;
#[cfg(feature = "cli")]
pub mod report;
pub mod rng;
#[cfg(feature = "cli")]
pub mod search;
pub mod settings;
pub mod simd;
pub mod statistics;
pub mod text;
pub mod threads;
pub mod train;

pub use error::{Error, Result};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
