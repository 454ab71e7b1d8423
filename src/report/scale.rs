//! From values to places along an axis, and the marks on it.

use crate::text::number::number;

/// How a quantity lies along an axis.
#[derive(Clone, Debug, PartialEq)]
pub enum Scale {
    /// Equal steps for equal differences.
    Linear {
        /// The value at the start.
        low: f64,
        /// The value at the end.
        high: f64,
    },
    /// Equal steps for equal ratios; the ends are above 0.
    Log {
        /// The value at the start.
        low: f64,
        /// The value at the end.
        high: f64,
    },
    /// Names side by side, with equal room; the value is the index.
    Category(Vec<String>),
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where, from 0 to 1.
    pub place: f64,
    /// What is written there.
    pub label: String,
}

/// An axis around values is no shorter than this share of the largest one: the marks would have too many digits.
const SHORTEST: f64 = 1e-4;

/// Marks of an axis are no more than this.
const MOST_TICKS: usize = 10;

/// What is off an end by less is off by rounding.
const ROUNDING: f64 = 1e-6;

impl Scale {
    /// A linear scale that holds all values, ends on round numbers and is no narrower than `least`.
    pub fn around(values: impl IntoIterator<Item = f64>, least: f64) -> Scale {
        let finite = values.into_iter().filter(|x| x.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), wider);
        if low > high {
            return Scale::Linear {
                low: 0.0,
                high: 1.0,
            };
        }
        let least = least.max(SHORTEST * low.abs().max(high.abs()));
        // Half of a range is a number even where the range is too large to be one.
        let missing = (least / 2.0 - (high / 2.0 - low / 2.0)).max(0.0);
        // Rounding widens the range, and a wider one may have another step.
        let round = |(low, high): (f64, f64)| {
            let (factor, exponent) = step(low, high);
            let step = decimal(factor, exponent);
            // What is round but for the last bits stays.
            let ends = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
            finite_ends(ends.0 * step, ends.1 * step)
        };
        let (low, high) = round(round(finite_ends(low - missing, high + missing)));
        Scale::Linear { low, high }
    }

    /// This scale, made longer if values lie beyond its ends.
    pub(super) fn holding(self, values: impl IntoIterator<Item = f64>) -> Scale {
        let finite = values.into_iter().filter(|x| x.is_finite());
        match self {
            Scale::Linear { low, high } => {
                let (low, high) = finite.fold((low, high), wider);
                Scale::Linear { low, high }
            }
            Scale::Log { low, high } => {
                let (low, high) = finite.filter(|&x| x > 0.0).fold((low, high), wider);
                Scale::Log { low, high }
            }
            Scale::Category(_) => self,
        }
    }

    /// Where a value is: from 0 to 1 between the ends, outside of that beyond them, NaN if it has no place.
    pub fn place(&self, x: f64) -> f64 {
        match self {
            Scale::Linear { low, high } if low < high => share(x, *low, *high),
            Scale::Log { low, high } if low.ln() < high.ln() => share(x.ln(), low.ln(), high.ln()),
            Scale::Linear { .. } | Scale::Log { .. } => 0.5,
            Scale::Category(names) => (x + 0.5) / names.len() as f64,
        }
    }

    /// Where a value is between the ends; none if it is not between them.
    pub fn inside(&self, x: f64) -> Option<f64> {
        let place = Some(self.place(x)).filter(|_| x.is_finite())?;
        (-ROUNDING..=1.0 + ROUNDING)
            .contains(&place)
            .then_some(place.clamp(0.0, 1.0))
    }

    /// Marks at round numbers, or at every name.
    pub fn ticks(&self) -> Vec<Tick> {
        let at = |x: f64| {
            Some(Tick {
                place: self.inside(x)?,
                label: label(x),
            })
        };
        let mut ticks: Vec<Tick> = match self {
            Scale::Linear { low, high } if low < high => {
                round_numbers(*low, *high).filter_map(at).collect()
            }
            Scale::Log { low, high } if low < high => {
                let round = powers(*low, *high).filter_map(at).collect::<Vec<_>>();
                match round.len() {
                    0 | 1 => [*low, *high].into_iter().filter_map(at).collect(),
                    n => round.into_iter().step_by(n.div_ceil(MOST_TICKS)).collect(),
                }
            }
            Scale::Linear { low, .. } | Scale::Log { low, .. } => at(*low).into_iter().collect(),
            Scale::Category(names) => {
                let tick = |(i, name): (usize, &String)| Tick {
                    place: self.place(i as f64),
                    label: name.clone(),
                };
                return names.iter().enumerate().map(tick).collect();
            }
        };
        ticks.dedup_by(|a, b| a.label == b.label);
        ticks
    }
}

