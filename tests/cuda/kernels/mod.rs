//! Each kernel, launched as the backend launches it, compared with the CPU's operation and with f64. The sizes fit no
//! tile, and blocks and threads run in three orders.

mod batch_norm;
mod blocks;
mod device;
mod input;
mod loss;
mod mistakes;
mod optimizers;
mod products;

use std::cell::RefCell;

use chainrule::rng::philox4x32;

/// The unit roundoff: half the distance from 1 to the next f32, the largest relative error of one rounding.
const U: f64 = f32::EPSILON as f64 / 2.0;

/// `count` reproducible numbers in (−1, 1) without a visible pattern.
fn numbers(count: usize, salt: u32) -> Vec<f32> {
    (0..count)
        .map(|i| {
            let [word, ..] = philox4x32([i as u32, salt, 0, 0], [23, 5]);
            ((f64::from(word) + 0.5) / f64::from(1_u32 << 31) - 1.0) as f32
        })
        .collect()
}

/// As [`numbers`], times `scale`.
fn scaled(count: usize, salt: u32, scale: f32) -> Vec<f32> {
    numbers(count, salt).iter().map(|x| scale * x).collect()
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

/// A count of what a test has compared so far.
#[derive(Default)]
struct Compared {
    /// Numbers that had to be equal.
    same: usize,
    /// Numbers that had to be close.
    near: usize,
    /// The largest error as a share of its bound, and where it was.
    worst: (f64, String),
}

thread_local! {
    static COMPARED: RefCell<Compared> = RefCell::default();
}

/// Prints what this test has compared, and resets the counts.
fn report() {
    let Compared { same, near, worst } = COMPARED.take();
    let worst = match worst {
        (0.0, _) => String::new(),
        (part, what) => format!(", largest error {part:.2e} of its bound ({what})"),
    };
    println!("{same} numbers equal, {near} within their bounds{worst}");
}

/// Checks for equal bits, except that zeros of either sign count as equal. All numbers must be finite.
#[track_caller]
fn assert_same(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            found.is_finite() && found == expected,
            "{what}[{i}]: {found:e}, expected {expected:e}"
        );
    }
    COMPARED.with_borrow_mut(|c| c.same += found.len());
}

/// Checks that each number is within its own bound.
#[track_caller]
fn assert_within<T: Copy + Into<f64>>(
    what: &str,
    found: &[T],
    expected: impl Fn(usize) -> f64,
    bound: impl Fn(usize) -> f64,
) {
    let mut worst = 0.0_f64;
    for (i, &found) in found.iter().enumerate() {
        let (found, expected, bound) = (found.into(), expected(i), bound(i));
        let error = (found - expected).abs();
        assert!(
            error.is_finite() && bound.is_finite() && error <= bound,
            "{what}[{i}]: {found:e}, expected {expected:e} within {bound:e}"
        );
        if error > 0.0 {
            worst = worst.max(error / bound);
        }
    }
    COMPARED.with_borrow_mut(|c| {
        c.near += found.len();
        if worst > c.worst.0 {
            c.worst = (worst, what.to_owned());
        }
    });
}
