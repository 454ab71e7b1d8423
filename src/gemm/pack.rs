//! Copies into panels: the layout that kernels read in order, `[rows][16]`, whatever the matrix's own layout is.

use super::params::PANEL;

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
/// The matrix has `panel.len()` rows and `width` ≤ 16 columns of readable elements, and the processor has AVX2.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn pack(panel: &mut [Line], from: StridedMatrix, width: usize) {
    // SAFETY: every address is one of the matrix, by the caller's promise.
    unsafe {
        if width < PANEL {
            for (i, line) in panel.iter_mut().enumerate() {
                let row = from.from(i, 0);
                *line = Line::default();
                for (j, x) in line.0[..width].iter_mut().enumerate() {
                    *x = *row.from(0, j).start;
                }
            }
        } else if from.column == 1 {
            for (i, line) in panel.iter_mut().enumerate() {
                line.0 = from
                    .from(i, 0)
                    .start
                    .cast::<[f32; PANEL]>()
                    .read_unaligned();
            }
        } else if from.row == 1 {
            let whole = panel.len() / 8 * 8;
            for i in (0..whole).step_by(8) {
                let to = panel[i..].as_mut_ptr().cast::<f32>();
                for half in [0, 8] {
                    let from = from.from(i, half);
                    transpose_8x8(from.start, from.column, to.add(half), PANEL as isize);
                }
            }
            for (i, line) in panel.iter_mut().enumerate().skip(whole) {
                for (j, x) in line.0.iter_mut().enumerate() {
                    *x = *from.from(i, j).start;
                }
            }
        } else {
            for (i, line) in panel.iter_mut().enumerate() {
                for (j, x) in line.0.iter_mut().enumerate() {
                    *x = *from.from(i, j).start;
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
/// The processor has AVX2.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn unpack(panel: &[Line], to: *mut f32, [row, column]: [isize; 2], width: usize) {
    // SAFETY: every address is one of the matrix, by the caller's promise.
    unsafe {
        let scalar = |i: usize, j: usize| {
            let at = i as isize * row + j as isize * column;
            *to.offset(at) = panel[i].0[j];
        };
        let mut done = 0;
        if row == 1 && width == PANEL {
            done = panel.len() / 8 * 8;
            for i in (0..done).step_by(8) {
                let from = panel[i..].as_ptr().cast::<f32>();
                for half in [0, 8] {
                    let to = to.offset(i as isize + half as isize * column);
                    transpose_8x8(from.add(half), PANEL as isize, to, column);
                }
            }
        }
        for i in done..panel.len() {
            for j in 0..width {
                scalar(i, j);
            }
        }
    }
}

/// Transposes 8 × 8 numbers: rows `from_row` apart become columns of rows `to_row` apart.
///
/// Pairs, then pairs of pairs, then halves: three layers of 8 shuffles.
///
/// # Safety
/// 8 rows of 8 numbers are readable at `from`, writable at `to`, and the processor has AVX2.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn transpose_8x8(from: *const f32, from_row: isize, to: *mut f32, to_row: isize) {
    use core::arch::x86_64::*;
    // SAFETY: the caller's promise.
    unsafe {
        let row = |i: isize| _mm256_loadu_ps(from.offset(i * from_row));
        let pairs = |i: isize| {
            let (a, b) = (row(i), row(i + 1));
            (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b))
        };
        let ((a0, a1), (b0, b1), (c0, c1), (d0, d1)) = (pairs(0), pairs(2), pairs(4), pairs(6));
        let quads = |a, b| {
            (
                _mm256_shuffle_ps::<0b01_00_01_00>(a, b),
                _mm256_shuffle_ps::<0b11_10_11_10>(a, b),
            )
        };
        let ((p0, p1), (p2, p3)) = (quads(a0, b0), quads(a1, b1));
        let ((q0, q1), (q2, q3)) = (quads(c0, d0), quads(c1, d1));
        for (j, (p, q)) in [(p0, q0), (p1, q1), (p2, q2), (p3, q3)]
            .into_iter()
            .enumerate()
        {
            let j = j as isize;
            _mm256_storeu_ps(to.offset(j * to_row), _mm256_permute2f128_ps::<0x20>(p, q));
            _mm256_storeu_ps(
                to.offset((j + 4) * to_row),
                _mm256_permute2f128_ps::<0x31>(p, q),
            );
        }
    }
}
