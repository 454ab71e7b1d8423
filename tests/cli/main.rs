//! The program, run as a user runs it.

mod completions;
mod eval;
mod predict;
mod runs;
mod support;
