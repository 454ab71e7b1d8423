//! Pearson's correlation between the outputs of every two classes (Pearson, “Mathematical contributions to the theory
//! of evolution III”, Phil. Trans. A 187, 1896).
//!
//! `$p_{ia}$` is the output for class a and sample i of n. Classes a and b correlate by
//!
//! ```math
//! r_{ab} = \frac{\sum_i (p_{ia} - \bar p_a)(p_{ib} - \bar p_b)}
//!   {\sqrt{\sum_i (p_{ia} - \bar p_a)^2}\, \sqrt{\sum_i (p_{ib} - \bar p_b)^2}}
//! ```
//!
//! The probabilities of a sample add up to 1. If they were all 0 or 1 and the K classes equally frequent, every two
//! classes would have `$-1/(K-1)$`. A higher value shows a pair that the classifier confuses.

use super::Confusion;

/// The matrix `[classes, classes]` of outputs `[samples, classes]`, both row-major.
///
/// A class whose output never changes has no correlation, not even with itself: NaN.
///
/// # Panics
///
/// If the outputs are no whole number of rows.
pub fn correlation(outputs: &[f64], classes: usize) -> Vec<f64> {
    assert!(
        classes > 0 && outputs.len().is_multiple_of(classes),
        "whole rows"
    );
    let samples = (outputs.len() / classes) as f64;
    let mut means = vec![0.0; classes];
    for row in outputs.chunks_exact(classes) {
        means
            .iter_mut()
            .zip(row)
            .for_each(|(mean, p)| *mean += p / samples);
    }
    let mut products = vec![0.0; classes * classes];
    for row in outputs.chunks_exact(classes) {
        for a in 0..classes {
            for b in 0..=a {
                products[a * classes + b] += (row[a] - means[a]) * (row[b] - means[b]);
            }
        }
    }
    let product = |a: usize, b: usize| products[a.max(b) * classes + a.min(b)];
    let entry = |a: usize, b: usize| match a == b && product(a, a) > 0.0 {
        true => 1.0,
        // Rounding may leave a last bit above 1; a constant class gives 0/0.
        false => (product(a, b) / (product(a, a) * product(b, b)).sqrt()).clamp(-1.0, 1.0),
    };
    (0..classes)
        .flat_map(|a| (0..classes).map(move |b| (a, b)))
        .map(|(a, b)| entry(a, b))
        .collect()
}

/// Two classes, and how many samples of each were predicted as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ConfusedPair {
    /// The two classes, the smaller number first.
    pub classes: [usize; 2],
    /// Samples of the first predicted as the second, and of the second predicted as the first.
    pub counts: [u64; 2],
}

/// Pairs of classes that were confused at least once, most often first.
pub fn confused_pairs(confusion: &Confusion) -> Vec<ConfusedPair> {
    let n = confusion.classes();
    let pair = |(a, b): (usize, usize)| ConfusedPair {
        classes: [a, b],
        counts: [confusion.count(a, b), confusion.count(b, a)],
    };
    let mut pairs: Vec<ConfusedPair> = (0..n)
        .flat_map(|a| (a + 1..n).map(move |b| (a, b)))
        .map(pair)
        .collect();
    pairs.retain(|p| p.counts != [0, 0]);
    pairs.sort_by_key(|p| (std::cmp::Reverse(p.counts[0] + p.counts[1]), p.classes));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand: b falls as a rises, c does not go along with either, d never changes.
    #[test]
    fn correlations_by_hand() {
        let outputs = [
            [1.0, 6.0, 1.0, 5.0],
            [2.0, 4.0, 3.0, 5.0],
            [3.0, 2.0, 1.0, 5.0],
        ]
        .concat();
        let r = correlation(&outputs, 4);
        let expected = [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        for a in 0..3 {
            for b in 0..3 {
                assert!(
                    (r[a * 4 + b] - expected[a][b]).abs() <= 1e-15,
                    "{a} {b}: {}",
                    r[a * 4 + b]
                );
            }
            assert!(r[a * 4 + 3].is_nan() && r[3 * 4 + a].is_nan());
        }
        assert!(r[15].is_nan());
    }

    /// The textbook sum, in another order.
    #[test]
    fn it_is_pearson_s_formula_and_symmetric() {
        let (n, k) = (97, 5);
        let outputs: Vec<f64> = (0..n * k)
            .map(|i| ((i * i * 31 + 17 * i) % 101) as f64 / 101.0)
            .collect();
        let r = correlation(&outputs, k);
        let column = |c: usize| (0..n).map(move |i| i * k + c);
        for a in 0..k {
            for b in 0..k {
                let sum = |f: &dyn Fn(usize, usize) -> f64| {
                    column(a).zip(column(b)).map(|(x, y)| f(x, y)).sum::<f64>()
                };
                let (sx, sy) = (sum(&|x, _| outputs[x]), sum(&|_, y| outputs[y]));
                let (xx, yy, xy) = (
                    sum(&|x, _| outputs[x].powi(2)),
                    sum(&|_, y| outputs[y].powi(2)),
                    sum(&|x, y| outputs[x] * outputs[y]),
                );
                let n = n as f64;
                let expected =
                    (n * xy - sx * sy) / ((n * xx - sx * sx) * (n * yy - sy * sy)).sqrt();
                assert!((r[a * k + b] - expected).abs() <= 1e-12);
                assert_eq!(r[a * k + b].to_bits(), r[b * k + a].to_bits());
            }
        }
    }

    #[test]
    fn perfect_outputs_of_k_classes_have_one_negative_correlation() {
        let k = 10;
        let outputs: Vec<f64> = (0..50)
            .flat_map(|i| (0..k).map(move |c| f64::from(c == i % k)))
            .collect();
        let r = correlation(&outputs, k);
        assert!((r[1] + 1.0 / 9.0).abs() <= 1e-12);
    }

    #[test]
    fn pairs_are_ordered_by_how_often_they_are_confused() {
        let confusion = Confusion::new(4, &[0, 0, 1, 2, 2, 2, 3], &[1, 1, 0, 2, 3, 3, 3]).unwrap();
        let pairs = confused_pairs(&confusion);
        assert_eq!(
            pairs
                .iter()
                .map(|p| (p.classes, p.counts))
                .collect::<Vec<_>>(),
            [([0, 1], [2, 1]), ([2, 3], [2, 0])]
        );
    }
}
