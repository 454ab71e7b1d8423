//! A multilayer-perceptron engine written by hand, without autodiff.

pub mod analysis;
pub mod backend;
pub mod cli;
pub mod data;
pub mod error;
pub mod gemm;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod real;
pub mod rng;
pub mod train;

pub use error::{Error, Result};
