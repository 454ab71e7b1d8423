//! Which columns hold the labels.

use serde::{Deserialize, Serialize};

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

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Label::One(Written::Name(text.into()).into())
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

    /// The only column; `None` if there are several, or none.
    pub fn column(&self) -> Option<&str> {
        match self.columns()[..] {
            [column] => Some(column),
            _ => None,
        }
    }
}
