//! The table of all settings: where each stands in a file, how its flag is called, and which numbers it may be.
//!
//! A field's name, type and help text are in its section's struct. All that treats settings alike is here: layers,
//! the range checks, the values of a search, the text of a value.

use std::fmt;
use std::ops::Bound::{Excluded, Included};

use super::Settings;
use super::range::{Range, Reals};
use super::value::{Kind, Number, Value};
use crate::data::MAX_BINS;
use crate::error::{Error, Result};
use crate::nn::spec::{MAX_LAYERS, MAX_MEMBERS};
use crate::ops::loss::huber::Huber;
use crate::threads::MAX_THREADS;

/// A setting.
pub(crate) struct Key {
    section: &'static str,
    key: &'static str,
    /// Its flag with underscores for dashes; a study calls its parameter so.
    pub(crate) name: &'static str,
    pub(super) range: Range,
    /// Whether it is the model's, so that a search may vary it.
    pub(crate) is_searched: bool,
    /// Whether commas mean something in its text.
    has_commas: bool,
    field: &'static dyn Field,
}

/// `key!(section.field)`: the setting in this field.
macro_rules! key {
    ($section:ident.$field:ident) => {
        Key {
            section: stringify!($section),
            key: stringify!($field),
            name: stringify!($field),
            range: Range::Any,
            is_searched: true,
            has_commas: false,
            field: &Place {
                get: |s| &s.$section.$field,
                get_mut: |s| &mut s.$section.$field,
            },
        }
    };
}

/// `[0, 1)`
const BELOW_ONE: Reals = (Included(0.0), Excluded(1.0));
/// `[0, 1]`
const UP_TO_ONE: Reals = (Included(0.0), Included(1.0));
/// `(0, 1)`
const INSIDE_ONE: Reals = (Excluded(0.0), Excluded(1.0));
/// `[0, ∞)`
const FROM_ZERO: Reals = (Included(0.0), Excluded(f64::INFINITY));
/// `[1e-30, 1e30]`
const DELTAS: Reals = (
    Included(*Huber::DELTAS.start()),
    Included(*Huber::DELTAS.end()),
);
/// `(0, ∞)`
const ABOVE_ZERO: Reals = (Excluded(0.0), Excluded(f64::INFINITY));

/// No network is deeper.
const MAX_DEPTH: u64 = MAX_LAYERS as u64;
/// No layer and no batch is larger.
const MAX_SIZE: u64 = 1 << 31;

/// More folds count as a mistake.
const MAX_FOLDS: u64 = 1000;
/// A TOML file holds no larger integer.
const MAX_COUNT: u64 = i64::MAX as u64;

