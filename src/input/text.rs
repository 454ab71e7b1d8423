//! Text in UTF-8.

use std::path::Path;

use crate::error::{Error, Result};

const UTF8: &str = "text in UTF-8";

/// The text of a file, from its bytes, without the mark that may stand at its start.
///
/// # Errors
/// [`Error::Format`] with the line and byte of what is not UTF-8.
pub(super) fn decode(path: &Path, bytes: Vec<u8>) -> Result<String> {
    refuse_utf16(path, &bytes)?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let before = &e.as_bytes()[..at];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let place = format!("line {line}, byte {at} of the file");
        Error::format(
            path,
            place,
            UTF8,
            format!("byte 0x{:02x}", e.as_bytes()[at]),
        )
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Refuses text in UTF-16, which two bytes at its start mark.
///
/// # Errors
/// [`Error::Format`], which says what to do.
pub(crate) fn refuse_utf16(path: &Path, start: &[u8]) -> Result<()> {
    if !start.starts_with(b"\xff\xfe") && !start.starts_with(b"\xfe\xff") {
        return Ok(());
    }
    let found = "UTF-16, as some programs on Windows write it; save it as UTF-8";
    Err(Error::format(path, "byte 0 of the file", UTF8, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf8_is_named() {
        let message = |bytes: &[u8]| {
            let error = decode(Path::new("a.toml"), bytes.to_vec()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        };
        assert_eq!(
            message(b"a = 1\nb = \"\xe9\"\n"),
            "a.toml: line 2, byte 11 of the file: expected text in UTF-8, found byte 0xe9"
        );
        for utf16 in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a"] {
            assert!(message(utf16).contains("found UTF-16"));
        }
        assert!(message(b"a\xc3").contains("line 1, byte 1 of the file"));
    }

    #[test]
    fn a_byte_order_mark_is_left_out() {
        let text = decode(Path::new("a"), b"\xef\xbb\xbfa = 1".to_vec()).unwrap();
        assert_eq!(text, "a = 1");
    }
}
