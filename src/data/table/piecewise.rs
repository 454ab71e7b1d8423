//! Piecewise-linear encoding of a number (Gorishniy, Rubachev, Babenko, “On Embeddings for Numerical Features in
//! Tabular Deep Learning”, NeurIPS 2022, section 3.2).
//!
//! The values of the training rows are divided at their quantiles into T bins with the edges
//! `$b_0 < b_1 < \dots < b_T$`. A number x becomes T inputs: how far it has come through each bin.
//!
//! ```math
//! e_t = \begin{cases}
//! 0, & x < b_{t-1} \text{ and } t > 1 \\
//! 1, & x \ge b_t \text{ and } t < T \\
//! (x - b_{t-1}) / (b_t - b_{t-1}), & \text{otherwise}
//! \end{cases}
//! ```
//!
//! A linear layer of these inputs is a piecewise linear function of x, with its bends at the edges. The first and the
//! last bin are not clamped, as published: below b₀ the first input is negative, and above b_T the last is larger than
//! 1, so that numbers outside of the training range go on along the line.

/// The most bins of a column.
pub const MAX_BINS: u32 = 1024;

/// The edges of at most `bins` bins, at the quantiles 0, 1/bins, 2/bins, …, 1 of the numbers, interpolated linearly.
/// Equal edges are one, so there may be fewer bins. Equal numbers have one edge.
///
/// # Panics
/// If there is no number, or one is NaN.
pub(super) fn edges(numbers: &mut [f64], bins: u32) -> Vec<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    let last = (numbers.len() - 1) as f64;
    let quantile = |bin: u32| {
        let place = last * f64::from(bin) / f64::from(bins);
        let (below, share) = (place.floor() as usize, place.fract());
        if share == 0.0 {
            return numbers[below];
        }
        let (low, high) = (numbers[below], numbers[below + 1]);
        // Between equal numbers, too, the sum may be off by a last bit.
        (low * (1.0 - share) + high * share).clamp(low, high)
    };
    let mut edges: Vec<f64> = (0..=bins).map(quantile).collect();
    edges.dedup_by(|edge, before| *edge <= *before);
    edges
}

/// The number of inputs of a column with these edges.
pub(super) fn inputs(edges: &[f64]) -> usize {
    edges.len().saturating_sub(1).max(1)
}

/// Writes what `x` becomes. A column with one edge, whose training rows had one number, becomes the distance to it.
/// A number far outside of narrow bins may become an infinite one.
pub(super) fn encode(x: f64, edges: &[f64], out: &mut [f64]) {
    let &[first, _, ..] = edges else {
        out[0] = x - edges[0];
        return;
    };
    let last = out.len() - 1;
    // The bin that x is in, or the nearest one.
    let bin = edges[1..=last].partition_point(|&edge| edge <= x);
    out[..bin].fill(1.0);
    let start = if bin == 0 { first } else { edges[bin] };
    let (way, whole) = (x - start, edges[bin + 1] - start);
    out[bin] = match way.is_finite() && whole.is_finite() {
        true => way / whole,
        // Halves of large numbers have a finite difference; those of the smallest ones may have none.
        false => (x / 2.0 - start / 2.0) / (edges[bin + 1] / 2.0 - start / 2.0),
    };
    out[bin + 1..].fill(0.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(x: f64, edges: &[f64]) -> Vec<f64> {
        let mut out = vec![f64::NAN; inputs(edges)];
        encode(x, edges, &mut out);
        out
    }

    #[test]
    fn a_number_fills_the_bins_below_it() {
        let edges = [0.0, 1.0, 3.0, 4.0];
        assert_eq!(encoded(2.0, &edges), [1.0, 0.5, 0.0]);
        assert_eq!(encoded(0.25, &edges), [0.25, 0.0, 0.0]);
        assert_eq!(encoded(1.0, &edges), [1.0, 0.0, 0.0]);
        assert_eq!(encoded(3.0, &edges), [1.0, 1.0, 0.0]);
        assert_eq!(encoded(4.0, &edges), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn the_ends_are_not_clamped() {
        let edges = [0.0, 1.0, 3.0];
        assert_eq!(encoded(-2.0, &edges), [-2.0, 0.0]);
        assert_eq!(encoded(6.0, &edges), [1.0, 2.5]);
        assert_eq!(encoded(-2.0, &[0.0, 4.0]), [-0.5]);
        assert_eq!(encoded(6.0, &[0.0, 4.0]), [1.5]);
    }

    #[test]
    fn bins_may_be_as_wide_and_as_narrow_as_numbers_allow() {
        let smallest = f64::from_bits(1);
        assert_eq!(encoded(0.0, &[0.0, smallest]), [0.0]);
        assert_eq!(encoded(smallest, &[0.0, smallest]), [1.0]);
        assert_eq!(encoded(3.0 * smallest, &[smallest, 2.0 * smallest]), [2.0]);
        assert_eq!(encoded(f64::MAX, &[-f64::MAX, f64::MAX]), [1.0]);
        assert_eq!(encoded(0.0, &[-f64::MAX, f64::MAX]), [0.5]);
        assert_eq!(encoded(1e300, &[0.0, 1e-300]), [f64::INFINITY]);
    }

    #[test]
    fn edges_are_quantiles_and_equal_ones_are_one() {
        let mut numbers: Vec<f64> = (0..=8).rev().map(f64::from).collect();
        assert_eq!(edges(&mut numbers, 4), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(edges(&mut [0.0, 1.0, 10.0], 4), [0.0, 0.5, 1.0, 5.5, 10.0]);
        assert_eq!(edges(&mut [5.0, 0.0, 0.0, 0.0, 0.0], 4), [0.0, 5.0]);
        assert_eq!(edges(&mut [7.0], 48), [7.0]);
        // 0.01 · (1 − s) + 0.01 · s is not always 0.01.
        assert_eq!(edges(&mut [0.01; 3], 6), [0.01]);
        assert_eq!(
            edges(&mut [f64::MAX, -f64::MAX], 2),
            [-f64::MAX, 0.0, f64::MAX]
        );
    }

    /// Numbers that are alike are told from a number that was never seen.
    #[test]
    fn a_constant_column_has_one_bin() {
        assert_eq!(encoded(7.0, &[7.0]), [0.0]);
        assert_eq!(encoded(9.5, &[7.0]), [2.5]);
    }

    #[test]
    fn the_sum_of_bins_is_monotone_in_the_number() {
        let edges = [-1.5, -0.3, 0.2, 0.21, 5.0];
        let mut before = f64::NEG_INFINITY;
        for step in -300..800 {
            let sum: f64 = encoded(f64::from(step) / 100.0, &edges).iter().sum();
            assert!(sum >= before, "{step}");
            before = sum;
        }
    }
}
