//! Losses, a file each: forward and backward beside each other.

pub mod cross_entropy;
