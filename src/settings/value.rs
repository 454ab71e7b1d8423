//! The types of settings: what each is called, how it is read from the text of a choice, and how a file has it.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as NameError;

use super::class_weights::ClassWeights;
use super::columns::{Column, Delimiter, Label};
use super::{Embed, LossName, OptimizerName, ScheduleName};
use crate::backend::Order;
use crate::backend::select::{Device, Precision};
use crate::data::normalize::Normalize;
use crate::data::{Decimal, Task};
use crate::metrics::ValidationMetric;
use crate::ops::activation::Activation;
use crate::optim::By;

/// What the value of a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A real number.
    Real,
    /// A whole number.
    Whole,
    /// true or false.
    Truth,
    /// A name or another text.
    Word,
    /// Several numbers joined by commas.
    List,
    /// Several names or other texts joined by commas.
    Words,
}

impl Kind {
    /// In words, for "expected …".
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Real => "a number",
            Kind::Whole => "a whole number",
            Kind::Truth => "true or false",
            Kind::Word => "a name",
            Kind::List => "numbers joined by commas",
            Kind::Words => "names joined by commas",
        }
    }
}

/// A number in a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Whole(n) => n.fmt(f),
            Number::Real(x) => x.fmt(f),
        }
    }
}

/// The type of a setting.
pub(super) trait Value: Clone + 'static {
    /// What it is.
    const KIND: Kind;

    /// From the text behind a flag, or one choice of several.
    fn from_text(text: &str) -> Result<Self, String>;

    /// From a number; `None` if it is of another kind.
    fn from_number(_: f64) -> Option<Self> {
        None
    }

    /// The numbers in it.
    fn numbers(&self) -> Vec<Number> {
        Vec::new()
    }

    /// As a TOML file has it.
    fn written(&self) -> String;
}

/// "expected a number, found "fast"".
fn unlike(kind: Kind, text: &str) -> String {
    format!("expected {}, found {text:?}", kind.name())
}

impl Value for f64 {
    const KIND: Kind = Kind::Real;

    fn from_text(text: &str) -> Result<Self, String> {
        let number = text.parse::<f64>().ok().filter(|x| x.is_finite());
        number.ok_or_else(|| unlike(Kind::Real, text))
    }

    fn from_number(number: f64) -> Option<Self> {
        Some(number)
    }

    fn numbers(&self) -> Vec<Number> {
        vec![Number::Real(*self)]
    }

    fn written(&self) -> String {
        toml::Value::Float(*self).to_string()
    }
}

macro_rules! whole {
    ($($type:ty),*) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::Whole;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| unlike(Kind::Whole, text))
            }

            fn from_number(number: f64) -> Option<Self> {
                let whole = Some(number).filter(|x| x.fract() == 0.0)?;
                <$type>::try_from(whole as i64).ok()
            }

            fn numbers(&self) -> Vec<Number> {
                vec![Number::Whole(*self as u64)]
            }

            fn written(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

whole!(u32, u64, usize);

impl<T: Value> Value for Vec<T> {
    const KIND: Kind = match T::KIND {
        Kind::Word => Kind::Words,
        _ => Kind::List,
    };

    fn from_text(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(|part| T::from_text(part.trim()));
        let list: Result<_, _> = parts.collect();
        list.map_err(|_| unlike(Self::KIND, text))
    }

    fn numbers(&self) -> Vec<Number> {
        self.iter().flat_map(Value::numbers).collect()
    }

    fn written(&self) -> String {
        let values: Vec<String> = self.iter().map(Value::written).collect();
        format!("[{}]", values.join(", "))
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Truth;

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| unlike(Kind::Truth, text))
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

/// A text in quotes.
fn quoted(text: impl Into<String>) -> String {
    toml::Value::String(text.into()).to_string()
}

impl Value for String {
    const KIND: Kind = Kind::Word;

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "" => Err(unlike(Kind::Word, text)),
            text => Ok(text.into()),
        }
    }

    fn written(&self) -> String {
        quoted(self)
    }
}

impl Value for PathBuf {
    const KIND: Kind = Kind::Word;

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn written(&self) -> String {
        quoted(self.to_string_lossy())
    }
}

impl Value for Label {
    const KIND: Kind = Kind::Word;

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn written(&self) -> String {
        written(self)
    }
}

impl Value for Column {
    const KIND: Kind = Kind::Word;

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn written(&self) -> String {
        written(self)
    }
}

impl Value for Delimiter {
    const KIND: Kind = Kind::Word;

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn written(&self) -> String {
        written(self)
    }
}

impl Value for ClassWeights {
    const KIND: Kind = Kind::List;

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn numbers(&self) -> Vec<Number> {
        self.values().map(Number::Real).collect()
    }

    fn written(&self) -> String {
        written(self)
    }
}

/// As serde writes what TOML can always hold.
fn written(value: &impl serde::Serialize) -> String {
    toml::Value::try_from(value)
        .expect("texts, floats and i64 are TOML")
        .to_string()
}

/// Types with a name for each value, the one of a file.
macro_rules! names {
    ($($type:ty),*) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::Word;

            fn from_text(text: &str) -> Result<Self, String> {
                let name = text.into_deserializer();
                Self::deserialize(name).map_err(|e: NameError| e.to_string())
            }

            fn written(&self) -> String {
                written(self)
            }
        }
    )*};
}

names!(
    Decimal,
    Task,
    LossName,
    Embed,
    Normalize,
    Activation,
    Order,
    Precision,
    Device,
    ValidationMetric,
    OptimizerName,
    By,
    ScheduleName
);
