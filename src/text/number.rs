//! Numbers and values as text for readers.

use serde_json::Value;

use super::printable::printable;

/// A number with as many digits as it needs: 0.001, 1e-5, 500.
pub fn number(x: f64) -> String {
    let size = x.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        return format!("{x:e}");
    }
    // Twelve digits hide what rounding has left.
    let text = format!("{x:.12}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

/// A value for a reader: floats with four digits, text [`printable`].
pub fn shown(value: &Value) -> String {
    match value.as_f64().filter(|_| value.is_f64()) {
        Some(x) => number(format!("{x:.3e}").parse().unwrap_or(x)),
        None => printable(&text(value)).into_owned(),
    }
}

/// A value with all its digits.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(x) => x.as_f64().map_or_else(String::new, number),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn digits_are_those_that_matter() {
        for (x, expected) in [
            (0.1 + 0.2, "0.3"),
            (500.0, "500"),
            (1e-5, "1e-5"),
            (-0.0, "0"),
        ] {
            assert_eq!(number(x), expected);
        }
        for (value, short, whole) in [
            (json!(0.001_234_567), "0.001235", "0.001234567"),
            (json!(123), "123", "123"),
            (json!("relu"), "relu", "relu"),
            (json!("a\nb"), "a\\nb", "a\nb"),
            (json!(true), "true", "true"),
        ] {
            assert_eq!(
                (shown(&value).as_str(), text(&value).as_str()),
                (short, whole)
            );
        }
    }
}
