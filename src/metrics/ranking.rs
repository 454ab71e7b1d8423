//! How well scores rank the samples of a class above all others, as scikit-learn's `roc_auc_score` and
//! `average_precision_score` define it.
//!
//! P samples are of the class, the positives, and N are not.
//! The area under the ROC curve is the share of pairs that the scores rank rightly; a tie counts half (Hanley, McNeil,
//! “The meaning and use of the area under a receiver operating characteristic curve”, Radiology 143, 1982):
//!
//! ```math
//! \text{AUC} = \frac{1}{P N} \sum_{i \in \text{pos}} \sum_{j \in \text{neg}}
//!   \Big( [s_i > s_j] + \tfrac12 [s_i = s_j] \Big)
//! ```
//!
//! For average precision the samples are taken from the highest score down, equal scores together. After the n-th
//! step the precision is `$p_n$`, and the share of the positives found is `$r_n$`:
//!
//! ```math
//! \text{AP} = \sum_n (r_n - r_{n-1})\, p_n
//! ```
//!
//! Both need a positive and a negative sample. With only one kind they are not defined.

/// What comes of taking the samples with at least a score for positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecall {
    /// The score.
    pub threshold: f64,
    /// Share of the samples taken that are positive.
    pub precision: f64,
    /// Share of the positives that are taken.
    pub recall: f64,
}

/// Positives and negatives by their score, from the highest score down.
#[derive(Clone, Debug)]
pub(super) struct Ranking {
    /// How many positives and negatives have the same score.
    ties: Vec<[u64; 2]>,
    /// The score that they have.
    scores: Vec<f64>,
    /// All positives and negatives.
    totals: [u64; 2],
}

impl Ranking {
    /// A score and whether the sample is positive, for each sample. `None` if there are only samples of one kind, or a
    /// score is NaN.
    pub(super) fn new(samples: impl IntoIterator<Item = (f64, bool)>) -> Option<Self> {
        let mut samples: Vec<(f64, bool)> = samples.into_iter().collect();
        if samples.iter().any(|(score, _)| score.is_nan()) {
            return None;
        }
        samples.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let count = |samples: &[(f64, bool)]| {
            let positives = samples.iter().filter(|(_, positive)| *positive).count();
            [positives as u64, (samples.len() - positives) as u64]
        };
        let totals = count(&samples);
        let tied = || samples.chunk_by(|a, b| a.0 == b.0);
        (!totals.contains(&0)).then(|| Ranking {
            ties: tied().map(count).collect(),
            scores: tied().map(|samples| samples[0].0).collect(),
            totals,
        })
    }

    /// The area under the ROC curve.
    pub(super) fn roc_auc(&self) -> f64 {
        let [positives, negatives] = self.totals;
        let mut below = negatives;
        // In halves, so that the count is exact.
        let mut halves: u128 = 0;
        for &[tied_positives, tied_negatives] in &self.ties {
            below -= tied_negatives;
            halves += u128::from(tied_positives) * u128::from(2 * below + tied_negatives);
        }
        halves as f64 / (2.0 * positives as f64 * negatives as f64)
    }

    /// Precision and recall if all samples from a score on are taken, for each score from the highest down.
    pub(super) fn precision_recall(&self) -> Vec<PrecisionRecall> {
        let (mut found, mut taken) = (0, 0);
        let step = |(&[positives, negatives], &threshold): (&[u64; 2], &f64)| {
            found += positives;
            taken += positives + negatives;
            PrecisionRecall {
                threshold,
                precision: found as f64 / taken as f64,
                recall: found as f64 / self.totals[0] as f64,
            }
        };
        self.ties.iter().zip(&self.scores).map(step).collect()
    }

    /// The average precision.
    pub(super) fn average_precision(&self) -> f64 {
        let (mut found, mut taken, mut sum) = (0, 0, 0.0);
        for &[positives, negatives] in &self.ties {
            found += positives;
            taken += positives + negatives;
            sum += positives as f64 * (found as f64 / taken as f64);
        }
        sum / self.totals[0] as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(positives: &[f64], negatives: &[f64]) -> Option<Ranking> {
        let positives = positives.iter().map(|&score| (score, true));
        Ranking::new(positives.chain(negatives.iter().map(|&score| (score, false))))
    }

    /// Three of four pairs are ranked rightly; the precisions where a positive is found are 1 and 2/3.
    #[test]
    fn four_samples_by_hand() {
        let found = ranking(&[0.8, 0.35], &[0.4, 0.1]).unwrap();
        assert_eq!(found.roc_auc(), 0.75);
        assert!((found.average_precision() - (1.0 + 2.0 / 3.0) / 2.0).abs() <= 1e-15);
    }

    /// `precision_recall_curve` of scikit-learn has the same points, and (1, 0) at the other end.
    #[test]
    fn a_curve_goes_from_the_highest_score_down() {
        let points = ranking(&[0.8, 0.4], &[0.4, 0.1])
            .unwrap()
            .precision_recall();
        let point = |threshold, precision, recall| PrecisionRecall {
            threshold,
            precision,
            recall,
        };
        let expected = [
            point(0.8, 1.0, 0.5),
            point(0.4, 2.0 / 3.0, 1.0),
            point(0.1, 0.5, 1.0),
        ];
        assert_eq!(points, expected);
    }

    #[test]
    fn equal_scores_say_nothing() {
        let found = ranking(&[0.5; 3], &[0.5; 5]).unwrap();
        assert_eq!((found.roc_auc(), found.average_precision()), (0.5, 0.375));
        // Zero has no sign here.
        assert_eq!(ranking(&[-0.0], &[0.0]).unwrap().roc_auc(), 0.5);
    }

    #[test]
    fn a_perfect_and_a_reversed_order_are_the_ends() {
        let (high, low) = ([0.9, 0.8], [0.2, 0.1, f64::NEG_INFINITY]);
        let best = ranking(&high, &low).unwrap();
        assert_eq!((best.roc_auc(), best.average_precision()), (1.0, 1.0));
        assert_eq!(ranking(&low, &high).unwrap().roc_auc(), 0.0);
    }

    #[test]
    fn one_kind_or_no_number_is_not_defined() {
        assert!(ranking(&[], &[]).is_none());
        assert!(ranking(&[0.5], &[]).is_none() && ranking(&[], &[0.5]).is_none());
        assert!(ranking(&[f64::NAN], &[0.5]).is_none());
    }
}
