//! What chance may have done: [`interval`] for a ratio, [`student`] for a mean, [`fanova`] for the importance of settings.

pub mod fanova;
pub mod interval;
pub mod student;

pub use interval::{Interval, wilson};
