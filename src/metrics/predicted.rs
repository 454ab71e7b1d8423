//! Metrics of labelled samples from what a classifier says of each, as scikit-learn defines them.
//!
//! | metric | of scikit-learn | not defined |
//! |---|---|---|
//! | balanced accuracy | `balanced_accuracy_score` | without samples |
//! | macro F1 | `f1_score(average="macro")` | without samples |
//! | ROC AUC | `roc_auc_score`, several classes `multi_class="ovr"` | with samples of one class only |
//! | average precision | `average_precision_score` | with samples of one class only |
//!
//! Balanced accuracy is the mean recall of the classes that have samples (Brodersen et al., “The balanced accuracy and
//! its posterior distribution”, ICPR 2010).
//! Macro F1 is the mean F1 of the classes that have samples or are predicted.
//! Unlike the macro average of [`Scores`](super::Scores), both leave out a class that does not occur.
//!
//! With two classes ROC AUC and average precision rank the samples by the probability of the second class.
//! With more, each class that has samples is ranked against the rest, and the mean of these counts.
//! A class that the classifier does not know has probability 0.

use super::Metric;
use super::ranking::Ranking;

/// Labelled samples and what a classifier says of them.
#[derive(Clone, Copy, Debug)]
pub struct Predicted<'a> {
    /// The number of classes that the classifier knows. A label may be another one.
    pub classes: usize,
    /// The true class of each sample.
    pub labels: &'a [u32],
    /// The class that each sample is taken for.
    pub predictions: &'a [u32],
    /// The probability of each class that the classifier knows, `[samples, classes]`.
    pub probabilities: &'a [f64],
}

/// Counts of the samples that concern one class.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// They are of the class.
    labelled: u64,
    /// They are taken for it.
    predicted: u64,
    /// Both.
    found: u64,
}

impl Predicted<'_> {
    /// The value of a classifier's metric that is measured on request ([`Metric::is_on_request`]).
    ///
    /// `None` if it is not defined, or a probability is NaN.
    ///
    /// # Panics
    ///
    /// If there is not one prediction and one row of probabilities for each label.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        let samples = self.labels.len();
        assert_eq!(samples, self.predictions.len(), "one prediction a label");
        assert_eq!(samples * self.classes, self.probabilities.len(), "all rows");
        match metric {
            Metric::BalancedAccuracy => mean(self.counts().iter().filter_map(Counts::recall)),
            Metric::F1Macro => mean(self.counts().iter().filter_map(Counts::f1)),
            Metric::RocAuc => self.mean_over_rankings(Ranking::roc_auc),
            Metric::AveragePrecision => self.mean_over_rankings(Ranking::average_precision),
            _ => None,
        }
    }

    /// Of each class, those included that only labels have.
    fn counts(&self) -> Vec<Counts> {
        let highest = self.labels.iter().chain(self.predictions).max();
        let mut counts = vec![Counts::default(); highest.map_or(0, |&class| class as usize + 1)];
        for (&label, &prediction) in self.labels.iter().zip(self.predictions) {
            counts[label as usize].labelled += 1;
            counts[prediction as usize].predicted += 1;
            counts[label as usize].found += u64::from(label == prediction);
        }
        counts
    }

    fn mean_over_rankings(&self, score: fn(&Ranking) -> f64) -> Option<f64> {
        let counts = self.counts();
        if self.classes == 2 && counts.len() <= 2 {
            return self.ranking(1).as_ref().map(score);
        }
        let present = (0..counts.len()).filter(|&class| counts[class].labelled > 0);
        let scores = present.map(|class| self.ranking(class).as_ref().map(score));
        mean(scores.collect::<Option<Vec<f64>>>()?.into_iter())
    }

    /// The samples by the probability of a class.
    fn ranking(&self, class: usize) -> Option<Ranking> {
        let probability = |sample: usize| match class < self.classes {
            true => self.probabilities[sample * self.classes + class],
            false => 0.0,
        };
        let labels = self.labels.iter().enumerate();
        Ranking::new(labels.map(|(i, &label)| (probability(i), label as usize == class)))
    }
}

impl Counts {
    /// The share of the class's samples that are found; `None` if it has none.
    fn recall(&self) -> Option<f64> {
        (self.labelled > 0).then(|| self.found as f64 / self.labelled as f64)
    }

