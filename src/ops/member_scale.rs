//! The members' scales of TabM-mini (Gorishniy, Kotelnikov, Babenko, “TabM: Advancing Tabular Deep Learning with
//! Parameter-Efficient Ensembling”, ICLR 2025, section 3).
//!
//! Members are networks that share their weights. They see the same sample, each with its own scale of every value:
//! with e `[n, width]` and r `[members, width]` the rows of member m are
//!
//! ```math
//! Y_m = e \circ \mathbf{1} r_m^\top, \qquad Y_{m,ij} = e_{ij}\, r_{mj}
//! ```
//!
//! Y is `[members · n, width]`, member by member. What follows takes it for a larger batch.
//!
//! # Backward
//!
//! `$r_{mj}$` occurs in `$Y_{m,ij}$` for every sample i, with factor `$e_{ij}$`. `$e_{ij}$` occurs in `$Y_{m,ij}$` for
//! every member m, with factor `$r_{mj}$`. Hence
//!
//! ```math
//! dr_{mj} = \sum_i dY_{m,ij}\, e_{ij}, \qquad de_{ij} = \sum_m dY_{m,ij}\, r_{mj}
//! ```

use crate::real::Real;
use crate::simd;

/// Y `[members · n, width]` from e `[n, width]` and r `[members, width]`.
pub fn member_scale_forward<R: Real>(y: &mut [R], e: &[R], r: &[R], width: usize) {
    assert_eq!(
        y.len(),
        r.len() / width * e.len(),
        "a row for every member and sample"
    );
    simd::dispatch(
        #[inline(always)]
        || {
            for (y, r) in y.chunks_exact_mut(e.len()).zip(r.chunks_exact(width)) {
                for (y, e) in y.chunks_exact_mut(width).zip(e.chunks_exact(width)) {
                    for ((y, &e), &r) in y.iter_mut().zip(e).zip(r) {
                        *y = e * r;
                    }
                }
            }
        },
    );
}

/// dr `[members, width]` from dY `[members · n, width]`; overwritten.
pub fn member_scale_backward_scale<R: Real>(dr: &mut [R], dy: &[R], e: &[R], width: usize) {
    assert_eq!(
        dy.len(),
        dr.len() / width * e.len(),
        "a row for every member and sample"
    );
    dr.fill(R::ZERO);
    simd::dispatch(
        #[inline(always)]
        || {
            for (dr, dy) in dr.chunks_exact_mut(width).zip(dy.chunks_exact(e.len())) {
                for (dy, e) in dy.chunks_exact(width).zip(e.chunks_exact(width)) {
                    for ((dr, &dy), &e) in dr.iter_mut().zip(dy).zip(e) {
                        *dr += dy * e;
                    }
                }
            }
        },
    );
}

/// de `[n, width]` from dY `[members · n, width]`; overwritten.
pub fn member_scale_backward_input<R: Real>(de: &mut [R], dy: &[R], r: &[R], width: usize) {
    assert_eq!(
        dy.len(),
        r.len() / width * de.len(),
        "a row for every member and sample"
    );
    let rows = de.len();
    de.fill(R::ZERO);
    simd::dispatch(
        #[inline(always)]
        || {
            for (dy, r) in dy.chunks_exact(rows).zip(r.chunks_exact(width)) {
                for (de, dy) in de.chunks_exact_mut(width).zip(dy.chunks_exact(width)) {
                    for ((de, &dy), &r) in de.iter_mut().zip(dy).zip(r) {
                        *de += dy * r;
                    }
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::super::gradient::{check, dot, numbers};
    use super::*;

    #[test]
    fn by_hand() {
        let (e, r) = ([1.0, 2.0, -3.0, 4.0], [1.0, -1.0, 0.5, 2.0, 1.0, 1.0]);
        let mut y = [f32::NAN; 12];
        member_scale_forward(&mut y, &e, &r, 2);
        let expected = [
            1.0, -2.0, -3.0, -4.0, 0.5, 4.0, -1.5, 8.0, 1.0, 2.0, -3.0, 4.0,
        ];
        assert_eq!(y, expected);

        let dy = [1.0, 2.0, 0.0, 1.0, 2.0, 0.5, 2.0, 0.0, 0.0, 0.0, 1.0, -1.0];
        let (mut dr, mut de) = ([f32::NAN; 6], [f32::NAN; 4]);
        member_scale_backward_scale(&mut dr, &dy, &e, 2);
        assert_eq!(dr, [1.0, 8.0, -4.0, 1.0, -3.0, -4.0]);
        member_scale_backward_input(&mut de, &dy, &r, 2);
        assert_eq!(de, [2.0, -1.0, 2.0, -2.0]);
    }

    #[test]
    fn gradients_against_central_differences() {
        for (n, width, members) in [(1, 1, 1), (1, 3, 2), (5, 1, 3), (7, 17, 5)] {
            let (e, r) = (numbers(n * width, 1), numbers(members * width, 2));
            let u = numbers(members * n * width, 3);
            let forward = |e: &[f64], r: &[f64]| {
                let mut y = vec![f64::NAN; members * n * width];
                member_scale_forward(&mut y, e, r, width);
                dot(&u, &y)
            };
            let (mut dr, mut de) = (vec![f64::NAN; r.len()], vec![f64::NAN; e.len()]);
            member_scale_backward_scale(&mut dr, &u, &e, width);
            member_scale_backward_input(&mut de, &u, &r, width);
            check("dr", &r, &dr, |r| forward(&e, r));
            check("de", &e, &de, |e| forward(e, &r));
        }
    }
}
