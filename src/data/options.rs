//! What to load, and how to read a table.

use std::path::PathBuf;

use super::Task;
use super::csv_dialect::DialectOptions;
use super::table::Schema;
use super::text_cell::{is_code, is_usually_missing};

/// What to load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadOptions {
    /// A folder of IDX or NPY files, an NPZ file or a CSV file. Without a path [`super::locate()`] searches for the
    /// data set.
    pub path: Option<PathBuf>,
    /// Whether to load the test part. If not, its files are not opened.
    pub test: bool,
    /// The share of the samples that is set aside as test part, for data without one.
    pub test_split: Option<f64>,
    /// A further file or folder whose samples are the test part.
    pub test_data: Option<PathBuf>,
    /// How to read a table.
    pub table: TableOptions,
}

/// How to read a table. A column is given by its name or by its index from 0; a negative index counts from the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableOptions {
    /// What is to be predicted [default: what the labels suggest].
    pub task: Option<Task>,
    /// The label columns of a CSV file [default: label, class, target or y, else the last column].
    pub labels: Vec<String>,
    /// The column that says how much each sample counts in training.
    pub weight: Option<String>,
    /// Columns that are left out.
    pub drop: Vec<String>,
    /// Columns that name rows: left out too, but kept beside predictions.
    pub id: Vec<String>,
    /// Columns that hold numbers.
    pub numeric: Vec<String>,
    /// Columns that hold categories.
    pub categorical: Vec<String>,
    /// Words for a missing value, in place of the usual ones. An empty cell is missing always.
    pub missing: Option<Vec<String>>,
    /// Delimiter, decimal separator and header of a CSV file.
    pub dialect: DialectOptions,
}

/// Whether two texts are one number, as -999 and -999.0. A code with leading zeros is itself alone.
fn is_same_number(word: &str, cell: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    number(word).is_some_and(|word| !is_code(cell) && number(cell) == Some(word))
}

impl TableOptions {
    /// Whether a cell is missing.
    pub(super) fn is_missing(&self, cell: &str) -> bool {
        match &self.missing {
            None => is_usually_missing(cell),
            Some(_) if cell.is_empty() => true,
            Some(words) => words
                .iter()
                .any(|word| word == cell || is_same_number(word, cell)),
        }
    }

    /// The task that labels are read for, if it is known: a model knows its own.
    pub(super) fn task_for(&self, schema: Option<&Schema>) -> Option<Task> {
        self.task.or_else(|| schema.map(|_| Task::Classification))
    }

    /// Whether it says nothing about columns.
    pub(super) fn names_no_column(&self) -> bool {
        let lists = [
            &self.labels,
            &self.drop,
            &self.id,
            &self.numeric,
            &self.categorical,
        ];
        self.weight.is_none() && lists.iter().all(|list| list.is_empty())
    }
}
