//! The metrics of a network on labelled samples, and its predictions, batch by batch.

use std::ops::Range;

use crate::backend::{Backend, Mode};
use crate::data::{Labels, Samples, TargetScale, Task};
use crate::error::Result;
use crate::metrics::{Evaluation, Metric, Predicted, PredictedLabels, PredictedValues};
use crate::nn::{Feed, Mlp, Rows};
use crate::ops::loss::Loss;
use crate::ops::loss::binary_cross_entropy::sigmoid;
use crate::ops::loss::cross_entropy::softmax;
use crate::real::Real;

/// Rows evaluated at a time: enough for the product to be efficient, few enough to stay in cache.
pub const EVALUATION_ROWS: usize = 250;

/// What a network says of some samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// The probabilities of the classes, or of the labels, row-major `[samples, outputs]`; none in regression.
    pub probabilities: Vec<f64>,
    /// The numbers in their own units, row-major `[samples, outputs]`; none in other tasks.
    pub values: Vec<f64>,
    /// The network's outputs, of which probabilities are the softmax or the sigmoid, row-major `[samples, outputs]`; an
    /// evaluation does not keep them.
    pub logits: Vec<f64>,
    /// The most probable class of each sample; none in other tasks.
    pub classes: Vec<u32>,
}

impl Predictions {
    /// Adds what the first `count` rows of a network's last forward say in a task. `scale` is that of the targets.
    pub(super) fn append<B: Backend>(
        &mut self,
        mlp: &Mlp<B>,
        count: usize,
        task: Task,
        scale: Option<&TargetScale>,
    ) -> Result<()> {
        let mut outputs = mlp.logits(count)?;
        let widened = |outputs: &[B::Real]| outputs.iter().map(|x| x.to_f64()).collect::<Vec<_>>();
        match task {
            Task::Classification => {
                let first = self.classes.len();
                self.classes.resize(first + count, 0);
                mlp.argmax(&mut self.classes[first..])?;
                for row in outputs.chunks_exact_mut(mlp.spec().outputs) {
                    softmax(row);
                }
                self.probabilities.extend(widened(&outputs));
            }
            Task::Multilabel => {
                sigmoid(&mut outputs);
                self.probabilities.extend(widened(&outputs));
            }
            Task::Regression => {
                let mut values = widened(&outputs);
                if let Some(scale) = scale {
                    scale.restore(&mut values);
                }
                self.values.extend(values);
            }
        }
        Ok(())
    }

    /// Adds those for more samples.
    pub fn extend(&mut self, more: Predictions) {
        self.probabilities.extend(more.probabilities);
        self.values.extend(more.values);
        self.logits.extend(more.logits);
        self.classes.extend(more.classes);
    }

    /// The value of a metric for samples with these labels; `None` if it is not defined, or is the loss.
    ///
    /// # Panics
    /// If there is not one label a sample.
    pub fn metric(&self, metric: Metric, labels: &Labels) -> Option<f64> {
        match labels {
            Labels::Classes(labels) => self.of(labels).get(metric),
            Labels::Values { values, columns } if self.probabilities.is_empty() => {
                let predicted = PredictedValues {
                    targets: *columns,
                    truth: values,
                    predictions: &self.values,
                };
                predicted.get(metric)
            }
            Labels::Values { values, columns } => {
                let predicted = PredictedLabels {
                    labels: *columns,
                    truth: values,
                    probabilities: &self.probabilities,
                };
                predicted.get(metric)
            }
        }
    }

    /// These predictions for samples of these classes.
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

/// The rows whose labels are among the network's `classes`; the others count as errors. Without classes all are.
pub(crate) fn known_rows(samples: &Samples, rows: &[u32], classes: usize) -> Vec<u32> {
    let Labels::Classes(labels) = &samples.labels else {
        return rows.to_vec();
    };
    let is_known = |row: &&u32| (labels[**row as usize] as usize) < classes;
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

/// The metrics of a network on rows of `samples` that are always measured; `loss` is what it was trained with. If
/// `predictions` is given, those for the rows are appended to it.
pub(crate) fn evaluate<B: Backend>(
    mlp: &mut Mlp<B>,
    feed: &mut Feed<B>,
    samples: &Samples,
    rows: &Rows<B>,
    loss: &Loss,
    predictions: Option<&mut Predictions>,
) -> Result<Evaluation> {
    let task = loss.task();
    let mut own = Predictions::default();
    // The metrics of classes are counted with the loss; those of other tasks need the predictions.
    let mut predictions = match predictions {
        None if task != Task::Classification => Some(&mut own),
        given => given,
    };
    let scale = feed.target_scale().cloned();
    let plain = loss.plain();
    let mut losses = Vec::with_capacity(rows.len().div_ceil(EVALUATION_ROWS));
    // An evaluation that failed may have left some.
    mlp.finish_losses(&mut losses)?;
    losses.clear();
    for batch in batches(rows.len(), mlp.capacity().min(EVALUATION_ROWS)) {
        let targets = rows.targets(batch.clone())?.without_weights();
        let count = batch.len();
        mlp.forward(
            feed.batch(mlp.backend(), samples, rows, batch, None)?,
            Mode::Eval,
        )?;
        mlp.start_loss(targets, &plain)?;
        if let Some(predictions) = &mut predictions {
            predictions.append(mlp, count, task, scale.as_ref())?;
        }
        if mlp.pending_losses() == B::PENDING_LOSSES {
            mlp.finish_losses(&mut losses)?;
        }
    }
    mlp.finish_losses(&mut losses)?;
    let count = rows.len() as f64;
    let loss: f64 = losses.iter().fold(0.0, |sum, l| sum + l.plain_sum);
    let correct: usize = losses.iter().map(|l| l.correct).sum();
    let mut evaluation = Evaluation::new([(Metric::Loss, loss / count)]);
    match predictions.filter(|_| task != Task::Classification) {
        None => evaluation.extend([(Metric::Accuracy, correct as f64 / count)]),
        Some(predictions) => {
            let truth = samples.labels.select(rows.order());
            let always = Metric::of_task(task)
                .iter()
                .filter(|m| m.is_always_measured(task));
            let value = |&metric: &Metric| Some((metric, predictions.metric(metric, &truth)?));
            evaluation.extend(always.filter_map(value));
        }
    }
    Ok(evaluation)
}
