//! The prediction of an ensemble: the average of its members' probabilities, or of the values that they predict.
//!
//! Z is `[members · n, outputs]`, member by member. The average is given as the outputs `[n, outputs]` of one network,
//! so that everything that takes outputs takes it:
//!
//! | task | average of | as an output |
//! |---|---|---|
//! | classification | `$p_m = \mathrm{softmax}(z_m)$` | `$\log \bar p$`, whose softmax is `$\bar p$` |
//! | several labels | `$p_m = \sigma(z_m)$` | `$\log \bar p - \log(1 - \bar p)$`, whose logistic function is `$\bar p$` |
//! | regression | `$z_m$` | `$\bar z$` |
//!
//! Probabilities are averaged by their logarithms `$\ell_m$`, so that none overflows and none that is not 0 becomes 0:
//!
//! ```math
//! \log \bar p = M + \log \sum_m e^{\ell_m - M} - \log(\mathrm{members}), \qquad M = \max_m \ell_m
//! ```
//!
//! with `$\ell = z_j - \log \sum_k e^{z_k}$` for a class, and `$\ell = \log \sigma(z)$` for a label, where
//! `$1 - p = \sigma(-z)$`.
//!
//! There is no backward: in training every member has its own loss.

use super::reduce;
use crate::data::Task;
use crate::real::Real;
use crate::simd;

/// The members' average `[n, outputs]` of their outputs `z` `[members · n, outputs]`.
pub fn average_members<R: Real>(z: &[R], members: usize, outputs: usize, task: Task) -> Vec<R> {
    assert!(
        z.len().is_multiple_of(members * outputs),
        "whole rows of every member"
    );
    let n = z.len() / members;
    simd::dispatch(
        #[inline(always)]
        || match task {
            Task::Classification => {
                let mut logs = z.to_vec();
                logs.chunks_exact_mut(outputs).for_each(|row| {
                    let m = reduce::max(row);
                    let log_sum = reduce::map_sum(row, |z| (z - m).exp()).ln();
                    row.iter_mut().for_each(|z| *z = *z - m - log_sum);
                });
                let place = |i: usize| log_mean_exp(members, |member| logs[member * n + i]);
                (0..n).map(place).collect()
            }
            Task::Multilabel => {
                let mean = |i: usize, sign: R| {
                    log_mean_exp(members, |member| log_sigmoid(sign * z[member * n + i]))
                };
                (0..n).map(|i| mean(i, R::ONE) - mean(i, -R::ONE)).collect()
            }
            Task::Regression => {
                let share = R::from_f64(1.0 / members as f64);
                let sum = |i: usize| (0..members).fold(R::ZERO, |sum, m| sum + z[m * n + i]);
                (0..n).map(|i| sum(i) * share).collect()
            }
        },
    )
}

/// `$\log \frac1n \sum_m e^{\ell_m}$`; NaN if any is.
#[inline(always)]
fn log_mean_exp<R: Real>(count: usize, log: impl Fn(usize) -> R) -> R {
    let largest = (0..count).fold(R::NEG_INFINITY, |m, i| m.max(log(i)));
    let sum = (0..count).fold(R::ZERO, |sum, i| sum + (log(i) - largest).exp());
    largest + (sum * R::from_f64(1.0 / count as f64)).ln()
}

/// `$\log \sigma(z) = \min(z, 0) - \log(1 + e^{-|z|})$`
#[inline(always)]
fn log_sigmoid<R: Real>(z: R) -> R {
    if z.is_nan() {
        return z;
    }
    z.min(R::ZERO) - (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::loss::cross_entropy::softmax;

    fn close(found: &[f64], expected: &[f64], bound: f64) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= bound,
                "{found} against {expected}"
            );
        }
    }

    /// Two members, two rows, probabilities (1/8, 2/8, 5/8) and (1/2, 1/4, 1/4), then the reverse.
    #[test]
    fn probabilities_by_hand() {
        let (a, b) = ([1.0_f64, 2.0, 5.0], [6.0_f64, 3.0, 3.0]);
        let z: Vec<f64> = [a, b, b, a].concat().into_iter().map(f64::ln).collect();
        let mut mean = average_members(&z, 2, 3, Task::Classification);
        mean.chunks_exact_mut(3).for_each(softmax);
        let expected = [5.0 / 16.0, 4.0 / 16.0, 7.0 / 16.0];
        close(&mean, &[expected, expected].concat(), 1e-15);
    }

    /// Probabilities 1/2 and 1/4 on average 3/8; values 1 and 4 on average 2.5.
    #[test]
    fn labels_and_values_by_hand() {
        let z = [0.0, 1.0, (1.0_f64 / 3.0).ln(), 1.0];
        let mean = average_members(&z, 2, 2, Task::Multilabel);
        close(&mean, &[(3.0_f64 / 5.0).ln(), 1.0], 1e-15);
        let mean = average_members(&[1.0, -1.0, 4.0, 1.0], 2, 1, Task::Regression);
        assert_eq!(mean, [2.5, 0.0]);
    }

    /// Logits of ±1e4 in both directions: the mean of probabilities 1 and 0 is 1/2, that of two zeros keeps its
    /// logarithm.
    #[test]
    fn large_logits_stay_finite() {
        let z = [1e4_f64, -1e4, -1e4, 1e4];
        close(
            &average_members(&z, 2, 2, Task::Classification),
            &[0.5_f64.ln(); 2],
            1e-12,
        );
        close(
            &average_members(&z, 2, 2, Task::Multilabel),
            &[0.0; 2],
            1e-12,
        );
        let z = [1e4_f32, -1e4, 1e4, -1e4];
        let mean = average_members(&z, 2, 2, Task::Classification);
        assert_eq!(mean, [0.0, -2e4]);
        let mean = average_members(&z, 2, 2, Task::Multilabel);
        assert_eq!(mean, [1e4, -1e4]);
    }

    #[test]
    fn nan_is_not_hidden() {
        for task in [Task::Classification, Task::Multilabel, Task::Regression] {
            let mean = average_members(&[1.0, 2.0, f64::NAN, 1.0], 2, 2, task);
            assert!(mean[0].is_nan(), "{task:?}");
        }
    }
}
