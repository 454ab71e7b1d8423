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

impl Scale {
    /// A linear scale that holds all values, ends on round numbers and is no narrower than `least`.
    pub fn around(values: impl IntoIterator<Item = f64>, least: f64) -> Scale {
        let finite = values.into_iter().filter(|x| x.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        });
        if low > high {
            return Scale::Linear {
                low: 0.0,
                high: 1.0,
            };
        }
        let missing = (least - (high - low)).max(0.0) / 2.0;
        let (low, high) = (low - missing, high + missing);
        // Rounding widens the range, and a wider one may have another step.
        let round = |(low, high): (f64, f64)| {
            let step = step(low, high);
            // What is round but for the last bits stays.
            let ends = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
            (ends.0 * step, ends.1 * step)
        };
        let (low, high) = round(round((low, high)));
        Scale::Linear { low, high }
    }

    /// Where a value is, from 0 to 1 between the ends.
    pub fn place(&self, x: f64) -> f64 {
        match self {
            Scale::Linear { low, high } if low < high => (x - low) / (high - low),
            Scale::Log { low, high } if low < high => (x / low).ln() / (high / low).ln(),
            Scale::Linear { .. } | Scale::Log { .. } => 0.5,
            Scale::Category(names) => (x + 0.5) / names.len() as f64,
        }
    }

    /// Marks at round numbers, or at every name.
    pub fn ticks(&self) -> Vec<Tick> {
        let at = |x: f64| Tick {
            place: self.place(x),
            // Six digits and more would not fit beside the axis.
            label: match x.abs() >= 1e5 {
                true => format!("{x:e}"),
                false => number(x),
            },
        };
        match self {
            Scale::Linear { low, high } if low < high => {
                let step = step(*low, *high);
                let first = (low / step - 1e-9).ceil() as i64;
                let last = (high / step + 1e-9).floor() as i64;
                (first..=last).map(|i| at(i as f64 * step)).collect()
            }
            Scale::Log { low, high } if low < high => {
                let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
                let inside = |x: &f64| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(x);
                let marks = |factors: &[f64]| -> Vec<Tick> {
                    decades
                        .clone()
                        .flat_map(|d| factors.iter().map(move |f| f * 10f64.powi(d)))
                        .filter(inside)
                        .map(at)
                        .collect()
                };
                let whole = marks(&[1.0]);
                if whole.len() >= 3 {
                    whole
                } else {
                    marks(&[1.0, 2.0, 5.0])
                }
            }
            Scale::Linear { low, .. } | Scale::Log { low, .. } => vec![at(*low)],
            Scale::Category(names) => {
                let tick = |(i, name): (usize, &String)| Tick {
                    place: self.place(i as f64),
                    label: name.clone(),
                };
                names.iter().enumerate().map(tick).collect()
            }
        }
    }
}

/// A round distance of marks, so that there are four to nine of them: 1, 2 or 5 times a power of ten.
fn step(low: f64, high: f64) -> f64 {
    let rough = (high - low).max(f64::MIN_POSITIVE) / 5.0;
    let decade = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|f| f * decade >= rough * 0.999)
        .unwrap_or(10.0);
    factor * decade
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
}
