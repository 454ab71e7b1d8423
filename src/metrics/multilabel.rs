//! Metrics of samples with several labels each, as scikit-learn defines them.
//!
//! A label is predicted where its probability is above 0.5.
//!
//! | metric | of scikit-learn |
//! |---|---|
//! | micro F1 | `f1_score(average="micro", zero_division=0)` |
//! | macro F1 | `f1_score(average="macro", zero_division=0)` |
//! | accuracy | `accuracy_score`: a sample counts if all its labels are right (*subset accuracy*) |
//! | ROC AUC | `roc_auc_score(average="macro")` |
//! | average precision | `average_precision_score(average="macro")` |
//!
//! ROC AUC and average precision are means over the labels that some samples have and others do not. Other labels have
//! none; scikit-learn gives NaN for the mean or counts 0. Without a sample, and with a probability of NaN, nothing is
//! defined.

use serde::Serialize;

pub use super::ranking::PrecisionRecall;
use super::ranking::Ranking;
use super::scores::Score;
use super::{Metric, scores};

/// Samples with their labels, and the labels' probabilities; both row-major `[samples, labels]`.
#[derive(Clone, Copy, Debug)]
pub struct PredictedLabels<'a> {
    /// Labels that a sample can have.
    pub labels: usize,
    /// 1 where a sample has a label, else 0.
    pub truth: &'a [f64],
    /// How probable it is.
    pub probabilities: &'a [f64],
}

/// Precision, recall and F1 of labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelScores {
    /// One for each label.
    pub labels: Vec<Score>,
    /// Of all decisions on labels together.
    pub micro_average: Score,
    /// The mean over labels.
    pub macro_average: Score,
}

/// How well the probabilities of a label rank the samples.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedLabel {
    /// The area under the ROC curve.
    pub roc_auc: f64,
    /// The average precision.
    pub average_precision: f64,
    /// Precision and recall at each probability, from the highest down.
    pub curve: Vec<PrecisionRecall>,
}

