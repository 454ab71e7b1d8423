//! Huber's loss: squared near 0, absolute further out (Huber, “Robust Estimation of a Location Parameter”, *The Annals
//! of Mathematical Statistics* 35(1), 1964, section 1).
//!
//! For outputs z and values y, both `[n, C]`, with the residual `$r = z - y$`, the bound δ > 0 and sample weights w:
//!
//! ```math
//! h(r) = \begin{cases} \frac12 r^2 & |r| \le \delta \\ \delta\,(|r| - \frac12\delta) & \text{else} \end{cases}, \qquad
//! L = \frac{1}{W} \sum_i w_i \frac1C \sum_j h(r_{ij}), \qquad W = \sum_i w_i
//! ```
//!
//! As δ grows L becomes half the mean squared error. As δ goes to 0, L/δ becomes the mean absolute error. Without
//! weights L is PyTorch's `HuberLoss`, the mean over all elements. With weights L is the weighted mean, as in the
//! losses beside it; `torch.nn.functional.huber_loss(weight=w)` divides by the number of elements instead.
//!
//! # Backward
//!
//! `$h'(r) = r$` in the middle and `$\delta \operatorname{sign}(r)$` outside. Both are ±δ at |r| = δ, so the slope has
//! no jump: it is r, cut off at ±δ.
//!
//! ```math
//! dz_{ij} = \frac{w_i}{W C} \max(-\delta, \min(\delta, r_{ij}))
//! ```

use std::ops::RangeInclusive;

use super::batch::BatchLoss;
use super::mean::{Term, WeightedValues, mean};
use crate::error::{Error, Result};
use crate::real::Real;

/// Huber's loss with its bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Huber {
    /// δ > 0, in the unit of the values.
    pub delta: f64,
}

impl Default for Huber {
    /// δ is 1, as in PyTorch.
    fn default() -> Self {
        Huber { delta: 1.0 }
    }
}

impl Huber {
    /// The bounds that may be asked for: those that single precision holds with room to spare.
    pub const DELTAS: RangeInclusive<f64> = 1e-30..=1e30;

    /// Refuses a bound outside [`Huber::DELTAS`].
    pub(super) fn check(&self) -> Result<()> {
        if Self::DELTAS.contains(&self.delta) {
            return Ok(());
        }
        let message = format!("expected a number in 1e-30..=1e30, found {:e}", self.delta);
        Err(Error::setting("train.delta (--delta)", message))
    }
}

/// Huber's loss of the outputs `z` `[rows, columns]`; writes dz to `dz` if it is given.
///
/// A batch whose weights sum to 0 has objective 0 and gradient 0.
///
/// # Panics
/// If there is not one value per output, or not one weight per row.
pub fn huber<R: Real>(
    dz: Option<&mut [R]>,
    z: &[R],
    targets: WeightedValues<'_>,
    options: &Huber,
) -> BatchLoss {
    let (delta, half) = (R::from_f64(options.delta), R::from_f64(0.5));
    mean(
        dz,
        z,
        targets,
        #[inline(always)]
        move |_: usize, z: R, y: R| {
            let r = z - y;
            // Comparisons with NaN are false, so NaN passes through.
            let (loss, slope) = if r > delta {
                (delta * (r - half * delta), delta)
            } else if r < -delta {
                (delta * (-r - half * delta), -delta)
            } else {
                (half * r * r, r)
            };
            let plain = loss;
            Term { loss, plain, slope }
        },
        |_, _| false,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESIDUALS: [f64; 6] = [0.5, -0.5, 2.0, -3.0, 0.0, 1.0];

    fn of_residuals(delta: f64) -> (f64, [f64; 6]) {
        let targets = WeightedValues {
            values: &[0.0; 6],
            columns: 1,
            weights: None,
        };
        let mut dz = [f64::NAN; 6];
        let found = huber(Some(&mut dz), &RESIDUALS, targets, &Huber { delta });
        assert_close(&[found.plain_sum], &[6.0 * found.objective]);
        (found.objective, dz.map(|d| d * 6.0))
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-15 * expected.abs().max(1e-300),
                "{found} against {expected}"
            );
        }
    }

    /// ½·¼ twice, then 1·(2 − ½), 1·(3 − ½), 0 and ½ at the border.
    #[test]
    fn by_hand() {
        let (objective, slopes) = of_residuals(1.0);
        assert_close(&[objective], &[(0.25 + 1.5 + 2.5 + 0.5) / 6.0]);
        assert_close(&slopes, &[0.5, -0.5, 1.0, -1.0, 0.0, 1.0]);
    }

    /// L/δ becomes the mean absolute error, and the slope δ times the sign.
    #[test]
    fn small_bounds() {
        for delta in [1e-15, *Huber::DELTAS.start()] {
            let (objective, slopes) = of_residuals(delta);
            assert!((objective / delta - 7.0 / 6.0).abs() <= 1e-14);
            assert_close(
                &slopes.map(|d| d / delta),
                &[1.0, -1.0, 1.0, -1.0, 0.0, 1.0],
            );
        }
    }

    /// L becomes half the mean squared error, and the slope the residual.
    #[test]
    fn large_bounds() {
        for delta in [3.0, 1e15, *Huber::DELTAS.end(), f64::INFINITY] {
            let (objective, slopes) = of_residuals(delta);
            assert_close(&[objective], &[0.5 * (0.5 + 4.0 + 9.0 + 1.0) / 6.0]);
            assert_close(&slopes, &RESIDUALS);
        }
    }

    /// Every bound that may be asked for gives a gradient in single precision.
    #[test]
    fn bounds_in_single_precision() {
        for delta in [*Huber::DELTAS.start(), *Huber::DELTAS.end()] {
            let targets = WeightedValues {
                values: &[0.0, 0.0],
                columns: 2,
                weights: None,
            };
            let mut dz = [f32::NAN; 2];
            let found = huber(Some(&mut dz), &[1.5_f32, -1.5], targets, &Huber { delta });
            assert!(found.objective > 0.0 && found.objective.is_finite());
            assert!(dz[0] > 0.0 && dz[0].is_finite() && dz[1] == -dz[0]);
        }
    }
}
