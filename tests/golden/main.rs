//! PyTorch's own runs, followed number by number.

mod library;
mod program;
#[path = "../support/mod.rs"]
mod support;
