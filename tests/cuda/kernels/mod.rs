//! Each kernel, launched as the backend launches it, against the CPU's operation and against f64, at sizes that fit no tile, in three orders of blocks and threads.

mod batch_norm;
mod blocks;
mod device;
mod input;
mod loss;
mod mistakes;
mod optimizers;
mod products;

use chainrule::rng::philox4x32;

/// Half the distance from 1 to the next f32: the largest relative error of one rounding.
const U: f64 = f32::EPSILON as f64 / 2.0;

/// `count` reproducible numbers in (−1, 1) that are no pattern of the index.
fn numbers(count: usize, salt: u32) -> Vec<f32> {
    (0..count)
        .map(|i| {
            let [word, ..] = philox4x32([i as u32, salt, 0, 0], [23, 5]);
            ((f64::from(word) + 0.5) / f64::from(1_u32 << 31) - 1.0) as f32
        })
        .collect()
}

/// As [`numbers`], `scale` times as large.
fn scaled(count: usize, salt: u32, scale: f32) -> Vec<f32> {
    numbers(count, salt).iter().map(|x| scale * x).collect()
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

/// The same bits; zeros of either sign are one number here. Neither side may hold what is not finite.
#[track_caller]
fn assert_same(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            found.is_finite() && found == expected,
            "{what}[{i}]: {found:e}, expected {expected:e}"
        );
    }
}

/// Within a bound of its own for each number; returns the largest part of its bound that an error takes.
#[track_caller]
fn assert_within(
    what: &str,
    found: &[f32],
    expected: impl Fn(usize) -> f64,
    bound: impl Fn(usize) -> f64,
) -> f64 {
    let mut worst = 0.0_f64;
    for (i, &found) in found.iter().enumerate() {
        let (expected, bound) = (expected(i), bound(i));
        let error = (f64::from(found) - expected).abs();
        assert!(
            error.is_finite() && bound.is_finite() && error <= bound,
            "{what}[{i}]: {found:e}, expected {expected:e} within {bound:e}"
        );
        if error > 0.0 {
            worst = worst.max(error / bound);
        }
    }
    worst
}
