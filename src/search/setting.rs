//! Which settings of a run can be searched, and how their values are written.

use toml::Value;

/// What the value of a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A real number.
    Float,
    /// A whole number.
    Int,
    /// true or false.
    Bool,
    /// A name without commas.
    Word,
    /// A text in which commas mean something.
    Text,
    /// Numbers joined by commas.
    List,
}

/// A setting that can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its name in a study: that of its flag, with underscores.
    pub name: &'static str,
    pub section: &'static str,
    pub key: &'static str,
    pub kind: Kind,
}

const fn setting(section: &'static str, key: &'static str, kind: Kind) -> Setting {
    named(key, section, key, kind)
}

const fn named(
    name: &'static str,
    section: &'static str,
    key: &'static str,
    kind: Kind,
) -> Setting {
    Setting {
        name,
        section,
        key,
        kind,
    }
}

/// All of them. Where the data lies, whether it is tested, the seed, the threads and the device are not the model's.
const SETTINGS: &[Setting] = &[
    setting("data", "validation", Kind::Float),
    setting("data", "normalize", Kind::Word),
    setting("data", "augment", Kind::Text),
    setting("model", "width", Kind::Int),
    setting("model", "depth", Kind::Int),
    setting("model", "widths", Kind::List),
    setting("model", "taper", Kind::Bool),
    setting("model", "batch_norm", Kind::Bool),
    setting("model", "activation", Kind::Word),
    setting("model", "dropout", Kind::Float),
    setting("model", "order", Kind::Word),
    setting("model", "init", Kind::Word),
    setting("train", "epochs", Kind::Int),
    setting("train", "batch_size", Kind::Int),
    setting("train", "precision", Kind::Word),
    setting("train", "shuffle", Kind::Bool),
    setting("train", "drop_last", Kind::Bool),
    setting("train", "label_smoothing", Kind::Float),
    setting("train", "class_weights", Kind::List),
    setting("train", "clip_norm", Kind::Float),
    setting("train", "patience", Kind::Int),
    setting("train", "min_delta", Kind::Float),
    setting("train", "monitor", Kind::Word),
    named("optimizer", "optimizer", "name", Kind::Word),
    setting("optimizer", "lr", Kind::Float),
    setting("optimizer", "momentum", Kind::Float),
    setting("optimizer", "nesterov", Kind::Bool),
    setting("optimizer", "weight_decay", Kind::Float),
    setting("optimizer", "beta1", Kind::Float),
    setting("optimizer", "beta2", Kind::Float),
    setting("optimizer", "eps", Kind::Float),
    setting("optimizer", "alpha", Kind::Float),
    named("schedule", "schedule", "name", Kind::Word),
    named("schedule_by", "schedule", "by", Kind::Word),
    setting("schedule", "step_size", Kind::Int),
    setting("schedule", "gamma", Kind::Float),
    setting("schedule", "milestones", Kind::List),
    setting("schedule", "pct_start", Kind::Float),
    setting("schedule", "factor", Kind::Float),
    named("schedule_patience", "schedule", "patience", Kind::Int),
    setting("schedule", "warmup", Kind::Int),
];

impl Setting {
    /// The setting of this name; dashes count as underscores.
    pub(super) fn find(name: &str) -> Option<Setting> {
        let name = name.replace('-', "_");
        SETTINGS.iter().copied().find(|s| s.name == name)
    }

    /// All names.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        SETTINGS.iter().map(|s| s.name)
    }

    /// What stands between two values.
    pub(super) fn separator(self) -> &'static str {
        match self.kind {
            Kind::Text | Kind::List => "/",
            _ => ",",
        }
    }

    /// One value as the study file holds it.
    ///
    /// # Errors
    /// Says what was expected.
    pub(super) fn parse(&self, text: &str) -> Result<serde_json::Value, String> {
        let wrong = |what: &str| format!("expected {what}, found {text:?}");
        match self.kind {
            Kind::Float => match text.parse::<f64>() {
                Ok(x) if x.is_finite() => Ok(x.into()),
                _ => Err(wrong("a number")),
            },
            Kind::Int => text
                .parse::<i64>()
                .map(Into::into)
                .map_err(|_| wrong("a whole number")),
            Kind::Bool => text
                .parse::<bool>()
                .map(Into::into)
                .map_err(|_| wrong("true or false")),
            Kind::List => {
                numbers(text).ok_or_else(|| wrong("numbers joined by commas"))?;
                Ok(text.into())
            }
            Kind::Word | Kind::Text if text.is_empty() => Err(wrong("a name")),
            Kind::Word | Kind::Text => Ok(text.into()),
        }
    }

    /// A value of the study file as a settings file holds it; `None` if it is of another kind.
    pub(super) fn to_toml(self, value: &serde_json::Value) -> Option<Value> {
        match self.kind {
            Kind::Float => value.as_f64().map(Value::Float),
            Kind::Int => {
                let whole = value.as_f64().filter(|x| x.fract() == 0.0)?;
                Some(Value::Integer(whole as i64))
            }
            Kind::Bool => value.as_bool().map(Value::Boolean),
            Kind::Word | Kind::Text => value.as_str().map(|s| Value::String(s.into())),
            Kind::List => value.as_str().and_then(numbers).map(Value::Array),
        }
    }
}

/// Whole numbers stay whole: widths are, class weights need not be.
fn numbers(text: &str) -> Option<Vec<Value>> {
    let number = |part: &str| {
        let part = part.trim();
        let whole = part.parse::<i64>().ok().map(Value::Integer);
        whole.or_else(|| {
            part.parse::<f64>()
                .ok()
                .filter(|x| x.is_finite())
                .map(Value::Float)
        })
    };
    text.split(',').map(number).collect()
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;
    use crate::settings::Settings;

    /// A new flag of `train` is either searched or named here.
    #[test]
    fn every_flag_is_known() {
        let command = Settings::augment_args(clap::Command::new("train"));
        let mut flags: Vec<String> = command
            .get_arguments()
            .filter_map(|a| Some(a.get_long()?.replace('-', "_")))
            .collect();
        flags.retain(|f| {
            !["data", "label", "test", "seed", "threads", "device"].contains(&f.as_str())
        });
        let mut known: Vec<&str> = Setting::names().collect();
        flags.sort();
        known.sort();
        assert_eq!(flags, known);
    }

    #[test]
    fn values_reach_the_settings() {
        for (name, text, toml) in [
            ("lr", "1e-3", Value::Float(0.001)),
            ("batch-size", "64", Value::Integer(64)),
            ("taper", "false", Value::Boolean(false)),
            ("activation", "tanh", Value::String("tanh".into())),
            (
                "augment",
                "flip,shift=2",
                Value::String("flip,shift=2".into()),
            ),
            (
                "widths",
                "256, 128",
                Value::Array(vec![256.into(), 128.into()]),
            ),
            (
                "class_weights",
                "1,0.5",
                Value::Array(vec![1.into(), 0.5.into()]),
            ),
        ] {
            let setting = Setting::find(name).unwrap();
            assert_eq!(setting.to_toml(&setting.parse(text).unwrap()), Some(toml));
        }
        assert_eq!(Setting::find("seed"), None);
        for (name, text) in [
            ("lr", "fast"),
            ("lr", "nan"),
            ("width", "1.5"),
            ("taper", "maybe"),
            ("widths", "a,b"),
            ("init", ""),
        ] {
            assert!(
                Setting::find(name).unwrap().parse(text).is_err(),
                "{name} {text}"
            );
        }
    }
}
