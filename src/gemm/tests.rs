//! The product against its definition, in every layout, on any number of threads.

use super::*;
use crate::real::Real;
use ndarray::{Array2, s};

/// Small integers: every sum is exact in any order, so equality is exact too.
fn integers<R: Real>(rows: usize, columns: usize, salt: usize) -> Array2<R> {
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        R::from_f64(((i * 7 + j * 13 + salt * 5) % 17) as f64 - 8.0)
    })
}

fn sizes() -> Vec<(usize, usize, usize)> {
    let mut all = vec![(1, 1, 1), (1, 7, 1), (7, 1, 3), (3, 5, 0), (17, 19, 33)];
    // Interpreted code takes a thousand times as long.
    if cfg!(miri) {
        return all;
    }
    all.extend([(100, 10, 500), (131, 257, 61)]);
    for m in [1, 2, 5, 8, 17, 49] {
        for n in [1, 3, 8, 19, 65] {
            all.push((m, n, 1 + (m * n) % 29));
        }
    }
    all
}

fn agrees_with_naive<R: Element>() {
    for (m, n, k) in sizes() {
        let a = integers::<R>(m, k, 1);
        let b = integers::<R>(k, n, 2);
        let at = a.t().as_standard_layout().to_owned();
        let bt = b.t().as_standard_layout().to_owned();
        for (a, b) in [(a.view(), b.view()), (at.t(), b.view()), (a.view(), bt.t())] {
            for beta in [Beta::Overwrite, Beta::Accumulate] {
                let start = match beta {
                    // β = 0 never reads C.
                    Beta::Overwrite => Array2::from_elem((m, n), R::from_f64(f64::NAN)),
                    Beta::Accumulate => integers::<R>(m, n, 3),
                };
                let (mut ours, mut reference) = (start.clone(), start);
                gemm(a, b, beta, ours.view_mut(), 2);
                naive(a, b, beta, reference.view_mut());
                assert_eq!(ours, reference, "{m}×{n}×{k} {beta:?}");
            }
        }
    }
}

#[test]
fn f32_agrees_with_naive_in_every_layout() {
    agrees_with_naive::<f32>();
}

#[test]
fn f64_agrees_with_naive_in_every_layout() {
    agrees_with_naive::<f64>();
}

