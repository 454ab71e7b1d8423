//! What is searched: hyperparameters by name, each with the values that it may take.

use serde_json::Value;

use super::distribution::Distribution;
use super::setting::{self, Setting};
use crate::error::{Error, Result};
use crate::settings::{Key, Kind, Settings};

/// A point of a space: an internal value for each parameter, in the space's order.
pub type Point = Vec<f64>;

/// Hyperparameters and their distributions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    parameters: Vec<(Setting, Distribution)>,
}

impl Space {
    /// Adds what `text` says about a setting:
    ///
    /// | text | values |
    /// |---|---|
    /// | `0.1..0.4`, `500..1000` | a range, ends included; whole numbers where the setting is one |
    /// | `1e-4..1e-1:log` | uniform in the logarithm |
    /// | `64..128:16` | in steps |
    /// | `relu,tanh` | choices |
    /// | `256,128/512` | choices of settings that have commas themselves |
    ///
    /// Returns false if it is a single value: then there is nothing to search.
    ///
    /// # Errors
    /// Names the setting, what was expected and what was found.
    pub fn add(&mut self, name: &str, text: &str) -> Result<bool> {
        let setting = self.new_setting(name)?;
        let distribution = parse(setting, text).map_err(|message| setting.error(message))?;
        let several = distribution.is_some();
        self.parameters.extend(distribution.map(|d| (setting, d)));
        Ok(several)
    }

    /// Adds the values in `text` as choices, be it only one.
    ///
    /// # Errors
    /// As for [`Space::add`].
    pub fn add_choices(&mut self, name: &str, text: &str) -> Result<()> {
        let setting = self.new_setting(name)?;
        let distribution = choices(setting, text).and_then(Distribution::categorical);
        let distribution = distribution.map_err(|message| setting.error(message))?;
        self.parameters.push((setting, distribution));
        Ok(())
    }

    fn new_setting(&self, name: &str) -> Result<Setting> {
        let setting = setting::find(name).ok_or_else(|| {
            let known: Vec<_> = setting::names().collect();
            Error::setting(
                name,
                format!(
                    "expected a setting that can be searched, one of {}",
                    known.join(", ")
                ),
            )
        })?;
        if self.parameters.iter().any(|(s, _)| s.name == setting.name) {
            return Err(setting.error("expected each setting once, found it twice"));
        }
        Ok(setting)
    }

    /// A distribution of a setting as [`Space::add`] reads it.
    pub fn text(name: &str, distribution: &Distribution) -> String {
        let range = |low: String, high: String, how: Option<String>| {
            let how = how.map_or_else(String::new, |how| format!(":{how}"));
            format!("{low}..{high}{how}")
        };
        let log = |log: bool| log.then(|| "log".to_owned());
        match distribution {
            Distribution::Float {
                low,
                high,
                log: is_log,
                step,
            } => range(
                low.to_string(),
                high.to_string(),
                log(*is_log).or(step.map(|s| s.to_string())),
            ),
            Distribution::Int {
                low,
                high,
                log: is_log,
                step,
            } => range(
                low.to_string(),
                high.to_string(),
                log(*is_log).or((*step != 1).then(|| step.to_string())),
            ),
            Distribution::Categorical { choices } => {
                let written = |choice: &Value| match choice {
                    Value::String(text) => text.clone(),
                    // 1 and not 1.0.
                    Value::Number(x) => x.as_f64().unwrap_or(f64::NAN).to_string(),
                    other => other.to_string(),
                };
                let choices: Vec<String> = choices.iter().map(written).collect();
                choices.join(setting::find(name).map_or(",", Key::separator))
            }
        }
    }

    /// Whether there is a setting of this name that can be searched.
    pub fn knows(name: &str) -> bool {
        setting::find(name).is_some()
    }

