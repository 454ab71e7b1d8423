//! Batch normalisation (Ioffe, Szegedy, “Batch Normalization”, ICML 2015, algorithm 1 and section 3.1).
//!
//! Each column of X `[n, features]` is normalised by itself. Training mode uses the batch's mean and *biased* variance:
//!
//! ```math
//! \mu = \frac1n\sum_i x_i, \quad \sigma^2 = \frac1n\sum_i (x_i-\mu)^2, \quad
//! \hat x_i = \frac{x_i-\mu}{\sqrt{\sigma^2+\varepsilon}}, \quad y_i = \gamma \hat x_i + \beta
//! ```
//!
//! The running estimates take the batch's mean and its *unbiased* variance, as PyTorch does:
//! `$r \leftarrow (1-m)\,r + m\,\mu$`, and likewise with `$\sigma^2 n/(n-1)$`. Evaluation mode normalises with them.
//! n = 1 has no unbiased variance and normalises everything to β: training refuses it before it comes here.
//!
//! # Backward
//!
//! Let `$s = 1/\sqrt{\sigma^2+\varepsilon}$`. The gradients of γ and β are `$d\gamma = \sum_i dy_i \hat x_i$` and
//! `$d\beta = \sum_i dy_i$`. For x, let `$g_i = \gamma\,dy_i$` be the gradient of `$\hat x_i$`. `$x_j$` acts on
//! `$\hat x_i$` in three ways: directly, through μ and through σ². The three terms are
//!
//! ```math
//! \frac{\partial \hat x_i}{\partial x_j} = s\,\delta_{ij} - \frac{s}{n} - \frac{s}{n}\,\hat x_i \hat x_j
//! ```
//!
//! because
//!
//! * `$\partial\mu/\partial x_j = 1/n$`;
//! * `$\partial\sigma^2/\partial x_j = \frac2n(x_j-\mu)$` (the term through μ vanishes, as deviations sum to 0);
//! * `$\partial s/\partial\sigma^2 = -\frac12 s^3$`, so that the third term is
//!   `$(x_i-\mu)\cdot(-\tfrac12 s^3)\cdot\tfrac2n(x_j-\mu) = -\frac sn \hat x_i\hat x_j$`.
//!
//! Summed over i:
//!
//! ```math
//! dx_j = s\Big(g_j - \frac1n\sum_i g_i - \hat x_j \frac1n\sum_i g_i \hat x_i\Big)
//!      = \frac{\gamma s}{n}\big(n\,dy_j - d\beta - \hat x_j\, d\gamma\big)
//! ```
//!
//! So forward saves `$\hat x$` and s, and backward needs nothing else.
//!
//! [Chapter 7](crate::course::batch_norm) of the course derives the same with projections.

use crate::real::Real;
use crate::simd::{self, LANES};

/// Added to the variance before the root.
pub const EPSILON: f64 = 1e-5;
/// Weight of a new batch in the running estimates.
pub const MOMENTUM: f64 = 0.1;

/// Training mode: normalises X with its own statistics and updates the running estimates.
///
/// It saves `x_hat` `[n, features]` and `inv_std` `[features]` for the backward.
#[allow(clippy::too_many_arguments)]
pub fn batch_norm_forward<R: Real>(
    y: &mut [R],
    x_hat: &mut [R],
    inv_std: &mut [R],
    running_mean: &mut [R],
    running_var: &mut [R],
    x: &[R],
    gamma: &[R],
    beta: &[R],
) {
    let features = gamma.len();
    assert_whole_rows(x, features);
    assert_eq!((y.len(), x_hat.len()), (x.len(), x.len()));
    let forward = Forward {
        y,
        x_hat,
        inv_std: &mut inv_std[..features],
        running_mean: &mut running_mean[..features],
        running_var: &mut running_var[..features],
        x,
        gamma,
        beta: &beta[..features],
    };
    simd::dispatch(
        #[inline(always)]
        || forward.run(),
    );
}

/// The arguments of a forward. It goes through the rows for [`LANES`] columns at a time, with their sums in registers.
struct Forward<'a, R> {
    y: &'a mut [R],
    x_hat: &'a mut [R],
    inv_std: &'a mut [R],
    running_mean: &'a mut [R],
    running_var: &'a mut [R],
    x: &'a [R],
    gamma: &'a [R],
    beta: &'a [R],
}

