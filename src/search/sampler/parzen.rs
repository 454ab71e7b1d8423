//! The Parzen estimator: a density that is a mixture of kernels. One kernel is on each observed point, and a
//! broad one is the prior.
//!
//! ```math
//! p(x) = \sum_k w_k \prod_d p_{k,d}(x_d)
//! ```
//!
//! A numeric kernel is a normal distribution truncated to the range, in the logarithm if the range is
//! logarithmic. On a grid the kernel is that distribution's share of the value's cell. A categorical kernel
//! gives every choice the same weight, and more to the observed one.

use std::f64::consts::{PI, SQRT_2};

use chacha20::ChaCha8Rng;

use super::random::unit;
use crate::rng::standard_normal;
use crate::search::distribution::Distribution;
use crate::search::space::{Point, Space};

/// The number of newest observations that have full weight. Older ones have less.
const NEWEST: usize = 25;

/// A mixture over a space.
pub(super) struct Parzen<'a> {
    weights: Vec<f64>,
    dimensions: Vec<ParameterKernels<'a>>,
}

/// The kernels of a parameter, one per component of the mixture. The last one is the prior.
enum ParameterKernels<'a> {
    Numeric {
        range: KernelRange<'a>,
        means: Vec<f64>,
        deviations: Vec<f64>,
    },
    /// The probability of each choice.
    Categorical(Vec<Vec<f64>>),
}

impl<'a> Parzen<'a> {
    /// Fits the mixture to points, which are ordered by their trials' numbers.
    pub(super) fn new(space: &'a Space, points: &[&[f64]]) -> Self {
        let mut weights = age_weights(points.len());
        weights.push(1.0);
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
        let dimensions = space.distributions().enumerate().map(|(d, distribution)| {
            let seen = points.iter().map(|p| p[d]);
            match distribution {
                Distribution::Categorical { choices } => ParameterKernels::Categorical(
                    categorical(seen, choices.len(), points.len() + 1),
                ),
                _ => {
                    let range = KernelRange::new(distribution);
                    let mut means: Vec<f64> = seen.map(|x| range.transform(x)).collect();
                    means.push((range.low + range.high) / 2.0);
                    let deviations = deviations(&means, range.low, range.high);
                    ParameterKernels::Numeric {
                        range,
                        means,
                        deviations,
                    }
                }
            }
        });
        Parzen {
            dimensions: dimensions.collect(),
            weights,
        }
    }

    /// Draws a point.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> Point {
        let k = pick(&self.weights, unit(rng));
        let dimensions = self.dimensions.iter();
        dimensions
            .map(|kernels| match kernels {
                ParameterKernels::Categorical(probabilities) => {
                    pick(&probabilities[k], unit(rng)) as f64
                }
                ParameterKernels::Numeric {
                    range,
                    means,
                    deviations,
                } => range.draw(means[k], deviations[k], rng),
            })
            .collect()
    }

    /// The logarithm of the density at a point.
    pub(super) fn ln(&self, point: &[f64]) -> f64 {
        let component = |k: usize| {
            let parts = self
                .dimensions
                .iter()
                .zip(point)
                .map(|(kernels, &x)| match kernels {
                    ParameterKernels::Categorical(probabilities) => {
                        libm::log(probabilities[k][x as usize])
                    }
                    ParameterKernels::Numeric {
                        range,
                        means,
                        deviations,
                    } => range.ln(x, means[k], deviations[k]),
                });
            libm::log(self.weights[k]) + parts.sum::<f64>()
        };
        let parts: Vec<f64> = (0..self.weights.len()).map(component).collect();
        let largest = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = parts.iter().map(|part| libm::exp(part - largest)).sum();
        largest + libm::log(sum)
    }
}

/// Weights of n observations. Up to 25 all are 1. If there are more, the weights of the older ones rise
/// linearly from 1/n to 1.
fn age_weights(n: usize) -> Vec<f64> {
    let old = n.saturating_sub(NEWEST);
    let first = 1.0 / n as f64;
    let rise = |i: usize| match old {
        1 => first,
        _ => first + (1.0 - first) * i as f64 / (old - 1) as f64,
    };
    (0..n)
        .map(|i| if i < old { rise(i) } else { 1.0 })
        .collect()
}

/// The index whose share of [0, 1) contains `unit`.
fn pick(shares: &[f64], unit: f64) -> usize {
    let mut left = unit;
    let found = shares.iter().position(|share| {
        left -= share;
        left < 0.0
    });
    // Shares that add up to a little less than 1 leave a gap at the end.
    found.unwrap_or(shares.len() - 1)
}

