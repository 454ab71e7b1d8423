//! The crate's one error type. Bad input never panics. Each variant says what was wrong, where, what was
//! expected and what was found.

use std::io::{self, ErrorKind};
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

/// The longest name of a file or a folder that file systems take, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

fn hint_suffix(hint: &str) -> String {
    if hint.is_empty() {
        String::new()
    } else {
        format!("; {hint}")
    }
}

impl Error {
    /// Wraps a system error. What lies in the path that the user gave, or in what stands there, is bad input and not a
    /// failure of the machine: a missing *input* becomes [`Error::Missing`], a folder where a file should be, a name
    /// that is too long and the like become [`Error::Format`].
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let wrong = |expected: &str, found: String| Error::format(path, "path", expected, found);
        match (source.kind(), action) {
            (ErrorKind::NotFound, "read") => Error::Missing {
                path: path.to_owned(),
                hint: String::new(),
            },
            // Windows knows no other name for a file in the place of a folder.
            (ErrorKind::NotFound, "write")
                if cfg!(windows) && path.parent().is_some_and(Path::is_file) =>
            {
                wrong("a folder", "a file".into())
            }
            (ErrorKind::IsADirectory, _) => wrong("a file", "a folder".into()),
            (ErrorKind::AlreadyExists, "create") | (ErrorKind::NotADirectory, _) => {
                wrong("a folder", "a file".into())
            }
            // Windows says so of forbidden characters too.
            (ErrorKind::InvalidFilename, _) if cfg!(windows) => wrong(
                "names of at most 255 characters, none of them < > : \" / \\ | ? * or a control character",
                "another name".into(),
            ),
            (ErrorKind::InvalidFilename, _) => wrong(
                &format!("names of at most {MAX_NAME_BYTES} bytes"),
                "a longer one".into(),
            ),
            (ErrorKind::InvalidInput | ErrorKind::InvalidData, "read") => {
                wrong("a file that can be read", source.to_string())
            }
            _ => Error::Io {
                action,
                path: path.to_owned(),
                source,
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_path_is_bad_input_and_a_failure_of_the_system_is_not() {
        let error = |action, kind: ErrorKind| Error::io(action, Path::new("p"), kind.into());
        for (action, kind, expected) in [
            ("read", ErrorKind::NotFound, "p: no such file or folder"),
            (
                "write",
                ErrorKind::IsADirectory,
                "p: path: expected a file, found a folder",
            ),
            (
                "create",
                ErrorKind::AlreadyExists,
                "p: path: expected a folder, found a file",
            ),
            (
                "list",
                ErrorKind::NotADirectory,
                "p: path: expected a folder, found a file",
            ),
            (
                "write",
                ErrorKind::InvalidFilename,
                match cfg!(windows) {
                    true => {
                        "p: path: expected names of at most 255 characters, none of them < > : \" / \\ | ? * or a \
                         control character, found another name"
                    }
                    false => "p: path: expected names of at most 255 bytes, found a longer one",
                },
            ),
        ] {
            let error = error(action, kind);
            assert_eq!(
                (error.to_string().as_str(), error.exit_code()),
                (expected, 2)
            );
        }
        for (action, kind) in [
            ("write", ErrorKind::NotFound),
            ("write", ErrorKind::StorageFull),
            ("read", ErrorKind::PermissionDenied),
            ("write", ErrorKind::AlreadyExists),
        ] {
            assert_eq!(error(action, kind).exit_code(), 1, "{kind}");
        }
    }
}
