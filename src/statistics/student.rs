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
//!
//! Several groups of few measurements say more together. If they spread alike, as the intervals after an analysis of
//! variance assume, their common standard deviation is
//!
//! ```math
//! s_p = \sqrt{\frac{\sum_j \sum_i (x_{ij} - \bar x_j)^2}{\nu}}, \qquad \nu = \sum_j (n_j - 1)
//! ```
//!
//! and the interval of group j is `$\bar x_j \pm t_{0.975,\,\nu}\, s_p / \sqrt{n_j}$`.
//!
//! A group that spreads far more than the others keeps its own deviation: its share of all squares, which otherwise
//! has the distribution `$\text{Beta}(\nu_j/2,\ (\nu - \nu_j)/2)$`, is too large at the level of 5 % for the largest of
//! so many (Cochran, “The distribution of the largest of a set of estimated variances as a fraction of their total”,
//! Annals of Eugenics 11, 1941).

use super::Interval;
use crate::real::square;

/// Mean, spread and interval of some measurements.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, with n − 1; `None` for one measurement.
    pub deviation: Option<f64>,
    /// The 95 % interval of the mean; `None` for one measurement.
    pub interval: Option<Interval>,
    /// The deviation from which the interval is computed, if that is not the measurements' own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooled: Option<Pooled>,
}

/// The standard deviation that several groups of measurements have in common.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Pooled {
    /// The deviation.
    pub deviation: f64,
    /// Its degrees of freedom.
    pub freedom: usize,
}

/// Groups of no more measurements than this have their intervals from the pooled deviation.
const FEW: usize = 3;

/// The chance with which a group is taken for one that spreads more, although it does not.
const LEVEL: f64 = 0.05;

/// The mean of each group, for measurements that lie within `limits`, as their intervals then do. Groups of few
/// measurements share their deviation if they spread alike.
///
/// A group without measurements has no mean.
pub fn means(groups: &[&[f64]], limits: (f64, f64)) -> Vec<Option<Mean>> {
    let alike = alike(groups);
    let pooled = pooled(&alike);
    let of_group = |(place, group): (usize, &&[f64])| {
        let own = mean(group)?;
        let is_alike = group.len() == 1 || alike.iter().any(|spread| spread.group == place);
        let shared = match pooled {
            Some(pooled) if group.len() <= FEW && is_alike => own.with(pooled, group.len()),
            _ => own,
        };
        Some(shared.within(limits))
    };
    groups.iter().enumerate().map(of_group).collect()
}

/// How much the measurements of a group spread.
#[derive(Clone, Copy, Debug)]
struct Spread {
    group: usize,
    /// The sum of the squared distances to the mean.
    squares: f64,
    freedom: usize,
}

/// The groups with a deviation of their own, without those that spread far more than the others.
fn alike(groups: &[&[f64]]) -> Vec<Spread> {
    let spread = |(group, values): (usize, &&[f64])| {
        let freedom = values.len().checked_sub(1)?;
        let squares = square(mean(values)?.deviation?) * freedom as f64;
        squares.is_finite().then_some(Spread {
            group,
            squares,
            freedom,
        })
    };
    let mut alike: Vec<Spread> = groups.iter().enumerate().filter_map(spread).collect();
    while let Some(place) = outlier(&alike) {
        alike.remove(place);
    }
    alike
}

/// The place of a group that spreads far more than the others, which spread too.
fn outlier(spreads: &[Spread]) -> Option<usize> {
    let squares: f64 = spreads.iter().map(|s| s.squares).sum();
    let freedom: usize = spreads.iter().map(|s| s.freedom).sum();
    let chance = |s: &Spread| {
        let (own, others) = (s.freedom as f64, (freedom - s.freedom) as f64);
        incomplete_beta(1.0 - s.squares / squares, others / 2.0, own / 2.0)
    };
    let chances = spreads.iter().map(chance).enumerate();
    let (place, least) = chances.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let others_spread = squares > spreads[place].squares;
    (others_spread && least * (spreads.len() as f64) < LEVEL).then_some(place)
}

/// The common deviation of groups; `None` if there are fewer than two.
fn pooled(alike: &[Spread]) -> Option<Pooled> {
    let squares: f64 = alike.iter().map(|s| s.squares).sum();
    let freedom = alike.iter().map(|s| s.freedom).sum();
    let deviation = (squares / freedom as f64).sqrt();
    (alike.len() >= 2 && deviation.is_finite()).then_some(Pooled { deviation, freedom })
}

impl Mean {
    /// The interval of n measurements from a deviation that they share with others.
    fn with(self, pooled: Pooled, n: usize) -> Self {
        let half = quantile(0.975, pooled.freedom as f64) * pooled.deviation / (n as f64).sqrt();
        Mean {
            interval: Some(Interval::around(self.mean, half)),
            pooled: Some(pooled),
            ..self
        }
    }

    /// The part of the interval that lies within limits.
    fn within(self, (least, most): (f64, f64)) -> Self {
        // A file may hold any number.
        let (least, most) = (least.min(self.mean), most.max(self.mean));
        let within = |interval: Interval| Interval {
            low: interval.low.max(least),
            high: interval.high.min(most),
        };
        Mean {
            interval: self.interval.map(within),
            ..self
        }
    }
}

