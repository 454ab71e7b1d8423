//! Figures of the layers, which `train --watch` has written down.

use super::case::{Case, Found, Value};
use crate::train::{EpochRecord, LayerRecord};

/// The epochs of which the layers were written down.
fn watched(case: &Case) -> std::result::Result<Vec<&EpochRecord>, String> {
    let watched: Vec<&EpochRecord> = case
        .records
        .iter()
        .filter(|r| !r.layers.is_empty())
        .collect();
    match watched.is_empty() {
        true => Err("run again with --watch".into()),
        false => Ok(watched),
    }
}

/// The middle one of the values; of an even number the upper of the two.
fn median(values: impl Iterator<Item = f64>) -> std::result::Result<f64, String> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied();
    middle.ok_or_else(|| "no such figure is a number".to_owned())
}

/// The update-to-weight ratio of the middle layer, in the middle epoch.
pub(super) fn update_ratio(case: &Case) -> Value {
    let of_epoch = |r: &&EpochRecord| median(r.layers.iter().filter_map(|l| l.update_ratio)).ok();
    median(watched(case)?.iter().filter_map(of_epoch)).map(Found::new)
}

/// The largest share of dead units in a layer after the last epoch.
pub(super) fn dead_units(case: &Case) -> Value {
    let watched = watched(case)?;
    let layers = watched.last().map_or(&[][..], |r| &r.layers);
    let shares = layers.iter().filter_map(|l| Some((l, l.dead_units?)));
    let worst = shares.max_by(|a, b| a.1.total_cmp(&b.1));
    worst
        .map(|(layer, share)| Found::at(share, format!("layer {}", layer.layer)))
        .ok_or_else(|| "the activation has no units that die".into())
}

/// The gradient of the first layer's weights, as a multiple of the last hidden one's, in the middle epoch.
pub(super) fn gradient_ratio(case: &Case) -> Value {
    let ratio = |r: &&EpochRecord| {
        let hidden = r.layers.split_last()?.1;
        let gradient = |l: Option<&LayerRecord>| l?.gradients;
        let (first, last) = (gradient(hidden.first())?, gradient(hidden.last())?);
        // Where nothing comes through, nothing can be compared.
        (hidden.len() > 1 && last > 0.0).then_some(first / last)
    };
    let watched = watched(case)?;
    if watched.iter().all(|r| r.layers.len() < 3) {
        return Err("there are not two hidden layers to compare".into());
    }
    median(watched.iter().filter_map(ratio)).map(Found::new)
}
