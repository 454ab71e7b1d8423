//! What stands in the place of readers that are not built in. It refuses their files and names the feature.

use super::open::{InputFile, not_built_in};
use crate::error::Result;

#[cfg(not(feature = "png"))]
pub(super) fn read_png(source: InputFile, _: super::ImageShape) -> Result<Vec<u8>> {
    Err(not_built_in(source.path(), "a PNG image", "png"))
}

/// An open NPZ file, of which there is none.
#[cfg(not(feature = "zip"))]
pub(super) enum NoNpz {}

#[cfg(not(feature = "zip"))]
impl NoNpz {
    pub(super) fn open(source: InputFile) -> Result<Self> {
        Err(not_built_in(source.path(), "an NPZ file", "zip"))
    }

    pub(super) fn names(&self) -> std::iter::Empty<&str> {
        match *self {}
    }

    pub(super) fn read<T>(
        &mut self,
        _: &std::path::Path,
        _: &str,
        _: &str,
        _: impl FnOnce(super::npy::NpyArray<'_>) -> Result<T>,
    ) -> Result<T> {
        match *self {}
    }
}
