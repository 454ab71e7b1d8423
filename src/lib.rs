//! A multilayer-perceptron engine written by hand, without autodiff.

pub mod cli;
pub mod data;
pub mod error;
pub mod real;
pub mod rng;

pub use error::{Error, Result};
