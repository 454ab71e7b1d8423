//! Copies into panels: the layout that kernels read in order, `[rows][16]`, whatever the matrix's own layout is.

use super::params::PANEL;
use crate::simd::{BLOCK, transpose};

/// A row of a panel: one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; PANEL]);

/// A matrix in memory: element (i, j) at `i·row + j·column` from its first one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StridedMatrix {
    /// The first element.
    pub start: *const f32,
    /// From row to row.
    pub row: isize,
    /// From column to column.
    pub column: isize,
}

impl StridedMatrix {
    /// The part that begins with this row and column.
    pub(crate) fn from(self, row: usize, column: usize) -> Self {
        let offset = row as isize * self.row + column as isize * self.column;
        StridedMatrix {
            start: self.start.wrapping_offset(offset),
            ..self
        }
    }

    /// Rows for columns.
    pub(crate) fn transposed(self) -> Self {
        StridedMatrix {
            row: self.column,
            column: self.row,
            ..self
        }
    }
}

/// Fills the rows of `panel` with the first `width` columns of a matrix, and zeros on their right.
///
/// # Safety
/// The matrix has `panel.len()` rows and `width` ≤ 16 columns of readable elements.
pub(crate) unsafe fn pack(panel: &mut [Line], from: StridedMatrix, width: usize) {
    let mut done = 0;
    if width == PANEL && from.row == 1 {
        done = panel.len() / BLOCK * BLOCK;
        let to = panel.as_mut_ptr().cast();
        // SAFETY: so many rows of 16 numbers, those of the transposed matrix in memory.
        unsafe { transpose([PANEL, done], from.start, from.column, to, PANEL as isize) };
    }
    for (i, line) in panel.iter_mut().enumerate().skip(done) {
        let row = from.from(i, 0);
        // SAFETY: every address is one of the matrix, by the caller's promise.
        unsafe {
            if width == PANEL && from.column == 1 {
                line.0 = row.start.cast::<[f32; PANEL]>().read_unaligned();
            } else {
                *line = Line::default();
                for (j, x) in line.0[..width].iter_mut().enumerate() {
                    *x = *row.from(0, j).start;
                }
            }
        }
    }
}

/// Writes the first `width` columns of a panel to the matrix that begins at `to`, with these strides.
///
/// # Safety
/// The matrix has `panel.len()` rows and `width` ≤ 16 columns of writable elements.
/// No other thread reads or writes them during the call.
pub(crate) unsafe fn unpack(panel: &[Line], to: *mut f32, [row, column]: [isize; 2], width: usize) {
    let mut done = 0;
    if width == PANEL && row == 1 {
        done = panel.len() / BLOCK * BLOCK;
        // SAFETY: so many rows of 16 numbers; their columns lie in order in the matrix.
        unsafe {
            transpose(
                [done, PANEL],
                panel.as_ptr().cast(),
                PANEL as isize,
                to,
                column,
            )
        };
    }
    for (i, line) in panel.iter().enumerate().skip(done) {
        for (j, &x) in line.0[..width].iter().enumerate() {
            // SAFETY: every address is one of the matrix, by the caller's promise.
            unsafe { *to.offset(i as isize * row + j as isize * column) = x };
        }
    }
}
