//! How much of the variance of a search's results each setting explains: functional analysis of variance over a
//! random forest (Hutter, Hoos, Leyton-Brown, “An Efficient Approach for Assessing Hyperparameter Importance”,
//! ICML 2014; the forest: Breiman, “Random Forests”, Machine Learning 45, 2001).
//!
//! A forest of regression trees models the objective, because a tree's averages over all other settings are
//! exact sums. A tree cuts the unit cube into boxes, its leaves ℓ. Leaf ℓ has a value `$c_\ell$`, and a side
//! `$s_{\ell j}$` along setting j. The tree has the mean `$\bar f$` and the variance V. Its average over all
//! other settings, at value x of setting d, is `$f_d(x)$`. `$I_d$` is the share of the variance that this
//! average explains by itself:
//!
//! ```math
//! \bar f = \sum_\ell c_\ell \prod_j s_{\ell j}, \quad
//! V = \sum_\ell (c_\ell - \bar f)^2 \prod_j s_{\ell j}, \quad
//! f_d(x) = \sum_{\ell \ni x} c_\ell \prod_{j \ne d} s_{\ell j}, \quad
//! I_d = \frac{1}{V} \int_0^1 (f_d(x) - \bar f)^2 \, dx
//! ```
//!
//! The rest, `$1 - \sum_d I_d$`, is due to settings that act together.

use chacha20::ChaCha8Rng;
use rand::Rng;

use crate::real::square;
use crate::rng::{self, Purpose};

/// The number of trees of the forest.
const TREES: usize = 64;

/// The importance of each setting, from 0 to 1: the forest's mean of `$I_d$`.
///
/// `points` are points of the unit cube, one for each value. `None` if there are fewer than two points, or if
/// all values are the same.
///
/// # Panics
///
/// If the points have different lengths, or if the numbers of points and values differ.
pub fn importance(points: &[Vec<f64>], values: &[f64]) -> Option<Vec<f64>> {
    assert_eq!(points.len(), values.len(), "one value for each point");
    let settings = points.first()?.len();
    assert!(points.iter().all(|p| p.len() == settings), "equal lengths");
    let values = &in_their_unit(values);
    let mut rng = rng::stream(0, Purpose::Forest);
    let mut sum = vec![0.0; settings];
    let mut trees = 0.0;
    for _ in 0..TREES {
        let sample = bootstrap(points.len(), &mut rng);
        if let Some(shares) = shares(&leaves(points, values, sample, settings), settings) {
            sum.iter_mut()
                .zip(shares)
                .for_each(|(s, share)| *s += share);
            trees += 1.0;
        }
    }
    // A tree that was grown on equal values has no variance to explain.
    (trees > 0.0).then(|| sum.iter().map(|s| s / trees).collect())
}

/// The values over a power of two near the largest of them. Shares have no unit, and squares of extreme values would
/// not be numbers.
fn in_their_unit(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let unit = largest.log2().floor().clamp(-1022.0, 1023.0).exp2();
    values.iter().map(|v| v / unit).collect()
}

/// n draws with replacement from n points.
fn bootstrap(n: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    (0..n)
        .map(|_| rng::below(n as u32, || rng.next_u32()) as usize)
        .collect()
}

/// A box of the unit cube: its low and high end along each setting, and its value.
#[derive(Clone, Debug, PartialEq)]
struct Leaf {
    sides: Vec<(f64, f64)>,
    value: f64,
}

impl Leaf {
    /// The product of all sides but that along `setting`.
    fn volume_without(&self, setting: usize) -> f64 {
        let others = self.sides.iter().enumerate().filter(|(j, _)| *j != setting);
        others.map(|(_, (low, high))| high - low).product()
    }

    fn volume(&self) -> f64 {
        self.volume_without(usize::MAX)
    }
}

/// A tree that is grown until its leaves hold equal values or equal points. Each cut is the one that lowers the sum of
/// squares most.
fn leaves(points: &[Vec<f64>], values: &[f64], sample: Vec<usize>, settings: usize) -> Vec<Leaf> {
    let mut grown = Vec::new();
    let mut open = vec![(sample, vec![(0.0, 1.0); settings])];
    while let Some((sample, sides)) = open.pop() {
        match best_cut(points, values, &sample, settings) {
            Some((setting, at)) => {
                let (low, high): (Vec<usize>, Vec<usize>) =
                    sample.into_iter().partition(|&i| points[i][setting] < at);
                let (mut below, mut above) = (sides.clone(), sides);
                below[setting].1 = at;
                above[setting].0 = at;
                open.extend([(low, below), (high, above)]);
            }
            None => {
                let value = sample.iter().map(|&i| values[i]).sum::<f64>() / sample.len() as f64;
                grown.push(Leaf { sides, value });
            }
        }
    }
    grown
}

/// Setting and position of the cut that leaves the smallest sum of squares; `None` if no cut lowers it.
fn best_cut(
    points: &[Vec<f64>],
    values: &[f64],
    sample: &[usize],
    settings: usize,
) -> Option<(usize, f64)> {
    let total: f64 = sample.iter().map(|&i| values[i]).sum();
    let uncut = total * total / sample.len() as f64;
    let cuts = (0..settings)
        .flat_map(|setting| cuts(points, values, sample, setting).map(move |cut| (setting, cut)));
    // A gain within rounding does not count.
    let mut best = (uncut * (1.0 + 1e-12) + f64::MIN_POSITIVE, None);
    for (setting, (gain, at)) in cuts {
        if gain > best.0 {
            best = (gain, Some((setting, at)));
        }
    }
    best.1
}

