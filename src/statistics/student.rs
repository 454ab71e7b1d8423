//! Student's interval for the mean of a few measurements (Student, “The probable error of a mean”, Biometrika 6, 1908).
//!
//! n measurements from a normal distribution have the mean `$\bar x$` and the standard deviation s. With 95 %
//! confidence the true mean is in
//!
//! ```math
//! \bar x \pm t_{0.975,\,n-1} \frac{s}{\sqrt n}
//! ```
//!
//! where `$t_{p,\nu}$` is the p quantile of the t distribution with ν degrees of freedom. For three repeats the factor
//! is 4.30 instead of 1.96: few measurements say little.

use super::Interval;

/// Mean, spread and interval of some measurements.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, with n − 1; `None` for one measurement.
    pub deviation: Option<f64>,
    /// The 95 % interval of the mean; `None` for one measurement.
    pub interval: Option<Interval>,
}

/// The mean of the values with its spread and interval; `None` if there are no values.
pub fn mean(values: &[f64]) -> Option<Mean> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    if values.len() == 1 {
        return Some(Mean {
            mean,
            deviation: None,
            interval: None,
        });
    }
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    let deviation = (squares / (n - 1.0)).sqrt();
    let half = quantile(0.975, n - 1.0) * deviation / n.sqrt();
    let interval = Interval {
        low: mean - half,
        high: mean + half,
    };
    Some(Mean {
        mean,
        deviation: Some(deviation),
        interval: Some(interval),
    })
}

/// The p quantile of the t distribution for p ≥ 1/2, by bisection.
fn quantile(p: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if cumulative(middle, freedom) < p {
            low = middle
        } else {
            high = middle
        }
    }
    0.5 * (low + high)
}

/// `$P(T \le t) = 1 - \tfrac12 I_x(\nu/2, \tfrac12)$` with `$x = \nu / (\nu + t^2)$`, for t ≥ 0.
fn cumulative(t: f64, freedom: f64) -> f64 {
    1.0 - 0.5 * incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// The regularised incomplete beta function `$I_x(a, b)$`, as a continued fraction (Abramowitz, Stegun, “Handbook of
/// Mathematical Functions”, 26.5.8).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast below the mean. Above it the other tail is computed.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front =
        (libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * x.ln() + b * (1.0 - x).ln())
            .exp()
            / a;
    // From the innermost term outwards: 1 / (1 + d₁ / (1 + d₂ / (1 + …))).
    let coefficient = |i: u32| {
        let m = f64::from(i / 2);
        match i % 2 {
            0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        }
    };
    let fraction = (1..=200)
        .rev()
        .fold(1.0, |inner, i| 1.0 + coefficient(i) / inner);
    front / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published table of the 97.5 % quantile.
    #[test]
    fn quantiles_are_those_of_the_table() {
        for (freedom, expected) in [
            (1.0, 12.706),
            (2.0, 4.303),
            (3.0, 3.182),
            (4.0, 2.776),
            (9.0, 2.262),
            (29.0, 2.045),
            (120.0, 1.980),
        ] {
            let found = quantile(0.975, freedom);
            assert!((found - expected).abs() <= 5.1e-4, "{freedom}: {found}");
        }
        // With one and two degrees of freedom the distribution has closed forms.
        assert!((quantile(0.75, 1.0) - 1.0).abs() <= 1e-9);
        assert!((quantile(0.95, 2.0) - 0.9 * (2.0f64 / (1.0 - 0.81)).sqrt()).abs() <= 1e-9);
    }

    #[test]
    fn mean_and_interval_by_hand() {
        let found = mean(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((found.mean, found.deviation), (2.0, Some(1.0)));
        let interval = found.interval.unwrap();
        assert!(
            (interval.high - 2.0 - 4.302_652_73 / 3f64.sqrt()).abs() <= 1e-7,
            "{interval:?}"
        );
        assert!((interval.low + interval.high - 4.0).abs() <= 1e-12);
        assert_eq!(
            mean(&[7.0]),
            Some(Mean {
                mean: 7.0,
                deviation: None,
                interval: None
            })
        );
        assert_eq!(mean(&[]), None);
    }
}
