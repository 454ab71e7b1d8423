//! A product on one or several threads: C is cut into one piece per thread, and k is not cut.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, s};

use super::element::{Beta, Element, multiply};
use crate::threads::on_team;

/// Rows of C are split between threads at multiples of this number: a multiple of every micro-kernel's tile height.
pub const ROW_GRAIN: usize = 48;
/// Columns of C are split between threads at multiples of this number: a multiple of every micro-kernel's tile width.
pub const COLUMN_GRAIN: usize = 64;

/// Products below this many multiply-adds stay on one thread: waking a second one costs more than it saves.
///
/// They are about 10 µs of work.
const PARALLEL_WORK: usize = 1 << 18;

/// `C ← AB + βC` for A `[m, k]`, B `[k, n]`, C `[m, n]` with any strides, on a given number of threads.
///
/// The bits do not depend on the number of threads.
/// An empty sum (k = 0) is 0.
///
/// # Panics
/// If the shapes do not fit: that is a mistake of the caller and never of its input.
pub fn gemm<R: Element>(
    a: ArrayView2<'_, R>,
    b: ArrayView2<'_, R>,
    beta: Beta,
    mut c: ArrayViewMut2<'_, R>,
    threads: usize,
) {
    let (m, k) = a.dim();
    let n = b.ncols();
    assert_eq!(b.nrows(), k, "rows of B against columns of A");
    assert_eq!(c.dim(), (m, n), "C against rows of A and columns of B");
    if m == 0 || n == 0 {
        return;
    }
    if threads == 1 || m * n * k < PARALLEL_WORK {
        // SAFETY: the shapes fit, and the view is borrowed mutably.
        unsafe { multiply(a, b, beta, c.as_mut_ptr(), c.strides()) };
    } else {
        product(a, b, beta, c, threads);
    }
}

/// `C ← AB + βC` on several threads.
fn product<R: Element>(
    a: ArrayView2<'_, R>,
    b: ArrayView2<'_, R>,
    beta: Beta,
    mut c: ArrayViewMut2<'_, R>,
    threads: usize,
) {
    let start = OutputPointer(c.as_mut_ptr());
    let (m, n) = c.dim();
    let strides = c.strides();
    on_team(threads, |member| {
        let Some([rows, columns]) = piece([0..m, 0..n], member.size(), member.index()) else {
            return;
        };
        let offset = rows.start as isize * strides[0] + columns.start as isize * strides[1];
        let a = a.slice(s![rows, ..]);
        let b = b.slice(s![.., columns]);
        // SAFETY: `gemm` compared the shapes; pieces do not overlap, and the view outlives the region.
        unsafe { multiply(a, b, beta, start.at(offset), strides) };
    });
}

/// The first element of C, for all members.
struct OutputPointer<R>(*mut R);

// SAFETY: members write pieces of C that do not overlap, and no member reads another's piece.
unsafe impl<R: Send> Sync for OutputPointer<R> {}

impl<R> OutputPointer<R> {
    fn at(&self, offset: isize) -> *mut R {
        self.0.wrapping_offset(offset)
    }
}

/// The rows and columns of a thread: C is halved along its longer side until every piece is one thread's share.
///
/// A small C has fewer pieces than the team has threads; the other threads get `None`.
fn piece(
    [rows, columns]: [Range<usize>; 2],
    threads: usize,
    index: usize,
) -> Option<[Range<usize>; 2]> {
    let left = threads / 2;
    let cut = |range: &Range<usize>, grain| {
        let at = grain_cut(range.len(), grain, left, threads)?;
        Some(range.start + at)
    };
    let row = cut(&rows, ROW_GRAIN).filter(|_| threads > 1);
    let column = cut(&columns, COLUMN_GRAIN).filter(|_| threads > 1);
    let (low, high) =
        if let Some(at) = row.filter(|_| rows.len() >= columns.len() || column.is_none()) {
            let (low, high) = (rows.start..at, at..rows.end);
            ([low, columns.clone()], [high, columns])
        } else if let Some(at) = column {
            let (low, high) = (columns.start..at, at..columns.end);
            ([rows.clone(), low], [rows, high])
        } else {
            return (index == 0).then_some([rows, columns]);
        };
    if index < left {
        piece(low, left, index)
    } else {
        piece(high, threads - left, index - left)
    }
}

/// The multiple of `grain` nearest to `length · left / threads`, at least `grain`; `None` if it is not below `length`.
fn grain_cut(length: usize, grain: usize, left: usize, threads: usize) -> Option<usize> {
    let at = (length * left / threads + grain / 2) / grain * grain;
    let at = at.max(grain);
    (at < length).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn pieces_cover_c_once() {
        for (m, n) in [
            (1, 1),
            (48, 64),
            (49, 64),
            (100, 500),
            (97, 211),
            (1024, 10),
            (500, 784),
        ] {
            for threads in [1, 2, 3, 7, 8, 64] {
                let mut seen = Array2::<u8>::zeros((m, n));
                let pieces = (0..threads).filter_map(|index| piece([0..m, 0..n], threads, index));
                let mut count = 0;
                for [rows, columns] in pieces {
                    assert!(!rows.is_empty() && !columns.is_empty());
                    assert!(rows.start.is_multiple_of(ROW_GRAIN));
                    assert!(columns.start.is_multiple_of(COLUMN_GRAIN));
                    seen.slice_mut(s![rows, columns]).mapv_inplace(|x| x + 1);
                    count += 1;
                }
                assert!(seen.iter().all(|&x| x == 1), "{m}×{n} on {threads}");
                assert_eq!(
                    count > 1,
                    threads > 1 && (m > ROW_GRAIN || n > COLUMN_GRAIN)
                );
            }
        }
    }

    #[test]
    fn products_run_side_by_side() {
        let a = Array2::from_shape_fn((120, 40), |(i, j)| ((i * 7 + j) % 5) as f32);
        let expected = a.dot(&a.t());
        std::thread::scope(|scope| {
            for threads in [2, 2, 3] {
                let (a, expected) = (&a, &expected);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let mut c = Array2::from_elem((120, 120), f32::NAN);
                        product(a.view(), a.t(), Beta::Overwrite, c.view_mut(), threads);
                        assert_eq!(c, expected);
                    }
                });
            }
        });
    }
}
