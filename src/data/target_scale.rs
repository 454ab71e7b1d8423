//! Numbers to predict, standardised for the network.

use serde::{Deserialize, Serialize};

use super::Labels;
use crate::real::square;

/// What standardises the numbers to predict: a column y becomes `$(y - \mathrm{mean}) / \mathrm{scale}$`.
///
/// The scale is the standard deviation (divided by n, as scikit-learn's `StandardScaler`). A constant column has
/// scale 1, so that all its targets are 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetScale {
    /// Of each column.
    pub mean: Vec<f64>,
    /// Of each column, above 0.
    pub scale: Vec<f64>,
}

impl TargetScale {
    /// Fits on the rows `rows` of the labels; `None` if they are classes.
    pub fn fit(labels: &Labels, rows: &[u32]) -> Option<Self> {
        let Labels::Values { values, columns } = labels else {
            return None;
        };
        let n = rows.len().max(1) as f64;
        let column = |column: usize| {
            let values = || {
                rows.iter()
                    .map(|&row| values[row as usize * columns + column])
            };
            let first = values().next().unwrap_or(0.0);
            // The first value is taken off, so that large numbers with small differences keep their digits.
            let mean = first + values().map(|y| y - first).sum::<f64>() / n;
            // Relative to the largest deviation, so that no square overflows or vanishes.
            let largest = values().fold(0.0, |most: f64, y| most.max((y - mean).abs()));
            let squares = values().map(|y| square((y - mean) / largest));
            let is_constant = values().all(|y| y == first);
            match !is_constant && largest > 0.0 {
                true => (mean, largest * (squares.sum::<f64>() / n).sqrt()),
                false => (mean, 1.0),
            }
        };
        let (mean, scale) = (0..*columns).map(column).unzip();
        Some(TargetScale { mean, scale })
    }

    /// The first column whose numbers are too large for a mean and a deviation.
    pub(crate) fn overflow(&self) -> Option<usize> {
        let mut both = self.mean.iter().zip(&self.scale);
        both.position(|(mean, scale)| !(mean.is_finite() && scale.is_finite()))
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.mean.len()
    }

    /// Rows of numbers in their own units as the network's targets.
    pub fn standardise(&self, rows: &mut [f64]) {
        for row in rows.chunks_exact_mut(self.columns()) {
            for ((y, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *y = (*y - mean) / scale;
            }
        }
    }

    /// The reverse: the network's outputs in their own units.
    pub fn restore(&self, rows: &mut [f64]) {
        for row in rows.chunks_exact_mut(self.columns()) {
            for ((y, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *y = *y * scale + mean;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64], columns: usize) -> Labels {
        Labels::Values {
            values: values.to_vec(),
            columns,
        }
    }

    #[test]
    fn columns_are_standardised_by_the_chosen_rows_alone() {
        let labels = labels(&[1.0, 5.0, 3.0, 5.0, 1e9, 7.0], 2);
        let scale = TargetScale::fit(&labels, &[0, 1]).unwrap();
        assert_eq!(
            (&scale.mean[..], &scale.scale[..]),
            (&[2.0, 5.0][..], &[1.0, 1.0][..])
        );
        let mut rows = vec![1.0, 5.0, 4.0, 6.5];
        scale.standardise(&mut rows);
        assert_eq!(rows, [-1.0, 0.0, 2.0, 1.5]);
        scale.restore(&mut rows);
        assert_eq!(rows, [1.0, 5.0, 4.0, 6.5]);
        assert_eq!(TargetScale::fit(&Labels::default(), &[]), None);
    }

    /// A mean of many equal numbers is rounded; its differences to them are no spread.
    #[test]
    fn a_constant_column_has_scale_1() {
        for value in [0.1, 1e300, -7.3e-12, 5e-324] {
            let labels = labels(&vec![value; 1000], 1);
            let rows: Vec<u32> = (0..1000).collect();
            let scale = TargetScale::fit(&labels, &rows).unwrap();
            assert_eq!((scale.mean[0], scale.scale[0]), (value, 1.0));
        }
    }

    #[test]
    fn numbers_of_any_size() {
        for size in [1e300, 1e-300] {
            let labels = labels(&[-size, size], 1);
            let scale = TargetScale::fit(&labels, &[0, 1]).unwrap();
            assert!((scale.scale[0] / size - 1.0).abs() < 1e-15, "{scale:?}");
            assert_eq!(scale.overflow(), None);
        }
        let scale = TargetScale::fit(&labels(&[f64::MAX, -f64::MAX], 1), &[0, 1]).unwrap();
        assert_eq!(scale.overflow(), Some(0));
    }

    #[test]
    fn large_numbers_keep_their_small_differences() {
        let labels = labels(&[1e15, 1e15 + 2.0, 1e15 + 4.0], 1);
        let scale = TargetScale::fit(&labels, &[0, 1, 2]).unwrap();
        assert_eq!(scale.mean[0], 1e15 + 2.0);
        assert!((scale.scale[0] - (8.0f64 / 3.0).sqrt()).abs() < 1e-12);
    }
}
