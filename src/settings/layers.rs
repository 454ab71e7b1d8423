//! Layers of settings: read from a file, laid over one another, written out.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::Settings;
use super::keys::{self, KEYS};
use crate::error::{Error, Result};
use crate::input;

/// The largest file of settings, in bytes.
const MAX_FILE: u64 = 512 << 10;

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// Names the line of an unknown key or of a value of the wrong type.
    pub fn from_file(path: &Path) -> Result<Self> {
        read_file(path)
    }

    /// These settings, and where one is absent that of `lower`.
    pub fn over(&self, lower: &Settings) -> Self {
        let mut both = self.clone();
        for key in KEYS {
            key.inherit(&mut both, lower);
        }
        both
    }

    /// Every present setting as ("section.key", value as in a TOML file).
    pub fn flat(&self) -> BTreeMap<String, String> {
        KEYS.iter()
            .filter_map(|key| Some((key.path(), key.written(self)?)))
            .collect()
    }

    /// Checks every setting by itself.
    ///
    /// # Errors
    /// Names key and flag of a number that is out of range, or of a path that no file can hold.
    pub fn check(&self) -> Result<()> {
        KEYS.iter().try_for_each(|key| key.check(self))?;
        match &self.data.path {
            Some(path) if path.to_str().is_none() => {
                let message = format!("expected a path in UTF-8, found {path:?}");
                Err(keys::error("data.path", message))
            }
            _ => Ok(()),
        }
    }

    /// As the text of a TOML file.
    ///
    /// # Errors
    /// As [`Settings::check`], and if it is too large: a file holds only what can be read from it.
    pub fn to_toml(&self) -> Result<String> {
        self.check()?;
        let text = toml::to_string(self).expect("checked settings are TOML");
        if text.len() as u64 > MAX_FILE {
            let message = format!("expected at most {MAX_FILE} bytes, found {}", text.len());
            return Err(Error::setting("settings", message));
        }
        Ok(text)
    }
}

/// Reads a TOML file, as [`parse`] does.
pub(crate) fn read_file<T: DeserializeOwned>(path: &Path) -> Result<T> {
    parse(path, &input::read_text(path, MAX_FILE)?)
}

/// Reads the text of a TOML file; an error names the line and, where a value is wrong, its key.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|mut e: toml::de::Error| {
        let before = &text[..e.span().map_or(0, |s| s.start).min(text.len())];
        let place = format!("line {}", before.matches('\n').count() + 1);
        // Without the text of the file the error says its key instead of showing the line.
        e.set_input(None);
        Error::format(
            path,
            place,
            "settings",
            e.to_string().trim().replace('\n', " "),
        )
    })
}
