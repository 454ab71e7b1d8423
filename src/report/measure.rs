//! What the trials of a study are judged by.

use super::scale::Scale;
use crate::metrics::{PartMetric, format_value};

/// An axis of values is no shorter than this, so that small differences do not look large. Of values in a target's own
/// units it is a share of the largest one.
const SHORTEST_AXIS: f64 = 0.01;

/// The objective of a study.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure<'a> {
    /// A metric.
    Metric(PartMetric),
    /// A value that another program has named.
    Other(&'a str),
}

impl<'a> Measure<'a> {
    /// The measure with this name in the study file.
    pub(super) fn from_name(name: &'a str) -> Self {
        PartMetric::from_name(name).map_or(Measure::Other(name), Measure::Metric)
    }

    /// The name in files.
    pub(super) fn name(self) -> String {
        match self {
            Measure::Metric(metric) => metric.name(),
            Measure::Other(name) => name.to_owned(),
        }
    }

    /// The name for readers.
    pub(super) fn title(self) -> String {
        match self {
            Measure::Metric(metric) => metric.title(),
            Measure::Other(name) => name.to_owned(),
        }
    }

    /// A value as text.
    pub(super) fn format(self, value: f64) -> String {
        match self {
            Measure::Metric(PartMetric { metric, .. }) => metric.format(value),
            Measure::Other(_) => format_value(value),
        }
    }

    /// An axis that holds all values, and no place that none of them can have.
    pub(super) fn axis(self, values: impl IntoIterator<Item = f64>) -> Scale {
        let values: Vec<f64> = values.into_iter().collect();
        let least = match self {
            Measure::Metric(of_part) if of_part.metric.is_in_units() => {
                let finite = values.iter().filter(|x| x.is_finite());
                SHORTEST_AXIS * finite.fold(0.0, |most: f64, x| most.max(x.abs()))
            }
            _ => SHORTEST_AXIS,
        };
        match Scale::around(values.iter().copied(), least) {
            Scale::Linear { low, high } => {
                let (least, most) = self.limits();
                let (low, high) = (low.max(least), high.min(most));
                // A file may hold any number.
                Scale::Linear { low, high }.holding(values)
            }
            other => other,
        }
    }

    /// The least and the greatest value that it can have.
    pub(super) fn limits(self) -> (f64, f64) {
        match self {
            Measure::Metric(PartMetric { metric, .. }) => metric.limits(),
            Measure::Other(_) => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_programs_stay_as_they_are() {
        let (ours, other) = (Measure::from_name("val_loss"), Measure::from_name("value"));
        assert_eq!(
            (ours.name(), ours.title()),
            ("val_loss".into(), "validation loss".into())
        );
        assert_eq!(
            (other.name(), other.title()),
            ("value".into(), "value".into())
        );
        assert_eq!(ours.format(0.5), other.format(0.5));
        assert_eq!(ours.limits().0, 0.0);
    }

    #[test]
    fn an_axis_ends_where_its_values_must() {
        let axis = |name, values: &[f64]| Measure::from_name(name).axis(values.iter().copied());
        let linear = |low, high| Scale::Linear { low, high };
        assert_eq!(axis("val_accuracy", &[1.0, 1.0]), linear(0.99, 1.0));
        assert_eq!(axis("val_loss", &[0.0]).place(0.0), 0.0);
        assert_eq!(axis("value", &[0.0]).place(0.0), 0.5);
        assert_eq!(axis("val_rmse", &[2e-6, 1e-6]), linear(1e-6, 2e-6));
        assert_eq!(axis("val_rmse", &[5e6, 5e6]), linear(4.96e6, 5.04e6));
        assert_eq!(axis("val_r2", &[-3.0, 0.9]), linear(-3.0, 1.0));
        assert_eq!(axis("val_accuracy", &[0.5, 1.5]).inside(1.5), Some(1.0));
    }
}
