//! Tables: columns of numbers, truth values and words, with holes.
//!
//! A table is read as it is: [`cell`] says how a cell is kept, [`Table`] what its columns are called. Nothing is
//! decided until the training rows are known. Then a [`Schema`] is fitted on them alone: the kind of each column, its
//! median or its categories. The schema turns the rows of any part, and of any later file, into numbers for the
//! network.

mod cell;
mod encode;
mod fit;
mod fitted;
mod piecewise;
mod row_lines;
mod schema;
#[cfg(test)]
mod tests;
mod words;

use std::path::{Path, PathBuf};

use super::Samples;

pub(super) use cell::TableCell;
pub use fitted::Fitted;
pub use piecewise::MAX_BINS;
pub(super) use row_lines::RowLines;
pub(super) use schema::select_columns;
pub use schema::{Schema, SchemaColumn, TargetColumn, Treatment};
pub(super) use words::{WordCollector, Words};

/// What kind of column the user says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedKind {
    /// Numbers.
    Number,
    /// Categories.
    Category,
}

/// A column that is a feature, as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct TableColumn {
    /// Its name; without a header its number.
    pub name: String,
    /// Its place in the file, from 0.
    pub position: usize,
    /// Its kind, if the user says it.
    pub wanted: Option<WantedKind>,
}

/// What a data set has besides its values if it is a table. The values of its samples are cells that no schema has
/// encoded: a missing one is NaN.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The features.
    pub columns: Vec<TableColumn>,
    /// Whether columns have names.
    pub has_names: bool,
    /// Columns in the file, features and others; 0 for arrays.
    pub file_columns: usize,
    /// The label columns, for files that have some.
    pub targets: Vec<TargetColumn>,
    /// The column that says how much each sample counts in training.
    pub weight: Option<String>,
    /// The columns that name rows.
    pub ids: Vec<String>,
    /// Where the rows of the training part come from.
    pub train: RowSource,
    /// Where those of the validation part come from.
    pub validation: RowSource,
    /// Where those of the test part come from.
    pub test: RowSource,
}

/// What the rows of a part have besides their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowSource {
    /// The file, for messages.
    pub(super) path: PathBuf,
    /// The line of each row, if rows are lines.
    pub(super) lines: RowLines,
    /// The words in the cells.
    pub(super) words: Words,
}

/// Rows that were read to be predicted.
#[derive(Clone, Debug)]
pub struct InputRows {
    /// The cells, without labels.
    pub samples: Samples,
    /// Where they come from.
    pub source: RowSource,
    /// The columns that identify rows, each with a text a row.
    pub ids: Vec<(String, Vec<String>)>,
    /// What the user should know.
    pub notices: Vec<String>,
}

impl Table {
    /// A table whose rows are those of arrays.
    pub(super) fn at(path: &Path) -> Self {
        let source = RowSource::of(path);
        Table {
            train: source.clone(),
            validation: source.clone(),
            test: source,
            ..Table::default()
        }
    }

    /// A table of numbers whose columns have no names.
    pub(super) fn unnamed(width: usize) -> Self {
        let column = |position: usize| TableColumn {
            name: position.to_string(),
            position,
            wanted: None,
        };
        Table {
            columns: (0..width).map(column).collect(),
            ..Table::default()
        }
    }

    /// The columns as those of a schema, before anything is fitted.
    pub(super) fn unfitted(&self) -> Schema {
        let column = |column: &TableColumn| SchemaColumn {
            name: column.name.clone(),
            position: column.position,
            treatment: Treatment::Empty,
        };
        Schema {
            has_names: self.has_names,
            file_columns: self.file_columns,
            targets: self.targets.clone(),
            weight: self.weight.clone(),
            ids: self.ids.clone(),
            columns: self.columns.iter().map(column).collect(),
        }
    }
}

impl RowSource {
    /// Rows of an array or of pictures.
    pub(super) fn of(path: &Path) -> Self {
        RowSource {
            path: path.to_owned(),
            ..RowSource::default()
        }
    }

    /// A row and a column, for messages.
    fn place(&self, row: usize, column: &SchemaColumn, has_names: bool) -> String {
        let number = column.position + 1;
        match (self.lines.get(row), has_names) {
            (Some(line), true) => format!("line {line}, column {number} ({})", column.name),
            (Some(line), false) => format!("line {line}, column {number}"),
            (None, _) => format!("sample {row}, feature {}", column.position),
        }
    }

    /// The rows of this part with these numbers, in this order.
    pub(super) fn select(&self, rows: &[u32]) -> RowSource {
        RowSource {
            path: self.path.clone(),
            lines: self.lines.select(rows),
            words: self.words.clone(),
        }
    }
}
