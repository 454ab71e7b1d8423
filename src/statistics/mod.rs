//! Statistics of results: the [`interval`] of a proportion, [`student`]'s interval of a mean, and [`fanova`], the
//! importance of settings.

pub mod fanova;
pub mod interval;
pub mod student;

pub use interval::{Interval, wilson};
