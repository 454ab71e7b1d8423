//! The crate's one error type. Bad input never panics. Each variant says what was wrong, where, what was
//! expected and what was found.

use std::io;
use std::path::{Path, PathBuf};

/// Everything that can go wrong, grouped by its cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write", "create", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own reason.
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("{} is in use by {holder}", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who uses it: "process 1234 on host since 2026-01-31T12:00:00Z".
        holder: String,
    },
    /// An input file or folder does not exist.
    #[error("{}: no such file or folder{}", path.display(), hint_suffix(hint))]
    Missing {
        /// What was looked for.
        path: PathBuf,
        /// How to get it; may be empty.
        hint: String,
    },
    /// A data or model file does not hold what it should.
    #[error("{}: {place}: expected {expected}, found {found}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where in the file: "byte 4", "line 7, column 3", "header", "tensor 0.weight".
        place: String,
        /// What was expected there.
        expected: String,
        /// What was found there.
        found: String,
    },
    /// A setting is invalid, alone or together with another one.
    #[error("{key}: {message}")]
    Setting {
        /// The setting, as the user would write it.
        key: String,
        /// What was expected and what was found.
        message: String,
    },
    /// The sizes of arrays do not match.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which array.
        what: String,
        /// The shape or length that was needed.
        expected: String,
        /// The shape or length that was given.
        found: String,
    },
    /// A compute device failed or does not exist.
    #[error("{device}: {message}")]
    Device {
        /// The device: "cuda:0", with its product name if that is known.
        device: String,
        /// What happened.
        message: String,
    },
    /// A check that the user asked for did not hold (a gradient check, a checksum).
    #[error("{0}")]
    Check(String),
    /// The run was interrupted. The text says how to continue it.
    #[error("{0}")]
    Interrupted(String),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn hint_suffix(hint: &str) -> String {
    if hint.is_empty() {
        String::new()
    } else {
        format!("; {hint}")
    }
}

impl Error {
    /// Wraps a system error. A missing *input* becomes [`Error::Missing`], because it is bad input and not a
    /// failure of the machine.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if action == "read" && source.kind() == io::ErrorKind::NotFound {
            return Error::Missing {
                path: path.to_owned(),
                hint: String::new(),
            };
        }
        Error::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// A file that does not hold what it should: [`Error::Format`].
    pub fn format(
        path: &Path,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Error::Format {
            path: path.to_owned(),
            place: place.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// An invalid setting: [`Error::Setting`].
    pub fn setting(key: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Setting {
            key: key.into(),
            message: message.into(),
        }
    }

    /// Arrays whose sizes do not match: [`Error::Shape`].
    pub fn shape(
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Error::Shape {
            what: what.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The program's exit code: 1 failed, 2 bad usage or bad input, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Io { .. } | Error::InUse { .. } | Error::Device { .. } | Error::Check(_) => 1,
            Error::Missing { .. }
            | Error::Format { .. }
            | Error::Setting { .. }
            | Error::Shape { .. } => 2,
            Error::Interrupted(_) => 130,
        }
    }
}
