//! Some of the rows of samples.

use super::{Features, Samples};

impl Samples {
    /// The rows with these numbers, in this order.
    pub(super) fn select(&self, rows: &[u32]) -> Samples {
        let width = self.width;
        Samples {
            features: match &self.features {
                Features::U8(values) => Features::U8(take_rows(values, width, rows)),
                Features::F32(values) => Features::F32(take_rows(values, width, rows)),
                Features::F64(values) => Features::F64(take_rows(values, width, rows)),
            },
            width,
            labels: self.labels.select(rows),
            weights: (self.weights.as_ref()).map(|weights| take_rows(weights, 1, rows)),
        }
    }

    /// All rows but these, which ascend.
    pub(super) fn without(&self, rows: &[u32]) -> Samples {
        let is_left = |row: &u32| rows.binary_search(row).is_err();
        let left: Vec<u32> = (0..self.len() as u32).filter(is_left).collect();
        self.select(&left)
    }
}

fn take_rows<T: Copy>(values: &[T], width: usize, rows: &[u32]) -> Vec<T> {
    let mut taken = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        taken.extend_from_slice(&values[row as usize * width..][..width]);
    }
    taken
}
