//! Loss and accuracy of a network on labelled samples, batch by batch.

use std::ops::Range;

use crate::backend::{Backend, Mode};
use crate::data::Samples;
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::nn::{Feed, Mlp, Rows};
use crate::ops::loss::cross_entropy::LossOptions;

/// Rows evaluated at a time: enough for the product to be efficient, few enough to stay in cache.
pub const EVALUATION_ROWS: usize = 250;

/// The places of `count` rows, `size` at a time.
pub(super) fn batches(count: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count)
        .step_by(size)
        .map(move |start| start..count.min(start + size))
}

/// Mean cross-entropy and accuracy of a network on rows of `samples`. The most probable class of each row is appended
/// to `classes`, if anybody asks.
pub(crate) fn evaluate<B: Backend>(
    mlp: &mut Mlp<B>,
    feed: &mut Feed<B>,
    samples: &Samples,
    rows: &Rows<B>,
    mut classes: Option<&mut Vec<u32>>,
) -> Result<Evaluation> {
    let plain = LossOptions::default();
    let mut losses = Vec::with_capacity(rows.len().div_ceil(EVALUATION_ROWS));
    let mut outstanding = 0;
    for batch in batches(rows.len(), mlp.capacity().min(EVALUATION_ROWS)) {
        let labels = rows.labels(batch.clone());
        let (first, count) = (batch.start, batch.len());
        mlp.forward(
            feed.batch(mlp.backend(), samples, rows, batch, None)?,
            Mode::Eval,
        )?;
        match mlp.start_loss(labels, &plain)? {
            Some(loss) => losses.push(loss),
            None => outstanding += 1,
        }
        if let Some(classes) = &mut classes {
            classes.resize(first + count, 0);
            mlp.argmax(&mut classes[first..])?;
        }
        if outstanding > 0 && outstanding == B::LATE_LOSSES {
            mlp.late_losses(&mut losses)?;
            outstanding = 0;
        }
    }
    mlp.late_losses(&mut losses)?;
    let count = rows.len() as f64;
    let loss: f64 = losses.iter().fold(0.0, |sum, l| sum + l.cross_entropy_sum);
    let correct: usize = losses.iter().map(|l| l.correct).sum();
    Ok(Evaluation {
        loss: loss / count,
        accuracy: correct as f64 / count,
    })
}