    /// The harmonic mean of precision and recall; `None` if the class does not occur.
    fn f1(&self) -> Option<f64> {
        let both = self.labelled + self.predicted;
        (both > 0).then(|| 2.0 * self.found as f64 / both as f64)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), x| (sum + x, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: [Metric; 4] = [
        Metric::BalancedAccuracy,
        Metric::F1Macro,
        Metric::RocAuc,
        Metric::AveragePrecision,
    ];

    /// Labels, and probabilities of which many are equal where there are few `levels`.
    ///
    /// In Python, for scikit-learn 1.7.2:
    ///
    /// ```text
    /// def case(n, k, seed, levels, absent=None):
    ///     r, s = [], seed
    ///     for _ in range(n * (k + 1)):
    ///         s = (s * 1103515245 + 12345) % 2**31
    ///         r.append(s >> 16)
    ///     y = np.array([x % k for x in r[:n]])
    ///     if absent is not None: y[y == absent] = (absent + 1) % k
    ///     p = np.array([1.0 + x % levels for x in r[n:]]).reshape(n, k)
    ///     return y, p / p.sum(1, keepdims=True)
    /// y, p = case(...)
    /// ovr = lambda f: f(y, p[:, 1]) if k == 2 else np.mean([f(y == c, p[:, c]) for c in np.unique(y)])
    /// balanced_accuracy_score(y, p.argmax(1)), f1_score(y, p.argmax(1), average="macro"), ovr(roc_auc_score),
    /// ovr(average_precision_score)
    /// ```
    ///
    /// Where all classes have samples, `roc_auc_score(y, p, multi_class="ovr")` and `average_precision_score(y, p)` are
    /// the same.
    fn case(n: usize, k: usize, seed: u64, levels: u64, absent: Option<u32>) -> Values {
        let mut state = seed;
        let mut next = || {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            state >> 16
        };
        let mut labels: Vec<u32> = (0..n).map(|_| (next() % k as u64) as u32).collect();
        for label in labels.iter_mut().filter(|label| Some(**label) == absent) {
            *label = (*label + 1) % k as u32;
        }
        let mut probabilities: Vec<f64> =
            (0..n * k).map(|_| (1 + next() % levels) as f64).collect();
        let mut predictions = Vec::new();
        for row in probabilities.chunks_exact_mut(k) {
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= sum);
            let largest = row.iter().copied().fold(0.0, f64::max);
            predictions.push(row.iter().position(|&p| p == largest).unwrap() as u32);
        }
        values(k, &labels, &predictions, &probabilities)
    }

    type Values = [Option<f64>; 4];

    fn values(
        classes: usize,
        labels: &[u32],
        predictions: &[u32],
        probabilities: &[f64],
    ) -> Values {
        let predicted = Predicted {
            classes,
            labels,
            predictions,
            probabilities,
        };
        METRICS.map(|metric| predicted.get(metric))
    }

    #[track_caller]
    fn assert_close(found: Values, expected: Values) {
        for (found, expected) in found.into_iter().zip(expected) {
            match (found, expected) {
                (Some(x), Some(y)) => assert!((x - y).abs() <= 1e-14, "{found:?} {expected:?}"),
                _ => assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn values_are_those_of_scikit_learn() {
        let one = case(1, 2, 1, 5, None);
        assert_close(one, [Some(1.0), Some(1.0), None, None]);
        let golden = [
            ((2, 2, 4, 97, None), [1.0; 4]),
            (
                (13, 2, 5, 3, None),
                [
                    0.47619047619047616,
                    0.4484848484848485,
                    0.33333333333333326,
                    0.48862248862248864,
                ],
            ),
            (
                (101, 2, 7, 1000, None),
                [
                    0.5769841269841269,
                    0.5771531100478469,
                    0.5726190476190476,
                    0.5588271648673083,
                ],
            ),
            (
                (97, 3, 11, 5, None),
                [
                    0.3053842504743833,
                    0.29629629629629634,
                    0.42705323196902895,
                    0.303758865132656,
                ],
            ),
            (
                (211, 7, 13, 11, None),
                [
                    0.1792471895920172,
                    0.17345913641724323,
                    0.5492724599209943,
                    0.18594246337264334,
                ],
            ),
            (
                (53, 4, 17, 9, Some(2)),
                [
                    0.22692307692307692,
                    0.19049752670442327,
                    0.5007538824825946,
                    0.36256029443424226,
                ],
            ),
            (
                (31, 3, 19, 4, Some(2)),
                [
                    0.36134453781512604,
                    0.2523809523809524,
                    0.4653361344537815,
                    0.5327704758326841,
                ],
            ),
        ];
        for ((n, k, seed, levels, absent), expected) in golden {
            assert_close(case(n, k, seed, levels, absent), expected.map(Some));
        }
    }

    #[test]
    fn what_is_not_defined_has_no_value() {
        assert_eq!(values(3, &[], &[], &[]), [None; 4]);
        let of_one_class = values(2, &[1, 1], &[1, 0], &[0.2, 0.8, 0.6, 0.4]);
        assert_eq!(of_one_class, [Some(0.5), Some(1.0 / 3.0), None, None]);
        let diverged = values(2, &[0, 1], &[0, 0], &[f64::NAN; 4]);
        assert_eq!(diverged, [Some(0.5), Some(1.0 / 3.0), None, None]);
    }

    /// `p = np.c_[p, np.zeros(4)]` in scikit-learn.
    #[test]
    fn a_class_that_the_classifier_does_not_know_counts_as_errors() {
        let found = values(
            2,
            &[0, 1, 2, 0],
            &[0, 1, 1, 0],
            &[0.9, 0.1, 0.3, 0.7, 0.4, 0.6, 0.8, 0.2],
        );
        assert_close(
            found,
            [
                Some(2.0 / 3.0),
                Some(5.0 / 9.0),
                Some(2.5 / 3.0),
                Some(0.75),
            ],
        );
    }
}
