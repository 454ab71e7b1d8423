//! The program, run as a user runs it.

mod bad_input;
mod bench;
mod completions;
mod eval;
mod golden;
mod gradcheck;
mod predict;
#[path = "../reference/mod.rs"]
mod reference;
mod resume;
mod runs;
mod support;
mod train;
