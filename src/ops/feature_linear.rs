//! A linear map of each feature by itself (Gorishniy, Rubachev, Babenko, “On Embeddings for Numerical Features in
//! Tabular Deep Learning”, NeurIPS 2022, section 3).
//!
//! Feature j has the columns `$e_j$` `[n, len_j]` of the input, its own `$W_j$` `[d, len_j]` and `$b_j$` `[d]`, and
//! becomes d columns of the output:
//!
//! ```math
//! Y_j = e_j W_j^\top + \mathbf{1} b_j^\top
//! ```
//!
//! That is a Linear whose W has blocks on its diagonal and zeros elsewhere. No activation follows: behind
//! piecewise-linear encoding the map is already a continuous piecewise-linear function of the feature.
//!
//! # Backward
//!
//! As in [`linear`](super::linear), for each feature alone, because no other feature's columns have a part in `$Y_j$`:
//!
//! ```math
//! dW_j = dY_j^\top e_j, \qquad db_j = \sum_i dY_{j,i}, \qquad de_j = dY_j W_j
//! ```
//!
//! The functions here take one feature, whose columns may lie among those of others.

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::gemm::{Beta, Element, gemm};

/// `Y = e Wᵀ + 1bᵀ` for one feature's columns.
pub fn feature_linear_forward<R: Element>(
    mut y: ArrayViewMut2<'_, R>,
    e: ArrayView2<'_, R>,
    w: ArrayView2<'_, R>,
    b: &[R],
) {
    assert_eq!(b.len(), w.nrows(), "one bias per output");
    gemm(e, w.t(), Beta::Overwrite, y.view_mut(), 1);
    for mut row in y.rows_mut() {
        for (y, &b) in row.iter_mut().zip(b) {
            *y += b;
        }
    }
}

/// `dW = dYᵀ e`, `db = Σᵢ dYᵢ` for one feature's columns; both are overwritten.
pub fn feature_linear_backward_parameters<R: Element>(
    dw: ArrayViewMut2<'_, R>,
    db: &mut [R],
    dy: ArrayView2<'_, R>,
    e: ArrayView2<'_, R>,
) {
    gemm(dy.t(), e, Beta::Overwrite, dw, 1);
    db.fill(R::ZERO);
    for row in dy.rows() {
        for (db, &dy) in db.iter_mut().zip(row) {
            *db += dy;
        }
    }
}

/// `de = dY W` for one feature's columns; overwritten.
pub fn feature_linear_backward_input<R: Element>(
    de: ArrayViewMut2<'_, R>,
    dy: ArrayView2<'_, R>,
    w: ArrayView2<'_, R>,
) {
    gemm(dy, w, Beta::Overwrite, de, 1);
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array, s};

    use super::super::gradient::{check, dot, numbers};
    use super::*;

    /// A feature of 2 columns among 4 becomes 3 columns among 5; what lies beside them stays.
    #[test]
    fn by_hand() {
        let x = array![[9.0, 1.0, 2.0, 9.0], [9.0, -1.0, 0.5, 9.0]];
        let e = x.slice(s![.., 1..3]);
        let w = array![[1.0, 0.0], [2.0, -1.0], [0.0, 4.0]];
        let mut y = Array2::from_elem((2, 5), 7.0);
        feature_linear_forward(y.slice_mut(s![.., 1..4]), e, w.view(), &[10.0, 0.0, -1.0]);
        assert_eq!(
            y,
            array![[7.0, 11.0, 0.0, 7.0, 7.0], [7.0, 9.0, -2.5, 1.0, 7.0]]
        );

        let dy = array![[7.0, 1.0, 2.0, 0.0, 7.0], [7.0, -1.0, 0.5, 3.0, 7.0]];
        let dy = dy.slice(s![.., 1..4]);
        let (mut dw, mut db) = (Array2::from_elem((3, 2), f64::NAN), [f64::NAN; 3]);
        feature_linear_backward_parameters(dw.view_mut(), &mut db, dy, e);
        assert_eq!(dw, array![[2.0, 1.5], [1.5, 4.25], [-3.0, 1.5]]);
        assert_eq!(db, [0.0, 2.5, 3.0]);
        let mut dx = Array2::from_elem((2, 4), 7.0);
        feature_linear_backward_input(dx.slice_mut(s![.., 1..3]), dy, w.view());
        assert_eq!(dx, array![[7.0, 5.0, -2.0, 7.0], [7.0, 0.0, 11.5, 7.0]]);
    }

    #[test]
    fn gradients_against_central_differences() {
        for (n, inputs, outputs) in [(1, 1, 1), (3, 7, 5), (5, 13, 2)] {
            let e = numbers(n * inputs, 1);
            let w = numbers(outputs * inputs, 2);
            let b = numbers(outputs, 3);
            let u = numbers(n * outputs, 4);
            let ev = |e: &[f64]| Array2::from_shape_vec((n, inputs), e.to_vec()).unwrap();
            let wv = |w: &[f64]| Array2::from_shape_vec((outputs, inputs), w.to_vec()).unwrap();
            let forward = |e: &[f64], w: &[f64], b: &[f64]| {
                let mut y = Array2::from_elem((n, outputs), f64::NAN);
                feature_linear_forward(y.view_mut(), ev(e).view(), wv(w).view(), b);
                dot(&u, y.as_slice().unwrap())
            };
            let dy = ArrayView2::from_shape((n, outputs), &u).unwrap();
            let (mut dw, mut de, mut db) = (wv(&w), ev(&e), vec![f64::NAN; outputs]);
            feature_linear_backward_parameters(dw.view_mut(), &mut db, dy, ev(&e).view());
            feature_linear_backward_input(de.view_mut(), dy, wv(&w).view());
            check("dW", &w, dw.as_slice().unwrap(), |w| forward(&e, w, &b));
            check("db", &b, &db, |b| forward(&e, &w, b));
            check("de", &e, de.as_slice().unwrap(), |e| forward(e, &w, &b));
        }
    }
}
