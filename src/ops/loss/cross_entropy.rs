//! Softmax and cross-entropy in one operation (Goodfellow, Bengio, Courville, *Deep Learning*, 2016, sections 3.13 and
//! 6.2.2.3).
//!
//! For one row of logits z `[classes]` with label y:
//!
//! ```math
//! p_j = \frac{e^{z_j}}{\sum_k e^{z_k}}, \qquad
//! -\log p_j = \log\sum_k e^{z_k - m} - (z_j - m), \quad m = \max_k z_k
//! ```
//!
//! The right form never overflows (every exponent is ≤ 0, one is 0) and never takes the logarithm of 0.
//!
//! With label smoothing ε (Szegedy et al., “Rethinking the Inception Architecture”, CVPR 2016, section 7), class
//! weights w and sample weights s the mean over a batch is:
//!
//! ```math
//! L = \frac1W \sum_i s_i \Big[ (1-\varepsilon)\, w_{y_i} (-\log p_{i y_i})
//!     + \frac{\varepsilon}{C} \sum_c w_c (-\log p_{ic}) \Big], \qquad W = \sum_i s_i w_{y_i}
//! ```
//!
//! Without sample weights it is PyTorch's `CrossEntropyLoss(weight=w)`, whose `reduction="mean"` divides by the sum of
//! the labels' weights too. That loss takes no sample weights; they enter the divisor here as the class weights do.
//!
//! # Backward
//!
//! `$\partial(-\log p_c)/\partial z_j = p_j - \delta_{jc}$`: the log-sum-exp gives `$p_j$`, the second term
//! `$-\delta_{jc}$`. Softmax alone would need a full Jacobian; joined with the logarithm it collapses to a difference.
//! Linear in the two terms of L:
//!
//! ```math
//! dz_{ij} = \frac{s_i}{W} \Big[ (1-\varepsilon)\, w_{y_i} (p_{ij} - \delta_{j y_i})
//!     + \frac{\varepsilon}{C} \big(p_{ij} \textstyle\sum_c w_c - w_j\big) \Big]
//! ```

use super::batch::BatchLoss;
use crate::error::{Error, Result};
use crate::ops::reduce;
use crate::real::Real;
use crate::simd;

/// Softmax and cross-entropy with their options. The default is plain cross-entropy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// ε in `[0, 1]`.
    pub label_smoothing: f64,
    /// One weight ≥ 0 a class; `None` means 1 for all.
    pub class_weights: Option<Vec<f64>>,
}

