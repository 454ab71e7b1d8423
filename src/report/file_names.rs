//! Names of a report's files. They are made from names in a study file, which may be anything, but are never paths.

use std::collections::HashSet;

use crate::durable::device_name::is_device_name;

/// Bytes of a study's or a setting's name that are kept. Both and what is added stay below the 255 of a file's name.
const MOST_BYTES: usize = 80;

/// The stem for a chart of a study.
pub(super) fn stem(study: &str, what: &str) -> String {
    let stem = format!("{}-{}", fitting(study), fitting(what));
    match is_device_name(&stem) {
        true => format!("_{stem}"),
        false => stem,
    }
}

/// The name with `_` for what a file's name should not hold.
fn fitting(name: &str) -> String {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = name.replace(|c| !fits(c), "_");
    let name = match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    };
    name[..name.floor_char_boundary(MOST_BYTES)].to_owned()
}

/// The names that are taken.
#[derive(Default)]
pub(super) struct FileNames(HashSet<String>);

impl FileNames {
    /// The stem, with a number if another file has it already. Upper and lower case count as the same, as on some file
    /// systems.
    pub(super) fn take(&mut self, stem: &str) -> String {
        let numbered = (2..).map(|n: u32| format!("{stem}-{n}"));
        let mut names = std::iter::once(stem.to_owned()).chain(numbered);
        names
            .find(|name| self.0.insert(name.to_lowercase()))
            .expect("numbers without end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_a_path_or_too_long() {
        assert_eq!(stem("search", "lr"), "search-lr");
        assert_eq!(stem("../a b", "x/../y"), "_._a_b-x_.._y");
        assert_eq!(stem("größe", "\u{1b}\0"), "größe-__");
        assert_eq!(stem("con.1", "lr"), "_con.1-lr", "a device on Windows");
        let long = stem(&"é".repeat(300), &"x".repeat(300));
        assert!(long.len() < 200 && long.ends_with('x'), "{long}");
    }

    #[test]
    fn no_name_is_taken_twice() {
        let mut names = FileNames::default();
        let taken = ["a", "A", "a", "a-2", "b"].map(|stem| names.take(stem));
        assert_eq!(taken, ["a", "A-2", "a-3", "a-2-2", "b"]);
    }
}
