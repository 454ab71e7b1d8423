//! The network: its description, its parameters, and the two lists of blocks, forward and backward.
//!
//! | file | holds |
//! |---|---|
//! | `spec.rs` | [`NetworkSpec`]: sizes and options, checked |
//! | `params.rs` | [`Layout`]: which slice of a flat buffer is which tensor |
//! | `panels.rs` | [`Panels`]: the order in which a backend keeps those tensors |
//! | `init.rs` | initial weights |
//! | `mlp.rs` | [`Mlp`]: the blocks with their buffers; forward, loss, backward and update |
//! | `feed.rs` | [`Feed`]: from samples to a network's input |
//! | `gradcheck.rs` | gradients against central differences |

mod feed;
pub mod gradcheck;
pub mod init;
mod mlp;
mod panels;
pub mod params;
mod random_targets;
pub mod spec;

pub use feed::{Feed, Rows};
pub use mlp::{Batch, Mlp, Update};
pub use panels::Panels;
pub use params::Layout;
pub use spec::{FeatureEmbedding, NetworkSpec};