/// The probabilities of the choices in each kernel. Each choice has the weight 1/n, where n is the number of
/// kernels, and the observed choice has 1 more. The weights are divided by their sum. The prior is uniform.
fn categorical(seen: impl Iterator<Item = f64>, choices: usize, kernels: usize) -> Vec<Vec<f64>> {
    let base = 1.0 / kernels as f64;
    let total = base * choices as f64 + 1.0;
    let around = |x: f64| {
        (0..choices)
            .map(|c| (base + f64::from(c == x as usize)) / total)
            .collect()
    };
    let prior = std::iter::once(vec![1.0 / choices as f64; choices]);
    seen.map(around).chain(prior).collect()
}

/// The standard deviation of each kernel: the larger distance to its two neighbours, one of which may be the
/// prior's mean. The outermost kernels have one neighbour. For n observations it is at least the range over
/// min(100, n + 2), and at most the range. The prior's is the range.
fn deviations(means: &[f64], low: f64, high: f64) -> Vec<f64> {
    let range = high - low;
    let mut order: Vec<usize> = (0..means.len()).collect();
    order.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
    let least = range / 100f64.min(means.len() as f64 + 1.0);
    let mut deviations = vec![range; means.len()];
    for (place, &k) in order
        .iter()
        .enumerate()
        .filter(|(_, k)| **k != means.len() - 1)
    {
        let left = place
            .checked_sub(1)
            .map(|before| means[k] - means[order[before]]);
        let right = order.get(place + 1).map(|&next| means[next] - means[k]);
        let widest = left.into_iter().chain(right).fold(0.0, f64::max);
        deviations[k] = widest.clamp(least, range);
    }
    deviations
}

/// A parameter's range as its kernels use it: in the logarithm if the range is logarithmic, and half a step
/// wider at both ends on a grid.
struct KernelRange<'a> {
    distribution: &'a Distribution,
    low: f64,
    high: f64,
    log: bool,
    step: Option<f64>,
}

impl<'a> KernelRange<'a> {
    fn new(distribution: &'a Distribution) -> Self {
        let (low, high, log, step) = match *distribution {
            Distribution::Float {
                low,
                high,
                log,
                step,
            } => (low, high, log, step),
            Distribution::Int {
                low,
                high,
                log,
                step,
            } => (low as f64, high as f64, log, Some(step as f64)),
            Distribution::Categorical { .. } => unreachable!("choices have no order"),
        };
        let half = step.unwrap_or(0.0) / 2.0;
        let mut range = KernelRange {
            distribution,
            low: 0.0,
            high: 0.0,
            log,
            step,
        };
        (range.low, range.high) = (range.transform(low - half), range.transform(high + half));
        range
    }

    fn transform(&self, x: f64) -> f64 {
        if self.log { libm::log(x) } else { x }
    }

    /// Whether the range has a single value, which then has all of the probability.
    fn is_point(&self) -> bool {
        self.low >= self.high
    }

    /// Draws from a normal distribution until a value is inside of the range. Every mean is inside, so at least
    /// a third of all draws are.
    fn draw(&self, mean: f64, deviation: f64, rng: &mut ChaCha8Rng) -> f64 {
        if self.is_point() {
            return self.distribution.quantile(0.0);
        }
        let inside = loop {
            let z: f64 = standard_normal(rng);
            let x = mean + deviation * z;
            if (self.low..self.high).contains(&x) {
                break x;
            }
        };
        // Computed from the share of the range, as in every other sampler, so that a grid value always has the
        // same bits.
        self.distribution
            .quantile((inside - self.low) / (self.high - self.low))
    }

