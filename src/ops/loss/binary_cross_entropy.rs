//! Logistic sigmoid and binary cross-entropy in one operation, for several labels a sample (Goodfellow, Bengio,
//! Courville, *Deep Learning*, 2016, section 6.2.2.2).
//!
//! For logits z and values y in `[0, 1]`, both `[n, C]`, where 1 says that the label is present and 0 that it is absent,
//! with `$\sigma(z) = 1/(1+e^{-z})$`, positive weights p `[C]` and sample weights w:
//!
//! ```math
//! \ell_{ij} = -\big[ p_j\, y_{ij} \log\sigma(z_{ij}) + (1 - y_{ij}) \log\sigma(-z_{ij}) \big], \qquad
//! L = \frac{1}{W} \sum_i w_i \frac1C \sum_j \ell_{ij}, \qquad W = \sum_i w_i
//! ```
//!
//! `$1 - \sigma(z) = \sigma(-z)$`, so the second logarithm is that of the label's absence. Both come from one stable form:
//!
//! ```math
//! -\log\sigma(z) = \max(-z, 0) + \log(1 + e^{-|z|}), \qquad -\log\sigma(-z) = \max(z, 0) + \log(1 + e^{-|z|})
//! ```
//!
//! No exponent is above 0, so nothing overflows, and no logarithm is that of 0. For p = 1 the sum is the known
//! `$\max(z, 0) - zy + \log(1 + e^{-|z|})$`.
//!
//! A positive weight above 1 makes a missed label dearer than a false one: it trades precision for recall.
//!
//! Without sample weights L is PyTorch's `BCEWithLogitsLoss(pos_weight=p)`, the mean over all elements: there too p does
//! not enter the divisor. With sample weights L is the weighted mean; `BCEWithLogitsLoss(weight=w)` divides by the number
//! of elements instead.
//!
//! # Backward
//!
//! `$\sigma' = \sigma(z)\,\sigma(-z)$`, hence `$\partial(-\log\sigma(z))/\partial z = -\sigma(-z)$` and
//! `$\partial(-\log\sigma(-z))/\partial z = \sigma(z)$`:
//!
//! ```math
//! dz_{ij} = \frac{w_i}{W C} \big[ (1 - y_{ij})\, \sigma(z_{ij}) - p_j\, y_{ij}\, \sigma(-z_{ij}) \big]
//! ```
//!
//! For p = 1 this is `$\sigma(z) - y$`. The form with two terms keeps its digits where `$\sigma(z)$` rounds to y.

use super::batch::BatchLoss;
use super::mean::{Term, WeightedValues, mean};
use crate::error::{Error, Result};
use crate::real::Real;
use crate::simd;

/// Binary cross-entropy with its options. The default is plain binary cross-entropy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BinaryCrossEntropy {
    /// p, one weight ≥ 0 a label; `None` means 1 for all.
    pub positive_weights: Option<Vec<f64>>,
}

impl BinaryCrossEntropy {
    /// Refuses positive weights that are not one per output.
    pub(super) fn check(&self, outputs: usize) -> Result<()> {
        match &self.positive_weights {
            Some(weights) if weights.len() != outputs => {
                let expected = format!("{outputs}, one per output");
                let found = weights.len().to_string();
                Err(Error::shape("positive weights", expected, found))
            }
            _ => Ok(()),
        }
    }
}

/// The loss of `logits` `[rows, labels]`; writes dz to `dlogits` if it is given.
///
/// A batch whose weights sum to 0 has objective 0 and gradient 0.
///
/// # Panics
/// If there is not one value per logit, not one weight per row, or not one positive weight per label.
pub fn binary_cross_entropy<R: Real>(
    dlogits: Option<&mut [R]>,
    logits: &[R],
    targets: WeightedValues<'_>,
    options: &BinaryCrossEntropy,
) -> BatchLoss {
    let weights = options.positive_weights.as_deref();
    if let Some(weights) = weights {
        assert_eq!(weights.len(), targets.columns, "one weight per label");
    }
    mean(
        dlogits,
        logits,
        targets,
        #[inline(always)]
        move |j: usize, z: R, y: R| {
            let positive = R::from_f64(weights.map_or(1.0, |w| w[j]));
            let absent = R::ONE - y;
            let e = (-z.abs()).exp();
            // σ(|z|), and both logarithms without the part that is linear in z.
            let (larger, tail) = (R::ONE / (R::ONE + e), e.ln_1p());
            let present = y * ((-z).max(R::ZERO) + tail);
            let rest = absent * (z.max(R::ZERO) + tail);
            let smaller = e * larger;
            let (above, below) = if z < R::ZERO {
                (smaller, larger)
            } else {
                (larger, smaller)
            };
            Term {
                loss: positive * present + rest,
                plain: present + rest,
                slope: absent * above - positive * y * below,
            }
        },
        all_right,
    )
}

/// Whether the labels above probability 0.5 are those that are present. NaN is never right.
#[inline(always)]
fn all_right<R: Real>(logits: &[R], values: &[f64]) -> bool {
    let is_right = |(z, &y): (&R, &f64)| !z.is_nan() && (*z > R::ZERO) == (y > 0.5);
    logits.iter().zip(values).all(is_right)
}

/// The probability of each label, in place of its logit.
pub fn sigmoid<R: Real>(logits: &mut [R]) {
    simd::dispatch(
        #[inline(always)]
        || {
            for z in logits {
                *z = z.sigmoid();
            }
        },
    );
}
