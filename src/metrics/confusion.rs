//! The confusion matrix.

use crate::error::{Error, Result};

/// The largest number of classes: the counts then take 134 MB.
const MAX_CLASSES: usize = 4096;

/// Counts of samples by true and predicted class: `[classes, classes]`, rows true, columns predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// Counts the pairs. The two slices must be equally long, and every value less than `classes`. There may be 4096
    /// classes.
    pub fn new(classes: usize, labels: &[u32], predictions: &[u32]) -> Result<Self> {
        Self::check_classes(classes)?;
        if labels.len() != predictions.len() {
            return Err(Error::shape(
                "predictions",
                format!("{}, one for each label", labels.len()),
                predictions.len().to_string(),
            ));
        }
        check_range("labels", classes, labels)?;
        check_range("predictions", classes, predictions)?;
        let mut counts = vec![0; classes * classes];
        for (&label, &prediction) in labels.iter().zip(predictions) {
            counts[label as usize * classes + prediction as usize] += 1;
        }
        Ok(Confusion { classes, counts })
    }

    /// Refuses more than 4096 classes.
    pub fn check_classes(classes: usize) -> Result<()> {
        if classes <= MAX_CLASSES {
            return Ok(());
        }
        let expected = format!("at most {MAX_CLASSES} classes");
        let found = classes.to_string();
        Err(Error::shape("a confusion matrix", expected, found))
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of samples of class `label` that were predicted as `prediction`.
    pub fn count(&self, label: usize, prediction: usize) -> u64 {
        self.row(label)[prediction]
    }

    /// The counts of the samples of class `label`, one for each predicted class.
    pub fn row(&self, label: usize) -> &[u64] {
        &self.counts[label * self.classes..][..self.classes]
    }

    /// Number of samples of class `label`, its *support*.
    pub fn support(&self, label: usize) -> u64 {
        self.row(label).iter().sum()
    }

    /// Number of samples predicted as class `prediction`.
    pub fn predicted(&self, prediction: usize) -> u64 {
        (0..self.classes).map(|c| self.count(c, prediction)).sum()
    }

    /// Number of correct predictions.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|c| self.count(c, c)).sum()
    }

    /// Number of samples.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

fn check_range(what: &str, classes: usize, values: &[u32]) -> Result<()> {
    match values.iter().position(|&value| value as usize >= classes) {
        None => Ok(()),
        Some(i) => Err(Error::shape(
            what,
            format!("numbers less than {classes}, the number of classes"),
            format!("{} at index {i}", values[i]),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One label of 65535 in a small file must not take 34 GB.
    #[test]
    fn many_classes_are_refused() {
        let error = Confusion::new(65_536, &[65_535], &[0]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("at most 4096"), "{error}");
    }

    #[test]
    fn rows_are_true_and_columns_predicted() {
        let confusion = Confusion::new(3, &[0, 0, 0, 1, 2, 2], &[0, 1, 1, 1, 0, 2]).unwrap();
        assert_eq!(confusion.row(0), [1, 2, 0]);
        assert_eq!(confusion.row(1), [0, 1, 0]);
        assert_eq!(confusion.row(2), [1, 0, 1]);
        assert_eq!(confusion.count(0, 1), 2);
        assert_eq!((confusion.support(0), confusion.predicted(0)), (3, 2));
        assert_eq!((confusion.correct(), confusion.total()), (3, 6));
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let refused = |labels: &[u32], predictions: &[u32]| {
            Confusion::new(3, labels, predictions)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refused(&[0, 1], &[0]),
            "predictions: expected 2, one for each label, found 1"
        );
        assert_eq!(
            refused(&[0, 3], &[0, 1]),
            "labels: expected numbers less than 3, the number of classes, found 3 at index 1"
        );
        assert!(refused(&[0, 1], &[7, 1]).starts_with("predictions:"));
        assert_eq!(Confusion::new(0, &[], &[]).unwrap().total(), 0);
    }
}
