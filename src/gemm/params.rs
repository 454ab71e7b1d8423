//! The width of a panel, and block sizes, each with its reason.

use crate::simd::LANES;

/// Columns of a panel: two AVX2 registers, one of AVX-512. A row of f32 is one cache line.
pub(crate) const PANEL: usize = LANES;

/// Rows of a panel of B that are multiplied at a time (KC).
///
/// They are 25 KB and stay in a first-level cache of 32 KB while every tile of A's rows passes over them.
pub(crate) const DEPTH: usize = 400;

/// Rows of A that are multiplied at a time (MC).
///
/// With [`DEPTH`] columns they are 250 KB, half of a second-level cache of 512 KB.
/// They stay there while every panel of B passes.
pub(crate) const ROWS: usize = 160;

/// Panels of B that are packed at a time if A has several row blocks (NC / 16).
///
/// With [`DEPTH`] rows they are 1.6 MB, a share of the last-level cache.
pub(crate) const PANELS: usize = 64;

/// The most panels that a kernel takes side by side.
pub(crate) const MOST_SIDE_BY_SIDE: usize = 2;

/// Up to this many rows of A a panel of B is read where it lies: it is used too seldom to repay a copy.
pub(crate) const THIN: usize = 24;

/// Panels of outputs whose tiles of a weight gradient are computed by one call, to spread the cost of a call.
///
/// The tiles and their part of dY fit the first-level cache.
pub(crate) const WEIGHT_TILES: usize = 2;

/// Cuts `length` into the fewest blocks of at most `most`, all but the last of one size, a multiple of `unit`.
pub(crate) fn blocks(
    length: usize,
    most: usize,
    unit: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let count = length.div_ceil(most).max(1);
    let size = length.div_ceil(count).next_multiple_of(unit).max(unit);
    (0..length)
        .step_by(size)
        .map(move |start| (start, size.min(length - start)))
}