/// Every setting, in the order of the sections.
pub(super) static KEYS: &[Key] = &[
    key!(data.path).named("data").fixed(),
    key!(data.task).fixed(),
    key!(data.label).fixed(),
    key!(data.weight).fixed(),
    key!(data.drop).fixed(),
    key!(data.id).fixed(),
    key!(data.numeric).fixed(),
    key!(data.categorical).fixed(),
    key!(data.missing).fixed(),
    key!(data.delimiter).fixed(),
    key!(data.decimal).fixed(),
    key!(data.header).fixed(),
    key!(data.validation).real(BELOW_ONE),
    key!(data.folds).whole(2, MAX_FOLDS).fixed(),
    key!(data.fold).whole(1, MAX_FOLDS).fixed(),
    key!(data.test).fixed(),
    key!(data.test_split).real(INSIDE_ONE).fixed(),
    key!(data.test_data).fixed(),
    key!(data.normalize),
    key!(data.augment).with_commas(),
    key!(model.width).whole(1, MAX_SIZE),
    key!(model.depth).whole(1, MAX_DEPTH),
    key!(model.widths).whole(1, MAX_SIZE),
    key!(model.taper),
    key!(model.batch_norm),
    key!(model.activation),
    key!(model.dropout).real(BELOW_ONE),
    key!(model.order),
    key!(model.embed),
    key!(model.bins).whole(1, MAX_BINS as u64),
    key!(model.embed_width).whole(0, MAX_SIZE),
    key!(model.members).whole(1, MAX_MEMBERS as u64),
    key!(model.init),
    key!(train.epochs).whole(1, u32::MAX as u64),
    key!(train.batch_size).whole(1, MAX_SIZE),
    key!(train.seed).whole(0, MAX_COUNT).fixed(),
    key!(train.threads).whole(1, MAX_THREADS as u64).fixed(),
    key!(train.precision),
    key!(train.device).fixed(),
    key!(train.shuffle),
    key!(train.drop_last),
    key!(train.loss),
    key!(train.delta).real(DELTAS),
    key!(train.positive_weights).real(ABOVE_ZERO),
    key!(train.label_smoothing).real(UP_TO_ONE),
    key!(train.class_weights).real(FROM_ZERO),
    key!(train.clip_norm).real(FROM_ZERO),
    key!(train.patience).whole(1, u32::MAX as u64),
    key!(train.min_delta).real(FROM_ZERO),
    key!(train.monitor),
    key!(train.watch).fixed(),
    key!(optimizer.name).named("optimizer"),
    key!(optimizer.lr).real(FROM_ZERO),
    key!(optimizer.momentum).real(FROM_ZERO),
    key!(optimizer.nesterov),
    key!(optimizer.weight_decay).real(FROM_ZERO),
    key!(optimizer.beta1).real(BELOW_ONE),
    key!(optimizer.beta2).real(BELOW_ONE),
    key!(optimizer.eps).real(FROM_ZERO),
    key!(optimizer.alpha).real(BELOW_ONE),
    key!(schedule.name).named("schedule"),
    key!(schedule.by).named("schedule_by"),
    key!(schedule.step_size).whole(1, MAX_COUNT),
    key!(schedule.gamma).real(ABOVE_ZERO),
    key!(schedule.milestones).whole(0, MAX_COUNT),
    key!(schedule.pct_start).real(INSIDE_ONE),
    key!(schedule.factor).real(INSIDE_ONE),
    key!(schedule.patience)
        .named("schedule_patience")
        .whole(0, MAX_COUNT),
    key!(schedule.monitor).named("schedule_monitor"),
    key!(schedule.warmup).whole(0, MAX_COUNT),
];

impl Key {
    const fn named(self, name: &'static str) -> Self {
        Key { name, ..self }
    }

    /// It is not the model's: where data lie, what is tested, seed, threads, device.
    const fn fixed(self) -> Self {
        Key {
            is_searched: false,
            ..self
        }
    }

    const fn with_commas(self) -> Self {
        Key {
            has_commas: true,
            ..self
        }
    }

    const fn whole(self, low: u64, high: u64) -> Self {
        let range = Range::Whole(low, high);
        Key { range, ..self }
    }

    const fn real(self, range: Reals) -> Self {
        let range = Range::Real(range);
        Key { range, ..self }
    }

