//! Mean absolute error (Goodfellow, Bengio, Courville, *Deep Learning*, 2016, section 6.2.1.2).
//!
//! For outputs z and values y, both `[n, C]`, with the residual `$r = z - y$` and sample weights w:
//!
//! ```math
//! L = \frac{1}{W} \sum_i w_i \frac1C \sum_j |r_{ij}|, \qquad W = \sum_i w_i
//! ```
//!
//! Its minimum over constants is the median of the values: a value far away pulls no more than a near one. Without
//! weights L is PyTorch's `L1Loss`, the mean over all elements. With weights it is
//! `torch.nn.functional.l1_loss(weight=w)`, which divides by the sum of the weights.
//!
//! # Backward
//!
//! The slope of |r| is sign(r), except at 0, where it has a kink. Every number in `$[-1, 1]$` is a subgradient there.
//! The one taken is 0, so that an output which is exactly right does not move:
//!
//! ```math
//! dz_{ij} = \frac{w_i}{W C} \operatorname{sign}(r_{ij}), \qquad \operatorname{sign}(0) = 0
//! ```

use super::batch::BatchLoss;
use super::mean::{Term, WeightedValues, mean};
use crate::real::Real;

/// The mean absolute error of the outputs `z` `[rows, columns]`; writes dz to `dz` if it is given.
///
/// A batch whose weights sum to 0 has objective 0 and gradient 0.
///
/// # Panics
/// If there is not one value per output, or not one weight per row.
pub fn mean_absolute_error<R: Real>(
    dz: Option<&mut [R]>,
    z: &[R],
    targets: WeightedValues<'_>,
) -> BatchLoss {
    mean(
        dz,
        z,
        targets,
        #[inline(always)]
        |_: usize, z: R, y: R| {
            let r = z - y;
            let loss = r.abs();
            // 0 and NaN pass through.
            let slope = if r > R::ZERO {
                R::ONE
            } else if r < R::ZERO {
                -R::ONE
            } else {
                r
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

    /// Residuals 1, −2 and 3, 0. The last one is at the kink.
    #[test]
    fn by_hand() {
        let (z, values) = ([2.0, 0.0, 3.0, 5.0], [1.0, 2.0, 0.0, 5.0]);
        let targets = |weights| WeightedValues {
            values: &values,
            columns: 2,
            weights,
        };
        let mut dz = [f64::NAN; 4];
        let found = mean_absolute_error(Some(&mut dz), &z, targets(None));
        assert_eq!((found.objective, found.plain_sum), (1.5, 3.0));
        assert_eq!(dz, [0.25, -0.25, 0.25, 0.0]);
        let found = mean_absolute_error(Some(&mut dz), &z, targets(Some(&[3.0, 1.0])));
        assert_eq!((found.objective, found.plain_sum), (1.5, 3.0));
        assert_eq!(dz, [0.375, -0.375, 0.125, 0.0]);
    }

    #[test]
    fn one_target_and_infinity() {
        let targets = WeightedValues {
            values: &[0.0],
            columns: 1,
            weights: None,
        };
        for (z, slope) in [(1e-300, 1.0), (-1e300, -1.0), (f64::NEG_INFINITY, -1.0)] {
            let mut dz = [f64::NAN];
            let found = mean_absolute_error(Some(&mut dz), &[z], targets);
            assert_eq!((found.objective, dz), (z.abs(), [slope]));
        }
    }
}