#[test]
fn naive_sums_by_hand() {
    let a = ndarray::array![[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let b = ndarray::array![[1.0_f32, -1.0], [0.5, 2.0], [-2.0, 3.0]];
    let mut c = Array2::from_elem((2, 2), 10.0);
    naive(a.view(), b.view(), Beta::Accumulate, c.view_mut());
    assert_eq!(c, ndarray::array![[6.0, 22.0], [4.5, 34.0]]);
}

/// Elements between the strided ones keep their NaN.
#[test]
fn gaps_stay_untouched() {
    let a = integers::<f32>(9, 5, 1);
    let b = integers::<f32>(5, 7, 2);
    let mut wide = Array2::from_elem((18, 21), f32::NAN);
    gemm(
        a.view(),
        b.view(),
        Beta::Overwrite,
        wide.slice_mut(s![..;2, ..;3]),
        1,
    );
    let mut expected = Array2::zeros((9, 7));
    naive(a.view(), b.view(), Beta::Overwrite, expected.view_mut());
    for ((i, j), &value) in wide.indexed_iter() {
        if i % 2 == 0 && j % 3 == 0 {
            assert_eq!(value, expected[(i / 2, j / 3)]);
        } else {
            assert!(value.is_nan());
        }
    }
}

/// Always the same chain: beyond every block size, with odd and reversed strides, and with either operand in panels.
#[test]
fn f32_is_one_chain_per_element() {
    let value = |i: usize| (i as f32 * 0.7311).sin();
    let matrix = |rows: usize, columns: usize, salt: usize| {
        Array2::from_shape_fn((rows, columns), |(i, j)| value(i * 31 + j * 7 + salt))
    };
    for (m, n, k) in [
        (1, 1, 1),
        (16, 33, 801),
        (37, 16, 17),
        (170, 23, 401),
        (5, 1041, 3),
        (161, 1030, 2),
        (331, 7, 1201),
    ] {
        let (a, b) = (matrix(m, k, 1), matrix(k, n, 2));
        let (at, bt) = (
            a.t().as_standard_layout().to_owned(),
            b.t().as_standard_layout().to_owned(),
        );
        let reversed = matrix(m, k, 1).slice(s![..;-1, ..;-1]).to_owned();
        let mut wide = Array2::zeros((2 * m, 3 * k));
        wide.slice_mut(s![..;2, ..;3]).assign(&a);
        let views = [
            (a.view(), b.view()),
            (at.t(), b.view()),
            (a.view(), bt.t()),
            (at.t(), bt.t()),
            (reversed.slice(s![..;-1, ..;-1]), b.view()),
            (wide.slice(s![..;2, ..;3]), bt.t()),
        ];
        let old = matrix(m, n, 9);
        let expected = Array2::from_shape_fn((m, n), |(i, j)| {
            (0..k).fold(old[(i, j)], |sum, p| a[(i, p)].mul_add(b[(p, j)], sum))
        });
        for (v, (a, b)) in views.into_iter().enumerate() {
            let mut c = old.clone();
            gemm(a, b, Beta::Accumulate, c.view_mut(), 1);
            let mut c_t = old.t().as_standard_layout().to_owned();
            gemm(a, b, Beta::Accumulate, c_t.view_mut().reversed_axes(), 1);
            for (at, e) in expected.indexed_iter() {
                assert_eq!(c[at].to_bits(), e.to_bits(), "{m}×{n}×{k} view {v} {at:?}");
                assert_eq!(
                    c_t[(at.1, at.0)].to_bits(),
                    e.to_bits(),
                    "Cᵀ, view {v} {at:?}"
                );
            }
        }
    }
}

fn bits_on<R: Element>(threads: usize, m: usize, n: usize, k: usize) -> Vec<u64> {
    let value = |i: usize| R::from_f64((i as f64 * 0.7311).sin());
    let a = Array2::from_shape_fn((m, k), |(i, j)| value(i * 31 + j));
    let b = Array2::from_shape_fn((k, n), |(i, j)| value(i * 17 + j * 3 + 5));
    let mut c = Array2::from_elem((m, n), R::ZERO);
    gemm(a.view(), b.t().t(), Beta::Overwrite, c.view_mut(), threads);
    c.iter().map(|x| x.to_f64().to_bits()).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (m, n, k) in [
        (100, 500, 784),
        (500, 784, 100),
        (16, 500, 784),
        (122, 83, 164),
        (97, 211, 531),
    ] {
        let one = bits_on::<f32>(1, m, n, k);
        let one_f64 = bits_on::<f64>(1, m, n, k);
        for threads in [2, 3, 8] {
            assert_eq!(
                one,
                bits_on::<f32>(threads, m, n, k),
                "f32 {m}×{n}×{k} on {threads}"
            );
            assert_eq!(
                one_f64,
                bits_on::<f64>(threads, m, n, k),
                "f64 {m}×{n}×{k} on {threads}"
            );
        }
    }
}

/// For large sizes: C·t against A·(B·t) for a vector t, at O(n²) cost (the check that BLIS's test suite uses).
#[test]
fn large_product_against_a_random_vector() {
    let (m, n, k) = (517, 523, 1031);
    let value = |i: usize| ((i as f64) * 0.137).sin();
    let a = Array2::from_shape_fn((m, k), |(i, j)| value(i * 1031 + j) as f32);
    let b = Array2::from_shape_fn((k, n), |(i, j)| value(i * 523 + j + 11) as f32);
    let t: Vec<f64> = (0..n).map(|i| value(i * 7 + 3)).collect();
    let mut c = Array2::from_elem((m, n), f32::NAN);
    gemm(a.view(), b.view(), Beta::Overwrite, c.view_mut(), 2);
    let bt: Vec<f64> = b
        .outer_iter()
        .map(|row| row.iter().zip(&t).map(|(&x, t)| f64::from(x) * t).sum())
        .collect();
    for i in 0..m {
        let ours: f64 = c
            .row(i)
            .iter()
            .zip(&t)
            .map(|(&x, t)| f64::from(x) * t)
            .sum();
        let exact: f64 = a
            .row(i)
            .iter()
            .zip(&bt)
            .map(|(&x, t)| f64::from(x) * t)
            .sum();
        assert!(
            ours.is_finite() && (ours - exact).abs() <= 2e-2,
            "row {i}: {ours} against {exact}"
        );
    }
}
