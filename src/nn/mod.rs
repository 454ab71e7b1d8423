//! The network: its description, its parameters, and the two lists of blocks, forward and backward.
//!
//! | file | holds |
//! |---|---|
//! | `spec.rs` | [`NetworkSpec`]: sizes and options, checked |
//! | `params.rs` | [`Layout`]: which slice of a flat buffer is which tensor |
//! | `panels.rs` | [`Panels`]: the order in which a backend keeps those tensors |
//! | `init.rs` | initial weights |
//! | `mlp.rs` | [`Mlp`]: the blocks with their buffers; forward, loss, backward and update |
//! | `mlp/passes.rs` | the two lists of blocks, forward and backward |
//! | `mlp/ensemble.rs` | members that share their weights, one after the other |
//! | `feed.rs` | [`Feed`]: from samples to a network's input |
//! | `gradcheck.rs` | gradients against central differences |
//!
//! # Where numbers end
//!
//! `tests/edges` has a test for each row, on the plain backend in f32 and f64 and on the fused one. A run ends as
//! diverged with the first loss of a step, weight or running statistic that is no finite number. It is recorded as
//! such, and its model is that of the best epoch before, if there is one.
//!
//! | edge | what happens | test |
//! |---|---|---|
//! | logits of ±10⁴ | loss and gradient are finite: the largest logit is taken off before `exp` | `logits_of_10_000_…` |
//! | a logit of ±∞ or NaN | the loss is not finite, and the step changes no weight; an impossible class that no row has does no harm | `infinite_logits_…`, `an_impossible_class_…` |
//! | a constant feature | exactly 0 once standardised; β after a batch norm, whose ε keeps the divisor above 0 | `constant_features_…`, `a_batch_norm_of_a_constant_…` |
//! | inputs whose variance overflows in a batch norm | the running variance is infinite, and the run diverges | `a_running_variance_…` |
//! | features whose mean or spread the precision does not hold | refused by name | `features_whose_spread_…` |
//! | one class | refused: there is nothing to tell apart | `one_class_…` |
//! | weights of 10³⁰ | f32: the loss is not finite, and the step changes no weight; f64 trains | `weights_of_1e30_…` |
//! | a rate of 0 | no bit of a weight changes; Rprop alone moves, since its steps are at least 10⁻⁶ | `a_rate_of_0_…` |
//! | a rate of 10³⁰⁸ | diverges, also with the last update of a run; Rprop alone trains, since its steps are at most 50. One step of SGD may still leave numbers in f64: their loss is shown as NaN | `a_rate_of_1e308_…` |
//! | a gradient that is infinite or NaN behind a finite loss | the weights take it, and the run diverges; clipping to a norm that is no number hides nothing (∞·0 is NaN) | `gradients_that_are_no_numbers_…`, `every_optimiser_keeps_…` |
//! | more than 2³² updates | dropout masks, Adam's corrections, schedules and checkpoints go on: the counters have 64 bits | `counters_of_steps_…`, `the_number_of_updates_…` |
//! | a batch of one row | refused with batch norm, which has no variance then, and a single leftover row is dropped; trains without | `a_batch_of_one_…` |

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
