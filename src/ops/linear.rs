//! The affine map of a layer (Goodfellow, Bengio, Courville, *Deep Learning*, 2016, section 6.5.6).
//!
//! With X `[n, in]`, W `[out, in]` (PyTorch's order), b `[out]` and Y `[n, out]`:
//!
//! ```math
//! Y = X W^\top + \mathbf{1} b^\top, \qquad Y_{ij} = \sum_k X_{ik} W_{jk} + b_j
//! ```
//!
//! # Backward
//!
//! `$W_{jk}$` occurs in `$Y_{ij}$` for every sample i, with factor `$X_{ik}$`, and so does `$b_j$`, with factor 1.
//! `$X_{ik}$` occurs in `$Y_{ij}$` for every output j, with factor `$W_{jk}$`. Hence, with dY `[n, out]`:
//!
//! ```math
//! dW_{jk} = \sum_i dY_{ij} X_{ik} \;\Rightarrow\; dW = dY^\top X, \qquad
//! db_j = \sum_i dY_{ij}, \qquad
//! dX_{ik} = \sum_j dY_{ij} W_{jk} \;\Rightarrow\; dX = dY\, W
//! ```
//!
//! A training step has three products of the same size: 6 operations (3 multiplications, 3 additions) per weight and
//! sample. The first layer has 4, because its dX is not needed.
//!
//! The products run on a given number of threads. The bits do not depend on that number.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::reduce;
use crate::gemm::{Beta, Element, gemm};
use crate::real::Real;
use crate::simd::{self, LANES};

/// `Y = X Wᵀ + 1bᵀ`.
pub fn linear_forward<R: Element>(
    mut y: ArrayViewMut2<'_, R>,
    x: ArrayView2<'_, R>,
    w: ArrayView2<'_, R>,
    b: &[R],
    threads: usize,
) {
    assert_eq!(b.len(), w.nrows(), "one bias per output");
    gemm(x, w.t(), Beta::Overwrite, y.view_mut(), threads);
    if !b.is_empty() {
        add_bias(y.as_slice_mut().expect("Y is contiguous"), b);
    }
}

/// `y ← y + b` for every row of Y `[n, b.len()]`.
pub fn add_bias<R: Real>(y: &mut [R], b: &[R]) {
    assert!(y.len().is_multiple_of(b.len()), "whole rows");
    simd::dispatch(
        #[inline(always)]
        || add_to_rows(y, b),
    );
}

#[inline(always)]
fn add_to_rows<R: Real>(y: &mut [R], b: &[R]) {
    if let Ok(b) = <[R; LANES]>::try_from(b) {
        // A width that the compiler knows: b stays in registers.
        for row in y.as_chunks_mut::<LANES>().0 {
            simd::row_by_row();
            let mut sum = *row;
            for q in 0..LANES {
                sum[q] += b[q];
            }
            *row = sum;
        }
        return;
    }
    for row in y.chunks_exact_mut(b.len()) {
        for (y, &b) in row.iter_mut().zip(b) {
            *y += b;
        }
    }
}

/// `dW = dYᵀ X`, `db = Σᵢ dYᵢ`; both are overwritten.
pub fn linear_backward_parameters<R: Element>(
    dw: ArrayViewMut2<'_, R>,
    db: &mut [R],
    dy: ArrayView2<'_, R>,
    x: ArrayView2<'_, R>,
    threads: usize,
) {
    gemm(dy.t(), x, Beta::Overwrite, dw, threads);
    db.fill(R::ZERO);
    reduce::add_rows(dy.as_slice().expect("dY is contiguous"), db);
}

/// `dX = dY W`; overwritten.
pub fn linear_backward_input<R: Element>(
    dx: ArrayViewMut2<'_, R>,
    dy: ArrayView2<'_, R>,
    w: ArrayView2<'_, R>,
    threads: usize,
) {
    gemm(dy, w, Beta::Overwrite, dx, threads);
}

#[cfg(test)]
mod tests {
    use super::super::gradient::{check, dot, numbers};
    use super::*;
    use ndarray::{Array2, ArrayView2, array};

    #[test]
    fn by_hand() {
        let x = array![[1.0_f32, 2.0, 3.0], [-1.0, 0.5, 2.0]];
        let w = array![[2.0_f32, 0.0, 1.0], [1.0, -1.0, 3.0]];
        let mut y = Array2::from_elem((2, 2), f32::NAN);
        linear_forward(y.view_mut(), x.view(), w.view(), &[10.0, -1.0], 1);
        assert_eq!(y, array![[15.0, 7.0], [10.0, 3.5]]);

        let dy = array![[1.0_f32, 2.0], [-1.0, 0.5]];
        let mut dw = Array2::from_elem((2, 3), f32::NAN);
        let mut db = [f32::NAN; 2];
        linear_backward_parameters(dw.view_mut(), &mut db, dy.view(), x.view(), 1);
        assert_eq!(dw, array![[2.0, 1.5, 1.0], [1.5, 4.25, 7.0]]);
        assert_eq!(db, [0.0, 2.5]);
        let mut dx = Array2::from_elem((2, 3), f32::NAN);
        linear_backward_input(dx.view_mut(), dy.view(), w.view(), 1);
        assert_eq!(dx, array![[4.0, -2.0, 7.0], [-1.5, -0.5, 0.5]]);
    }

    #[test]
    fn gradients_against_central_differences() {
        for (n, inputs, outputs) in [(1, 1, 1), (3, 7, 5), (5, 13, 2)] {
            let x = numbers(n * inputs, 1);
            let w = numbers(outputs * inputs, 2);
            let b = numbers(outputs, 3);
            let u = numbers(n * outputs, 4);
            let xv = |x: &[f64]| Array2::from_shape_vec((n, inputs), x.to_vec()).unwrap();
            let wv = |w: &[f64]| Array2::from_shape_vec((outputs, inputs), w.to_vec()).unwrap();
            let forward = |x: &[f64], w: &[f64], b: &[f64]| {
                let mut y = Array2::from_elem((n, outputs), f64::NAN);
                linear_forward(y.view_mut(), xv(x).view(), wv(w).view(), b, 1);
                dot(&u, y.as_slice().unwrap())
            };
            let dy = ArrayView2::from_shape((n, outputs), &u).unwrap();
            let (mut dw, mut dx) = (wv(&w), xv(&x));
            let mut db = vec![f64::NAN; outputs];
            linear_backward_parameters(dw.view_mut(), &mut db, dy, xv(&x).view(), 1);
            linear_backward_input(dx.view_mut(), dy, wv(&w).view(), 1);
            check("dW", &w, dw.as_slice().unwrap(), |w| forward(&x, w, &b));
            check("db", &b, &db, |b| forward(&x, &w, b));
            check("dX", &x, dx.as_slice().unwrap(), |x| forward(x, &w, &b));
        }
    }
}