/// Every cut along a setting: by how much it lowers the sum of squares, up to a constant, and its position.
///
/// After a cut the sum of squares is
/// `$\sum v^2 - (\sum_\text{low} v)^2 / n_\text{low} - (\sum_\text{high} v)^2 / n_\text{high}$`.
/// The first sum is the same for all cuts.
fn cuts<'a>(
    points: &'a [Vec<f64>],
    values: &'a [f64],
    sample: &[usize],
    setting: usize,
) -> impl Iterator<Item = (f64, f64)> + use<'a> {
    let place = move |i: usize| points[i][setting];
    let mut sorted = sample.to_vec();
    sorted.sort_by(|&a, &b| place(a).total_cmp(&place(b)));
    let total: f64 = sorted.iter().map(|&i| values[i]).sum();
    let mut below = 0.0;
    (1..sorted.len()).filter_map(move |count| {
        below += values[sorted[count - 1]];
        let (low, high) = (place(sorted[count - 1]), place(sorted[count]));
        let (n_low, n_high) = (count as f64, (sorted.len() - count) as f64);
        let gain = below * below / n_low + square(total - below) / n_high;
        // Between neighbours among the numbers there is none.
        let at = Some(0.5 * (low + high)).filter(|&at| at > low);
        (low < high).then_some((gain, at.unwrap_or(high)))
    })
}

/// `$I_d$` of a tree; `None` if the tree has no variance.
fn shares(leaves: &[Leaf], settings: usize) -> Option<Vec<f64>> {
    let mean: f64 = leaves.iter().map(|l| l.value * l.volume()).sum();
    let variance: f64 = leaves
        .iter()
        .map(|l| square(l.value - mean) * l.volume())
        .sum();
    let alone = |setting: usize| {
        let mut bounds: Vec<f64> = leaves
            .iter()
            .flat_map(|l| [l.sides[setting].0, l.sides[setting].1])
            .collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let piece = |ends: &[f64]| {
            let middle = 0.5 * (ends[0] + ends[1]);
            let inside = |l: &&Leaf| l.sides[setting].0 <= middle && middle < l.sides[setting].1;
            let average: f64 = leaves
                .iter()
                .filter(inside)
                .map(|l| l.value * l.volume_without(setting))
                .sum();
            square(average - mean) * (ends[1] - ends[0])
        };
        bounds.windows(2).map(piece).sum::<f64>() / variance
    };
    (variance > 0.0).then(|| (0..settings).map(alone).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, limit: f64) {
        assert!((a - b).abs() <= limit, "{a} and {b}");
    }

    /// The left half has the value 0, the right half 4 below and 8 above. The mean is 3, the variance
    /// (2·9 + 1 + 25)/4 = 11. Along x the averages are 0 and 6, which explain 9 of the variance. Along y they
    /// are 2 and 4, which explain 1. The last 1 is due to both together.
    #[test]
    fn a_tree_worked_by_hand() {
        let leaf = |x, y, value| Leaf {
            sides: vec![x, y],
            value,
        };
        let tree = [
            leaf((0.0, 0.5), (0.0, 1.0), 0.0),
            leaf((0.5, 1.0), (0.0, 0.5), 4.0),
            leaf((0.5, 1.0), (0.5, 1.0), 8.0),
        ];
        let shares = shares(&tree, 2).unwrap();
        close(shares[0], 9.0 / 11.0, 1e-12);
        close(shares[1], 1.0 / 11.0, 1e-12);
    }

    #[test]
    fn cuts_fall_between_the_points() {
        let points = [[0.2, 0.9], [0.4, 0.1], [0.8, 0.5]].map(Vec::from);
        let tree = leaves(&points, &[1.0, 1.0, 5.0], vec![0, 1, 2], 2);
        let mut sides: Vec<_> = tree.iter().map(|l| (l.sides[0], l.value)).collect();
        sides.sort_by(|a, b| a.1.total_cmp(&b.1));
        close(sides[0].0.1, 0.6, 1e-12);
        assert_eq!(
            (tree.len(), sides[0].1, sides[1].1),
            (2, 1.0, 5.0),
            "{tree:?}"
        );
    }

    /// f = 4x + y has the variances 16/12 and 1/12. z does nothing.
    #[test]
    fn a_sum_is_taken_apart() {
        let mut rng = rng::stream(1, Purpose::Forest);
        let mut uniform = || f64::from(rng.next_u32()) / 4_294_967_296.0;
        let points: Vec<Vec<f64>> = (0..400)
            .map(|_| vec![uniform(), uniform(), uniform()])
            .collect();
        let values: Vec<f64> = points.iter().map(|p| 4.0 * p[0] + p[1]).collect();
        let found = importance(&points, &values).unwrap();
        close(found[0], 16.0 / 17.0, 0.03);
        close(found[1], 1.0 / 17.0, 0.03);
        assert!(
            found[2] < 0.01 && found.iter().sum::<f64>() <= 1.0 + 1e-9,
            "{found:?}"
        );
    }

    #[test]
    fn without_variance_there_is_no_importance() {
        assert_eq!(importance(&[], &[]), None);
        assert_eq!(importance(&[vec![0.5]], &[1.0]), None);
        let points: Vec<_> = (0..9).map(|i| vec![f64::from(i) / 9.0]).collect();
        assert_eq!(importance(&points, &[0.875; 9]), None);
        assert_eq!(importance(&[vec![0.5], vec![0.5]], &[1.0, 2.0]), None);
    }

    #[test]
    fn extreme_numbers_have_importances_too() {
        // No number lies between these two points.
        let points = [0.5, f64::from_bits(0.5_f64.to_bits() + 1)].map(|x| vec![x, 0.5]);
        for values in [[0.0, 1.0], [-1.7e308, 1.7e308], [0.0, 1e-320]] {
            let shares = importance(&points, &values).unwrap();
            assert!(shares.iter().all(|s| (0.0..=1.0).contains(s)), "{shares:?}");
        }
    }
}
