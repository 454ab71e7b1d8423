//! Sums with one fixed order, so that the result never depends on threads or on the width of a vector register.

use crate::real::Real;
use crate::simd::{self, LANES};

/// Sums a row: 16 running sums over `i mod 16`, then a binary tree over the lanes.
#[inline]
pub fn sum<R: Real>(row: &[R]) -> R {
    map_sum(row, |x| x)
}

/// Sums `f(x)` over a row in the order of [`sum`].
#[inline(always)]
pub fn map_sum<R: Real, S: Real>(row: &[R], f: impl Fn(R) -> S) -> S {
    let mut lanes = [S::ZERO; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane += f(x);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            let upper = lanes[i + half];
            lanes[i] += upper;
        }
        half /= 2;
    }
    lanes[0]
}

/// The largest value of a row; NaN entries are ignored, an empty row gives −∞.
#[inline]
pub fn max<R: Real>(row: &[R]) -> R {
    row.iter().fold(R::NEG_INFINITY, |m, &x| m.max(x))
}

/// Adds every row of `x` `[n, sums.len()]` to `sums`, rows in order, lanes across columns.
pub fn add_rows<R: Real>(x: &[R], sums: &mut [R]) {
    assert!(
        sums.is_empty() || x.len().is_multiple_of(sums.len()),
        "whole rows"
    );
    simd::dispatch(
        #[inline(always)]
        || add_columns(x, sums),
    );
}

#[inline(always)]
fn add_columns<R: Real>(x: &[R], sums: &mut [R]) {
    if let Ok(total) = <&mut [R; LANES]>::try_from(&mut *sums) {
        // A width that the compiler knows: the sums stay in registers.
        let mut lanes = *total;
        for row in x.as_chunks::<LANES>().0 {
            simd::row_by_row();
            for q in 0..LANES {
                lanes[q] += row[q];
            }
        }
        *total = lanes;
        return;
    }
    for row in x.chunks_exact(sums.len().max(1)) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_every_length_around_the_lane_count() {
        for n in [0_usize, 1, 2, 15, 16, 17, 31, 32, 33, 100] {
            let row: Vec<f32> = (1..=n).map(|i| i as f32).collect();
            assert_eq!(sum(&row), (n * (n + 1) / 2) as f32, "1 + … + {n}");
            assert_eq!(map_sum(&row, |x| f64::from(x) * 2.0), (n * (n + 1)) as f64);
        }
    }

    #[test]
    fn max_of_a_row() {
        assert_eq!(max(&[-3.0, -1.5, -2.0_f32]), -1.5);
        assert_eq!(max::<f64>(&[]), f64::NEG_INFINITY);
    }

    #[test]
    fn columns_by_hand() {
        let mut sums = [100.0, 0.0, -1.0_f64];
        add_rows(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut sums);
        assert_eq!(sums, [105.0, 7.0, 8.0]);
    }
}
