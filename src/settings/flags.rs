//! How a section of settings becomes flags of the program: clap derives them from the fields, where it is built in
//! (feature `cli`).

#[cfg(feature = "cli")]
mod parsers {
    use std::ffi::OsStr;
    use std::path::PathBuf;

    use clap::builder::{PathBufValueParser, StringValueParser, TypedValueParser};

    use crate::error::MAX_NAME_BYTES;
    use crate::settings::{Column, Label};

    /// The label's columns as a flag names them.
    pub(in crate::settings) fn label() -> impl TypedValueParser<Value = Label> {
        StringValueParser::new().map(|text| Label::from(text.as_str()))
    }

    /// A column as a flag names it.
    pub(in crate::settings) fn column() -> impl TypedValueParser<Value = Column> {
        StringValueParser::new().map(|text| Column::from(text.as_str()))
    }

    /// A path that can be written down, because files and JSON hold text in UTF-8, and whose names file systems take.
    pub(crate) fn utf8_path() -> impl TypedValueParser<Value = PathBuf> {
        PathBufValueParser::new().try_map(|path| {
            if path.to_str().is_none() {
                return Err("expected a path in UTF-8".to_owned());
            }
            match path.iter().map(OsStr::len).find(|&n| n > MAX_NAME_BYTES) {
                Some(found) => Err(format!(
                    "expected names of at most {MAX_NAME_BYTES} bytes, found one of {found}"
                )),
                None => Ok(path),
            }
        })
    }
}

#[cfg(feature = "cli")]
pub(crate) use parsers::utf8_path;
#[cfg(feature = "cli")]
pub(super) use parsers::{column, label};

/// The structs as they stand, whose fields are flags.
#[cfg(feature = "cli")]
macro_rules! with_flags {
    ($($section:item)*) => {
        $(#[derive(clap::Args)] $section)*
    };
}

/// The structs without what they say to clap.
#[cfg(not(feature = "cli"))]
macro_rules! with_flags {
    ($(
        $(#[doc = $doc:literal])*
        #[derive($($derived:ident),*)]
        #[serde($($serde:tt)*)]
        $(#[command($($command:tt)*)])?
        pub struct $section:ident {$(
            $(#[doc = $help:literal])*
            $(#[serde($($field_serde:tt)*)])?
            $(#[command($($field_command:tt)*)])?
            $(#[arg($($arg:tt)*)])?
            pub $key:ident: $type:ty,
        )*}
    )*) => {$(
        $(#[doc = $doc])*
        #[derive($($derived),*)]
        #[serde($($serde)*)]
        pub struct $section {$(
            $(#[doc = $help])*
            $(#[serde($($field_serde)*)])?
            pub $key: $type,
        )*}
    )*};
}

pub(super) use with_flags;
