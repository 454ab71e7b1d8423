//! What values a hyperparameter may take, with the names, attributes and internal numbers of Optuna's distributions.
//!
//! A value is kept as one number, its *internal* value: a float is itself (not its logarithm), an integer is itself,
//! a category is its index in the list of choices.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::number::number;

/// More steps than this cannot be told apart as floats, nor counted.
const MAX_STEPS: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

/// The values that a hyperparameter may take. Bounds are included.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Real numbers.
    Float {
        /// The least value.
        low: f64,
        /// The greatest value.
        high: f64,
        /// Uniform in the logarithm; not together with a step.
        log: bool,
        /// Only low, low + step, low + 2·step, ….
        step: Option<f64>,
    },
    /// Whole numbers.
    Int {
        /// The least value.
        low: i64,
        /// The greatest value.
        high: i64,
        /// Uniform in the logarithm; not together with a step other than 1.
        log: bool,
        /// Only low, low + step, low + 2·step, ….
        step: i64,
    },
    /// One of a list.
    Categorical {
        /// Null, booleans, numbers or strings, in the order that the indices count.
        choices: Vec<Value>,
    },
}

impl Distribution {
    /// Real numbers from `low` to `high`.
    ///
    /// # Errors
    /// Says what is wrong with the bounds.
    pub fn float(low: f64, high: f64, log: bool, step: Option<f64>) -> Result<Self, String> {
        if !(high - low).is_finite() {
            return Err(not_a_range(low, high));
        }
        Self::any_float(low, high, log, step)
    }

