//! What a run's training part holds.

use std::sync::Arc;

use crate::data::{Dataset, Features, Fitted, Labels, Samples, Task};
use crate::error::Result;

/// What there is to know of a training part.
pub(super) struct SampleFacts {
    /// Each class with its samples; without classes each output with none.
    pub(super) class_counts: Vec<(String, usize)>,
    pub(super) is_classification: bool,
    pub(super) is_table: bool,
    /// Features: the columns of a table, pixels, or other values.
    pub(super) features: usize,
    /// The names of those that never vary.
    pub(super) constant: Vec<String>,
}

impl SampleFacts {
    pub(super) fn of(data: Arc<Dataset>, rows: &[u32], bins: Option<u32>) -> Result<Self> {
        let mut class_counts: Vec<(String, usize)> = data
            .class_names
            .iter()
            .map(|name| (name.clone(), 0))
            .collect();
        if let Labels::Classes(classes) = &data.train.labels {
            for &row in rows {
                if let Some((_, count)) = class_counts.get_mut(classes[row as usize] as usize) {
                    *count += 1;
                }
            }
        }
        let (is_classification, is_table) = (data.task == Task::Classification, data.is_table());
        let fitted = Fitted::new(data, rows, bins)?;
        // A column of a table may be several inputs.
        let mut features: Vec<(String, bool)> = Vec::new();
        for (input, varies) in varies(fitted.train(), rows).into_iter().enumerate() {
            let name = fitted.input_name(input);
            match features.last_mut().filter(|last| last.0 == name) {
                Some((_, any)) => *any |= varies,
                None => features.push((name, varies)),
            }
        }
        Ok(SampleFacts {
            class_counts,
            is_classification,
            is_table,
            features: features.len(),
            constant: features.into_iter().filter(|f| !f.1).map(|f| f.0).collect(),
        })
    }
}

/// Whether each input has two values among these rows.
fn varies(samples: &Samples, rows: &[u32]) -> Vec<bool> {
    fn of<T: PartialEq>(values: &[T], width: usize, rows: &[u32]) -> Vec<bool> {
        let row = |row: u32| &values[row as usize * width..][..width];
        let mut varies = vec![false; width];
        if let Some((&first, others)) = rows.split_first() {
            for &other in others {
                let pairs = row(other).iter().zip(row(first));
                varies
                    .iter_mut()
                    .zip(pairs)
                    .for_each(|(varies, (x, y))| *varies |= x != y);
            }
        }
        varies
    }
    match &samples.features {
        Features::U8(values) => of(values, samples.width, rows),
        Features::F32(values) => of(values, samples.width, rows),
        Features::F64(values) => of(values, samples.width, rows),
    }
}
