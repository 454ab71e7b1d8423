//! The product as it is defined: the reference for every other path.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::element::Beta;
use crate::real::Real;

/// `$C_{ij} \leftarrow \sum_p A_{ip} B_{pj} + \beta C_{ij}$`, summed in f64 and rounded once.
///
/// # Panics
/// If the shapes do not fit.
pub fn naive<R: Real>(
    a: ArrayView2<'_, R>,
    b: ArrayView2<'_, R>,
    beta: Beta,
    mut c: ArrayViewMut2<'_, R>,
) {
    assert_eq!(b.nrows(), a.ncols(), "rows of B against columns of A");
    assert_eq!(
        c.dim(),
        (a.nrows(), b.ncols()),
        "C against rows of A and columns of B"
    );
    for ((i, j), value) in c.indexed_iter_mut() {
        let start = match beta {
            Beta::Overwrite => 0.0,
            Beta::Accumulate => value.to_f64(),
        };
        let products = (0..a.ncols()).map(|p| a[(i, p)].to_f64() * b[(p, j)].to_f64());
        *value = R::from_f64(products.fold(start, |sum, x| sum + x));
    }
}
