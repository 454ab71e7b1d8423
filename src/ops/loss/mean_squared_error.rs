//! Mean squared error, the negative logarithm of a Gaussian likelihood up to constants (Goodfellow, Bengio, Courville,
//! *Deep Learning*, 2016, section 5.5.1).
//!
//! For outputs z and values y, both `[n, C]`, with the residual `$r = z - y$` and sample weights w:
//!
//! ```math
//! L = \frac{1}{W} \sum_i w_i \frac1C \sum_j r_{ij}^2, \qquad W = \sum_i w_i
//! ```
//!
//! Its minimum over constants is the mean of the values. Without weights L is PyTorch's `MSELoss`, the mean over all
//! elements. With weights it is `torch.nn.functional.mse_loss(weight=w)`, which divides by the sum of the weights.
//!
//! # Backward
//!
//! `$\partial r^2 / \partial z = 2r$`, and each term stands in L with the factor `$w_i / (W C)$`:
//!
//! ```math
//! dz_{ij} = \frac{w_i}{W C}\, 2 r_{ij}
//! ```

use super::batch::BatchLoss;
use super::mean::{Term, WeightedValues, mean};
use crate::real::Real;

/// The mean squared error of the outputs `z` `[rows, columns]`; writes dz to `dz` if it is given.
///
/// A batch whose weights sum to 0 has objective 0 and gradient 0.
///
/// # Panics
/// If there is not one value per output, or not one weight per row.
pub fn mean_squared_error<R: Real>(
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
            let loss = r * r;
            let (plain, slope) = (loss, r + r);
            Term { loss, plain, slope }
        },
        |_, _| false,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Residuals 1, −2 and 3, 0: rows of (1 + 4)/2 and (9 + 0)/2.
    #[test]
    fn by_hand() {
        let (z, values) = ([2.0, 0.0, 3.0, 5.0], [1.0, 2.0, 0.0, 5.0]);
        let targets = |weights| WeightedValues {
            values: &values,
            columns: 2,
            weights,
        };
        let mut dz = [f64::NAN; 4];
        let found = mean_squared_error(Some(&mut dz), &z, targets(None));
        assert_eq!((found.objective, found.plain_sum), (3.5, 7.0));
        assert_eq!(dz, [0.5, -1.0, 1.5, 0.0]);
        let found = mean_squared_error(Some(&mut dz), &z, targets(Some(&[3.0, 1.0])));
        assert_eq!((found.objective, found.plain_sum), (3.0, 7.0));
        assert_eq!(dz, [0.75, -1.5, 0.75, 0.0]);
        assert_eq!(found.correct, 0, "numbers are near or far");
    }

    /// Values are rounded to the precision of the network, and no further.
    #[test]
    fn one_target() {
        let targets = WeightedValues {
            values: &[0.1],
            columns: 1,
            weights: None,
        };
        let mut dz = [f32::NAN];
        let found = mean_squared_error(Some(&mut dz), &[0.1_f32], targets);
        assert_eq!((found.objective, dz), (0.0, [0.0]));
    }
}
