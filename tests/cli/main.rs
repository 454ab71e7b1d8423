//! The program, run as a user runs it.

mod analyze;
mod bad_input;
mod bench;
mod completions;
mod eval;
mod golden;
mod gradcheck;
mod older;
mod predict;
#[path = "../reference/mod.rs"]
mod reference;
mod report;
mod resume;
mod runs;
mod search;
mod study;
mod support;
mod sweep;
mod train;
