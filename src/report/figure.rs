//! A chart with its numbers, and what all charts have in common.

use super::scale::Scale;
use crate::search::Distribution;
use crate::text::number::text;

/// A chart and its numbers.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The stem of its files' names.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// Whether it needs the whole width of a page.
    pub broad: bool,
    /// The picture.
    pub svg: String,
    /// The numbers, with a header.
    pub csv: String,
}

/// An axis for a parameter, long enough for these internal values, of which another program may have taken some from
/// beyond the distribution.
pub(super) fn parameter_axis(
    distribution: &Distribution,
    values: impl IntoIterator<Item = f64>,
) -> Scale {
    let range = |low, high, log| match log {
        true => Scale::Log { low, high },
        false => Scale::Linear { low, high },
    };
    let scale = match distribution {
        Distribution::Float { low, high, log, .. } => range(*low, *high, *log),
        Distribution::Int { low, high, log, .. } => range(*low as f64, *high as f64, *log),
        Distribution::Categorical { choices } => {
            Scale::Category(choices.iter().map(text).collect())
        }
    };
    scale.holding(values)
}