impl<R: Real> Forward<'_, R> {
    #[inline(always)]
    fn run(mut self) {
        let features = self.gamma.len();
        let whole = features / LANES * LANES;
        for j in (0..whole).step_by(LANES) {
            // Where the rows are this short, the compiler knows how far they lie apart.
            match features {
                LANES => self.columns::<LANES>(LANES, j),
                _ => self.columns::<LANES>(features, j),
            }
        }
        for j in whole..features {
            self.columns::<1>(features, j);
        }
    }

    /// Columns `j..j + W`.
    #[inline(always)]
    fn columns<const W: usize>(&mut self, features: usize, j: usize) {
        let n = self.x.len() / features;
        let inv_n = R::from_f64(1.0 / n as f64);
        let unbias = R::from_f64(n as f64 / (n as f64 - 1.0));
        let (momentum, keep) = (R::from_f64(MOMENTUM), R::from_f64(1.0 - MOMENTUM));

        // Two passes: the one-pass formula E[x²] − E[x]² loses all digits when the mean is large.
        let mut mean = [R::ZERO; W];
        for row in self.x.chunks_exact(features) {
            simd::row_by_row();
            let x = lanes::<R, W>(row, j);
            for q in 0..W {
                mean[q] += x[q];
            }
        }
        for (mean, running) in mean.iter_mut().zip(&mut self.running_mean[j..]) {
            *mean *= inv_n;
            *running = keep * *running + momentum * *mean;
        }
        let mut variance = [R::ZERO; W];
        let centred = self.x_hat.chunks_exact_mut(features);
        for (centred, row) in centred.zip(self.x.chunks_exact(features)) {
            simd::row_by_row();
            let x = lanes::<R, W>(row, j);
            let mut c = [R::ZERO; W];
            for q in 0..W {
                c[q] = x[q] - mean[q];
                variance[q] += c[q] * c[q];
            }
            *lanes_mut(centred, j) = c;
        }
        let mut inv_std = [R::ZERO; W];
        for q in 0..W {
            let v = variance[q] * inv_n;
            let running = &mut self.running_var[j + q];
            *running = keep * *running + momentum * (v * unbias);
            inv_std[q] = R::ONE / (v + R::from_f64(EPSILON)).sqrt();
        }
        *lanes_mut(self.inv_std, j) = inv_std;
        let (gamma, beta) = (lanes::<R, W>(self.gamma, j), lanes::<R, W>(self.beta, j));
        let normalised = self.x_hat.chunks_exact_mut(features);
        for (y, x_hat) in self.y.chunks_exact_mut(features).zip(normalised) {
            simd::row_by_row();
            let x_hat = lanes_mut::<R, W>(x_hat, j);
            let (mut normalised, mut out) = (*x_hat, [R::ZERO; W]);
            for q in 0..W {
                normalised[q] *= inv_std[q];
                out[q] = gamma[q] * normalised[q] + beta[q];
            }
            *x_hat = normalised;
            *lanes_mut(y, j) = out;
        }
    }
}

/// Evaluation mode: normalises X with the running estimates.
pub fn batch_norm_evaluate<R: Real>(
    y: &mut [R],
    x: &[R],
    running_mean: &[R],
    running_var: &[R],
    gamma: &[R],
    beta: &[R],
) {
    let features = gamma.len();
    assert_whole_rows(x, features);
    assert_eq!(y.len(), x.len());
    /// Columns at a time: their 1/√(σ² + ε) is computed once for all rows.
    const COLUMNS: usize = 16;
    for start in (0..features).step_by(COLUMNS) {
        let columns = start..features.min(start + COLUMNS);
        let (mean, var) = (
            &running_mean[columns.clone()],
            &running_var[columns.clone()],
        );
        let (gamma, beta) = (&gamma[columns.clone()], &beta[columns.clone()]);
        let mut inv_std = [R::ZERO; COLUMNS];
        for (inv_std, &var) in inv_std.iter_mut().zip(var) {
            *inv_std = R::ONE / (var + R::from_f64(EPSILON)).sqrt();
        }
        for (y, x) in y.chunks_exact_mut(features).zip(x.chunks_exact(features)) {
            let (y, x) = (&mut y[columns.clone()], &x[columns.clone()]);
            let statistics = mean.iter().zip(&inv_std);
            let affine = gamma.iter().zip(beta);
            for (((y, &x), (&mean, &inv_std)), (&gamma, &beta)) in
                y.iter_mut().zip(x).zip(statistics).zip(affine)
            {
                *y = gamma * ((x - mean) * inv_std) + beta;
            }
        }
    }
}