    fn ln(&self, x: f64, mean: f64, deviation: f64) -> f64 {
        if self.is_point() {
            return 0.0;
        }
        let cumulative = |x: f64| 0.5 * (1.0 + libm::erf((x - mean) / (deviation * SQRT_2)));
        let inside = cumulative(self.high) - cumulative(self.low);
        let density = match self.step {
            None => {
                let z = (self.transform(x) - mean) / deviation;
                return -0.5 * z * z - libm::log(deviation * (2.0 * PI).sqrt()) - libm::log(inside);
            }
            Some(step) => {
                cumulative(self.transform(x + step / 2.0))
                    - cumulative(self.transform(x - step / 2.0))
            }
        };
        // Far from the mean the share underflows; the lower bound keeps points comparable.
        libm::log(density.max(1e-300)) - libm::log(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    fn space(parameters: &[(&str, &str)]) -> Space {
        let mut space = Space::default();
        for (name, text) in parameters {
            assert!(space.add(name, text).unwrap());
        }
        space
    }

    #[test]
    fn old_observations_have_less_weight() {
        assert_eq!(age_weights(3), [1.0; 3]);
        assert_eq!(age_weights(25), [1.0; 25]);
        let weights = age_weights(29);
        assert_eq!(
            weights[..4],
            [
                1.0 / 29.0,
                1.0 / 29.0 + (28.0 / 29.0) / 3.0,
                1.0 / 29.0 + (28.0 / 29.0) * 2.0 / 3.0,
                1.0
            ]
        );
        assert_eq!(weights[4..], [1.0; 25]);
    }

    /// Worked by hand on [0, 1] with points at 0.1 and 0.2 and the prior's mean at 0.5.
    #[test]
    fn deviations_are_distances_to_neighbours() {
        let found = deviations(&[0.1, 0.2, 0.5], 0.0, 1.0);
        // 0.1 has one neighbour, at distance 0.1, which is below the minimum of 1/4. 0.2 has neighbours at 0.1
        // and 0.3. The prior has the range.
        let expected = [0.25, 0.3, 1.0];
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() <= 1e-12),
            "{found:?}"
        );
    }

    #[test]
    fn a_seen_choice_is_likelier() {
        let kernels = categorical([1.0].into_iter(), 2, 2);
        assert_eq!(kernels, [vec![0.25, 0.75], vec![0.5, 0.5]]);
    }

    /// The density integrates to 1 over floats, and sums to 1 over grids and choices.
    #[test]
    fn densities_add_up_to_one() {
        let float = space(&[("lr", "0.001..0.1:log")]);
        let parzen = Parzen::new(&float, &[&[0.002], &[0.05]]);
        let n = 20_000;
        let (low, high) = (0.001f64.ln(), 0.1f64.ln());
        let h = (high - low) / n as f64;
        let area: f64 = (0..n)
            .map(|i| parzen.ln(&[(low + (i as f64 + 0.5) * h).exp()]).exp() * h)
            .sum();
        assert!((area - 1.0).abs() <= 1e-6, "{area}");

        let grid = space(&[
            ("batch_size", "16..128:16"),
            ("activation", "relu,tanh"),
            ("width", "1..9:log"),
            ("dropout", "0.1..0.4:0.1"),
        ]);
        let points = [[32.0, 1.0, 3.0, 0.1], [128.0, 0.0, 9.0, 0.4]].map(|mut p| {
            p[3] = grid
                .distributions()
                .nth(3)
                .unwrap()
                .quantile((p[3] - 0.05) / 0.4);
            p
        });
        let parzen = Parzen::new(&grid, &[&points[0], &points[1]]);
        let total: f64 = (0..grid.cardinality().unwrap())
            .map(|i| parzen.ln(&grid.nth(i).unwrap()).exp())
            .sum();
        assert!((total - 1.0).abs() <= 1e-9, "{total}");
    }

    /// Draws follow the density that `ln` gives.
    #[test]
    fn draws_follow_the_density() {
        let grid = space(&[("depth", "1..5"), ("activation", "relu,tanh,elu")]);
        let parzen = Parzen::new(&grid, &[&[2.0, 1.0], &[5.0, 1.0], &[2.0, 0.0]]);
        let mut rng = stream(3, Purpose::Trial { slot: 0 });
        let n = 30_000;
        let mut counts = std::collections::HashMap::new();
        for _ in 0..n {
            let point: Vec<u64> = parzen.draw(&mut rng).iter().map(|x| *x as u64).collect();
            *counts.entry(point).or_insert(0) += 1;
        }
        for i in 0..15 {
            let point = grid.nth(i).unwrap();
            let p = parzen.ln(&point).exp();
            let key: Vec<u64> = point.iter().map(|x| *x as u64).collect();
            let seen = counts.get(&key).copied().unwrap_or(0) as f64;
            let deviation = (n as f64 * p * (1.0 - p)).sqrt();
            assert!(
                (seen - n as f64 * p).abs() <= 5.0 * deviation,
                "{point:?}: {seen} of {}",
                n as f64 * p
            );
        }
    }
}
