//! Names that Windows keeps for devices.

/// Whether Windows takes the name of a file for that of a device: `NUL`, `con`, `aux.txt`.
///
/// The list is that of Microsoft's "Naming Files, Paths, and Namespaces". What follows the first dot does not count,
/// and neither do upper case and spaces at the end.
pub(crate) fn is_device_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end_matches(' ').to_uppercase();
    let numbered = |prefix| {
        let digit = stem.strip_prefix(prefix).unwrap_or_default();
        let mut digits = digit.chars();
        matches!(digits.next(), Some('0'..='9' | '¹' | '²' | '³')) && digits.next().is_none()
    };
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&&*stem)
        || numbered("COM")
        || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_known_by_their_names() {
        for name in [
            "NUL", "con", "aux.txt", "Com1.a.b", "lpt³", "prn  .x", "conin$",
        ] {
            assert!(is_device_name(name), "{name}");
        }
        for name in [
            "", "null", "console", "x.con", "com", "com10", "lptx", "nul_", ".nul",
        ] {
            assert!(!is_device_name(name), "{name}");
        }
    }
}
