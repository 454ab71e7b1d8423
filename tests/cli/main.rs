//! The program, run as a user runs it.

mod completions;
mod eval;
mod golden;
mod predict;
#[path = "../reference/mod.rs"]
mod reference;
mod runs;
mod support;