    /// The parameters' names and distributions, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, &Distribution)> {
        self.parameters
            .iter()
            .map(|(setting, distribution)| (setting.name, distribution))
    }

    /// The distributions, in order.
    pub fn distributions(&self) -> impl ExactSizeIterator<Item = &Distribution> {
        self.parameters.iter().map(|(_, distribution)| distribution)
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.parameters.len()
    }

    /// Whether there is nothing to search.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// How many points there are; `None` if they cannot be counted.
    pub fn cardinality(&self) -> Option<u64> {
        self.distributions()
            .try_fold(1u64, |n, d| n.checked_mul(d.cardinality()?))
    }

    /// The point in the middle of every range.
    pub(super) fn middle(&self) -> Point {
        self.distributions().map(|d| d.quantile(0.5)).collect()
    }

    /// The point with this number below [`Space::cardinality`], the last parameter counting fastest.
    pub(super) fn nth(&self, mut number: u64) -> Option<Point> {
        let mut point = Point::new();
        for distribution in self.distributions().collect::<Vec<_>>().into_iter().rev() {
            let count = distribution.cardinality()?;
            point.push(distribution.nth(number % count));
            number /= count;
        }
        point.reverse();
        Some(point)
    }

    /// `base` with the values of a point.
    ///
    /// # Errors
    /// If a value is not one of its setting's.
    pub fn settings(&self, point: &[f64], base: &Settings) -> Result<Settings> {
        let mut settings = base.clone();
        for ((setting, distribution), &internal) in self.parameters.iter().zip(point) {
            let unknown = || format!("expected one of its values, found {internal}");
            let value = distribution.external(internal).ok_or_else(unknown);
            value
                .and_then(|value| setting::set(setting, &mut settings, &value))
                .map_err(|message| setting.error(message))?;
        }
        Ok(settings)
    }
}

/// What a text says about a setting; `None` if it is a single value.
fn parse(setting: Setting, text: &str) -> Result<Option<Distribution>, String> {
    if matches!(setting.kind(), Kind::Real | Kind::Whole)
        && let Some((low, rest)) = text.split_once("..")
    {
        let (high, how) = rest
            .split_once(':')
            .map_or((rest, None), |(high, how)| (high, Some(how)));
        return range(setting, low, high, how).map(Some);
    }
    let choices = choices(setting, text)?;
    match choices.len() {
        1 => Ok(None),
        _ => Distribution::categorical(choices).map(Some),
    }
}

fn choices(setting: Setting, text: &str) -> Result<Vec<Value>, String> {
    let separator = setting.separator();
    text.split(separator)
        .map(|part| setting::parse(setting, part.trim()))
        .collect()
}

