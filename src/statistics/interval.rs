//! Wilson's score interval for a proportion (Wilson, “Probable inference, the law of succession, and statistical
//! inference”, JASA 22, 1927).
//!
//! k of n samples are right. A true proportion p is compatible with that if `$\hat p = k/n$` is at most z
//! standard errors away from it. The standard error is that at p, not that at `$\hat p$`:
//!
//! ```math
//! |\hat p - p| \le z \sqrt{\frac{p(1-p)}{n}}
//! \quad\Longleftrightarrow\quad
//! p \in \frac{1}{1 + z^2/n} \left( \hat p + \frac{z^2}{2n}
//! \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4 n^2}} \right)
//! ```
//!
//! Unlike `$\hat p \pm z\sqrt{\hat p(1-\hat p)/n}$` it stays within 0 and 1, and at `$\hat p = 1$` it has a
//! width.

use serde::Serialize;

/// A closed interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// From `half` below the middle to `half` above it.
    pub(super) fn around(middle: f64, half: f64) -> Self {
        Interval {
            low: middle - half,
            high: middle + half,
        }
    }
}

/// The 97.5 % quantile of the standard normal distribution, which leaves out 2.5 % on each side.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a proportion, of which `successes` in `n` samples were seen.
/// Without samples it is `[0, 1]`.
///
/// # Panics
///
/// If `successes` is greater than `n`.
pub fn wilson(successes: u64, n: u64) -> Interval {
    assert!(successes <= n, "no more successes than samples");
    if n == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let samples = n as f64;
    let p = successes as f64 / samples;
    let z2 = Z * Z / samples;
    let middle = p + z2 / 2.0;
    let half = (z2 * (p * (1.0 - p) + z2 / 4.0)).sqrt();
    // At k = 0 and k = n one end is exactly 0 or 1. Rounding must not move it.
    Interval {
        low: if successes == 0 {
            0.0
        } else {
            (middle - half) / (1.0 + z2)
        },
        high: if successes == n {
            1.0
        } else {
            (middle + half) / (1.0 + z2)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe, “Two-sided confidence intervals for the single proportion”, Statistics in Medicine 17, 1998, table I,
    /// method 3.
    #[test]
    fn published_intervals() {
        let published = [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ];
        for (k, n, low, high) in published {
            let found = wilson(k, n);
            assert!(found.low.is_finite() && found.high.is_finite());
            assert!((found.low - low).abs() <= 5e-5, "{k}/{n}: {found:?}");
            assert!((found.high - high).abs() <= 5e-5, "{k}/{n}: {found:?}");
        }
    }

    #[test]
    fn ends_are_symmetric_and_within_0_and_1() {
        for (k, n) in [(0, 1), (3, 7), (7, 7), (9000, 10_000)] {
            let (a, b) = (wilson(k, n), wilson(n - k, n));
            assert!((a.low + b.high - 1.0).abs() <= 1e-15);
            assert!(0.0 <= a.low && a.low <= k as f64 / n as f64);
            assert!(k as f64 / n as f64 <= a.high && a.high <= 1.0);
        }
        assert_eq!(
            wilson(0, 0),
            Interval {
                low: 0.0,
                high: 1.0
            }
        );
    }
}