/// `dy ← dx` in place, and dγ, dβ (overwritten), from the saved `x_hat` and `inv_std`.
pub fn batch_norm_backward<R: Real>(
    dy: &mut [R],
    dgamma: &mut [R],
    dbeta: &mut [R],
    x_hat: &[R],
    inv_std: &[R],
    gamma: &[R],
) {
    let features = gamma.len();
    assert_whole_rows(dy, features);
    assert_eq!(x_hat.len(), dy.len());
    let backward = Backward {
        dy,
        dgamma: &mut dgamma[..features],
        dbeta: &mut dbeta[..features],
        x_hat,
        inv_std: &inv_std[..features],
        gamma,
    };
    simd::dispatch(
        #[inline(always)]
        || backward.run(),
    );
}

/// The arguments of a backward, which takes columns in groups as [`Forward`] does.
struct Backward<'a, R> {
    dy: &'a mut [R],
    dgamma: &'a mut [R],
    dbeta: &'a mut [R],
    x_hat: &'a [R],
    inv_std: &'a [R],
    gamma: &'a [R],
}

impl<R: Real> Backward<'_, R> {
    #[inline(always)]
    fn run(mut self) {
        let features = self.gamma.len();
        let whole = features / LANES * LANES;
        for j in (0..whole).step_by(LANES) {
            match features {
                LANES => self.columns::<LANES>(LANES, j),
                _ => self.columns::<LANES>(features, j),
            }
        }
        for j in whole..features {
            self.columns::<1>(features, j);
        }
    }

    /// Columns `j..j + W`.
    #[inline(always)]
    fn columns<const W: usize>(&mut self, features: usize, j: usize) {
        let n = self.dy.len() / features;
        let (count, inv_n) = (R::from_f64(n as f64), R::from_f64(1.0 / n as f64));
        let (mut dgamma, mut dbeta) = ([R::ZERO; W], [R::ZERO; W]);
        let rows = self.dy.chunks_exact(features);
        for (dy, x_hat) in rows.zip(self.x_hat.chunks_exact(features)) {
            simd::row_by_row();
            let (dy, x_hat) = (lanes::<R, W>(dy, j), lanes::<R, W>(x_hat, j));
            for q in 0..W {
                dgamma[q] += dy[q] * x_hat[q];
                dbeta[q] += dy[q];
            }
        }
        *lanes_mut(self.dgamma, j) = dgamma;
        *lanes_mut(self.dbeta, j) = dbeta;
        let mut factor = lanes::<R, W>(self.gamma, j);
        for (factor, inv_std) in factor.iter_mut().zip(lanes::<R, W>(self.inv_std, j)) {
            *factor = *factor * inv_std * inv_n;
        }
        let rows = self.dy.chunks_exact_mut(features);
        for (dy, x_hat) in rows.zip(self.x_hat.chunks_exact(features)) {
            simd::row_by_row();
            let x_hat = lanes::<R, W>(x_hat, j);
            let dy = lanes_mut::<R, W>(dy, j);
            let mut dx = *dy;
            for q in 0..W {
                dx[q] = factor[q] * (count * dx[q] - dbeta[q] - x_hat[q] * dgamma[q]);
            }
            *dy = dx;
        }
    }
}

/// A copy of W numbers from the j-th on, which the compiler can keep in vector registers across stores.
#[inline(always)]
fn lanes<R: Copy, const W: usize>(row: &[R], j: usize) -> [R; W] {
    *row[j..].first_chunk().expect("W columns")
}

/// W numbers to write.
#[inline(always)]
fn lanes_mut<R, const W: usize>(row: &mut [R], j: usize) -> &mut [R; W] {
    row[j..].first_chunk_mut().expect("W columns")
}

fn assert_whole_rows<R>(x: &[R], features: usize) {
    assert!(
        features > 0 && x.len().is_multiple_of(features),
        "whole rows"
    );
}

