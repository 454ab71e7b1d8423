//! What goes into the loss of one batch beside the network's outputs, and what it comes to.

use crate::data::Task;
use crate::error::{Error, Result};

/// What a batch's rows should have given, and how much each row counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Targets<'a> {
    /// What they should have given.
    pub kind: TargetKind<'a>,
    /// One weight ≥ 0 a row; `None` means 1 for all.
    pub weights: Option<&'a [f64]>,
}

/// The targets of a batch's rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TargetKind<'a> {
    /// One class a row, the place of an output.
    Classes(&'a [u32]),
    /// One value for each output of a row: a number, or 0 or 1 for a label that is absent or present.
    Values {
        /// Row-major `[rows, columns]`. A loss rounds them to its [`Real`](crate::real::Real).
        values: &'a [f64],
        /// Values of a row.
        columns: usize,
    },
}

impl<'a> Targets<'a> {
    /// How many rows they are for.
    pub fn len(&self) -> usize {
        match self.kind {
            TargetKind::Classes(classes) => classes.len(),
            TargetKind::Values { values, columns } => {
                values.len().checked_div(columns).unwrap_or(0)
            }
        }
    }

    /// No rows at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Refuses targets that are not those of a task, or do not fit a network with this number of outputs. `loss` is
    /// the name of the loss that serves the task.
    pub(super) fn check(&self, task: Task, outputs: usize, loss: &str) -> Result<()> {
        if let Some(weights) = self.weights {
            check_weights(weights, self.len())?;
        }
        match (task, self.kind) {
            (Task::Classification, TargetKind::Classes(classes)) => check_classes(classes, outputs),
            (Task::Regression, TargetKind::Values { values, columns }) => {
                check_sizes(values, columns, outputs)?;
                check_each(values, "finite numbers", |y| y.is_finite())
            }
            (Task::Multilabel, TargetKind::Values { values, columns }) => {
                check_sizes(values, columns, outputs)?;
                let expected = format!("numbers in 0..=1 for the loss {loss}");
                check_each(values, &expected, |y| (0.0..=1.0).contains(&y))
            }
            (Task::Classification, TargetKind::Values { .. }) => {
                let expected = format!("classes for the loss {loss}");
                Err(Error::shape("targets", expected, "values"))
            }
            (Task::Regression | Task::Multilabel, TargetKind::Classes(_)) => {
                let expected = format!("values for the loss {loss}");
                Err(Error::shape("targets", expected, "classes"))
            }
        }
    }
}

fn check_classes(classes: &[u32], outputs: usize) -> Result<()> {
    match classes.iter().position(|&class| class as usize >= outputs) {
        None => Ok(()),
        Some(row) => {
            let expected = format!("classes below {outputs}, the network's outputs");
            let found = format!("{} in row {row}", classes[row]);
            Err(Error::shape("targets", expected, found))
        }
    }
}

fn check_sizes(values: &[f64], columns: usize, outputs: usize) -> Result<()> {
    if columns == outputs && values.len().is_multiple_of(columns) {
        return Ok(());
    }
    let expected = format!("rows of {outputs} values, the network's outputs");
    let found = format!("{} values in rows of {columns}", values.len());
    Err(Error::shape("targets", expected, found))
}

fn check_each(values: &[f64], expected: &str, fits: impl Fn(f64) -> bool) -> Result<()> {
    match values.iter().position(|&y| !fits(y)) {
        None => Ok(()),
        Some(place) => Err(Error::shape("targets", expected, values[place].to_string())),
    }
}

/// Refuses weights that are not one a row, negative or not finite, alone or in sum.
fn check_weights(weights: &[f64], rows: usize) -> Result<()> {
    if weights.len() != rows {
        let expected = format!("{rows}, one a row");
        return Err(Error::shape(
            "sample weights",
            expected,
            weights.len().to_string(),
        ));
    }
    let wrong = (weights.iter().copied()).find(|w| !(w.is_finite() && *w >= 0.0));
    let sum: f64 = weights.iter().sum();
    let found = match wrong {
        Some(weight) => weight.to_string(),
        None if sum.is_finite() => return Ok(()),
        None => format!("a sum of {sum}"),
    };
    Err(Error::shape(
        "sample weights",
        "finite numbers of at least 0",
        found,
    ))
}

impl<'a> From<TargetKind<'a>> for Targets<'a> {
    fn from(kind: TargetKind<'a>) -> Self {
        let weights = None;
        Targets { kind, weights }
    }
}

impl<'a> From<&'a [u32]> for Targets<'a> {
    fn from(classes: &'a [u32]) -> Self {
        TargetKind::Classes(classes).into()
    }
}

impl<'a> From<&'a Vec<u32>> for Targets<'a> {
    fn from(classes: &'a Vec<u32>) -> Self {
        TargetKind::Classes(classes).into()
    }
}

impl<'a, const N: usize> From<&'a [u32; N]> for Targets<'a> {
    fn from(classes: &'a [u32; N]) -> Self {
        TargetKind::Classes(classes).into()
    }
}

/// What the loss of one batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchLoss {
    /// The objective: the mean over the batch, with all options and sample weights.
    pub objective: f64,
    /// The loss of each row without options and sample weights, the *sum* over the batch.
    pub plain_sum: f64,
    /// Rows that are right.
    ///
    /// For classes: the largest logit is the label's (the first one on ties). For several labels: each has a
    /// probability above 0.5 where it is present, and no other has. A row with NaN is wrong. For numbers this is 0.
    pub correct: usize,
}
