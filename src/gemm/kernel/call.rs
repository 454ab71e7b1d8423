//! What a kernel is told: where the operands of a product lie.

/// Where the operands of A lie, counted from its first one. R is [`Operand::ROW`](super::Operand::ROW).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ALayout {
    /// Row i, column p at `i·R + ⌊p/R⌋·panel + p mod R`: panels of 16 columns.
    ///
    /// Their rows lie as far apart as instructions can add to an address.
    Panels {
        /// From a panel to the next.
        panel: usize,
    },
    /// Row i, column p at `i + p·step`: the transpose of a row-major matrix.
    Columns {
        /// From a column to the next.
        step: usize,
    },
}

/// Three matrices that are prefetched while a product runs, because they are used with C right after it.
///
/// They have rows and panels as C has. Kernels ask for them if A lies in columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefetch {
    /// The matrices.
    pub from: [*const f32; 3],
    /// From a panel of theirs to the next; rows follow each other.
    pub panel: usize,
}

/// One call: `C ← AB + βC`, all pointers to the first element. Strides of A and B count operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelCall<E = f32> {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of A, rows of B, counted in operands.
    ///
    /// A last pair that is only half needed has zeros in both A and B.
    pub k: usize,
    /// Panels of B and C.
    pub panels: usize,
    /// A.
    pub a: *const E,
    /// Where A's operands lie.
    pub a_layout: ALayout,
    /// B.
    pub b: *const E,
    /// From a row of a panel of B to the next.
    pub b_row: usize,
    /// From a panel of B to the next.
    pub b_panel: usize,
    /// C.
    pub c: *mut f32,
    /// From a row of C to the next.
    pub c_row: usize,
    /// From a panel of C to the next.
    pub c_panel: usize,
    /// Whether the old C is added (β = 1).
    pub accumulate: bool,
    /// What is prefetched during the call.
    pub prefetch: Option<Prefetch>,
}

/// Cuts m rows into the fewest tiles of at most `most`, whose heights differ by at most 1.
pub(super) fn heights(m: usize, most: usize) -> impl Iterator<Item = usize> {
    let tiles = m.div_ceil(most).max(1);
    let (low, more) = (m / tiles, m % tiles);
    (0..tiles)
        .map(move |t| low + usize::from(t < more))
        .filter(|&h| h > 0)
}