/// A range that holds a value too.
fn wider((low, high): (f64, f64), x: f64) -> (f64, f64) {
    (low.min(x), high.max(x))
}

/// What is too large for a number becomes the largest one.
fn finite_ends(low: f64, high: f64) -> (f64, f64) {
    (low.max(f64::MIN), high.min(f64::MAX))
}

/// Where x is between the ends, which may be further apart than the largest number.
fn share(x: f64, low: f64, high: f64) -> f64 {
    match (high - low).is_finite() {
        true => (x - low) / (high - low),
        false => (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0),
    }
}

/// Multiples of a round number, between the ends.
fn round_numbers(low: f64, high: f64) -> impl Iterator<Item = f64> {
    let (factor, exponent) = step(low, high);
    let step = decimal(factor, exponent);
    let first = (low / step - 1e-9).ceil();
    let count = (high / step + 1e-9).floor() - first;
    let all = 0..=MOST_TICKS.min(count as usize);
    all.map(move |i| decimal((first + i as f64) * factor, exponent))
}

/// Powers of ten, with their multiples by 2 and 5 where there are few; some lie beyond the ends.
fn powers(low: f64, high: f64) -> impl Iterator<Item = f64> {
    let (first, last) = (low.log10(), high.log10());
    let whole = last.floor() - first.ceil() + 1.0;
    let factors: &[f64] = match whole >= 3.0 {
        true => &[1.0],
        false => &[1.0, 2.0, 5.0],
    };
    let decades = first.floor() as i32..=last.ceil() as i32;
    decades.flat_map(|d| factors.iter().map(move |&f| decimal(f, d)))
}

/// A round distance of marks, so that there are about four to nine of them: 1, 2, 5 or 10, and the power of ten that it
/// is multiplied by.
fn step(low: f64, high: f64) -> (f64, i32) {
    let rough = match (high - low).is_finite() {
        true => (high - low) / 5.0,
        false => high / 5.0 - low / 5.0,
    };
    // Below, a power of ten is 0.
    let exponent = rough.log10().floor().max(-323.0) as i32;
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|&f| decimal(f, exponent) >= rough * 0.999);
    (factor.unwrap_or(10.0), exponent)
}

/// A number times a power of ten. A product would be off by a few bits, and its text would have many digits.
fn decimal(number: f64, exponent: i32) -> f64 {
    format!("{number}e{exponent}").parse().expect("a number")
}

