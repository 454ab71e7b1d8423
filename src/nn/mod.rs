//! The network: its description, its parameters, and the two lists of blocks, forward and backward.

mod feed;
pub mod gradcheck;
pub mod init;
mod mlp;
mod panels;
pub mod params;
pub mod spec;

pub use feed::{Feed, Rows};
pub use mlp::{Batch, Mlp, Update};
pub use panels::Panels;
pub use params::Layout;
pub use spec::NetworkSpec;
