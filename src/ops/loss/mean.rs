//! The weighted mean that the losses of values share.
//!
//! With outputs z and values y `[n, C]`, a term `$\ell_{ij}$` for each and sample weights w:
//!
//! ```math
//! L = \frac{1}{W} \sum_i w_i \frac1C \sum_j \ell_{ij}, \qquad W = \sum_i w_i, \qquad
//! dz_{ij} = \frac{w_i}{W C} \frac{\partial \ell_{ij}}{\partial z_{ij}}
//! ```
//!
//! Without weights W is n, and L is the mean over all `$n C$` terms.

use super::batch::BatchLoss;
use crate::real::Real;
use crate::simd;

/// One output's part in the loss.
pub(super) struct Term<R> {
    /// ℓ, with all options.
    pub(super) loss: R,
    /// ℓ without options.
    pub(super) plain: R,
    /// ∂ℓ/∂z.
    pub(super) slope: R,
}

/// Values that outputs are compared with, and the weights of their rows.
#[derive(Clone, Copy, Debug)]
pub struct WeightedValues<'a> {
    /// Row-major `[rows, columns]`.
    pub values: &'a [f64],
    /// Values of a row.
    pub columns: usize,
    /// One weight ≥ 0 a row; `None` means 1 for all.
    pub weights: Option<&'a [f64]>,
}

/// The mean of `term(j, z, y)` over all outputs z `[rows, columns]`, each in its column j, beside its value y. Writes
/// dz to `dz` if it is given. `right` says whether a row of z is right, given its values.
///
/// A batch whose weights sum to 0 has objective 0 and gradient 0.
pub(super) fn mean<R: Real>(
    dz: Option<&mut [R]>,
    z: &[R],
    targets: WeightedValues<'_>,
    term: impl Fn(usize, R, R) -> Term<R>,
    right: impl Fn(&[R], &[f64]) -> bool,
) -> BatchLoss {
    assert_eq!(z.len(), targets.values.len(), "one value per output");
    assert!(
        targets.columns > 0 && z.len().is_multiple_of(targets.columns),
        "whole rows"
    );
    simd::dispatch(
        #[inline(always)]
        || mean_of_rows(dz, z, targets, term, right),
    )
}

#[inline(always)]
fn mean_of_rows<R: Real>(
    mut dz: Option<&mut [R]>,
    z: &[R],
    targets: WeightedValues<'_>,
    term: impl Fn(usize, R, R) -> Term<R>,
    right: impl Fn(&[R], &[f64]) -> bool,
) -> BatchLoss {
    let columns = targets.columns;
    let weight = |row: usize| targets.weights.map_or(1.0, |w| w[row]);
    let weights: f64 = (0..z.len() / columns).map(weight).sum();
    let inverse = if weights > 0.0 {
        1.0 / (weights * columns as f64)
    } else {
        0.0
    };
    let values = targets.values.chunks_exact(columns);
    let mut total = BatchLoss::default();
    for (row, (z, y)) in z.chunks_exact(columns).zip(values).enumerate() {
        let terms = || {
            let pairs = z.iter().zip(y).enumerate();
            pairs.map(|(j, (&z, &y))| term(j, z, R::from_f64(y)))
        };
        let (loss, plain) = terms().fold((0.0, 0.0), |(loss, plain), term| {
            (loss + term.loss.to_f64(), plain + term.plain.to_f64())
        });
        total.objective += weight(row) * inverse * loss;
        total.plain_sum += plain / columns as f64;
        total.correct += usize::from(right(z, y));

        if let Some(dz) = dz.as_deref_mut() {
            let scale = R::from_f64(weight(row) * inverse);
            for (dz, term) in dz[row * columns..][..columns].iter_mut().zip(terms()) {
                *dz = scale * term.slope;
            }
        }
    }
    total
}
