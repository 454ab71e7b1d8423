//! Standard output and standard error. Nothing here panics when a pipe closes or a disk is full. What comes from files
//! cannot steer a terminal: control characters are escaped.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::error::ContextValue;

use crate::error::{Error, Result};
use crate::text::printable::{is_hidden, printable, printable_lines};

const STANDARD_OUTPUT: &str = "standard output";

/// Writes all of a text to standard output and flushes it. Its lines stay lines, so a name that is put into it must be
/// [`printable`]. The cells of a table are.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let text = printable_lines(text);
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| Error::io("write", Path::new(STANDARD_OUTPUT), e))
}

/// Writes one JSON object and a newline to standard output.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_string(value).map_err(|e| Error::Check(e.to_string()))?;
    print(&format!("{}\n", with_visible_text(&json)))
}

/// JSON leaves DEL and all that is not ASCII as it is. Here what is hidden is escaped as well. It can only stand in
/// a string.
fn with_visible_text(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match is_hidden(c) {
            true => {
                let mut units = [0; 2];
                let units = c.encode_utf16(&mut units).iter();
                text.extend(units.map(|unit| format!("\\u{unit:04x}")));
            }
            false => text.push(c),
        }
    }
    text
}

/// Writes one line to standard error. A failure to write is ignored.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(text));
}

/// Writes the message of an error to standard error.
pub(super) fn error(error: &Error) {
    note(&format!("chainrule: {error}"));
}

/// Writes what clap says: help and version, which go to standard output and are no errors, or what is wrong with the
/// arguments. It quotes them, and a shell may have taken them from file names: if they hold control characters, it is
/// written without colours. A closed pipe is ignored.
pub(super) fn usage(mut error: clap::Error) {
    let hides = |argument: OsString| argument.to_string_lossy().contains(is_hidden);
    if !std::env::args_os().any(hides) {
        let _ = error.print();
        return;
    }
    let quoted = error.context().filter_map(|(kind, value)| match value {
        ContextValue::String(text) => Some((kind, printable(text).into_owned())),
        _ => None,
    });
    for (kind, text) in quoted.collect::<Vec<_>>() {
        error.insert(kind, ContextValue::String(text));
    }
    let text = error.render().to_string();
    let text = printable_lines(&text);
    let _ = match error.use_stderr() {
        true => io::stderr().lock().write_all(text.as_bytes()),
        false => io::stdout().lock().write_all(text.as_bytes()),
    };
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

/// Checks, before the work and not after it, that an output file can be made: that its folder exists, that it is no
/// folder itself, and that its name is not too long.
pub(super) fn check_output(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            let hint = format!("{} cannot be written there", path.display());
            return Err(Error::Missing {
                path: parent.to_owned(),
                hint,
            });
        }
        _ => {}
    }
    match path.metadata() {
        Ok(found) if found.is_dir() => {
            Err(Error::format(path, "path", "a file to write", "a folder"))
        }
        Err(e) if e.kind() == io::ErrorKind::InvalidFilename => Err(Error::io("write", path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_text_but_shows_what_is_hidden() {
        let text = "a\u{7f}\u{9b}\u{202e}\u{e0041}鞋\n\u{1b}";
        let json = with_visible_text(&serde_json::to_string(text).unwrap());
        assert_eq!(json, r#""a\u007f\u009b\u202e\udb40\udc41鞋\n\u001b""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
