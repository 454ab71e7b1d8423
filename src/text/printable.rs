//! Text of other people on a terminal. A terminal obeys control characters: a class name could clear the screen, set
//! its title or fake a line. Here they become visible.

use std::borrow::Cow;
use std::path::Path;

/// The text as one line that can be printed: control characters, and characters that hide text or reorder it, are
/// escaped as in Rust, `\n` and `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, is_hidden)
}

/// A path as [`printable`] text.
pub fn printable_path(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}

/// As [`printable`], but line breaks and tabs stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| !matches!(c, '\n' | '\t') && is_hidden(c))
}

fn escape(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match hidden(c) {
            true => out.extend(escaped(c)),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let short = match c {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => "",
    };
    let long = short.is_empty().then(|| c.escape_unicode());
    short.chars().chain(long.into_iter().flatten())
}

/// Whether a reader does not see the character, but a terminal or a page obeys it. The joiners U+200C and U+200D are
/// part of words and of emoji, and stay.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Reorder text: marks, embeddings, overrides, isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Break lines.
            | '\u{2028}' | '\u{2029}'
            // Have no width.
            | '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            // Annotate, tag, or are no characters at all.
            | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing() {
        for (text, expected) in [
            ("\u{1b}]0;pwned\u{7}", "\\u{1b}]0;pwned\\u{7}"),
            ("a\r\n\tb\u{8}", "a\\r\\n\\tb\\u{8}"),
            ("\u{7f}\u{9b}2J", "\\u{7f}\\u{9b}2J"),
            ("\u{202e}cba\u{2066}", "\\u{202e}cba\\u{2066}"),
            ("a\u{200b}\u{feff}\u{2028}", "a\\u{200b}\\u{feff}\\u{2028}"),
            ("\u{e0041}\u{ffff}", "\\u{e0041}\\u{ffff}"),
        ] {
            assert_eq!(printable(text), expected);
        }
        assert_eq!(printable_lines("a\n\t\u{1b}b\n"), "a\n\t\\u{1b}b\n");
    }

    #[test]
    fn text_that_people_write_stays() {
        for text in [
            "Übergröße 鞋 e\u{301} C:\\new",
            "می\u{200c}خواهم",
            "👩\u{200d}🔬",
        ] {
            assert!(matches!(printable(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
