//! How the numbers of a table enter the network.

use serde::{Deserialize, Serialize};

use super::{ModelSettings, keys};
use crate::error::Result;

/// What becomes of each number of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Embed {
    /// It stays itself
    #[default]
    None,
    /// Piecewise-linear encoding: one input a bin, which says how far the number has come through it
    Piecewise,
}

/// The most bins of a number, if none are said.
const DEFAULT_BINS: u32 = 48;

/// How numbers are embedded: by so many bins, and by a linear layer of this width for each number, if it is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// The most bins of a number.
    pub bins: u32,
    /// The width of each number's linear layer; 0 is none.
    pub width: usize,
}

/// How numbers are embedded; `None` if they stay themselves.
///
/// # Errors
/// If an option is said without an embedding.
pub(super) fn embedding(model: &ModelSettings) -> Result<Option<Embedding>> {
    if model.embed == Some(Embed::Piecewise) {
        return Ok(Some(Embedding {
            bins: model.bins.unwrap_or(DEFAULT_BINS),
            width: model.embed_width.unwrap_or(0),
        }));
    }
    for (key, is_said) in [
        ("model.bins", model.bins.is_some()),
        ("model.embed_width", model.embed_width.is_some()),
    ] {
        if is_said {
            let message = "expected --embed piecewise with it, found none";
            return Err(keys::error(key, message));
        }
    }
    Ok(None)
}

/// Writes the embedding out.
pub(super) fn write_embedding(model: &mut ModelSettings, embedding: Option<Embedding>) {
    let Some(Embedding { bins, width }) = embedding else {
        return;
    };
    model.embed = Some(Embed::Piecewise);
    model.bins = Some(bins);
    model.embed_width = (width > 0).then_some(width);
}