fn range(
    setting: Setting,
    low: &str,
    high: &str,
    how: Option<&str>,
) -> Result<Distribution, String> {
    let log = how == Some("log");
    let step = how.filter(|_| !log);
    let step_of = |text: &str| format!("expected log or a step after the colon, found {text:?}");
    if setting.kind() == Kind::Whole {
        let int = |text: &str| {
            text.parse::<i64>()
                .map_err(|_| format!("expected a whole number, found {text:?}"))
        };
        let step = step
            .map(|text| text.parse().map_err(|_| step_of(text)))
            .transpose()?;
        return Distribution::int(int(low)?, int(high)?, log, step.unwrap_or(1));
    }
    let float = |text: &str| {
        text.parse::<f64>()
            .map_err(|_| format!("expected a number, found {text:?}"))
    };
    let step = step
        .map(|text| text.parse().map_err(|_| step_of(text)))
        .transpose()?;
    Distribution::float(float(low)?, float(high)?, log, step)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ops::activation::Activation;
    use crate::settings::OptimizerName;

    fn space(parameters: &[(&str, &str)]) -> Space {
        let mut space = Space::default();
        for (name, text) in parameters {
            assert!(space.add(name, text).unwrap(), "{name} {text}");
        }
        space
    }

    #[test]
    fn text_is_read_again() {
        for (name, text) in [
            ("width", "500..1000"),
            ("width", "500..1000:log"),
            ("batch_size", "64..128:16"),
            ("lr", "0.0005..0.005"),
            ("lr", "0.0001..0.1:log"),
            ("dropout", "0..0.5:0.1"),
            ("activation", "relu,tanh"),
            ("batch_norm", "true,false"),
            ("width", "50,100"),
            ("lr", "0.00001,0.1234567890123456,1"),
            ("widths", "256,128/512"),
            ("augment", "flip/shift=2,flip"),
        ] {
            let space = space(&[(name, text)]);
            let distribution = space.distributions().next().unwrap();
            assert_eq!(Space::text(name, distribution), text);
        }
    }

    #[test]
    fn texts_are_distributions() {
        let choices = |list: Value| Distribution::categorical(list.as_array().unwrap().clone());
        for (name, text, expected) in [
            ("width", "500..1000", Distribution::int(500, 1000, false, 1)),
            (
                "lr",
                "0.0005..0.005",
                Distribution::float(0.0005, 0.005, false, None),
            ),
            (
                "lr",
                "1e-4..1e-1:log",
                Distribution::float(1e-4, 1e-1, true, None),
            ),
            (
                "batch-size",
                "64..128:16",
                Distribution::int(64, 128, false, 16),
            ),
            (
                "dropout",
                "0..0.5:0.1",
                Distribution::float(0.0, 0.5, false, Some(0.1)),
            ),
            (
                "width",
                "16..1024:log",
                Distribution::int(16, 1024, true, 1),
            ),
            ("activation", "relu,tanh", choices(json!(["relu", "tanh"]))),
            ("batch_norm", "true,false", choices(json!([true, false]))),
            ("depth", "2,4,8", choices(json!([2, 4, 8]))),
            ("widths", "256,128/512", choices(json!(["256,128", "512"]))),
            (
                "augment",
                "none/flip,shift=2",
                choices(json!(["none", "flip,shift=2"])),
            ),
        ] {
            let space = space(&[(name, text)]);
            assert_eq!(space.distributions().next(), Some(&expected.unwrap()));
        }
    }

    #[test]
    fn a_single_value_is_no_parameter() {
        let mut space = Space::default();
        for (name, text) in [
            ("lr", "0.01"),
            ("widths", "256,128"),
            ("augment", "flip,shift=2"),
            ("activation", "elu"),
        ] {
            assert!(!space.add(name, text).unwrap());
        }
        assert!(space.is_empty());
    }

    #[test]
    fn mistakes_name_the_setting() {
        for (name, text, word) in [
            ("learning_rate", "0.1..1", "lr"),
            ("seed", "1..3", "one of"),
            ("lr", "1..0.1", "low"),
            ("lr", "0..1:log", "log"),
            ("lr", "0.1..", "number"),
            ("lr", "0.1..1:fast", "fast"),
            ("width", "1.5..3", "1.5"),
            ("width", "8..4", "8"),
            ("batch_size", "1..9:0", "step"),
            ("activation", "relu,relu", "twice"),
            ("depth", "2,many", "many"),
        ] {
            let error = Space::default().add(name, text).unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains(name) && message.contains(word),
                "{message}"
            );
            assert_eq!(error.exit_code(), 2);
        }
        let mut twice = space(&[("batch-size", "1..9")]);
        assert!(twice.add("batch_size", "1..9").is_err());
    }

    #[test]
    fn a_point_becomes_settings() {
        let space = space(&[
            ("lr", "1e-4..1e-1:log"),
            ("width", "500..1000"),
            ("activation", "relu,tanh"),
            ("optimizer", "adam,sgd"),
        ]);
        let mut base = Settings::default();
        base.train.epochs = Some(3);
        let settings = space.settings(&[0.01, 569.0, 1.0, 0.0], &base).unwrap();
        assert_eq!(
            (settings.optimizer.lr, settings.model.width),
            (Some(0.01), Some(569))
        );
        assert_eq!(
            (settings.model.activation, settings.optimizer.name),
            (Some(Activation::Tanh), Some(OptimizerName::Adam))
        );
        assert_eq!(settings.train.epochs, Some(3));
        assert!(space.settings(&[0.01, 569.0, 2.0, 0.0], &base).is_err());
    }

    #[test]
    fn points_are_numbered() {
        let space = space(&[
            ("batch_size", "64..128:32"),
            ("activation", "relu,tanh"),
            ("dropout", "0.1..0.2:0.1"),
        ]);
        assert_eq!(space.cardinality(), Some(12));
        let all: Vec<_> = (0..12).map(|i| space.nth(i).unwrap()).collect();
        assert_eq!(all[0], [64.0, 0.0, 0.1]);
        assert_eq!(all[11], [128.0, 1.0, 0.2]);
        for point in &all {
            assert!(
                space
                    .distributions()
                    .zip(point)
                    .all(|(d, &x)| d.contains(x))
            );
            assert_eq!(all.iter().filter(|p| *p == point).count(), 1);
        }
    }
}
