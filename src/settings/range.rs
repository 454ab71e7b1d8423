//! Which numbers a setting may be.

use std::ops::{Bound, RangeBounds};

use super::value::Number;

/// An interval of real numbers.
pub(super) type Reals = (Bound<f64>, Bound<f64>);

/// The numbers that a setting may be, or each number of a list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Range {
    /// It is no number.
    Any,
    /// Whole numbers, both ends included.
    Whole(u64, u64),
    /// Real numbers. NaN is in no interval.
    Real(Reals),
}

/// An upper end from here on is that of a type, and no message names it without need.
const ENDLESS: u64 = 1 << 31;

impl Range {
    pub(super) fn contains(self, number: Number) -> bool {
        match (self, number) {
            (Range::Any, _) => true,
            (Range::Whole(low, high), Number::Whole(n)) => (low..=high).contains(&n),
            (Range::Real(range), Number::Real(x)) => range.contains(&x),
            _ => false,
        }
    }

    /// What was expected instead of a number.
    pub(super) fn expected(self, found: Number) -> String {
        match (self, found) {
            (Range::Any, _) => "no number".into(),
            (Range::Whole(low, high), Number::Whole(n)) if n < low && high >= ENDLESS => {
                format!("at least {low}")
            }
            (Range::Whole(low, high), _) => format!("from {low} to {high}"),
            (Range::Real(range), _) => interval(range),
        }
    }
}

fn interval((low, high): Reals) -> String {
    match (low, high) {
        (Bound::Included(low), Bound::Excluded(f64::INFINITY)) => {
            format!("a finite number of at least {low}")
        }
        (Bound::Excluded(low), Bound::Excluded(f64::INFINITY)) => {
            format!("a finite number above {low}")
        }
        (low, high) => {
            let left = match low {
                Bound::Included(low) => format!("[{low}"),
                Bound::Excluded(low) => format!("({low}"),
                Bound::Unbounded => "(-inf".into(),
            };
            let right = match high {
                Bound::Included(high) => format!("{high}]"),
                Bound::Excluded(high) => format!("{high})"),
                Bound::Unbounded => "inf)".into(),
            };
            format!("a number in {left}, {right}")
        }
    }
}
