//! Settings as the flags of a command.

use super::{Settings, keys::Key};

/// The settings that are said, as flags: " --width 64 --lr 0.01".
pub(crate) fn flags(settings: &Settings) -> String {
    let said = Key::all().filter_map(|key| Some((key.flag(), key.written(settings)?)));
    said.map(|(flag, value)| format!(" --{flag} {}", quoted(&plain(&value))))
        .collect()
}

/// A TOML value as its flag takes it: text without quotes, lists and tables joined by commas.
pub(crate) fn plain(value: &str) -> String {
    let word = |value: &toml::Value| match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value.parse::<toml::Value>() {
        Ok(toml::Value::Array(list)) => {
            let list: Vec<String> = list.iter().map(word).collect();
            list.join(",")
        }
        Ok(toml::Value::Table(table)) => {
            let list: Vec<String> = table.iter().map(|(k, v)| format!("{k}={v}")).collect();
            list.join(",")
        }
        Ok(value @ toml::Value::String(_)) => word(&value),
        _ => value.to_owned(),
    }
}

/// For a shell.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.,:/=-+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_flags() {
        for (key, value, expected) in [
            ("train.batch_size", "64", "--batch-size 64"),
            ("optimizer.name", "\"adamw\"", "--optimizer adamw"),
            ("optimizer.lr", "0.001", "--lr 0.001"),
            ("schedule.by", "\"update\"", "--schedule-by update"),
            ("schedule.patience", "3", "--schedule-patience 3"),
            ("model.widths", "[128, 64]", "--widths 128,64"),
            ("model.taper", "false", "--taper false"),
            ("data.label", "\"it's a b\"", "--label 'it'\\''s a b'"),
            ("data.drop", "[\"a\", \"b\"]", "--drop a,b"),
        ] {
            let flag = Key::at(key).unwrap().flag();
            assert_eq!(format!("--{flag} {}", quoted(&plain(value))), expected);
        }
        let mut settings = Settings::default();
        settings.model.widths = Some(vec![8, 4]);
        settings.train.epochs = Some(3);
        assert_eq!(flags(&settings), " --widths 8,4 --epochs 3");
    }
}
