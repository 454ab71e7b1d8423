//! Figures of the losses. They are measured in the loss of a network that knows nothing of its inputs
//! ([`Case::baseline`]), so that one limit serves every task.

use super::case::{Case, Found, Value};
use crate::train::EpochRecord;

/// Fewer epochs show no course.
const LEAST_EPOCHS: usize = 4;

/// A loss below this share of knowing nothing is low: there is little left to learn.
const LOW: f64 = 0.3;

/// A training loss below this share of the validation loss is of samples that were learnt by heart.
const MEMORISED: f64 = 1.0 / 3.0;

/// Epochs in which the loss, a weight or a running statistic stopped being a number.
pub(super) fn diverged(case: &Case) -> Value {
    Ok(match case.diverged {
        Some(epoch) => Found::at(1.0, format!("epoch {epoch}")),
        None => Found::new(0.0),
    })
}

fn by_loss<'a>(a: &&'a EpochRecord, b: &&'a EpochRecord) -> std::cmp::Ordering {
    a.train_loss.total_cmp(&b.train_loss)
}

fn at_epoch(value: f64, record: &EpochRecord) -> Found {
    Found::at(value, format!("epoch {}", record.epoch))
}

/// The largest training loss of an epoch.
pub(super) fn largest_loss(case: &Case) -> Value {
    case.last()?;
    let largest = case.records.iter().max_by(by_loss).expect("there is one");
    Ok(at_epoch(largest.train_loss / case.baseline()?, largest))
}

/// How far the last training loss lies above the lowest.
pub(super) fn rise(case: &Case) -> Value {
    let last = case.last()?;
    let lowest = case.records.iter().min_by(by_loss).expect("there is one");
    Ok(at_epoch(
        (last.train_loss - lowest.train_loss) / case.baseline()?,
        lowest,
    ))
}

/// Says why a run shows no course, if it is too short.
fn check_course(case: &Case) -> std::result::Result<(), String> {
    case.last()?;
    match case.records.len() {
        count if count < LEAST_EPOCHS => {
            Err(format!("{count} epochs show no course; {LEAST_EPOCHS} do"))
        }
        _ => Ok(()),
    }
}

/// The dropout of a network that did not learn its training samples under it. 0 if it did.
pub(super) fn dropout(case: &Case) -> Value {
    let (last, config) = (case.last()?, &case.config);
    if config.dropout == 0.0 || config.hidden.is_empty() {
        return Ok(Found::new(0.0));
    }
    check_course(case)?;
    let has_learnt = last.train_loss < LOW * case.baseline()?;
    Ok(Found::new(if has_learnt { 0.0 } else { config.dropout }))
}

/// The share of the training loss's fall that came in the last quarter of the epochs: ¼ along a line, little once the
/// loss has settled. 0 if the loss is low.
pub(super) fn late_fall(case: &Case) -> Value {
    check_course(case)?;
    let (last, count) = (case.last()?, case.records.len());
    let first = case.records[0].train_loss;
    let late = case.records[(3 * (count - 1)) / 4].train_loss;
    if last.train_loss < LOW * case.baseline()? || first <= last.train_loss {
        return Ok(Found::new(0.0));
    }
    // The last quarter is a little more than ¼ if the epochs cannot be divided by 4.
    let quarters = (count - 1) as f64 / 4.0;
    let steps = (count - 1 - (3 * (count - 1)) / 4) as f64;
    Ok(Found::new(
        (late - last.train_loss) / (first - last.train_loss) * quarters / steps,
    ))
}

/// The lowest training loss.
pub(super) fn lowest_loss(case: &Case) -> Value {
    case.last()?;
    let lowest = case.records.iter().min_by(by_loss).expect("there is one");
    Ok(at_epoch(lowest.train_loss / case.baseline()?, lowest))
}

/// How far the validation loss of the model's epoch lies above its training loss, if that is under a third of it: of
/// noisy data a network can know as little about its training samples as about others. 0 if it is not.
pub(super) fn gap(case: &Case) -> Value {
    let last = case.last()?;
    let best = case.summary.as_ref().and_then(|s| s.best_epoch);
    let model = (case.records.iter())
        .find(|r| Some(r.epoch) == best)
        .unwrap_or(last);
    let (training, validation) = (model.train_loss, validation_loss(model)?);
    let gap = match training < MEMORISED * validation {
        true => validation - training,
        false => 0.0,
    };
    Ok(at_epoch(gap / case.baseline()?, model))
}

/// How far the last validation loss lies above the lowest, in a run that its patience did not end.
pub(super) fn validation_rise(case: &Case) -> Value {
    let last = validation_loss(case.last()?)?;
    if case.summary.as_ref().is_some_and(|s| s.stopped_early) {
        return Err("patience ended the run once nothing improved".into());
    }
    let losses = case.records.iter().filter_map(|r| Some((r, r.val_loss?)));
    let (record, lowest) = losses
        .filter(|(_, loss)| loss.is_finite())
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .ok_or("no validation loss is a number")?;
    Ok(at_epoch((last - lowest) / case.baseline()?, record))
}

fn validation_loss(record: &EpochRecord) -> std::result::Result<f64, String> {
    let loss = record.val_loss.ok_or("there is no validation part")?;
    match loss.is_finite() {
        true => Ok(loss),
        false => Err("the validation loss is no number".into()),
    }
}
