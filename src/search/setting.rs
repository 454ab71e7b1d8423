//! Which settings of a run can be searched, and how their values stand in a study file.

use serde_json::Value;

use crate::settings::{Key, Kind, Settings};

/// A setting that can be searched.
pub(super) type Setting = &'static Key;

/// The setting of this name; dashes count as underscores.
pub(super) fn find(name: &str) -> Option<Setting> {
    Key::of_flag(name).filter(|key| key.is_searched)
}

/// The names of all of them.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    Key::all().filter(|key| key.is_searched).map(|key| key.name)
}

/// One value as the study file holds it.
///
/// # Errors
/// Says what was expected.
pub(super) fn parse(setting: Setting, text: &str) -> Result<Value, String> {
    setting.set_text(&mut Settings::default(), text)?;
    let value = match setting.kind() {
        Kind::Real => text.parse::<f64>().ok().map(Value::from),
        Kind::Whole => text.parse::<i64>().ok().map(Value::from),
        Kind::Truth => text.parse::<bool>().ok().map(Value::from),
        Kind::Word | Kind::List | Kind::Words => Some(text.into()),
    };
    value.ok_or_else(|| format!("expected {}, found {text:?}", setting.kind().name()))
}

/// Sets it to a value of the study file.
///
/// # Errors
/// Says what was expected.
pub(super) fn set(setting: Setting, settings: &mut Settings, value: &Value) -> Result<(), String> {
    match value {
        Value::Number(number) => setting.set_number(settings, number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => setting.set_text(settings, text),
        other => setting.set_text(settings, &other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ClassWeights;

    #[test]
    fn values_reach_the_settings() {
        let set = |name: &str, text: &str| {
            let (setting, mut settings) = (find(name).unwrap(), Settings::default());
            let value = parse(setting, text).unwrap();
            super::set(setting, &mut settings, &value).unwrap();
            settings
        };
        assert_eq!(set("lr", "1e-3").optimizer.lr, Some(0.001));
        assert_eq!(set("batch-size", "64").train.batch_size, Some(64));
        assert_eq!(set("taper", "false").model.taper, Some(false));
        let augment = set("augment", "flip,shift=2").data.augment;
        assert_eq!(augment.as_deref(), Some("flip,shift=2"));
        assert_eq!(set("widths", "256, 128").model.widths, Some(vec![256, 128]));
        assert_eq!(
            set("class_weights", "1,0.5").train.class_weights,
            Some(ClassWeights::InOrder(vec![1.0, 0.5]))
        );
        for (name, text) in [
            ("lr", "fast"),
            ("lr", "nan"),
            ("width", "1.5"),
            ("width", "-1"),
            ("taper", "maybe"),
            ("activation", "rely"),
            ("widths", "a,b"),
            ("init", ""),
        ] {
            assert!(parse(find(name).unwrap(), text).is_err(), "{name} {text}");
        }
    }

    /// Where the data lie, whether it is tested, seed, threads and device are not the model's.
    #[test]
    fn what_is_not_the_model_s_is_not_searched() {
        for name in ["data", "label", "test", "seed", "threads", "device"] {
            assert!(
                Key::of_flag(name).is_some() && find(name).is_none(),
                "{name}"
            );
        }
    }
}
