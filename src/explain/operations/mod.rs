//! The operations of a step, a file each: their formulas forward and backward, in both grains.
//!
//! In the fused grain the engine's own functions ([`crate::ops`], [`crate::optim`]) compute the numbers, and the
//! formula beside them is the one of their documentation. In the atomic grain each tensor is computed by its formula.

pub(super) mod activation;
pub(super) mod batch_norm;
pub(super) mod dropout;
pub(super) mod embedding;
pub(super) mod linear;
pub(super) mod loss;
pub(super) mod member_scale;
pub(super) mod optimizer;

use super::expression::Index;

/// `[n, out]`: samples and units.
const SAMPLES: [Index; 2] = [Index::I, Index::J];
/// `[1, out]`: one number a unit.
pub(super) const UNITS: [Index; 2] = [Index::Zero, Index::J];
/// `[n, 1]`: one number a sample.
const ROWS: [Index; 2] = [Index::I, Index::Zero];
/// One number.
const ONE: [Index; 2] = [Index::Zero, Index::Zero];
/// `[out, in]`: weights.
pub(super) const WEIGHTS: [Index; 2] = [Index::J, Index::K];