    /// As [`Distribution::float`], but the difference of the bounds may be more than the largest number. No value can
    /// be drawn from such a range, but other programs' studies may hold it.
    fn any_float(low: f64, high: f64, log: bool, step: Option<f64>) -> Result<Self, String> {
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return Err(not_a_range(low, high));
        }
        if log && low <= 0.0 {
            return Err(format!(
                "expected a log range above 0, found one from {}",
                number(low)
            ));
        }
        let Some(step) = step else {
            return Ok(Distribution::Float {
                low,
                high,
                log,
                step: None,
            });
        };
        if log {
            return Err("expected either log or a step, found both".into());
        }
        if !(step.is_finite() && step > 0.0) {
            return Err(format!("expected a step above 0, found {step}"));
        }
        // A quotient that is a whole number but for rounding is one: 0.4 / 0.1 has 4 steps and not 3.
        let steps = (high - low) / step;
        let steps = if (steps - steps.round()).abs() <= 1e-8 * steps.max(1.0) {
            steps.round()
        } else {
            steps.floor()
        };
        if steps >= MAX_STEPS {
            return Err(format!(
                "expected a step that gives fewer than {MAX_STEPS} values, found {step:e}"
            ));
        }
        Ok(Distribution::Float {
            low,
            high: low + steps * step,
            log,
            step: Some(step),
        })
    }

    /// Whole numbers from `low` to `high`.
    ///
    /// # Errors
    /// Says what is wrong with the bounds.
    pub fn int(low: i64, high: i64, log: bool, step: i64) -> Result<Self, String> {
        if low > high {
            return Err(format!(
                "expected a range from low to high, found {low} to {high}"
            ));
        }
        if log && low < 1 {
            return Err(format!(
                "expected a log range of at least 1, found one from {low}"
            ));
        }
        if log && step != 1 {
            return Err("expected either log or a step, found both".into());
        }
        if step < 1 {
            return Err(format!("expected a step of at least 1, found {step}"));
        }
        let exact = 1 << f64::MANTISSA_DIGITS;
        if low < -exact || high > exact {
            return Err(format!(
                "expected whole numbers of at most 53 bits, found {low} to {high}"
            ));
        }
        Ok(Distribution::Int {
            low,
            high: high - (high - low) % step,
            log,
            step,
        })
    }

    /// One of these choices.
    ///
    /// # Errors
    /// If there is none, or one of them twice, or a list or table among them.
    pub fn categorical(choices: Vec<Value>) -> Result<Self, String> {
        if choices.is_empty() {
            return Err("expected at least one choice, found none".into());
        }
        for (i, choice) in choices.iter().enumerate() {
            if choice.is_array() || choice.is_object() {
                return Err(format!(
                    "expected numbers, words, booleans or null, found {choice}"
                ));
            }
            if choices[..i].contains(choice) {
                return Err(format!("expected different choices, found {choice} twice"));
            }
        }
        Ok(Distribution::Categorical { choices })
    }

    /// How many different values there are; `None` if they are too many to count.
    pub fn cardinality(&self) -> Option<u64> {
        match *self {
            Distribution::Float {
                low, high, step, ..
            } => match step {
                _ if low == high => Some(1),
                Some(step) => Some(((high - low) / step).round() as u64 + 1),
                None => None,
            },
            Distribution::Int {
                low, high, step, ..
            } => Some(((high - low) / step) as u64 + 1),
            Distribution::Categorical { ref choices } => Some(choices.len() as u64),
        }
    }

    /// The value with this number below [`Distribution::cardinality`], counted from the least one.
    pub(super) fn nth(&self, number: u64) -> f64 {
        match *self {
            Distribution::Float { low, step, .. } => low + number as f64 * step.unwrap_or(0.0),
            Distribution::Int { low, step, .. } => (low + number as i64 * step) as f64,
            Distribution::Categorical { .. } => number as f64,
        }
    }

    /// The value at the share `unit` in [0, 1) of the distribution. Uniform shares give draws from the distribution.
    /// Steps and whole numbers get cells of one size, in the logarithm if it is one. The logarithm is the portable
    /// library's, so that a search draws the same values on every machine.
    pub fn quantile(&self, unit: f64) -> f64 {
        let between = |low: f64, high: f64| low + unit * (high - low);
        match *self {
            Distribution::Float {
                low,
                high,
                log,
                step: None,
            } if log => libm::exp(between(libm::log(low), libm::log(high))).clamp(low, high),
            Distribution::Float {
                low,
                high,
                step: None,
                ..
            } => between(low, high).clamp(low, high),
            Distribution::Float {
                low,
                high,
                step: Some(step),
                ..
            } => {
                let cell = ((between(low - step / 2.0, high + step / 2.0) - low) / step).round();
                (low + cell.max(0.0) * step).min(high)
            }
            Distribution::Int {
                low,
                high,
                log: true,
                ..
            } => {
                let (low, high) = (low as f64, high as f64);
                let drawn = between(libm::log(low - 0.5), libm::log(high + 0.5));
                libm::exp(drawn).round().clamp(low, high)
            }
            Distribution::Int {
                low, high, step, ..
            } => {
                let (low, high, step) = (low as f64, high as f64, step as f64);
                let cell = ((between(low - step / 2.0, high + step / 2.0) - low) / step).round();
                (low + cell.max(0.0) * step).min(high)
            }
            Distribution::Categorical { ref choices } => (unit * choices.len() as f64)
                .floor()
                .min(choices.len() as f64 - 1.0),
        }
    }

    /// The share in [0, 1] of a value, the inverse of [`Distribution::quantile`]. A step, a whole number or a choice
    /// is at the middle of its cell.
    pub fn share(&self, internal: f64) -> f64 {
        let (low, high, x) = match *self {
            Distribution::Float {
                low,
                high,
                log: true,
                ..
            } => (libm::log(low), libm::log(high), libm::log(internal)),
            Distribution::Float {
                low, high, step, ..
            } => {
                let half = step.unwrap_or(0.0) / 2.0;
                (low - half, high + half, internal)
            }
            Distribution::Int {
                low,
                high,
                log,
                step,
            } => {
                let half = step as f64 / 2.0;
                let (low, high) = (low as f64 - half, high as f64 + half);
                match log {
                    true => (libm::log(low), libm::log(high), libm::log(internal)),
                    false => (low, high, internal),
                }
            }
            Distribution::Categorical { ref choices } => {
                (-0.5, choices.len() as f64 - 0.5, internal)
            }
        };
        match high > low {
            // Halves have a difference where the bounds have none.
            true if !(high - low).is_finite() => (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0),
            true => ((x - low) / (high - low)).clamp(0.0, 1.0),
            false => 0.5,
        }
    }

    /// Whether the internal value is one that this distribution can have.
    pub fn contains(&self, internal: f64) -> bool {
        match *self {
            Distribution::Float {
                low, high, step, ..
            } => {
                let on_grid = |step: f64| {
                    let steps = (internal - low) / step;
                    (steps - steps.round()).abs() <= 1e-8 * steps.abs().max(1.0)
                };
                (low..=high).contains(&internal) && step.is_none_or(on_grid)
            }
            Distribution::Int {
                low, high, step, ..
            } => {
                (low as f64..=high as f64).contains(&internal)
                    && internal.fract() == 0.0
                    && (internal as i64 - low) % step == 0
            }
            Distribution::Categorical { ref choices } => {
                internal.fract() == 0.0 && (0.0..choices.len() as f64).contains(&internal)
            }
        }
    }

    /// The value that an internal value stands for; `None` if there is no such choice.
    pub fn external(&self, internal: f64) -> Option<Value> {
        match self {
            Distribution::Float { .. } => Some(Value::from(internal)),
            Distribution::Int { .. } => Some(Value::from(internal.round() as i64)),
            Distribution::Categorical { choices } => {
                let known = internal.fract() == 0.0 && internal >= 0.0;
                choices.get(internal as usize).filter(|_| known).cloned()
            }
        }
    }

    /// The internal value of a value; `None` if it is of another kind or no choice. The range is not looked at.
    pub fn internal(&self, external: &Value) -> Option<f64> {
        match self {
            Distribution::Float { .. } => external.as_f64(),
            Distribution::Int { .. } => external.as_f64().filter(|x| x.fract() == 0.0),
            Distribution::Categorical { choices } => {
                choices.iter().position(|c| c == external).map(|i| i as f64)
            }
        }
    }

    /// The internal value as the study file holds it: an index is a whole number, all others are floats.
    pub(super) fn internal_json(&self, internal: f64) -> Value {
        match self {
            Distribution::Categorical { .. } => Value::from(internal as u64),
            _ => Value::from(internal),
        }
    }

    /// Whether two parameters of one name can stand in one study: the same kind and logarithm, and equal choices in
    /// equal order. Bounds and step may differ.
    pub fn is_compatible(&self, other: &Self) -> bool {
        match (self, other) {
            (Distribution::Float { log: a, .. }, Distribution::Float { log: b, .. })
            | (Distribution::Int { log: a, .. }, Distribution::Int { log: b, .. }) => a == b,
            (
                Distribution::Categorical { choices: a },
                Distribution::Categorical { choices: b },
            ) => a == b,
            _ => false,
        }
    }

    /// As the study file holds it: a JSON document, to be put into a string.
    pub fn to_json(&self) -> String {
        let encoded = match self.clone() {
            Distribution::Float {
                low,
                high,
                log,
                step,
            } => Encoded::FloatDistribution {
                step,
                low,
                high,
                log,
            },
            Distribution::Int {
                low,
                high,
                log,
                step,
            } => Encoded::IntDistribution {
                log,
                step,
                low,
                high,
            },
            Distribution::Categorical { choices } => Encoded::CategoricalDistribution { choices },
        };
        serde_json::to_string(&encoded).expect("numbers and strings are JSON")
    }

    /// From the study file; names of older versions are understood.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, String> {
        match serde_json::from_str(text).map_err(|e| e.to_string())? {
            Encoded::FloatDistribution {
                step,
                low,
                high,
                log,
            } => Self::any_float(low, high, log, step),
            Encoded::IntDistribution {
                log,
                step,
                low,
                high,
            } => Self::int(low, high, log, step),
            Encoded::CategoricalDistribution { choices } => Self::categorical(choices),
            Encoded::UniformDistribution { low, high } => Self::any_float(low, high, false, None),
            Encoded::LogUniformDistribution { low, high } => Self::float(low, high, true, None),
            Encoded::DiscreteUniformDistribution { low, high, q } => {
                Self::float(low, high, false, Some(q))
            }
            Encoded::IntUniformDistribution { low, high, step } => {
                Self::int(low, high, false, step)
            }
            Encoded::IntLogUniformDistribution { low, high, .. } => Self::int(low, high, true, 1),
        }
    }
}

fn not_a_range(low: f64, high: f64) -> String {
    let (low, high) = (number(low), number(high));
    format!("expected a range from low to high, found {low} to {high}")
}

fn one() -> i64 {
    1
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "name", content = "attributes")]
#[allow(clippy::enum_variant_names)] // the names are the format's
enum Encoded {
    FloatDistribution {
        step: Option<f64>,
        low: f64,
        high: f64,
        #[serde(default)]
        log: bool,
    },
    IntDistribution {
        #[serde(default)]
        log: bool,
        #[serde(default = "one")]
        step: i64,
        low: i64,
        high: i64,
    },
    CategoricalDistribution {
        choices: Vec<Value>,
    },
    UniformDistribution {
        low: f64,
        high: f64,
    },
    LogUniformDistribution {
        low: f64,
        high: f64,
    },
    DiscreteUniformDistribution {
        low: f64,
        high: f64,
        q: f64,
    },
    IntUniformDistribution {
        low: i64,
        high: i64,
        #[serde(default = "one")]
        step: i64,
    },
    IntLogUniformDistribution {
        low: i64,
        high: i64,
        #[serde(default = "one")]
        step: i64,
    },
}

#[cfg(test)]
mod tests;
