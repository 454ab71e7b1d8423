//! Data sets from arrays in memory, for programs that use the library.

use std::path::PathBuf;

use ndarray::ArrayView2;

use super::parts::{Parts, numbered};
use super::{Dataset, Features, Labels, MAX_CLASSES, Samples, Table, Task};
use crate::error::{Error, Result};
use crate::real::Real;

impl Samples {
    /// The rows of `x` `[samples, features]`, without labels. f32 and f64 keep their type.
    ///
    /// # Errors
    /// If `x` has no column, or a value is not finite.
    pub fn from_array<R: Real>(x: ArrayView2<'_, R>) -> Result<Samples> {
        let width = x.ncols();
        if width == 0 {
            return Err(Error::shape("x", "at least one column", "none"));
        }
        let values = x.iter().map(|v| v.to_f64());
        let features = if R::NAME == "f32" {
            Features::F32(values.map(|v| v as f32).collect())
        } else {
            Features::F64(values.collect())
        };
        let samples = Samples {
            features,
            width,
            labels: Labels::default(),
            weights: None,
        };
        samples.check_values(width)?;
        Ok(samples)
    }
}

impl Dataset {
    /// A data set of the rows of `x` `[samples, features]`, with one label per row, in `0..classes`.
    ///
    /// # Errors
    /// If `x` has no row, if the number of labels differs from that of rows, or if there are fewer than two or
    /// more than 65536 classes. Also as [`Samples::from_array`].
    pub fn from_arrays<R: Real>(x: ArrayView2<'_, R>, labels: &[u32]) -> Result<Dataset> {
        let names = numbered(labels.iter());
        Self::in_memory(x, labels.to_vec().into(), Task::Classification, names)
    }

    /// A data set of the rows of `x` `[samples, features]` with one or several numbers each, y `[samples, targets]`:
    /// those to predict ([`Task::Regression`]), or 0 and 1 for several labels ([`Task::Multilabel`]).
    ///
    /// # Errors
    /// If `x` has no row, y has another number of rows, no column, or a number that is not finite or no label, or the
    /// task is classification. Also as [`Samples::from_array`].
    pub fn from_values<R: Real>(
        x: ArrayView2<'_, R>,
        y: ArrayView2<'_, f64>,
        task: Task,
    ) -> Result<Dataset> {
        let is_label = |y: &f64| *y == 0.0 || *y == 1.0;
        let (fits, expected) = match task {
            Task::Classification => (false, "a task of values, not classification"),
            Task::Regression => (y.ncols() > 0, "at least one column"),
            Task::Multilabel => (y.ncols() > 0 && y.iter().all(is_label), "labels of 0 and 1"),
        };
        if !fits {
            return Err(Error::shape("y", expected, format!("{:?}", y.dim())));
        }
        let labels = Labels::Values {
            values: y.iter().copied().collect(),
            columns: y.ncols(),
        };
        let names = (0..y.ncols()).map(|column| format!("y{column}"));
        Self::in_memory(x, labels, task, names.collect())
    }

    fn in_memory<R: Real>(
        x: ArrayView2<'_, R>,
        labels: Labels,
        task: Task,
        class_names: Vec<String>,
    ) -> Result<Dataset> {
        let mut train = Samples::from_array(x)?;
        if labels.len() != x.nrows() {
            let found = format!("{} for x of shape {:?}", labels.len(), x.dim());
            return Err(Error::shape("labels", "one per row of x", found));
        }
        if labels.is_empty() {
            return Err(Error::shape("x", "at least one row", "none"));
        }
        train.labels = labels;
        train.check_labels(match task {
            Task::Classification => MAX_CLASSES,
            Task::Regression | Task::Multilabel => class_names.len(),
        })?;
        let parts = Parts {
            train,
            validation: None,
            test: None,
            task,
            class_names,
            unseen: Vec::new(),
            table: Some(Table::unnamed(x.ncols())),
            image: None,
            name: Some("arrays"),
            notices: Vec::new(),
        };
        let path = PathBuf::from("memory");
        parts.check_classes(&path)?;
        Ok(parts.into_dataset(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn keeps_values_and_their_width() {
        let x = array![[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let data = Dataset::from_arrays(x.view(), &[2, 0]).unwrap();
        assert_eq!(
            data.train.features,
            Features::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        );
        assert_eq!((data.train.width, data.classes()), (3, 3));
        // A transposed view is read in its own order.
        let data = Dataset::from_arrays(x.mapv(f64::from).t(), &[0, 1, 1]).unwrap();
        assert_eq!(
            data.train.features,
            Features::F64(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0])
        );
    }

    #[test]
    fn invalid_arrays_are_refused() {
        let x = Array2::<f32>::zeros((2, 3));
        assert!(Dataset::from_arrays(x.view(), &[0]).is_err());
        assert!(
            Dataset::from_arrays(x.view(), &[0, 0]).is_err(),
            "one class"
        );
        assert!(Dataset::from_arrays(x.mapv(|_| f32::NAN).view(), &[0, 1]).is_err());
        assert!(Dataset::from_arrays(x.view(), &[0, u32::MAX]).is_err());
        assert!(Dataset::from_arrays(Array2::<f32>::zeros((0, 3)).view(), &[]).is_err());
        assert!(Dataset::from_arrays(Array2::<f32>::zeros((2, 0)).view(), &[0, 1]).is_err());
    }

    /// The fields of a data set are public, so they may hold anything.
    #[test]
    fn a_data_set_put_together_by_hand_is_checked() {
        let x = Array2::<f32>::zeros((4, 3));
        let sound = Dataset::from_arrays(x.view(), &[0, 1, 1, 0]).unwrap();
        sound.check().unwrap();
        let refused = |word: &str, change: fn(&mut Dataset)| {
            let mut data = sound.clone();
            change(&mut data);
            let error = data.check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused("classes below 2", |data| {
            data.train.labels.classes_mut()[3] = 2
        });
        refused("one for each sample", |data| {
            data.train.labels = vec![0].into()
        });
        refused("a multiple of 3", |data| {
            data.train.features = Features::U8(vec![0; 7])
        });
        refused("values each", |data| data.train.width = 0);
        refused("finite", |data| {
            data.table = None;
            data.train.features = Features::F64([0.0; 11].into_iter().chain([f64::NAN]).collect());
        });
        refused("at least one", |data| {
            data.train.features = Features::U8(Vec::new());
            data.train.labels = Labels::default();
        });
        refused("3 pixels", |data| {
            data.image = Some(crate::data::ImageShape {
                height: 2,
                width: 1,
            });
        });
        refused("3 values each", |data| {
            let mut test = data.train.clone();
            test.width = 4;
            data.test = Some(test);
        });
    }
}
