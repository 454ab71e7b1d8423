//! A data set in numbers, as `data info` prints it.

use std::path::PathBuf;

use super::{Dataset, Features, Fitted, ImageShape, Labels, Samples, Schema, Task};
use crate::error::Result;

/// A data set in numbers.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DatasetDescription {
    /// "Fashion-MNIST", or the name of the file or folder.
    pub name: String,
    /// Where it was read from.
    pub path: PathBuf,
    /// SHA-256 over the training and validation parts.
    pub hash: String,
    /// Values per sample.
    pub width: usize,
    /// Set if the samples are images.
    pub image: Option<ImageShape>,
    /// The training, validation and test part, as far as they exist.
    pub parts: Vec<PartDescription>,
    /// The columns of a table, as fitted on the training rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// What is to be predicted.
    #[serde(skip_serializing_if = "Task::is_classification")]
    pub task: Task,
    /// One name per class; without classes one per number to predict, or per label.
    pub class_names: Vec<String>,
    /// What the user should know about how the source was read.
    pub notices: Vec<String>,
}

/// One part of a data set in numbers.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PartDescription {
    /// "train", "validation" or "test".
    pub name: &'static str,
    /// Number of samples.
    pub samples: usize,
    /// "u8", "f32" or "f64".
    pub dtype: &'static str,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// Number of samples of each class, or of those that have each label. None for numbers to predict.
    pub class_counts: Vec<usize>,
    /// Each number to predict. None for classes and labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetDescription>,
}

/// A number to predict, over the samples of a part.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TargetDescription {
    /// The smallest.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The largest.
    pub max: f64,
}

impl DatasetDescription {
    /// Describes a data set.
    ///
    /// # Errors
    /// As [`Dataset::check`].
    pub fn of(data: &Dataset) -> Result<Self> {
        data.check()?;
        let parts = [
            ("train", Some(&data.train)),
            ("validation", data.validation.as_ref()),
            ("test", data.test.as_ref()),
        ];
        let describe = |(name, part): (_, Option<&Samples>)| {
            let samples = part?;
            let (min, max) = range(&samples.features);
            Some(PartDescription {
                name,
                samples: samples.len(),
                dtype: samples.features.dtype(),
                min,
                max,
                class_counts: match &samples.labels {
                    Labels::Classes(labels) => class_counts(labels, data.classes()),
                    Labels::Values { .. } if data.task == Task::Regression => Vec::new(),
                    labels => columns(labels).map(|column| count_ones(&column)).collect(),
                },
                targets: match data.task {
                    Task::Regression => columns(&samples.labels)
                        .map(|column| TargetDescription::of(&column))
                        .collect(),
                    Task::Classification | Task::Multilabel => Vec::new(),
                },
            })
        };
        Ok(DatasetDescription {
            name: data.name.clone(),
            path: data.path.clone(),
            hash: data.hash.clone(),
            width: data.train.width,
            image: data.image,
            parts: parts.into_iter().filter_map(describe).collect(),
            task: data.task,
            class_names: data.class_names.clone(),
            schema: None,
            notices: data.notices.clone(),
        })
    }

    /// Describes a data set with the columns of its table.
    ///
    /// # Errors
    /// As [`Dataset::check`].
    pub fn of_fitted(fitted: &Fitted) -> Result<Self> {
        let mut description = Self::of(fitted.data())?;
        description.schema = fitted.schema().cloned();
        description.notices.extend_from_slice(fitted.notices());
        Ok(description)
    }

    /// The sizes of the parts: "60000 train, 10000 test".
    pub fn counts(&self) -> String {
        let parts = self.parts.iter();
        let counts: Vec<String> = parts.map(|p| format!("{} {}", p.samples, p.name)).collect();
        counts.join(", ")
    }
}

/// The numbers of each column of values.
fn columns(labels: &Labels) -> impl Iterator<Item = Vec<f64>> {
    let columns = match labels {
        Labels::Classes(_) => 0,
        Labels::Values { columns, .. } => *columns,
    };
    (0..columns).map(move |column| {
        let column = labels.values().iter().skip(column).step_by(columns);
        column.copied().collect()
    })
}

fn count_ones(column: &[f64]) -> usize {
    column.iter().filter(|&&x| x == 1.0).count()
}

impl TargetDescription {
    fn of(column: &[f64]) -> Self {
        let count = column.len() as f64;
        TargetDescription {
            min: column.iter().copied().fold(f64::INFINITY, f64::min),
            mean: column.iter().map(|y| y / count).sum(),
            max: column.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// The number of labels of each class. Other labels are not counted.
fn class_counts(labels: &[u32], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    for &label in labels {
        if let Some(count) = counts.get_mut(label as usize) {
            *count += 1;
        }
    }
    counts
}

/// The smallest and the largest value.
pub(super) fn range(features: &Features) -> (f64, f64) {
    fn of<T: Copy>(values: &[T], to_f64: impl Fn(T) -> f64) -> (f64, f64) {
        let mut range = (f64::INFINITY, f64::NEG_INFINITY);
        for &value in values {
            let value = to_f64(value);
            range = (range.0.min(value), range.1.max(value));
        }
        range
    }
    match features {
        Features::U8(values) => of(values, f64::from),
        Features::F32(values) => of(values, f64::from),
        Features::F64(values) => of(values, |x| x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_ranges_of_each_part() {
        let part = |features: Features, labels: &[u32]| Samples {
            features,
            width: 2,
            labels: labels.to_vec().into(),
            weights: None,
        };
        let mut data = Dataset {
            train: part(
                Features::F32(vec![0.5, -3.0, 2.0, 1.0, 0.0, 0.0]),
                &[2, 0, 2],
            ),
            validation: None,
            test: Some(part(Features::U8(vec![7, 9]), &[1])),
            task: Task::Classification,
            class_names: ["a", "b", "c"].map(str::to_owned).to_vec(),
            unseen: Vec::new(),
            table: None,
            image: None,
            path: PathBuf::from("p"),
            name: "n".to_owned(),
            hash: "h".to_owned(),
            notices: Vec::new(),
        };
        let description = DatasetDescription::of(&data).unwrap();
        assert_eq!(description.counts(), "3 train, 1 test");
        let [train, test] = &description.parts[..] else {
            panic!("two parts")
        };
        assert_eq!((train.min, train.max, train.dtype), (-3.0, 2.0, "f32"));
        assert_eq!(train.class_counts, [1, 0, 2]);
        assert_eq!((test.min, test.max, test.dtype), (7.0, 9.0, "u8"));
        assert_eq!(test.class_counts, [0, 1, 0]);
        data.train.labels.classes_mut()[1] = 3;
        let error = DatasetDescription::of(&data).unwrap_err();
        assert_eq!(error.exit_code(), 2, "no such class");
    }
}