#[cfg(test)]
mod tests {
    use super::super::gradient::{check, dot, numbers};
    use super::*;

    struct Case {
        y: Vec<f64>,
        x_hat: Vec<f64>,
        inv_std: Vec<f64>,
        mean: Vec<f64>,
        var: Vec<f64>,
    }

    fn forward(x: &[f64], gamma: &[f64], beta: &[f64]) -> Case {
        let features = gamma.len();
        let mut c = Case {
            y: vec![f64::NAN; x.len()],
            x_hat: vec![f64::NAN; x.len()],
            inv_std: vec![f64::NAN; features],
            mean: vec![0.0; features],
            var: vec![1.0; features],
        };
        batch_norm_forward(
            &mut c.y,
            &mut c.x_hat,
            &mut c.inv_std,
            &mut c.mean,
            &mut c.var,
            x,
            gamma,
            beta,
        );
        c
    }

    /// Column 0 is 1, 2, 6: mean 3, squared deviations 4, 1, 9, biased variance 14/3, unbiased 7. Column 1 is constant.
    #[test]
    fn by_hand() {
        let c = forward(&[1.0, 5.0, 2.0, 5.0, 6.0, 5.0], &[2.0, 3.0], &[0.5, -1.0]);
        let s = 1.0 / (14.0_f64 / 3.0 + 1e-5).sqrt();
        for (i, deviation) in [-2.0, -1.0, 3.0].into_iter().enumerate() {
            assert!((c.y[2 * i] - (2.0 * deviation * s + 0.5)).abs() <= 1e-14);
            assert_eq!(c.y[2 * i + 1], -1.0);
        }
        assert!((c.mean[0] - 0.3).abs() <= 1e-15 && (c.mean[1] - 0.5).abs() <= 1e-15);
        assert!((c.var[0] - (0.9 + 0.7)).abs() <= 1e-14 && (c.var[1] - 0.9).abs() <= 1e-15);

        let mut y = [f64::NAN; 2];
        batch_norm_evaluate(
            &mut y,
            &[4.0, 1.0],
            &[3.0, 0.0],
            &[4.0, 1.0],
            &[2.0, 1.0],
            &[0.0, 7.0],
        );
        assert!((y[0] - 2.0 / (4.0_f64 + 1e-5).sqrt()).abs() <= 1e-15);
        assert!((y[1] - (1.0 / (1.0_f64 + 1e-5).sqrt() + 7.0)).abs() <= 1e-14);
    }

    /// The one-pass variance would be 0 or negative here.
    #[test]
    fn large_mean_keeps_its_digits() {
        let x: Vec<f64> = [1.0, 2.0, 6.0].iter().map(|d| 1e9 + d).collect();
        let c = forward(&x, &[1.0], &[0.0]);
        let s = 1.0 / (14.0_f64 / 3.0 + 1e-5).sqrt();
        assert!(
            (c.inv_std[0] - s).abs() <= 1e-6,
            "{} against {s}",
            c.inv_std[0]
        );
    }

    #[test]
    fn gradients_against_central_differences() {
        for (n, features) in [(2, 1), (5, 3), (7, 17)] {
            let x = numbers(n * features, 1);
            let gamma = numbers(features, 2);
            let beta = numbers(features, 3);
            let u = numbers(n * features, 4);
            let loss = |x: &[f64], g: &[f64], b: &[f64]| dot(&u, &forward(x, g, b).y);
            let c = forward(&x, &gamma, &beta);
            let mut dx = u.clone();
            let (mut dgamma, mut dbeta) = (vec![f64::NAN; features], vec![f64::NAN; features]);
            batch_norm_backward(
                &mut dx,
                &mut dgamma,
                &mut dbeta,
                &c.x_hat,
                &c.inv_std,
                &gamma,
            );
            // Two samples: x̂ is ±1 whatever x is, so dx is 0 up to ε and only the bound on its size says something.
            if n > 2 {
                check("dx", &x, &dx, |x| loss(x, &gamma, &beta));
            }
            check("dγ", &gamma, &dgamma, |g| loss(&x, g, &beta));
            check("dβ", &beta, &dbeta, |b| loss(&x, &gamma, b));
        }
    }
}
