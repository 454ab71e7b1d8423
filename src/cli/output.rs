//! Standard output and standard error. Nothing here panics when a pipe closes or a disk is full.

use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

const STANDARD_OUTPUT: &str = "standard output";

/// Writes all of a text to standard output and flushes it.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| Error::io("write", Path::new(STANDARD_OUTPUT), e))
}

/// Writes one JSON object and a newline to standard output.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_string(value).map_err(|e| Error::Check(e.to_string()))?;
    print(&format!("{json}\n"))
}

/// Writes a line to standard error. A failure to write is ignored.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes the message of an error to standard error.
pub(super) fn error(error: &Error) {
    note(&format!("chainrule: {error}"));
}

/// Whether the reader of standard output has closed it, as `head` does. That is not a failure.
pub(super) fn is_closed_pipe(error: &Error) -> bool {
    match error {
        Error::Io { path, source, .. } => {
            path == Path::new(STANDARD_OUTPUT) && source.kind() == io::ErrorKind::BrokenPipe
        }
        _ => false,
    }
}

/// Checks, before the work and not after it, that the folder of an output file exists.
pub(super) fn check_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            let hint = format!("{} cannot be written there", path.display());
            Err(Error::Missing {
                path: parent.to_owned(),
                hint,
            })
        }
        _ => Ok(()),
    }
}