/// A mark's number. Six digits and more would not fit beside the axis, and twelve hide what rounding has left.
fn label(x: f64) -> String {
    let x: f64 = format!("{x:.11e}").parse().unwrap_or(x);
    match x.abs() >= 1e5 {
        true => format!("{x:e}"),
        false => number(x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|t| t.label).collect()
    }

    #[test]
    fn marks_are_round_and_inside() {
        assert_eq!(
            labels(&Scale::around([0.0, 1.9e5], 0.0)),
            ["0", "50000", "1e5", "1.5e5", "2e5"]
        );
        let scale = Scale::around([0.861, 0.894], 0.0);
        assert_eq!(labels(&scale), ["0.86", "0.87", "0.88", "0.89", "0.9"]);
        assert_eq!(
            labels(&Scale::Linear {
                low: 500.0,
                high: 1000.0
            }),
            ["500", "600", "700", "800", "900", "1000"]
        );
        assert_eq!(
            labels(&Scale::Log {
                low: 1e-5,
                high: 1.0
            }),
            ["1e-5", "0.0001", "0.001", "0.01", "0.1", "1"]
        );
        assert_eq!(
            labels(&Scale::Log {
                low: 5e-4,
                high: 5e-3
            }),
            ["0.0005", "0.001", "0.002", "0.005"]
        );
        assert_eq!(
            labels(&Scale::Category(vec!["relu".into(), "tanh".into()])),
            ["relu", "tanh"]
        );
        for scale in [
            scale,
            Scale::Log {
                low: 3.0,
                high: 7000.0,
            },
            Scale::around([0.5], 0.01),
            Scale::around([f64::NAN], 0.0),
        ] {
            let ticks = scale.ticks();
            assert!(ticks.len() >= 2, "{scale:?}: {ticks:?}");
            assert!(
                ticks
                    .iter()
                    .all(|t| (-1e-6..=1.0 + 1e-6).contains(&t.place)),
                "{scale:?}: {ticks:?}"
            );
        }
    }

    #[test]
    fn places_lie_between_the_ends() {
        assert_eq!(
            Scale::Linear {
                low: 2.0,
                high: 6.0
            }
            .place(3.0),
            0.25
        );
        assert!(
            (Scale::Log {
                low: 0.01,
                high: 1.0
            }
            .place(0.1)
                - 0.5)
                .abs()
                <= 1e-12
        );
        assert_eq!(
            Scale::Category(vec!["a".into(), "b".into()]).place(1.0),
            0.75
        );
        assert_eq!(
            Scale::Linear {
                low: 2.0,
                high: 2.0
            }
            .place(2.0),
            0.5
        );
    }

    /// Ends as a study file may have them: nothing is endless, and no mark lies beyond the ends or twice.
    #[test]
    fn extreme_ends_have_marks_too() {
        let next = |x: f64| f64::from_bits(x.to_bits() + 1);
        let ends = [
            (-f64::MAX, f64::MAX),
            (-8e307, 8e307),
            (0.0, f64::MAX),
            (1e-320, 2e-320),
            (0.0, 5e-324),
            (5e-324, f64::MAX),
            (-5e-324, 5e-324),
            (1e300, next(1e300)),
            (1.0, next(1.0)),
            (3.1, 3.3),
            (0.0, u64::MAX as f64),
            (-1e-300, 1e300),
        ];
        for (low, high) in ends {
            let mut scales = vec![
                Scale::Linear { low, high },
                Scale::around([low, high], 0.01),
                Scale::around([low, low], 0.01),
                Scale::around([high], 0.0),
            ];
            if low > 0.0 {
                scales.push(Scale::Log { low, high });
            }
            for scale in scales {
                let ticks = scale.ticks();
                assert!((1..=11).contains(&ticks.len()), "{scale:?}: {ticks:?}");
                let labels: std::collections::BTreeSet<&str> =
                    ticks.iter().map(|t| t.label.as_str()).collect();
                assert_eq!(labels.len(), ticks.len(), "{scale:?}: {ticks:?}");
                for tick in &ticks {
                    assert!((0.0..=1.0).contains(&tick.place), "{scale:?}: {ticks:?}");
                    assert!(tick.label.len() <= 19, "{scale:?}: {ticks:?}");
                }
                if matches!(scale, Scale::Log { .. }) {
                    assert!([low, high].iter().all(|&end| scale.inside(end).is_some()));
                }
            }
        }
        assert_eq!(
            labels(&Scale::around([-f64::MAX, f64::MAX], 0.01)),
            ["-1e308", "0", "1e308"]
        );
        assert_eq!(
            labels(&Scale::Log {
                low: 1e-300,
                high: 1e300
            })
            .len(),
            10
        );
    }

    #[test]
    fn what_is_not_on_an_axis_has_no_place() {
        let log = Scale::Log {
            low: 0.1,
            high: 1.0,
        };
        let linear = Scale::around([0.0, 1.0], 0.0);
        let names = Scale::Category(vec!["a".into()]);
        for (scale, x) in [
            (&log, 0.0),
            (&log, -1.0),
            (&log, 2.0),
            (&linear, f64::NAN),
            (&linear, f64::INFINITY),
            (&names, 1.0),
            (&Scale::Category(Vec::new()), 0.0),
        ] {
            assert_eq!(scale.inside(x), None, "{scale:?}: {x}");
        }
        assert_eq!(log.holding([0.0, 2.0, f64::NAN]).inside(2.0), Some(1.0));
        assert_eq!(linear.holding([-1.0]).inside(-1.0), Some(0.0));
        assert_eq!(names.clone().holding([5.0]), names);
    }
}
