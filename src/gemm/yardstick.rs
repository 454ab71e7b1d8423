//! `matrixmultiply` behind the same arguments as [`gemm`](super::gemm): what measurements compare with.

use ndarray::{ArrayView2, ArrayViewMut2};

/// `C ← AB` by `matrixmultiply::sgemm` on the calling thread, for A `[m, k]`, B `[k, n]`, C `[m, n]` with any strides.
///
/// # Panics
/// If the shapes do not fit.
pub fn matrixmultiply(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    mut c: ArrayViewMut2<'_, f32>,
) {
    let (m, k) = a.dim();
    let n = b.ncols();
    assert_eq!(b.nrows(), k, "rows of B against columns of A");
    assert_eq!(c.dim(), (m, n), "C against rows of A and columns of B");
    let (sa, sb) = (a.strides(), b.strides());
    let sc = [c.strides()[0], c.strides()[1]];
    // SAFETY: views only hold addresses inside their array, and their shapes fit each other.
    // C is a mutable view, so it overlaps no other one and its elements are distinct.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a.as_ptr(),
            sa[0],
            sa[1],
            b.as_ptr(),
            sb[0],
            sb[1],
            0.0,
            c.as_mut_ptr(),
            sc[0],
            sc[1],
        );
    }
}