impl CrossEntropy {
    /// Refuses class weights that are not one per output.
    pub(super) fn check(&self, outputs: usize) -> Result<()> {
        match &self.class_weights {
            Some(weights) if weights.len() != outputs => {
                let expected = format!("{outputs}, one per output");
                Err(Error::shape(
                    "class weights",
                    expected,
                    weights.len().to_string(),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// The loss of `logits` `[n, classes]` against `labels` `[n]`, with sample weights `[n]`; writes dz to `dlogits` if it
/// is given.
///
/// A batch whose weights W sum to 0 has objective 0 and gradient 0.
pub fn softmax_cross_entropy<R: Real>(
    dlogits: Option<&mut [R]>,
    logits: &[R],
    labels: &[u32],
    sample_weights: Option<&[f64]>,
    options: &CrossEntropy,
) -> BatchLoss {
    let n = labels.len();
    assert!(n > 0 && logits.len().is_multiple_of(n), "whole rows");
    let classes = logits.len() / n;
    if let Some(weights) = &options.class_weights {
        assert_eq!(weights.len(), classes, "one weight per class");
    }
    simd::dispatch(
        #[inline(always)]
        || loss_of_rows(dlogits, logits, labels, sample_weights, classes, options),
    )
}

#[inline(always)]
fn loss_of_rows<R: Real>(
    mut dlogits: Option<&mut [R]>,
    logits: &[R],
    labels: &[u32],
    sample_weights: Option<&[f64]>,
    classes: usize,
    options: &CrossEntropy,
) -> BatchLoss {
    let sample_weight = |i: usize| sample_weights.map_or(1.0, |s| s[i]);
    let weight = |c: usize| options.class_weights.as_ref().map_or(1.0, |w| w[c]);
    let weight_sum: f64 = (0..classes).map(weight).sum();
    let label_weights = labels.iter().map(|&y| weight(y as usize)).enumerate();
    let total: f64 = label_weights.map(|(i, w)| sample_weight(i) * w).sum();
    let inverse = if total > 0.0 { 1.0 / total } else { 0.0 };
    let share = options.label_smoothing / classes as f64;

    let mut loss = BatchLoss::default();
    for (i, (z, &y)) in logits.chunks_exact(classes).zip(labels).enumerate() {
        let y = y as usize;
        let m = reduce::max(z);
        let exp_sum = reduce::map_sum(z, |z| (z - m).exp());
        let log_sum = exp_sum.ln();
        let nll = |j: usize| (log_sum - (z[j] - m)).to_f64();
        let own = sample_weight(i) * ((1.0 - options.label_smoothing) * weight(y));
        let spread = sample_weight(i) * share;
        let mut objective = own * nll(y);
        if spread > 0.0 {
            objective += spread * (0..classes).map(|c| weight(c) * nll(c)).sum::<f64>();
        }
        loss.objective += objective * inverse;
        loss.plain_sum += nll(y);
        loss.correct += usize::from(is_first_maximum(z, y));

        if let Some(dlogits) = dlogits.as_deref_mut() {
            let dz = &mut dlogits[i * classes..][..classes];
            let inv_sum = R::ONE / exp_sum;
            let pull = R::from_f64((own + spread * weight_sum) * inverse);
            for (j, (dz, &z)) in dz.iter_mut().zip(z).enumerate() {
                let p = (z - m).exp() * inv_sum;
                let target = spread * weight(j) + if j == y { own } else { 0.0 };
                *dz = p * pull - R::from_f64(target * inverse);
            }
        }
    }
    loss
}

/// The row's probabilities, in place of its logits.
pub fn softmax<R: Real>(row: &mut [R]) {
    simd::dispatch(
        #[inline(always)]
        || {
            let m = reduce::max(row);
            for z in row.iter_mut() {
                *z = (*z - m).exp();
            }
            let inv_sum = R::ONE / reduce::sum(row);
            for z in row {
                *z *= inv_sum;
            }
        },
    );
}

/// The index of the row's largest value, the first on ties; NaN never wins, and a row of NaN gives 0.
pub fn argmax<R: Real>(row: &[R]) -> usize {
    let mut best = 0;
    for (j, &z) in row.iter().enumerate() {
        if z > row[best] || (row[best].is_nan() && !z.is_nan()) {
            best = j;
        }
    }
    best
}

fn is_first_maximum<R: Real>(row: &[R], y: usize) -> bool {
    !row.iter().any(|z| z.is_nan()) && argmax(row) == y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::gradient::{check, numbers};

    fn options(label_smoothing: f64, class_weights: Option<&[f64]>) -> CrossEntropy {
        CrossEntropy {
            label_smoothing,
            class_weights: class_weights.map(<[f64]>::to_vec),
        }
    }

    /// Logits log 1, log 2, log 5: probabilities 1/8, 2/8, 5/8.
    #[test]
    fn by_hand() {
        let z = [1.0_f64.ln(), 2.0_f64.ln(), 5.0_f64.ln()];
        let mut dz = [f64::NAN; 3];
        let loss = softmax_cross_entropy(Some(&mut dz), &z, &[1], None, &options(0.0, None));
        assert!((loss.objective - 4.0_f64.ln()).abs() <= 1e-15);
        assert_eq!(loss.correct, 0);
        for (got, expected) in dz.iter().zip([0.125, -0.75, 0.625]) {
            assert!((got - expected).abs() <= 1e-15, "{got} against {expected}");
        }
        // Smoothing 0.3, weights 1, 2, 4, label 1: [0.7·2·ln 4 + 0.1·(1·ln 8 + 2·ln 4 + 4·ln 1.6)] / 2
        let smooth =
            softmax_cross_entropy(None, &z, &[1], None, &options(0.3, Some(&[1.0, 2.0, 4.0])));
        let terms = 8.0_f64.ln() + 2.0 * 4.0_f64.ln() + 4.0 * 1.6_f64.ln();
        let expected = (1.4 * 4.0_f64.ln() + 0.1 * terms) / 2.0;
        assert!((smooth.objective - expected).abs() <= 1e-15);
        assert!(
            (smooth.plain_sum - 4.0_f64.ln()).abs() <= 1e-15,
            "reported without options"
        );
        let mut p = z;
        softmax(&mut p);
        for (got, expected) in p.iter().zip([0.125, 0.25, 0.625]) {
            assert!((got - expected).abs() <= 1e-15);
        }
    }

    /// Labels 1 and 2 with sample weights 3 and 1 and class weights 1, 2, 4: [3·2·ln 4 + 1·4·ln 1.6] / (3·2 + 1·4)
    #[test]
    fn sample_weights_by_hand() {
        let row = [1.0_f64.ln(), 2.0_f64.ln(), 5.0_f64.ln()];
        let z = [row, row].concat();
        let options = options(0.0, Some(&[1.0, 2.0, 4.0]));
        let mut dz = [f64::NAN; 6];
        let samples = Some(&[3.0, 1.0][..]);
        let loss = softmax_cross_entropy(Some(&mut dz), &z, &[1, 2], samples, &options);
        let expected = (6.0 * 4.0_f64.ln() + 4.0 * 1.6_f64.ln()) / 10.0;
        assert!((loss.objective - expected).abs() <= 1e-15);
        assert!((loss.plain_sum - (4.0_f64.ln() + 1.6_f64.ln())).abs() <= 1e-15);
        for (got, expected) in dz.iter().zip([0.075, -0.45, 0.375, 0.05, 0.1, -0.15]) {
            assert!((got - expected).abs() <= 1e-15, "{got} against {expected}");
        }
    }

    #[test]
    fn extreme_logits_stay_finite() {
        for scale in [100.0_f32, 1e30] {
            let z = [scale, -scale, 0.0, -scale, scale, 0.0];
            let mut dz = [f32::NAN; 6];
            let loss = softmax_cross_entropy(Some(&mut dz), &z, &[0, 1], None, &options(0.1, None));
            assert!(
                loss.objective.is_finite() && dz.iter().all(|d| d.is_finite()),
                "±{scale}"
            );
        }
    }

    #[test]
    fn nan_is_never_correct_and_never_hidden() {
        let loss = softmax_cross_entropy(None, &[f64::NAN, 1.0], &[1], None, &options(0.0, None));
        assert!(loss.objective.is_nan());
        assert_eq!(loss.correct, 0);
    }

    #[test]
    fn ties_and_nan_in_argmax() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[f64::NAN, -1.0, -2.0]), 1);
        assert_eq!(argmax(&[-5.0_f32]), 0);
    }

    #[test]
    fn weightless_batch_gives_zero() {
        let mut dz = [f64::NAN; 2];
        let loss = softmax_cross_entropy(
            Some(&mut dz),
            &[1.0, 2.0],
            &[0],
            None,
            &options(0.0, Some(&[0.0, 1.0])),
        );
        assert_eq!((loss.objective, dz), (0.0, [0.0, 0.0]));
    }

    #[test]
    fn gradient_against_central_differences() {
        for (n, classes) in [(1, 2), (3, 5), (7, 17)] {
            let z: Vec<f64> = numbers(n * classes, 1).iter().map(|z| 3.0 * z).collect();
            let labels: Vec<u32> = (0..n).map(|i| ((i * 5 + 1) % classes) as u32).collect();
            let weights: Vec<f64> = (0..classes).map(|c| 0.5 + c as f64).collect();
            for (smoothing, weights) in [
                (0.0, None),
                (0.2, None),
                (0.0, Some(&weights[..])),
                (0.1, Some(&weights[..])),
            ] {
                let options = options(smoothing, weights);
                let mut dz = vec![f64::NAN; z.len()];
                softmax_cross_entropy(Some(&mut dz), &z, &labels, None, &options);
                check("dz", &z, &dz, |z| {
                    softmax_cross_entropy(None, z, &labels, None, &options).objective
                });
            }
        }
    }
}
