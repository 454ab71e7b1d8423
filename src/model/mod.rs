//! A trained network: [`Model`] is all that is known of it, as one file holds it, and [`Predictor`] is the network in
//! use.

mod description;
mod evaluation;
mod file;
mod header;
mod predictor;
pub mod tensors;

pub use description::Description;
pub use evaluation::{EVALUATION_ROWS, Predictions};
pub(crate) use evaluation::{evaluate, known_rows, with_errors};
pub use file::{Model, model_path};
pub use predictor::Predictor;
