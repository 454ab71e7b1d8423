//! One training step, every number of it: what each operation computes, its formula, and where each cell comes from.
//!
//! A step is a [`Tape`]: tensors in the order in which they are computed, each with the formula of its cells as data
//! ([`expression`]). From this one description everything else is made: the page, the text, the numpy script, the quiz
//! and the central differences. The formulas of the backward are written by hand, beside those of the forward
//! (`operations/`); nothing here derives them.
//!
//! | file | holds |
//! |---|---|
//! | `run.rs` | [`explain()`]: trains up to a step, and takes it apart |
//! | `network.rs` | the operations of a network in order, and reversed |
//! | `parameters.rs` | its parameters as matrices |
//! | `operations/` | their formulas, a file each |
//! | `expression.rs`, `tape.rs` | formulas as data; tensors and operations in order |
//! | `differences.rs` | central differences of the loss by every number |
//! | `source.rs` | the functions of this program, shown from the source |
//! | `formula/` | a formula as text, MathML, numpy and JSON |
//! | `quiz.rs` | blanks, and what common mistakes make of them |
//! | `output/` | the page, the text, CSV files and the numpy script |
//!
//! # Two grains
//!
//! In the atomic grain each tensor is computed by its formula here. In the fused grain the functions of
//! [`ops`](crate::ops) and [`optim`](crate::optim) compute it, as in training. Both give the same numbers up to
//! rounding, and [`ExplainedStep`] says how far they are apart. All is f64.

mod differences;
pub mod expression;
pub mod formula;
mod network;
mod operations;
pub mod output;
mod parameters;
mod quiz;
mod run;
mod sample;
mod source;
mod symbol;
pub mod tape;

pub use quiz::{Blank, Candidate, Mark, Quiz};
pub use run::{ExplainedStep, Explanation, MOST_CELLS, explain};
pub use sample::sample_data;
pub use source::SourceFunction;
pub use symbol::Symbol;
pub use tape::{Grain, Node, Part, Tape, TapedOperation};

#[cfg(test)]
mod tests;
