//! Accuracy, precision, recall and F1, as scikit-learn's `classification_report` defines them.
//!
//! For one class, with true positives tp, false positives fp and false negatives fn:
//!
//! ```math
//! \text{precision} = \frac{tp}{tp + fp}, \qquad
//! \text{recall} = \frac{tp}{tp + fn}, \qquad
//! F_1 = \frac{2\, tp}{2\, tp + fp + fn}
//! ```
//!
//! Precision asks: of the samples predicted as this class, how many belong to it? Recall: of those that belong to it,
//! how many were found? F1 is the harmonic mean of both. 0/0 counts as 0: a class that was never predicted has
//! precision 0, one without samples has recall 0.
//!
//! The macro average is the mean over classes, each counting the same; the weighted average counts each by its support.
//! All classes enter, also those without samples.

use serde::Serialize;

use super::Confusion;

/// Scores of one class, or of an average over classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Share of the predictions of this class that are right.
    pub precision: f64,
    /// Share of the samples of this class that are found.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Number of samples.
    pub support: u64,
}

/// All scores of a confusion matrix.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// Share of all samples whose class was found.
    pub accuracy: f64,
    /// One for each class.
    pub classes: Vec<Score>,
    /// The mean over classes.
    pub macro_average: Score,
    /// The mean over classes, weighted by support.
    pub weighted_average: Score,
}

impl Scores {
    /// The scores of `confusion`.
    pub fn new(confusion: &Confusion) -> Self {
        let classes: Vec<Score> = (0..confusion.classes())
            .map(|class| class_score(confusion, class))
            .collect();
        Scores {
            accuracy: ratio(confusion.correct(), confusion.total()),
            macro_average: mean(&classes),
            weighted_average: average(&classes, |score| score.support as f64),
            classes,
        }
    }
}

impl Score {
    /// Of `support` samples of a class and `predicted` samples that are taken for it, of which `found` are both.
    pub(super) fn new(support: u64, predicted: u64, found: u64) -> Self {
        Score {
            precision: ratio(found, predicted),
            recall: ratio(found, support),
            f1: ratio(2 * found, support + predicted),
            support,
        }
    }
}

fn class_score(confusion: &Confusion, class: usize) -> Score {
    let (support, predicted) = (confusion.support(class), confusion.predicted(class));
    Score::new(support, predicted, confusion.count(class, class))
}

/// The mean of the scores, each counting the same.
pub(super) fn mean(scores: &[Score]) -> Score {
    average(scores, |_| 1.0)
}

fn average(scores: &[Score], weight: impl Fn(&Score) -> f64) -> Score {
    let total: f64 = scores.iter().map(&weight).sum();
    let mean = |value: fn(&Score) -> f64| {
        let sum: f64 = scores.iter().map(|s| weight(s) * value(s)).sum();
        if total > 0.0 { sum / total } else { 0.0 }
    };
    Score {
        precision: mean(|s| s.precision),
        recall: mean(|s| s.recall),
        f1: mean(|s| s.f1),
        support: scores.iter().map(|s| s.support).sum(),
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_score(score: &Score, precision: f64, recall: f64, f1: f64, support: u64) {
        for (found, expected) in [
            (score.precision, precision),
            (score.recall, recall),
            (score.f1, f1),
        ] {
            assert!(found.is_finite());
            assert!((found - expected).abs() <= 1e-15, "{found} {expected}");
        }
        assert_eq!(score.support, support);
    }

    /// ```text
    ///          predicted
    ///           0  1  2  3
    /// true 0    4  1  0  0    5
    ///      1    2  3  0  0    5
    ///      2    0  2  0  0    2
    ///      3    0  0  0  0    0
    ///           6  6  0  0   12
    /// ```
    #[test]
    fn a_matrix_worked_out_by_hand() {
        let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2];
        let predictions = [0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1];
        let scores = Scores::new(&Confusion::new(4, &labels, &predictions).unwrap());
        assert!((scores.accuracy - 7.0 / 12.0).abs() <= 1e-15);
        assert_score(&scores.classes[0], 4.0 / 6.0, 0.8, 8.0 / 11.0, 5);
        assert_score(&scores.classes[1], 0.5, 0.6, 6.0 / 11.0, 5);
        assert_score(&scores.classes[2], 0.0, 0.0, 0.0, 2);
        assert_score(&scores.classes[3], 0.0, 0.0, 0.0, 0);
        assert_score(&scores.macro_average, 7.0 / 24.0, 0.35, 14.0 / 44.0, 12);
        // precision (5·2/3 + 5·1/2)/12 = 35/72, recall (4 + 3)/12, F1 5·14/11/12
        assert_score(
            &scores.weighted_average,
            35.0 / 72.0,
            7.0 / 12.0,
            70.0 / 132.0,
            12,
        );
    }

    #[test]
    fn nothing_gives_zeros() {
        let scores = Scores::new(&Confusion::new(2, &[], &[]).unwrap());
        assert_eq!(scores.accuracy, 0.0);
        assert_score(&scores.macro_average, 0.0, 0.0, 0.0, 0);
        assert_score(&scores.weighted_average, 0.0, 0.0, 0.0, 0);
    }
}
