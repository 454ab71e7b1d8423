//! What a classifier gets right and wrong: it reads labels and predictions, nothing else.
//!
//! [`Confusion`] counts; [`Scores`] are ratios of those counts; [`interval`] says how far chance may have moved a ratio, [`student`] how far a mean; [`correlation`]
//! shows which classes go together; [`fanova`] which settings matter;
//! [`number`] and [`table`] print.

pub mod confusion;
pub mod correlation;
pub mod fanova;
pub mod interval;
pub mod number;
pub mod scores;
pub mod student;
pub mod table;

pub use confusion::Confusion;
pub use interval::{Interval, wilson};
pub use scores::{Score, Scores};