/// The mean of the values with its spread and interval; `None` if there are no values.
fn mean(values: &[f64]) -> Option<Mean> {
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
            pooled: None,
        });
    }
    let squares: f64 = values.iter().map(|x| square(x - mean)).sum();
    let deviation = (squares / (n - 1.0)).sqrt();
    let half = quantile(0.975, n - 1.0) * deviation / n.sqrt();
    Some(Mean {
        mean,
        deviation: Some(deviation),
        interval: Some(Interval::around(mean, half)),
        pooled: None,
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
    let beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let front = libm::exp(a * libm::log(x) + b * libm::log(1.0 - x) - beta) / a;
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
                interval: None,
                pooled: None
            })
        );
        assert_eq!(mean(&[]), None);
    }

    const NO_LIMITS: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

    /// Deviations 1 and √2, together √((2 + 2) / 3) with three degrees of freedom.
    #[test]
    fn few_measurements_share_their_deviation() {
        let groups: [&[f64]; 3] = [&[1.0, 2.0, 3.0], &[5.0, 7.0], &[]];
        let found = means(&groups, NO_LIMITS);
        let deviation = (4.0f64 / 3.0).sqrt();
        for (mean, (middle, own, n)) in found.iter().zip([(2.0, 1.0, 3.0), (6.0, 2.0, 2.0)]) {
            let mean = mean.unwrap();
            assert_eq!(mean.mean, middle);
            assert!((mean.deviation.unwrap().powi(2) - own).abs() <= 1e-12);
            let pooled = mean.pooled.unwrap();
            assert!((pooled.deviation - deviation).abs() <= 1e-12 && pooled.freedom == 3);
            let half = 3.182_446_305 * deviation / f64::sqrt(n);
            let interval = mean.interval.unwrap();
            assert!((interval.high - middle - half).abs() <= 1e-8);
            assert!((interval.low - middle + half).abs() <= 1e-8);
        }
        assert_eq!(found[2], None);
    }

    #[test]
    fn many_measurements_and_a_single_group_keep_their_own() {
        let many = [1.0, 2.0, 3.0, 4.0];
        let found = means(&[&many, &[1.0, 5.0]], NO_LIMITS);
        assert_eq!(found[0], mean(&many));
        assert!(found[1].unwrap().pooled.is_some());
        assert_eq!(means(&[&[1.0, 5.0]], NO_LIMITS), [mean(&[1.0, 5.0])]);
        assert_eq!(means(&[&[1.0], &[2.0]], NO_LIMITS)[0], mean(&[1.0]));
    }

    #[test]
    fn intervals_end_at_the_limits() {
        let ends = |groups: &[&[f64]]| {
            let interval = means(groups, (0.0, 1.0))[0].unwrap().interval.unwrap();
            (interval.low, interval.high)
        };
        assert_eq!(ends(&[&[0.5, 1.0]]), (0.0, 1.0));
        assert_eq!(ends(&[&[0.96, 0.99, 1.0], &[0.9, 0.95, 1.0]]).1, 1.0);
        assert_eq!(ends(&[&[1.0, 1.0], &[1.0, 1.0]]), (1.0, 1.0));
        // What cannot be is shown as it is written.
        assert_eq!(ends(&[&[1.5, 1.5]]), (1.5, 1.5));
    }

    /// Standard deviations as a learning rate that is too high gives them.
    #[test]
    fn a_group_that_spreads_far_more_keeps_its_own_deviation() {
        let groups: [&[f64]; 4] = [
            &[0.8898, 0.8903, 0.8915],
            &[0.8842, 0.8898, 0.8885],
            &[0.8633, 0.8617, 0.8614],
            &[0.6285, 0.7389, 0.7113],
        ];
        let found = means(&groups, (0.0, 1.0));
        assert_eq!(found[3], mean(groups[3]));
        let shared = found[0].unwrap().pooled.unwrap();
        assert_eq!(shared.freedom, 6);
        assert!((shared.deviation - 0.001_861_6).abs() <= 1e-7, "{shared:?}");
        // Without any spread of the others there is nothing to share but the one's.
        let at_the_top: [&[f64]; 3] = [&[1.0, 1.0], &[1.0, 1.0], &[0.8, 1.0]];
        let found = means(&at_the_top, (0.0, 1.0));
        assert_eq!(found[0].unwrap().pooled.unwrap().freedom, 3);
    }

    /// The published critical value of Cochran's C for 5 groups of 3 at 5 %.
    #[test]
    fn outliers_are_those_of_cochran_s_table() {
        let spreads = |share: f64| {
            let squares = [share, 0.25 * (1.0 - share)];
            let spread = |group: usize| Spread {
                group,
                squares: squares[group.min(1)],
                freedom: 2,
            };
            (0..5).map(spread).collect::<Vec<_>>()
        };
        assert_eq!(outlier(&spreads(0.6839)), Some(0));
        assert_eq!(outlier(&spreads(0.6837)), None);
        assert_eq!(outlier(&[]), None);
    }

    #[test]
    fn numbers_too_large_for_a_deviation_are_not_pooled() {
        let groups: [&[f64]; 3] = [&[1e300, -1e300], &[1.0, 2.0], &[1.0, 3.0]];
        let found = means(&groups, NO_LIMITS);
        assert_eq!(found[1].unwrap().pooled.unwrap().freedom, 2);
    }
}
