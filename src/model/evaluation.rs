//! Loss and accuracy of a network on labelled samples, and its predictions, batch by batch.

use std::ops::Range;

use crate::backend::Backend;
use crate::data::{Labels, Samples, TargetScale, Task};
use crate::error::Result;
use crate::metrics::{Evaluation, Metric, Predicted, PredictedLabels, PredictedValues};
use crate::nn::{Feed, Mlp, Rows};
use crate::ops::loss::Loss;
use crate::ops::loss::binary_cross_entropy::sigmoid;
use crate::ops::loss::cross_entropy::{argmax, softmax};
use crate::real::Real;

/// Rows evaluated at a time: enough for the product to be efficient, few enough to stay in cache.
pub const EVALUATION_ROWS: usize = 250;

/// What a network says of some samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// What it is to say.
    pub task: Task,
    /// Row-major `[samples, outputs]`: the probability of each class or label, or each number in its own units.
    pub outputs: Vec<f64>,
    /// What the probabilities are the softmax or the sigmoid of, or the numbers as the network has them, row-major
    /// `[samples, outputs]`; an evaluation does not keep it.
    pub logits: Vec<f64>,
    /// The most probable class of each sample; other tasks have none.
    pub classes: Vec<u32>,
}

impl Predictions {
    /// None yet, of a task.
    pub fn new(task: Task) -> Self {
        Predictions {
            task,
            ..Predictions::default()
        }
    }

    /// Adds those for the first `count` rows of a network's last forward. `scale` brings numbers back to their own
    /// units.
    pub(super) fn append<B: Backend>(
        &mut self,
        mlp: &Mlp<B>,
        count: usize,
        scale: Option<&TargetScale>,
    ) -> Result<()> {
        let mut outputs = mlp.logits(count)?;
        match self.task {
            Task::Classification => {
                let first = self.classes.len();
                self.classes.resize(first + count, 0);
                mlp.argmax(&mut self.classes[first..])?;
                let rows = outputs.chunks_exact_mut(mlp.spec().outputs);
                rows.for_each(softmax);
            }
            Task::Multilabel => sigmoid(&mut outputs),
            Task::Regression => {}
        }
        let first = self.outputs.len();
        self.outputs.extend(outputs.into_iter().map(Real::to_f64));
        if let Some(scale) = scale {
            scale.restore(&mut self.outputs[first..]);
        }
        Ok(())
    }

    /// The mean of what several networks say of the same samples; the first of equally probable classes is taken.
    ///
    /// # Panics
    /// If there is none, or they are not of the same samples.
    pub fn mean(several: Vec<Predictions>) -> Self {
        let count = several.len() as f64;
        let mut several = several.into_iter();
        let mut mean = several.next().expect("at least one network");
        if several.len() == 0 {
            return mean;
        }
        for other in several {
            assert_eq!(mean.outputs.len(), other.outputs.len(), "the same samples");
            let pairs = mean.outputs.iter_mut().zip(other.outputs);
            pairs.for_each(|(sum, x)| *sum += x);
        }
        mean.outputs.iter_mut().for_each(|x| *x /= count);
        mean.logits.clear();
        if let Some(classes) = mean.outputs.len().checked_div(mean.classes.len()) {
            let rows = mean.outputs.chunks_exact(classes);
            mean.classes = rows.map(|row| argmax(row) as u32).collect();
        }
        mean
    }

    /// Adds those for more samples.
    pub fn extend(&mut self, more: Predictions) {
        if self.outputs.is_empty() {
            *self = more;
            return;
        }
        self.outputs.extend(more.outputs);
        self.logits.extend(more.logits);
        self.classes.extend(more.classes);
    }

    /// The value of a metric, if these samples have the labels. `None` if it is not defined, or not of these labels.
    ///
    /// # Panics
    ///
    /// If there are not as many labels as predictions.
    pub fn metric(&self, metric: Metric, labels: &Labels) -> Option<f64> {
        match (self.task, labels) {
            (Task::Classification, Labels::Classes(labels)) => self.of_classes(labels).get(metric),
            (Task::Regression, Labels::Values { values, columns }) => {
                self.of_values(values, *columns).get(metric)
            }
            (Task::Multilabel, Labels::Values { values, columns }) => {
                self.of_labels(values, *columns).get(metric)
            }
            _ => None,
        }
    }

    /// These predictions beside the true classes.
    pub fn of_classes<'a>(&'a self, labels: &'a [u32]) -> Predicted<'a> {
        Predicted {
            classes: self.outputs.len() / self.classes.len().max(1),
            labels,
            predictions: &self.classes,
            probabilities: &self.outputs,
        }
    }

    /// These predictions beside the true numbers `[samples, targets]`.
    pub fn of_values<'a>(&'a self, truth: &'a [f64], targets: usize) -> PredictedValues<'a> {
        PredictedValues {
            targets,
            truth,
            predictions: &self.outputs,
        }
    }

    /// These predictions beside the true labels `[samples, labels]`, 1 where a sample has one.
    pub fn of_labels<'a>(&'a self, truth: &'a [f64], labels: usize) -> PredictedLabels<'a> {
        PredictedLabels {
            labels,
            truth,
            probabilities: &self.outputs,
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

/// Mean loss of a network on rows of `samples`, as `plain` has it, and the accuracy, if models of its task have one. If
/// `predictions` is given, those for the rows are appended to it.
pub(crate) fn evaluate<B: Backend>(
    mlp: &mut Mlp<B>,
    feed: &mut Feed<B>,
    samples: &Samples,
    rows: &Rows<B>,
    plain: &Loss,
    mut predictions: Option<&mut Predictions>,
) -> Result<Evaluation> {
    let mut losses = Vec::with_capacity(rows.len().div_ceil(EVALUATION_ROWS));
    // An evaluation that failed may have left some.
    mlp.finish_losses(&mut losses)?;
    losses.clear();
    for batch in batches(rows.len(), mlp.capacity().min(EVALUATION_ROWS)) {
        let targets = rows.targets(batch.clone())?;
        let count = batch.len();
        let x = feed.batch(mlp.backend(), samples, rows, batch, None)?;
        mlp.evaluate(x, plain.task())?;
        mlp.start_loss(targets, plain)?;
        if let Some(predictions) = &mut predictions {
            predictions.append(mlp, count, feed.target_scale())?;
        }
        if mlp.pending_losses() == B::PENDING_LOSSES {
            mlp.finish_losses(&mut losses)?;
        }
    }
    mlp.finish_losses(&mut losses)?;
    let count = rows.len() as f64;
    let loss: f64 = losses.iter().fold(0.0, |sum, l| sum + l.plain_sum);
    let correct: usize = losses.iter().map(|l| l.correct).sum();
    let accuracy = (Metric::Accuracy, correct as f64 / count);
    let accuracy = Metric::Accuracy.is_of(plain.task()).then_some(accuracy);
    let measured = [Some((Metric::Loss, loss / count)), accuracy];
    Ok(Evaluation::new(measured.into_iter().flatten()))
}
