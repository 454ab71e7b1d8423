//! Loss and accuracy of a network on labelled samples, batch by batch.

use std::ops::Range;

use crate::backend::{Backend, Mode};
use crate::data::Samples;
use crate::error::Result;
use crate::metrics::{Evaluation, Metric};
use crate::nn::{Feed, Mlp, Rows};
use crate::ops::loss::Loss;

/// Rows evaluated at a time: enough for the product to be efficient, few enough to stay in cache.
pub const EVALUATION_ROWS: usize = 250;

/// The places of `count` rows, `size` at a time.
pub(super) fn batches(count: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count)
        .step_by(size)
        .map(move |start| start..count.min(start + size))
}

/// Mean cross-entropy and accuracy of a network on rows of `samples`. If `classes` is given, the most probable class of
/// each row is appended to it.
pub(crate) fn evaluate<B: Backend>(
    mlp: &mut Mlp<B>,
    feed: &mut Feed<B>,
    samples: &Samples,
    rows: &Rows<B>,
    mut classes: Option<&mut Vec<u32>>,
) -> Result<Evaluation> {
    let plain = Loss::default();
    let mut losses = Vec::with_capacity(rows.len().div_ceil(EVALUATION_ROWS));
    for batch in batches(rows.len(), mlp.capacity().min(EVALUATION_ROWS)) {
        let targets = rows.targets(batch.clone())?;
        let (first, count) = (batch.start, batch.len());
        mlp.forward(
            feed.batch(mlp.backend(), samples, rows, batch, None)?,
            Mode::Eval,
        )?;
        mlp.start_loss(targets, &plain)?;
        if let Some(classes) = &mut classes {
            classes.resize(first + count, 0);
            mlp.argmax(&mut classes[first..])?;
        }
        if mlp.pending_losses() == B::PENDING_LOSSES {
            mlp.finish_losses(&mut losses)?;
        }
    }
    mlp.finish_losses(&mut losses)?;
    let count = rows.len() as f64;
    let loss: f64 = losses.iter().fold(0.0, |sum, l| sum + l.cross_entropy_sum);
    let correct: usize = losses.iter().map(|l| l.correct).sum();
    Ok(Evaluation::new([
        (Metric::Accuracy, correct as f64 / count),
        (Metric::Loss, loss / count),
    ]))
}
