//! Figures of the training samples.

use super::case::{Case, Found, Value};
use super::facts::SampleFacts;

fn facts(case: &Case) -> std::result::Result<&SampleFacts, String> {
    case.samples
        .as_ref()
        .map_err(|why| format!("the data cannot be looked at: {why}"))
}

/// A few names, and how many more there are.
fn listed(names: &[String]) -> Option<String> {
    const SHOWN: usize = 5;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len() {
        0 => None,
        count if count > SHOWN => Some(format!("{shown} and {} more", count - SHOWN)),
        _ => Some(shown),
    }
}

/// The columns of a table that never vary.
pub(super) fn constant_columns(case: &Case) -> Value {
    let facts = facts(case)?;
    match facts.is_table {
        false => Err("the data are no table".into()),
        true => Ok(Found {
            value: facts.constant.len() as f64,
            place: listed(&facts.constant),
        }),
    }
}

/// The share of a picture's pixels that never vary.
pub(super) fn constant_pixels(case: &Case) -> Value {
    let facts = facts(case)?;
    match facts.is_table {
        true => Err("the data are a table".into()),
        false => Ok(Found::new(
            facts.constant.len() as f64 / facts.features.max(1) as f64,
        )),
    }
}

fn smallest_class(case: &Case) -> std::result::Result<(&SampleFacts, &(String, usize)), String> {
    let facts = facts(case)?;
    let smallest = facts.class_counts.iter().min_by_key(|class| class.1);
    match smallest.filter(|_| facts.is_classification) {
        Some(class) => Ok((facts, class)),
        None => Err("there are no classes".into()),
    }
}

/// The training samples of the smallest class.
pub(super) fn smallest_class_samples(case: &Case) -> Value {
    let (_, (name, count)) = smallest_class(case)?;
    Ok(Found::at(*count as f64, format!("class {name}")))
}

/// The training samples of the smallest class, as a share of those of an average class.
pub(super) fn smallest_class_share(case: &Case) -> Value {
    let (facts, (name, count)) = smallest_class(case)?;
    let all: usize = facts.class_counts.iter().map(|class| class.1).sum();
    let average = all as f64 / facts.class_counts.len() as f64;
    Ok(Found::at(*count as f64 / average, format!("class {name}")))
}
