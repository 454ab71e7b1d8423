//! Logistic sigmoid and binary cross-entropy in one operation, for several labels a sample (Goodfellow, Bengio,
//! Courville, *Deep Learning*, 2016, section 6.2.2.2).
//!
//! For logits z and values y in `[0, 1]`, both `[n, C]`, where 1 says that the label is present and 0 that it is
//! absent, with `$\sigma(z) = 1/(1+e^{-z})$`, positive weights p `[C]` and sample weights w:
//!
//! ```math
//! \ell_{ij} = -\big[ p_j\, y_{ij} \log\sigma(z_{ij}) + (1 - y_{ij}) \log\sigma(-z_{ij}) \big], \qquad
//! L = \frac{1}{W} \sum_i w_i \frac1C \sum_j \ell_{ij}, \qquad W = \sum_i w_i
//! ```
//!
//! `$1 - \sigma(z) = \sigma(-z)$`, so the second logarithm is that of the label's absence. Both come from one stable
//! form:
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
//! Without sample weights L is PyTorch's `BCEWithLogitsLoss(pos_weight=p)`, the mean over all elements: there too p
//! does not enter the divisor. With sample weights L is the weighted mean; `BCEWithLogitsLoss(weight=w)` divides by the
//! number of elements instead.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(values: &[f64], columns: usize) -> WeightedValues<'_> {
        WeightedValues {
            values,
            columns,
            weights: None,
        }
    }

    /// Logits log 3 and −log 4: probabilities 3/4 and 1/5.
    #[test]
    fn by_hand() {
        let z = [3.0_f64.ln(), -4.0_f64.ln()];
        let mut dz = [f64::NAN; 2];
        let close = |found: f64, expected: f64| {
            assert!(
                (found - expected).abs() <= 1e-15,
                "{found} against {expected}"
            );
        };
        let none = BinaryCrossEntropy::default();
        let found = binary_cross_entropy(Some(&mut dz), &z, plain(&[1.0, 0.0], 2), &none);
        close(found.objective, -(0.75_f64.ln() + 0.8_f64.ln()) / 2.0);
        close(dz[0], -0.125);
        close(dz[1], 0.1);
        assert_eq!(found.correct, 1);
        // Both labels present, with weights 2 and 5.
        let weighted = BinaryCrossEntropy {
            positive_weights: Some(vec![2.0, 5.0]),
        };
        let found = binary_cross_entropy(Some(&mut dz), &z, plain(&[1.0, 1.0], 2), &weighted);
        close(
            found.objective,
            -(2.0 * 0.75_f64.ln() + 5.0 * 0.2_f64.ln()) / 2.0,
        );
        close(found.plain_sum, -(0.75_f64.ln() + 0.2_f64.ln()) / 2.0);
        close(dz[0], -0.25);
        close(dz[1], -2.0);
        assert_eq!(found.correct, 0);
        let mut p = z;
        sigmoid(&mut p);
        close(p[0], 0.75);
        close(p[1], 0.2);
    }

    /// Weights of present labels say nothing about rows that have none.
    #[test]
    fn rows_without_labels() {
        let (z, weights) = ([0.3, -1.2, 2.5], vec![7.0, 0.0, 1e6]);
        let weighted = BinaryCrossEntropy {
            positive_weights: Some(weights),
        };
        let [mut dz, mut unweighted] = [[f64::NAN; 3]; 2];
        let found = binary_cross_entropy(Some(&mut dz), &z, plain(&[0.0; 3], 3), &weighted);
        let none = BinaryCrossEntropy::default();
        let same = binary_cross_entropy(Some(&mut unweighted), &z, plain(&[0.0; 3], 3), &none);
        assert_eq!((found, dz), (same, unweighted));
        let direct: f64 = z.iter().map(|z: &f64| z.exp().ln_1p()).sum();
        assert!((found.plain_sum - direct / 3.0).abs() <= 1e-15);
        assert!(dz.iter().all(|&d| d > 0.0));
    }

    /// A sure logit costs its size if it is wrong, and nothing if it is right.
    #[test]
    fn logits_of_ten_thousand() {
        let none = BinaryCrossEntropy::default();
        for (z, y, loss, slope) in [
            (1e4, 1.0, 0.0, 0.0),
            (1e4, 0.0, 1e4, 1.0),
            (-1e4, 1.0, 1e4, -1.0),
            (-1e4, 0.0, 0.0, 0.0),
        ] {
            let mut dz = [f64::NAN];
            let found = binary_cross_entropy(Some(&mut dz), &[z], plain(&[y], 1), &none);
            assert_eq!((found.objective, dz), (loss, [slope]), "{z} {y}");
            let mut dz = [f32::NAN];
            let found = binary_cross_entropy(Some(&mut dz), &[z as f32], plain(&[y], 1), &none);
            assert_eq!((found.objective, dz), (loss, [slope as f32]), "{z} {y}");
        }
    }

    /// Where σ(z) rounds to 1, loss and slope of a present label are still e⁻ᶻ.
    #[test]
    fn small_losses_keep_their_digits() {
        let none = BinaryCrossEntropy::default();
        let mut dz = [f32::NAN];
        let found = binary_cross_entropy(Some(&mut dz), &[30.0_f32], plain(&[1.0], 1), &none);
        let expected = (-30.0_f64).exp();
        assert!((found.objective / expected - 1.0).abs() < 1e-6);
        assert!((f64::from(dz[0]) / expected + 1.0).abs() < 1e-6);
    }

    #[test]
    fn right_rows() {
        let (z, y) = ([1.0, -1.0, 0.0, -1.0], [1.0, 0.0, 0.0, 1.0]);
        let none = BinaryCrossEntropy::default();
        let correct = |z: &[f64], y| binary_cross_entropy(None, z, plain(y, 2), &none).correct;
        assert_eq!(correct(&z, &y), 1);
        assert_eq!(correct(&[f64::NAN, 1.0], &[0.0, 1.0]), 0);
    }
}
