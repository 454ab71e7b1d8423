//! A trained network: [`Model`] is all that is known of it, as one file holds it, and [`Predictor`] is the network in
//! use.

mod description;
mod evaluation;
mod file;
mod header;
mod predictor;
pub mod tensors;

pub use description::Description;
pub(crate) use evaluation::evaluate;
pub use evaluation::{EVALUATION_ROWS, Predictions};
pub use file::{Model, model_path};
pub use predictor::Predictor;
