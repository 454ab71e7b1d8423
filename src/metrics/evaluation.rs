//! What a model comes to on some samples: a value for each metric.

use std::cmp::Ordering;

use super::Metric;

/// The metrics of a model on some samples. A metric that was not measured has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// In the order of [`Metric::ALL`].
    values: [Option<f64>; Metric::ALL.len()],
}

impl Evaluation {
    /// These values; other metrics were not measured.
    pub fn new(measured: impl IntoIterator<Item = (Metric, f64)>) -> Self {
        let values = [None; Metric::ALL.len()];
        let mut evaluation = Evaluation { values };
        evaluation.extend(measured);
        evaluation
    }

    /// Measures more metrics.
    pub fn extend(&mut self, measured: impl IntoIterator<Item = (Metric, f64)>) {
        for (metric, value) in measured {
            self.values[metric as usize] = Some(value);
        }
    }

    /// The values that `find` has; `None` if it has none.
    pub fn measured(find: impl Fn(Metric) -> Option<f64>) -> Option<Self> {
        let values = Metric::ALL.map(find);
        let any = values.iter().any(Option::is_some);
        any.then_some(Evaluation { values })
    }

    /// The value of a metric.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.values[metric as usize]
    }

    /// The loss; NaN if it was not measured.
    pub fn loss(&self) -> f64 {
        self.get(Metric::Loss).unwrap_or(f64::NAN)
    }

    /// Whether this is strictly better by `metric`, and by its tie breaker where that is equal.
    ///
    /// A value that is absent or NaN counts as the worst.
    pub fn beats(&self, other: &Evaluation, metric: Metric) -> bool {
        let cost = |evaluation: &Evaluation| {
            let value = evaluation.get(metric).filter(|x| !x.is_nan());
            value.map_or(f64::INFINITY, |x| metric.direction().cost(x))
        };
        match cost(self).partial_cmp(&cost(other)) {
            Some(Ordering::Equal) => {
                let next = metric.tie_breaker();
                next.is_some_and(|metric| self.beats(other, metric))
            }
            order => order == Some(Ordering::Less),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(accuracy: f64, loss: Option<f64>) -> Evaluation {
        let loss = loss.map(|loss| (Metric::Loss, loss));
        Evaluation::new([(Metric::Accuracy, accuracy)].into_iter().chain(loss))
    }

    #[test]
    fn values_are_found_by_their_metric() {
        let found = evaluation(0.75, Some(0.5));
        assert_eq!(found.get(Metric::Accuracy), Some(0.75));
        assert_eq!(found.get(Metric::Loss), Some(0.5));
        assert_eq!(found.loss(), 0.5);
        assert_eq!(
            Evaluation::measured(|metric| found.get(metric)),
            Some(found)
        );
        assert_eq!(Evaluation::measured(|_| None), None);
    }

    #[test]
    fn equal_accuracies_are_told_apart_by_the_loss() {
        let beats = |a: (f64, f64), b: (f64, f64), metric| {
            evaluation(a.0, Some(a.1)).beats(&evaluation(b.0, Some(b.1)), metric)
        };
        assert!(beats((0.9, 2.0), (0.8, 1.0), Metric::Accuracy));
        assert!(!beats((0.8, 1.0), (0.9, 2.0), Metric::Accuracy));
        assert!(beats((0.9, 0.5), (0.9, 0.6), Metric::Accuracy));
        assert!(!beats((0.9, 0.6), (0.9, 0.5), Metric::Accuracy));
        assert!(!beats((0.9, 0.5), (0.9, 0.5), Metric::Accuracy));
        assert!(beats((0.1, 0.5), (0.9, 0.6), Metric::Loss));
        assert!(!beats((0.9, 0.5), (0.1, 0.5), Metric::Loss));
    }

    #[test]
    fn what_is_no_number_is_the_worst() {
        for none in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            for metric in Metric::ALL {
                let (worse, finite) = (evaluation(0.9, none), evaluation(0.9, Some(9.0)));
                assert!(finite.beats(&worse, metric) && !worse.beats(&finite, metric));
                assert!(!worse.beats(&worse, metric));
            }
        }
    }
}
