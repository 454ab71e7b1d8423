//! Columns of a table, and what stands between them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::data::parse_delimiter;

/// The columns that hold the labels: one, or a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a column by name or by index, or a list of columns"
)]
pub enum Label {
    /// One column.
    One(Column),
    /// A list of columns.
    Several(Vec<Column>),
}

/// A column by its name or by its index, from 0, negative from the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Column {
    text: String,
    /// A file has it as a number.
    is_number: bool,
}

/// A column as a file has it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Index(i64),
    Name(String),
}

impl From<Written> for Column {
    fn from(written: Written) -> Self {
        match written {
            Written::Index(index) => Column {
                text: index.to_string(),
                is_number: true,
            },
            Written::Name(text) => Column {
                text,
                is_number: false,
            },
        }
    }
}

impl From<Column> for Written {
    fn from(column: Column) -> Self {
        match column.text.parse() {
            Ok(index) if column.is_number => Written::Index(index),
            _ => Written::Name(column.text),
        }
    }
}

impl From<&str> for Column {
    fn from(text: &str) -> Self {
        Written::Name(text.into()).into()
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Label::One(text.into())
    }
}

impl Column {
    /// Its name or its index.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Label {
    /// The columns, in order.
    pub fn columns(&self) -> Vec<&str> {
        let columns = match self {
            Label::One(column) => std::slice::from_ref(column),
            Label::Several(columns) => columns,
        };
        columns.iter().map(|column| column.text.as_str()).collect()
    }

    /// The columns, in order, as texts of their own.
    pub fn to_vec(&self) -> Vec<String> {
        self.columns().into_iter().map(str::to_owned).collect()
    }

    /// The only column; `None` if there are several, or none.
    pub fn column(&self) -> Option<&str> {
        match self.columns()[..] {
            [column] => Some(column),
            _ => None,
        }
    }
}

/// The character between columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Delimiter(pub u8);

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "one character that divides cells, such as , ; | or tab";
        let found = parse_delimiter(text).map(Delimiter);
        found.ok_or_else(|| format!("expected {expected}, found {text:?}"))
    }
}

impl TryFrom<String> for Delimiter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Delimiter> for String {
    fn from(Delimiter(byte): Delimiter) -> String {
        match byte {
            b'\t' => "tab".to_owned(),
            byte => char::from(byte).to_string(),
        }
    }
}
