//! Fair timing: two implementations take turns, so that anything that slows the machine down slows both.
//!
//! A pair is a batch of calls of one implementation, then a batch of the same number of calls of the other. The result
//! is the ratio of the times within a pair, as the median over all pairs. The interval of the median assumes no
//! distribution of the times. For n independent pairs the true median is below the k-th smallest ratio with the
//! probability that a fair coin shows heads fewer than k times in n throws. It is above the k-th largest
//! ratio with the same probability:
//!
//! ```math
//! P\left(x_{(k)} \le \tilde x \le x_{(n+1-k)}\right) \ge 1 - 2 \sum_{i=0}^{k-1} \binom{n}{i} 2^{-n}
//! ```

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::statistics::Interval;

/// How often something is timed, and how long each repeat lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    /// Number of repeats.
    pub count: usize,
    /// The least duration of a repeat.
    pub duration: Duration,
}

/// How long two implementations are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairEffort {
    /// The number of pairs of batches.
    pub pairs: usize,
    /// The least duration of a batch.
    pub batch: Duration,
    /// The pause before each batch, in which spinning threads of the other side fall asleep.
    pub settle: Duration,
}

/// The times of two implementations, "ours" and "theirs".
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Median seconds of one call of ours.
    pub ours: f64,
    /// Median seconds of one call of theirs.
    pub theirs: f64,
    /// The median of theirs / ours within a pair: above 1 ours is faster.
    pub ratio: f64,
    /// The 95 % interval of that median.
    pub interval: Interval,
}

/// Times `ours` and `theirs` in turn.
///
/// # Panics
/// If `effort.pairs` is 0.
pub fn compare(effort: PairEffort, ours: &mut dyn FnMut(), theirs: &mut dyn FnMut()) -> Comparison {
    let calls = calls_for(effort.batch, ours).max(calls_for(effort.batch, theirs));
    let mut times = [Vec::new(), Vec::new()];
    let mut ratios = Vec::new();
    for _ in 0..effort.pairs {
        let first = settled(effort, calls, ours);
        let second = settled(effort, calls, theirs);
        times[0].push(first);
        times[1].push(second);
        ratios.push(second / first);
    }
    let [ours, theirs] = times.map(|mut seconds| median(&mut seconds));
    let ratio = median(&mut ratios);
    Comparison {
        ours,
        theirs,
        ratio,
        interval: median_interval(&ratios),
    }
}

/// The mean seconds of a call over a batch of calls.
fn batch_seconds(calls: usize, call: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed().as_secs_f64() / calls.max(1) as f64
}

/// Seconds of one call in each repeat, after a few calls to warm up. A repeat is a batch of calls.
pub fn seconds_per_call(repeats: Repeats, call: &mut dyn FnMut()) -> Vec<f64> {
    let calls = calls_for(repeats.duration, call);
    (0..repeats.count)
        .map(|_| batch_seconds(calls, call))
        .collect()
}

/// Times a batch after a pause. A few calls in between, without effect if the batch has fewer than 4, wake the threads
/// and bring the operands back into cache.
fn settled(effort: PairEffort, calls: usize, call: &mut dyn FnMut()) -> f64 {
    std::thread::sleep(effort.settle);
    batch_seconds(calls / 4, call);
    batch_seconds(calls, call)
}

/// The number of calls that last at least `time`.
fn calls_for(time: Duration, call: &mut dyn FnMut()) -> usize {
    let mut calls = 1;
    batch_seconds(1, call);
    loop {
        let total = batch_seconds(calls, call) * calls as f64;
        if total >= time.as_secs_f64() {
            return calls;
        }
        let needed = time.as_secs_f64() / total.max(1e-9) * calls as f64;
        calls = (needed.ceil() as usize).clamp(calls + 1, calls * 16);
    }
}

/// The median of `values`, which are sorted. For an even number of values it is the mean of the middle two.
///
/// # Panics
/// If `values` is empty.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// The 95 % interval of the median of `sorted` values by order statistics. With fewer than 6 values it is the whole
/// range, whose probability is then less than 95 %.
fn median_interval(sorted: &[f64]) -> Interval {
    let out = values_left_out(sorted.len());
    Interval {
        low: sorted[out],
        high: sorted[sorted.len() - 1 - out],
    }
}

/// k − 1 for the largest k with `$\sum_{i<k} \binom{n}{i} 2^{-n} \le 0.025$`: the number of values outside the interval
/// at each end.
fn values_left_out(n: usize) -> usize {
    let mut term = 0.5_f64.powi(n as i32);
    let mut below = term;
    let mut k = 0;
    while below <= 0.025 {
        k += 1;
        term *= (n + 1 - k) as f64 / k as f64;
        below += term;
    }
    k.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// k from the tables of the sign test for a two-sided level of 5 % (Conover, “Practical Nonparametric Statistics”:
    /// the interval of the median is from the k-th smallest to the k-th largest value).
    #[test]
    fn order_statistics_of_the_tables() {
        for (n, k) in [
            (6, 1),
            (8, 1),
            (9, 2),
            (10, 2),
            (20, 6),
            (25, 8),
            (31, 10),
            (50, 18),
            (100, 40),
        ] {
            assert_eq!(values_left_out(n) + 1, k, "n = {n}");
        }
        for n in 1..6 {
            assert_eq!(values_left_out(n), 0, "n = {n}: the whole range");
        }
    }

    #[test]
    fn the_middle_and_its_interval() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 8.0]), 3.0);
        let sorted: Vec<f64> = (1..=31).map(f64::from).collect();
        let expected = Interval {
            low: 10.0,
            high: 22.0,
        };
        assert_eq!(median_interval(&sorted), expected);
    }

    /// Both sides take turns, with the same number of calls within pairs. The test counts calls, not time.
    #[test]
    fn sides_take_turns() {
        let order = std::cell::RefCell::new(Vec::new());
        let effort = PairEffort {
            pairs: 7,
            batch: Duration::ZERO,
            settle: Duration::ZERO,
        };
        let found = compare(effort, &mut || order.borrow_mut().push('o'), &mut || {
            order.borrow_mut().push('t')
        });
        assert!(found.ratio.is_finite() && found.ours >= 0.0 && found.theirs >= 0.0);
        assert!(found.interval.low <= found.ratio && found.ratio <= found.interval.high);
        let order: String = order.into_inner().into_iter().collect();
        // One call to warm up and one to count for each side, then one of each, seven times.
        assert_eq!(order, format!("oott{}", "ot".repeat(7)));
    }
}
