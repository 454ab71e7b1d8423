//! Which metrics a run measures, and how.

use crate::backend::Backend;
use crate::data::{Samples, Task};
use crate::error::Result;
use crate::metrics::{Evaluation, Metric};
use crate::model::{self, Predictions};
use crate::nn::{Feed, Mlp, Rows};
use crate::ops::loss::Loss;

/// The metrics of a task that are always measured, and of the predictions for all samples.
pub(super) fn always_measured(task: Task) -> Vec<Metric> {
    let metrics = Metric::of_task(task).iter().copied();
    let has_sum = |metric| matches!(metric, Metric::Accuracy | Metric::Loss);
    metrics
        .filter(|&m| m.is_always_measured(task) && !has_sum(m))
        .collect()
}

/// Evaluates a network on rows of samples: loss and accuracy, and these metrics.
pub(super) fn measure<B: Backend>(
    mlp: &mut Mlp<B>,
    feed: &mut Feed<B>,
    samples: &Samples,
    rows: &Rows<B>,
    plain: &Loss,
    metrics: &[Metric],
) -> Result<Evaluation> {
    let mut predictions = (!metrics.is_empty()).then(|| Predictions::new(plain.task()));
    let seen = predictions.as_mut();
    let mut evaluation = model::evaluate(mlp, feed, samples, rows, plain, seen)?;
    if let Some(predictions) = predictions {
        let labels = samples.labels.select(rows.order());
        let value = |&metric: &Metric| Some((metric, predictions.metric(metric, &labels)?));
        evaluation.extend(metrics.iter().filter_map(value));
    }
    Ok(evaluation)
}
