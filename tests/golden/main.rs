//! PyTorch's own runs, followed number by number.

mod library;
#[path = "../reference/mod.rs"]
mod reference;