    /// Every setting, in the order of the sections.
    pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
        KEYS.iter()
    }

    /// The setting with this flag; dashes count as underscores.
    pub(crate) fn of_flag(flag: &str) -> Option<&'static Key> {
        let name = flag.replace('-', "_");
        KEYS.iter().find(|key| key.name == name)
    }

    /// The setting at a place in a file: "train.epochs".
    pub(crate) fn at(path: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.path() == path)
    }

    /// Section and key: "train.batch_size".
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// Its flag without dashes in front: "batch-size".
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// What its value is.
    pub(crate) fn kind(&self) -> Kind {
        self.field.kind()
    }

    /// What stands between two values of it.
    pub(crate) fn separator(&self) -> &'static str {
        match self.has_commas || matches!(self.kind(), Kind::List | Kind::Words) {
            true => "/",
            false => ",",
        }
    }

    /// Whether the settings say it.
    pub(crate) fn is_set(&self, settings: &Settings) -> bool {
        self.field.is_set(settings)
    }

    /// Takes the value of `lower` where `settings` do not say it.
    pub(super) fn inherit(&self, settings: &mut Settings, lower: &Settings) {
        self.field.inherit(settings, lower);
    }

    /// The value as a TOML file has it.
    pub(crate) fn written(&self, settings: &Settings) -> Option<String> {
        self.field.written(settings)
    }

    /// Sets it to what a text says.
    ///
    /// # Errors
    /// Says what was expected.
    pub(crate) fn set_text(&self, settings: &mut Settings, text: &str) -> Result<(), String> {
        self.field.set_text(settings, text)
    }

    /// Sets it to a number.
    ///
    /// # Errors
    /// If it is not a number of its kind.
    pub(crate) fn set_number(&self, settings: &mut Settings, number: f64) -> Result<(), String> {
        let expected = || format!("expected {}, found {number}", self.kind().name());
        self.field.set_number(settings, number).ok_or_else(expected)
    }

    /// Checks that its numbers are in range.
    pub(super) fn check(&self, settings: &Settings) -> Result<()> {
        for number in self.field.numbers(settings) {
            if !self.range.contains(number) {
                let expected = self.range.expected(number);
                return Err(self.error(format!("expected {expected}, found {number}")));
            }
        }
        Ok(())
    }

    /// An error about it, with its key and its flag.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        Error::setting(self.to_string(), message)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (--{})", self.path(), self.flag())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// An error about the setting at a place in a file; its flag is named too.
pub(crate) fn error(path: &str, message: impl Into<String>) -> Error {
    match Key::at(path) {
        Some(key) => key.error(message),
        None => Error::setting(path, message),
    }
}

/// Puts the section before the key of an error, and the flag behind it.
pub(crate) fn within(section: &str, error: Error) -> Error {
    match error {
        Error::Setting { key, message } => self::error(&format!("{section}.{key}"), message),
        other => other,
    }
}

/// Puts the flag behind the key of an error.
pub(super) fn with_flag(error: Error) -> Error {
    match error {
        Error::Setting { key, message } => self::error(&key, message),
        other => other,
    }
}

/// What can be done with a field of the settings, whatever its type.
trait Field: Sync {
    fn kind(&self) -> Kind;
    fn is_set(&self, settings: &Settings) -> bool;
    fn inherit(&self, settings: &mut Settings, lower: &Settings);
    fn numbers(&self, settings: &Settings) -> Vec<Number>;
    fn written(&self, settings: &Settings) -> Option<String>;
    fn set_text(&self, settings: &mut Settings, text: &str) -> Result<(), String>;
    fn set_number(&self, settings: &mut Settings, number: f64) -> Option<()>;
}

/// A field of type T.
struct Place<T> {
    get: fn(&Settings) -> &Option<T>,
    get_mut: fn(&mut Settings) -> &mut Option<T>,
}

impl<T: Value> Field for Place<T> {
    fn kind(&self) -> Kind {
        T::KIND
    }

    fn is_set(&self, settings: &Settings) -> bool {
        (self.get)(settings).is_some()
    }

    fn inherit(&self, settings: &mut Settings, lower: &Settings) {
        let value = (self.get_mut)(settings);
        if value.is_none() {
            value.clone_from((self.get)(lower));
        }
    }

    fn numbers(&self, settings: &Settings) -> Vec<Number> {
        let value = (self.get)(settings).as_ref();
        value.map_or_else(Vec::new, Value::numbers)
    }

    fn written(&self, settings: &Settings) -> Option<String> {
        (self.get)(settings).as_ref().map(Value::written)
    }

    fn set_text(&self, settings: &mut Settings, text: &str) -> Result<(), String> {
        *(self.get_mut)(settings) = Some(T::from_text(text)?);
        Ok(())
    }

    fn set_number(&self, settings: &mut Settings, number: f64) -> Option<()> {
        *(self.get_mut)(settings) = Some(T::from_number(number)?);
        Some(())
    }
}