impl PredictedLabels<'_> {
    /// The scores of each label. A label that is never predicted has precision 0, one that no sample has recall 0.
    ///
    /// # Panics
    ///
    /// If there is no label, or there is not one probability for each sample and label.
    pub fn scores(&self) -> LabelScores {
        let counts: Vec<[u64; 3]> = (0..self.labels).map(|label| self.counts(label)).collect();
        let mut all = [0; 3];
        for of_label in &counts {
            all.iter_mut().zip(of_label).for_each(|(sum, n)| *sum += n);
        }
        let score = |[support, predicted, found]: [u64; 3]| Score::new(support, predicted, found);
        let labels: Vec<Score> = counts.into_iter().map(score).collect();
        LabelScores {
            micro_average: score(all),
            macro_average: scores::mean(&labels),
            labels,
        }
    }

    /// The value of a metric of the task; the loss is not measured here. `None` if it is not defined.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        if self.truth.is_empty() || self.probabilities.iter().any(|p| p.is_nan()) {
            return None;
        }
        match metric {
            Metric::F1Micro => Some(self.scores().micro_average.f1),
            Metric::F1Macro => Some(self.scores().macro_average.f1),
            Metric::Accuracy => Some(self.accuracy()),
            Metric::RocAuc => self.mean_over_rankings(Ranking::roc_auc),
            Metric::AveragePrecision => self.mean_over_rankings(Ranking::average_precision),
            _ => None,
        }
    }

    /// How a label ranks the samples; `None` if all or none of them have it, or a probability is NaN.
    ///
    /// # Panics
    ///
    /// As [`PredictedLabels::scores`].
    pub fn ranked(&self, label: usize) -> Option<RankedLabel> {
        let ranking = self.ranking(label)?;
        Some(RankedLabel {
            roc_auc: ranking.roc_auc(),
            average_precision: ranking.average_precision(),
            curve: ranking.precision_recall(),
        })
    }

    /// The samples by the probability of a label; `None` if all or none have it.
    fn ranking(&self, label: usize) -> Option<Ranking> {
        Ranking::new(self.column(label).map(|(has, p)| (p, has)))
    }

    /// Samples that have a label, that are taken to have it, and both.
    fn counts(&self, label: usize) -> [u64; 3] {
        let mut counts = [0; 3];
        for (has, p) in self.column(label) {
            let is_predicted = p > 0.5;
            counts[0] += u64::from(has);
            counts[1] += u64::from(is_predicted);
            counts[2] += u64::from(has && is_predicted);
        }
        counts
    }

    /// Whether each sample has a label, and how probable that is.
    fn column(&self, label: usize) -> impl Iterator<Item = (bool, f64)> {
        assert!(
            self.truth.len() == self.probabilities.len()
                && self.truth.len().is_multiple_of(self.labels),
            "one probability a label, in whole rows"
        );
        let all = self.truth.iter().zip(self.probabilities);
        let column = all.skip(label).step_by(self.labels);
        column.map(|(&y, &p)| (y > 0.5, p))
    }

    fn accuracy(&self) -> f64 {
        let rows = self.truth.chunks_exact(self.labels);
        let rows = rows.zip(self.probabilities.chunks_exact(self.labels));
        let is_right = |(truth, row): &(&[f64], &[f64])| {
            let mut labels = truth.iter().zip(*row);
            labels.all(|(&y, &p)| (y > 0.5) == (p > 0.5))
        };
        let samples = self.truth.len() / self.labels;
        rows.filter(is_right).count() as f64 / samples as f64
    }

    fn mean_over_rankings(&self, score: fn(&Ranking) -> f64) -> Option<f64> {
        let rankings = (0..self.labels).filter_map(|label| self.ranking(label));
        let scores: Vec<f64> = rankings.map(|ranking| score(&ranking)).collect();
        (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: [Metric; 5] = [
        Metric::F1Micro,
        Metric::F1Macro,
        Metric::Accuracy,
        Metric::RocAuc,
        Metric::AveragePrecision,
    ];

    /// In Python, for scikit-learn 1.9.1, with `draws` as in the tests of regression's metrics:
    ///
    /// ```text
    /// r = draws(2 * n * k, seed).reshape(2, n, k)
    /// y, p = (r[0] % 100 < density).astype(int), (r[1] % levels) / levels
    /// d = (p > 0.5).astype(int)
    /// f1_score(y, d, average="micro", zero_division=0), f1_score(y, d, average="macro", zero_division=0),
    /// accuracy_score(y, d), mean(roc_auc_score), mean(average_precision_score)
    /// ```
    ///
    /// where `mean(f)` is that of `f(y[:, c], p[:, c])` over the columns of `y` that have both values.
    fn case(n: usize, k: usize, seed: u64, levels: u64, density: u64) -> (Vec<f64>, Vec<f64>) {
        let mut state = seed;
        let mut next = || {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            state >> 16
        };
        let truth = (0..n * k)
            .map(|_| f64::from(u8::from(next() % 100 < density)))
            .collect();
        let probability = |_| (next() % levels) as f64 / levels as f64;
        (truth, (0..n * k).map(probability).collect())
    }

    fn of<'a>(labels: usize, truth: &'a [f64], probabilities: &'a [f64]) -> PredictedLabels<'a> {
        PredictedLabels {
            labels,
            truth,
            probabilities,
        }
    }

    #[track_caller]
    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (x, y) in found.iter().zip(expected) {
            assert!((x - y).abs() <= 1e-14, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn values_are_those_of_scikit_learn() {
        let (truth, p) = case(1, 3, 1, 7, 50);
        let one = METRICS.map(|m| of(3, &truth, &p).get(m));
        assert_eq!(one, [Some(0.5), Some(1.0 / 3.0), Some(0.0), None, None]);
        let golden = [
            (
                (13, 1, 5, 5, 40),
                [
                    0.4,
                    0.4,
                    0.5384615384615384,
                    0.5499999999999999,
                    0.28327228327228327,
                ],
            ),
            (
                (53, 4, 7, 11, 30),
                [
                    0.32051282051282054,
                    0.3206914344685242,
                    0.07547169811320754,
                    0.4664948742348124,
                    0.3099459064922182,
                ],
            ),
            (
                (101, 7, 11, 1000, 10),
                [
                    0.15668202764976957,
                    0.155099525066911,
                    0.0,
                    0.4811063872759798,
                    0.14997540353132494,
                ],
            ),
            // Three labels that no sample has, and 27 samples without a label.
            (
                (31, 5, 17, 3, 3),
                [
                    0.07547169811320754,
                    0.07076923076923078,
                    0.22580645161290322,
                    0.6163793103448276,
                    0.09642209445902145,
                ],
            ),
        ];
        for ((n, k, seed, levels, density), expected) in golden {
            let (truth, p) = case(n, k, seed, levels, density);
            assert_close(
                &METRICS.map(|m| of(k, &truth, &p).get(m).unwrap()),
                &expected,
            );
        }
    }

    /// `precision_recall_fscore_support` with `zero_division=0`.
    #[test]
    fn scores_are_those_of_scikit_learn() {
        let (truth, p) = case(31, 5, 17, 3, 3);
        let found = of(5, &truth, &p).scores();
        let column = |of: fn(&Score) -> f64| -> Vec<f64> { found.labels.iter().map(of).collect() };
        assert_close(
            &column(|s| s.precision),
            &[0.125, 0.0, 0.09090909090909091, 0.0, 0.0],
        );
        assert_close(&column(|s| s.recall), &[0.5, 0.0, 0.5, 0.0, 0.0]);
        assert_close(
            &column(|s| s.f1),
            &[0.2, 0.0, 0.15384615384615385, 0.0, 0.0],
        );
        assert_close(&column(|s| s.support as f64), &[2.0, 0.0, 2.0, 0.0, 0.0]);
        let Score {
            precision,
            recall,
            f1,
            support,
        } = found.micro_average;
        assert_close(
            &[precision, recall, f1],
            &[0.04081632653061224, 0.5, 0.07547169811320754],
        );
        assert_eq!(support, 4);
        let Score {
            precision,
            recall,
            f1,
            ..
        } = found.macro_average;
        assert_close(
            &[precision, recall, f1],
            &[0.04318181818181818, 0.2, 0.07076923076923078],
        );
    }

    #[test]
    fn what_is_not_defined_has_no_value() {
        assert_eq!(METRICS.map(|m| of(2, &[], &[]).get(m)), [None; 5]);
        let diverged = [0.9, f64::NAN, 0.1, 0.2];
        assert_eq!(
            METRICS.map(|m| of(2, &[1.0, 0.0, 0.0, 1.0], &diverged).get(m)),
            [None; 5]
        );
        // Nobody has a label, and none is predicted.
        let nothing = METRICS.map(|m| of(2, &[0.0; 4], &[0.5; 4]).get(m));
        assert_eq!(nothing, [Some(0.0), Some(0.0), Some(1.0), None, None]);
    }

    #[test]
    fn perfect_probabilities_have_perfect_scores() {
        let truth = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        let p = truth.map(|y| 0.1 + 0.8 * y);
        assert_eq!(METRICS.map(|m| of(2, &truth, &p).get(m)), [Some(1.0); 5]);
    }
}
