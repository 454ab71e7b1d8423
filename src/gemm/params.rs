//! Block sizes, each with its reason. A panel of B is 16 columns wide, so a row of it is one cache line.

/// Rows of a panel of B that are multiplied at a time (KC): 25 KB, which stay in a first-level cache of 32 KB while every tile of A's rows passes over them.
pub(crate) const DEPTH: usize = 400;

/// Rows of A that are multiplied at a time (MC): with DEPTH columns 250 KB, half of a second-level cache of 512 KB, where they stay while every panel of B passes.
pub(crate) const ROWS: usize = 160;

/// Panels of B that are packed at a time if A has several row blocks (NC / 16): with DEPTH rows 1.6 MB, a share of the last-level cache.
pub(crate) const PANELS: usize = 64;

/// Up to this many rows of A a panel of B is read where it lies: it is used too seldom to repay a copy.
pub(crate) const THIN: usize = 24;

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
