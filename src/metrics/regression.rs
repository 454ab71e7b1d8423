//! Metrics of predicted numbers in their own units, as scikit-learn defines them.
//!
//! For one target with the true values `$y_i$` of n samples, their mean `$\bar y$` and the predictions `$\hat y_i$`:
//!
//! ```math
//! \text{RMSE} = \sqrt{\frac1n \sum_i (y_i - \hat y_i)^2}, \qquad
//! \text{MAE} = \frac1n \sum_i |y_i - \hat y_i|, \qquad
//! R^2 = 1 - \frac{\sum_i (y_i - \hat y_i)^2}{\sum_i (y_i - \bar y)^2}
//! ```
//!
//! | metric | of scikit-learn | not defined |
//! |---|---|---|
//! | RMSE | `root_mean_squared_error` | without samples |
//! | MAE | `mean_absolute_error` | without samples |
//! | R² | `r2_score` | with fewer than two samples |
//!
//! With several targets each metric is the mean of the targets' (`multioutput="uniform_average"`).
//! Where all true values of a target are equal, R² is 1 if all predictions are exact, else 0 (`force_finite`).
//! Values whose mean rounds to another number count as equal here, unlike in scikit-learn.
//! A metric that is not a finite number, as after a prediction of NaN, is not defined either.

use serde::Serialize;

use super::Metric;
use crate::real::square;

/// True and predicted numbers of some samples, both row-major `[samples, targets]`, in the targets' own units.
#[derive(Clone, Copy, Debug)]
pub struct PredictedValues<'a> {
    /// Numbers a sample.
    pub targets: usize,
    /// What they are.
    pub truth: &'a [f64],
    /// What was predicted.
    pub predictions: &'a [f64],
}

/// How far predictions are from the true values: of one target, or the mean over targets. What is not defined is
/// absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ValueScore {
    /// Root of the mean squared error, in the target's units.
    pub rmse: Option<f64>,
    /// Mean absolute error, in the target's units.
    pub mae: Option<f64>,
    /// Coefficient of determination.
    pub r2: Option<f64>,
}

impl PredictedValues<'_> {
    /// The scores of each target.
    ///
    /// # Panics
    ///
    /// If there is no target, or there are not as many predictions as true values, in whole rows.
    pub fn of_targets(&self) -> Vec<ValueScore> {
        assert!(
            self.truth.len() == self.predictions.len()
                && self.truth.len().is_multiple_of(self.targets),
            "one prediction a value, in whole rows"
        );
        (0..self.targets).map(|target| self.score(target)).collect()
    }

    /// The mean of the targets' scores; a score is absent if it is for one target.
    pub fn mean(&self) -> ValueScore {
        let scores = self.of_targets();
        let mean = |of: fn(&ValueScore) -> Option<f64>| {
            let values: Option<Vec<f64>> = scores.iter().map(of).collect();
            finite(mean(values?.into_iter()))
        };
        ValueScore {
            rmse: mean(|s| s.rmse),
            mae: mean(|s| s.mae),
            r2: mean(|s| s.r2),
        }
    }

    /// The value of a metric of the task; the loss is not measured here.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.mean().get(metric)
    }

    fn score(&self, target: usize) -> ValueScore {
        let truth = || self.truth.iter().skip(target).step_by(self.targets);
        let predictions = || self.predictions.iter().skip(target).step_by(self.targets);
        let errors = || truth().zip(predictions()).map(|(y, p)| y - p);
        let rmse = root_mean_square(errors());
        ValueScore {
            rmse: finite(rmse),
            mae: finite(mean(errors().map(f64::abs))),
            r2: match truth().count() {
                0 | 1 => None,
                _ => finite(determination(rmse, truth().copied())),
            },
        }
    }
}

impl ValueScore {
    /// The value of a metric.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Rmse => self.rmse,
            Metric::Mae => self.mae,
            Metric::R2 => self.r2,
            _ => None,
        }
    }
}

/// R² from the root of the mean squared error.
fn determination(rmse: f64, truth: impl Iterator<Item = f64> + Clone) -> f64 {
    let first = truth.clone().next().unwrap_or(f64::NAN);
    // The first value is taken off, so that large numbers with small differences keep their digits.
    let centre = mean(truth.clone().map(|y| y - first));
    let spread = root_mean_square(truth.clone().map(|y| y - first - centre));
    let is_constant = truth.clone().all(|y| y == first);
    match is_constant || spread == 0.0 {
        true if !rmse.is_finite() => f64::NAN,
        true => f64::from(rmse == 0.0),
        false => 1.0 - square(rmse / spread),
    }
}

/// Relative to the largest value, so that no square overflows or vanishes.
fn root_mean_square(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(0.0, |most: f64, x| most.max(x.abs()));
    match largest > 0.0 {
        true => largest * mean(values.map(|x| square(x / largest))).sqrt(),
        false => mean(values),
    }
}

/// NaN without values.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), x| (sum + x, count + 1));
    sum / count as f64
}

fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|x| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In Python, for scikit-learn 1.9.1. `metrics` are `root_mean_squared_error`, `mean_absolute_error`, `r2_score`:
    ///
    /// ```text
    /// def draws(count, seed):
    ///     r, s = [], seed
    ///     for _ in range(count):
    ///         s = (s * 1103515245 + 12345) % 2**31
    ///         r.append(s >> 16)
    ///     return np.array(r, dtype=float)
    /// r = draws(2 * n * k, seed).reshape(2, n, k) / 1000
    /// t, p = shift + scale * r[0], shift + scale * (r[0] + (r[1] - 16) / 4)
    /// [f(t, p) for f in metrics], [f(t, p, multioutput="raw_values") for f in metrics]
    /// ```
    fn case(n: usize, k: usize, seed: u64, scale: f64, shift: f64) -> (Vec<f64>, Vec<f64>) {
        let mut state = seed;
        let mut next = || {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            (state >> 16) as f64 / 1000.0
        };
        let base: Vec<f64> = (0..n * k).map(|_| next()).collect();
        let truth = base.iter().map(|x| shift + scale * x).collect();
        let noisy = |x: &f64| shift + scale * (x + (next() - 16.0) / 4.0);
        (truth, base.iter().map(noisy).collect())
    }

    fn scores(targets: usize, truth: &[f64], predictions: &[f64]) -> (ValueScore, Vec<ValueScore>) {
        let predicted = PredictedValues {
            targets,
            truth,
            predictions,
        };
        (predicted.mean(), predicted.of_targets())
    }

    #[track_caller]
    fn assert_close(found: ValueScore, expected: [f64; 3]) {
        let found = [found.rmse, found.mae, found.r2].map(Option::unwrap);
        for (x, y) in found.into_iter().zip(expected) {
            assert!((x - y).abs() <= 1e-12 * y.abs(), "{found:?} {expected:?}");
        }
    }

    #[test]
    fn values_are_those_of_scikit_learn() {
        let (truth, predictions) = case(1, 1, 3, 1.0, 0.0);
        let one = ValueScore {
            rmse: Some(2.22325),
            mae: Some(2.22325),
            r2: None,
        };
        assert_eq!(scores(1, &truth, &predictions), (one, vec![one]));
        let golden = [
            (
                (2, 1, 4, 1.0, 0.0),
                [2.3807076285214026, 2.2247500000000002, 0.9546104447392648],
            ),
            (
                (7, 1, 5, 1e6, 1e9),
                [2407560.7468971577, 2116071.4285714286, 0.9122386992682546],
            ),
            (
                (101, 3, 7, 1e-6, 0.0),
                [
                    2.35334827917774e-06,
                    2.0212343234323433e-06,
                    0.9372418425652475,
                ],
            ),
            (
                (97, 2, 11, 2.5, -40.0),
                [5.961520933192149, 5.195312499999999, 0.9387800012338539],
            ),
        ];
        for ((n, k, seed, scale, shift), expected) in golden {
            let (truth, predictions) = case(n, k, seed, scale, shift);
            let (mean, targets) = scores(k, &truth, &predictions);
            assert_close(mean, expected);
            assert_eq!(targets.len(), k);
        }
        let (truth, predictions) = case(97, 2, 11, 2.5, -40.0);
        let targets = scores(2, &truth, &predictions).1;
        assert_close(
            targets[0],
            [5.667082049110734, 4.866984536082475, 0.9360500805452723],
        );
        assert_close(
            targets[1],
            [6.255959817273563, 5.523640463917523, 0.9415099219224353],
        );
    }

    /// `r2_score([5, 5, 5], ...)`, and the rounded mean of equal numbers.
    #[test]
    fn a_constant_target_is_predicted_or_not() {
        let r2 = |truth: &[f64], predictions: &[f64]| scores(1, truth, predictions).0.r2;
        assert_eq!(r2(&[5.0; 3], &[5.0; 3]), Some(1.0));
        assert_eq!(r2(&[5.0; 3], &[5.0, 5.0, 4.0]), Some(0.0));
        assert_eq!(r2(&[0.1; 1000], &[0.2; 1000]), Some(0.0));
        assert_eq!(r2(&[0.0; 2], &[0.0; 2]), Some(1.0));
        let exact = scores(1, &[5.0; 3], &[5.0; 3]).0;
        assert_eq!((exact.rmse, exact.mae), (Some(0.0), Some(0.0)));
    }

    #[test]
    fn the_mean_as_prediction_explains_nothing() {
        let found = scores(1, &[1.0, 2.0, 6.0], &[3.0; 3]).0;
        assert_close(found, [(14.0f64 / 3.0).sqrt(), 2.0, 0.0]);
        let worse = scores(1, &[1.0, 2.0, 6.0], &[30.0; 3]).0;
        assert!(worse.r2.unwrap() < -100.0);
    }

    #[test]
    fn no_square_overflows_or_vanishes() {
        for size in [1e-200, 1e200] {
            let truth = [1.0, 2.0, 4.0].map(|y| y * size);
            let predictions = [1.5, 2.0, 3.5].map(|y| y * size);
            let rmse = (0.5f64 / 3.0).sqrt() * size;
            let r2 = 1.0 - 0.5 / (14.0 / 3.0);
            assert_close(scores(1, &truth, &predictions).0, [rmse, size / 3.0, r2]);
        }
    }

    #[test]
    fn what_is_no_number_has_no_score() {
        let none = ValueScore::default();
        assert_eq!(scores(2, &[], &[]), (none, vec![none; 2]));
        for wrong in [f64::NAN, f64::INFINITY] {
            let (mean, targets) = scores(2, &[1.0, 5.0, 2.0, 6.0], &[1.0, wrong, 2.0, 6.0]);
            assert_eq!((mean, targets[1]), (none, none));
            assert_close(targets[0], [0.0, 0.0, 1.0]);
            // A constant target is no exception.
            assert_eq!(scores(1, &[5.0, 5.0], &[5.0, wrong]).0, none);
        }
    }
}
