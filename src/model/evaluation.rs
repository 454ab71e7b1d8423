//! Loss and accuracy of a network on labelled samples, and its predictions, batch by batch.

use std::ops::Range;

use crate::backend::Backend;
use crate::data::Samples;
use crate::error::Result;
use crate::metrics::{Evaluation, Metric, Predicted};
use crate::nn::{Feed, Mlp, Rows};
use crate::ops::loss::Loss;
use crate::ops::loss::cross_entropy::softmax;
use crate::real::Real;

/// Rows evaluated at a time: enough for the product to be efficient, few enough to stay in cache.
pub const EVALUATION_ROWS: usize = 250;

/// Class probabilities of some samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// Row-major `[samples, classes]`.
    pub probabilities: Vec<f64>,
    /// What the probabilities are the softmax of, row-major `[samples, classes]`; an evaluation does not keep it.
    pub logits: Vec<f64>,
    /// The most probable class of each sample.
    pub classes: Vec<u32>,
}

impl Predictions {
    /// Adds classes and probabilities for the first `count` rows of a network's last forward.
    pub(super) fn append<B: Backend>(&mut self, mlp: &Mlp<B>, count: usize) -> Result<()> {
        let first = self.classes.len();
        self.classes.resize(first + count, 0);
        mlp.argmax(&mut self.classes[first..])?;
        for row in mlp.logits(count)?.chunks_exact_mut(mlp.spec().outputs) {
            softmax(row);
            self.probabilities.extend(row.iter().map(|p| p.to_f64()));
        }
        Ok(())
    }

    /// Adds those for more samples.
    pub fn extend(&mut self, more: Predictions) {
        if self.classes.is_empty() {
            *self = more;
            return;
        }
        self.probabilities.extend(more.probabilities);
        self.logits.extend(more.logits);
        self.classes.extend(more.classes);
    }

    /// These predictions for samples with these labels.
    pub fn of<'a>(&'a self, labels: &'a [u32]) -> Predicted<'a> {
        Predicted {
            classes: self.probabilities.len() / self.classes.len().max(1),
            labels,
            predictions: &self.classes,
            probabilities: &self.probabilities,
        }
    }
}

/// The places of `count` rows, `size` at a time.
pub(super) fn batches(count: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count)
        .step_by(size)
        .map(move |start| start..count.min(start + size))
}

/// The rows whose labels are among the network's `classes`. The others count as errors.
pub(crate) fn known_rows(samples: &Samples, rows: &[u32], classes: usize) -> Vec<u32> {
    let is_known = |row: &&u32| (samples.labels[**row as usize] as usize) < classes;
    rows.iter().filter(is_known).copied().collect()
}

/// What the network comes to on all rows, from what it comes to on the `known` ones of them. The loss is theirs alone.
pub(crate) fn with_errors(known: Evaluation, count: usize, all: usize) -> Evaluation {
    let mut evaluation = known;
    if let Some(accuracy) = known.get(Metric::Accuracy).filter(|_| count < all) {
        let accuracy = accuracy * count as f64 / all as f64;
        evaluation.extend([(Metric::Accuracy, accuracy)]);
    }
    evaluation
}

/// Mean cross-entropy and accuracy of a network on rows of `samples`. If `predictions` is given, those for the rows are
/// appended to it.
pub(crate) fn evaluate<B: Backend>(
    mlp: &mut Mlp<B>,
    feed: &mut Feed<B>,
    samples: &Samples,
    rows: &Rows<B>,
    mut predictions: Option<&mut Predictions>,
) -> Result<Evaluation> {
    let plain = Loss::default();
    let mut losses = Vec::with_capacity(rows.len().div_ceil(EVALUATION_ROWS));
    // An evaluation that failed may have left some.
    mlp.finish_losses(&mut losses)?;
    losses.clear();
    for batch in batches(rows.len(), mlp.capacity().min(EVALUATION_ROWS)) {
        let targets = rows.targets(batch.clone())?;
        let count = batch.len();
        let x = feed.batch(mlp.backend(), samples, rows, batch, None)?;
        mlp.evaluate(x, plain.task())?;
        mlp.start_loss(targets, &plain)?;
        if let Some(predictions) = &mut predictions {
            predictions.append(mlp, count)?;
        }
        if mlp.pending_losses() == B::PENDING_LOSSES {
            mlp.finish_losses(&mut losses)?;
        }
    }
    mlp.finish_losses(&mut losses)?;
    let count = rows.len() as f64;
    let loss: f64 = losses.iter().fold(0.0, |sum, l| sum + l.plain_sum);
    let correct: usize = losses.iter().map(|l| l.correct).sum();
    Ok(Evaluation::new([
        (Metric::Accuracy, correct as f64 / count),
        (Metric::Loss, loss / count),
    ]))
}
