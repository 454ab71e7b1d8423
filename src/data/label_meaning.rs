//! What label columns mean: classes, numbers to predict, or several labels.
//!
//! The user says the task (`--task`), or the training labels suggest it:
//!
//! | label columns | task |
//! |---|---|
//! | one of words, or of few whole numbers | classification |
//! | one of fractional numbers | regression |
//! | several of an array, in each row a single 1 among zeros (one-hot) | classification |
//! | several of 0 and 1, or of truth values | multilabel |
//! | several of numbers, of which one is fractional | regression |
//! | others | an error that asks for the task |

use std::path::Path;

use super::classes::{Classes, LabelColumn};
use super::table::RowLines;
use super::text_cell::is_almost_number;
use super::{Labels, Task};
use crate::error::{Error, Result};

/// The most classes that a table can have.
const MAX_TABLE_CLASSES: usize = 1000;
/// What helps where numbers have signs or separators.
const NUMBERS_ARE_PLAIN: &str = "numbers are read without signs and separators, as 1200 for $1,200";

/// The label columns of one part, and how messages name them.
pub(super) struct LabelColumns<'a> {
    pub(super) columns: Vec<LabelColumn>,
    /// One name a column.
    pub(super) names: Vec<String>,
    pub(super) source: LabelSource<'a>,
}

/// Where labels come from.
#[derive(Clone, Copy)]
pub(super) struct LabelSource<'a> {
    pub(super) path: &'a Path,
    /// The label columns in words, or the name of the array.
    pub(super) what: &'a str,
    /// The lines of the rows of a CSV file; an array has none.
    pub(super) lines: Option<&'a RowLines>,
    /// Whether they are those of a table. Pictures may have as many classes as there are whole numbers.
    pub(super) is_table: bool,
    /// The bytes that the labels may take as numbers.
    pub(super) room: u64,
}

impl<'a> LabelSource<'a> {
    /// The array of this name.
    pub(super) fn of_array(path: &'a Path, name: &'a str, is_table: bool, room: u64) -> Self {
        LabelSource {
            path,
            what: name,
            lines: None,
            is_table,
            room,
        }
    }

    /// A row in words.
    fn place(&self, row: usize) -> String {
        match self.lines {
            Some(lines) => format!("line {}", lines.get(row).unwrap_or(0)),
            None => format!("array {}, position {row}", self.what),
        }
    }

    /// One-hot columns of an array are classes, if the user does not say otherwise.
    fn is_array(&self) -> bool {
        self.lines.is_none()
    }
}

/// What labels mean. The training part says it, and the other parts are read by it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LabelMeaning {
    pub(super) task: Task,
    /// The names of the classes, else of the numbers or labels.
    pub(super) classes: Classes,
}

impl LabelMeaning {
    /// What the training labels mean.
    ///
    /// # Errors
    /// If they do not fit the task that is wanted, or suggest none.
    pub(super) fn of(train: LabelColumns<'_>, wanted: Option<Task>) -> Result<(Self, Labels)> {
        let task = match wanted {
            Some(task) => task,
            None => train.suggested()?,
        };
        if task == Task::Classification {
            let (classes, labels) = Classes::of(train.into_classes()?);
            return Ok((LabelMeaning { task, classes }, labels.into()));
        }
        let classes = Classes {
            names: train.names.clone(),
            unseen: Vec::new(),
        };
        let labels = train.values(task)?;
        Ok((LabelMeaning { task, classes }, labels))
    }

    /// The labels of another part.
    ///
    /// # Errors
    /// If they do not fit the task.
    pub(super) fn read(&mut self, part: LabelColumns<'_>) -> Result<Labels> {
        match self.task {
            Task::Classification => Ok(self.classes.number(part.into_classes()?).into()),
            task if part.columns.len() == self.classes.names.len() => part.values(task),
            _ => {
                let expected = format!("{} label columns", self.classes.names.len());
                let found = part.columns.len().to_string();
                Err(Error::format(
                    part.source.path,
                    part.source.what,
                    expected,
                    found,
                ))
            }
        }
    }
}

impl LabelColumns<'_> {
    fn suggested(&self) -> Result<Task> {
        let [column] = &self.columns[..] else {
            return self.suggested_by_several();
        };
        let LabelSource { path, what, .. } = self.source;
        let (rows, names) = (column.len(), column.distinct());
        let is_number = column.check_finite().is_ok();
        let fraction = column.first_fraction();
        if is_number && fraction.is_some() {
            return Ok(Task::Regression);
        }
        if let Some((row, number)) = fraction {
            let found = format!("{number} in {what}, which has words too");
            let expected = "classes (words, or whole numbers that repeat) or numbers alone";
            return Err(Error::format(path, self.source.place(row), expected, found));
        }
        let most = (rows / 10).max(20);
        let like_number = column
            .first_word()
            .filter(|(_, word)| is_almost_number(word));
        if let Some((row, word)) = like_number.filter(|_| names > most) {
            let found = format!("\"{word}\" in {what}; {NUMBERS_ARE_PLAIN}");
            let expected = "classes: words, or whole numbers that repeat";
            return Err(Error::format(
                path,
                self.source.place(*row),
                expected,
                found,
            ));
        }
        if is_number && names > most && (self.source.is_table || column.has_too_many_names()) {
            let found = format!(
                "{names} different whole numbers in {rows} rows of {what}, more than {most}: numbers to predict \
                 (--task regression), classes (--task classification), or an identifier (--label names another column)"
            );
            let expected = "classes: words, or whole numbers that repeat";
            let row = column.row_of_distinct(most + 1);
            return Err(Error::format(path, self.source.place(row), expected, found));
        }
        Ok(Task::Classification)
    }

    fn suggested_by_several(&self) -> Result<Task> {
        let LabelSource { path, what, .. } = self.source;
        if self.source.is_array() && self.one_hot().is_some() {
            return Ok(Task::Classification);
        }
        let wrong = self
            .columns
            .iter()
            .find_map(|column| column.check_truth().err());
        let Some((row, value)) = wrong else {
            return Ok(Task::Multilabel);
        };
        let are_numbers = self
            .columns
            .iter()
            .all(|column| column.check_finite().is_ok());
        let is_fraction = |column: &LabelColumn| column.first_fraction().is_some();
        if are_numbers && self.columns.iter().any(is_fraction) {
            return Ok(Task::Regression);
        }
        let expected = "labels of 0 and 1 (multilabel) or fractional numbers (regression) in all label columns";
        let hint = match are_numbers {
            true => "--task regression, if they are numbers to predict",
            false => "--label names the columns",
        };
        let found = format!("{value} in {what}; {hint}");
        Err(Error::format(path, self.source.place(row), expected, found))
    }

    /// The class of each row, if each has a single 1 among zeros.
    fn one_hot(&self) -> Option<LabelColumn> {
        if self
            .columns
            .iter()
            .any(|column| column.check_truth().is_err())
        {
            return None;
        }
        let mut classes = LabelColumn::default();
        for row in 0..self.columns.first()?.len() {
            let is_one = |&column: &usize| self.columns[column].number(row) == 1.0;
            let mut ones = (0..self.columns.len()).filter(is_one);
            let class = ones.next().filter(|_| ones.next().is_none())?;
            match self.source.is_array() {
                true => classes.push_number(class as f64),
                false => classes.push_word(&self.names[class]),
            }
        }
        Some(classes)
    }

    /// One column of classes.
    fn into_classes(mut self) -> Result<LabelColumn> {
        let LabelSource { path, what, .. } = self.source;
        if self.columns.len() > 1 {
            return self.one_hot().ok_or_else(|| {
                let expected = "one label column, or columns with a single 1 among zeros in each row (one-hot)";
                let found = format!("{} columns in which that is not so", self.columns.len());
                Error::format(path, what, expected, found)
            });
        }
        let column = self.columns.pop().unwrap_or_default();
        let limit = if self.source.is_table {
            MAX_TABLE_CLASSES
        } else {
            super::MAX_CLASSES
        };
        if column.distinct() > limit {
            let found = format!(
                "more, the next in {}: it looks like an identifier, free text or numbers to predict; another label \
                 column is chosen by --label, another task by --task",
                self.source.place(column.row_of_distinct(limit + 1))
            );
            let expected = format!("at most {limit} classes in {what}");
            return Err(Error::format(path, "labels", expected, found));
        }
        Ok(column)
    }

    /// The numbers of all columns, row by row.
    fn values(mut self, task: Task) -> Result<Labels> {
        for (column, name) in self.columns.iter().zip(&self.names) {
            let (checked, expected) = match task {
                Task::Multilabel => (column.check_truth(), "0 or 1, or a truth value"),
                _ => (column.check_finite(), "a finite number"),
            };
            checked.map_err(|(row, found)| {
                let hint = match column.first_word() {
                    Some((_, word)) if is_almost_number(word) => format!("; {NUMBERS_ARE_PLAIN}"),
                    _ => String::new(),
                };
                let found = format!("{found} in \"{name}\", with --task {}{hint}", task.name());
                Error::format(self.source.path, self.source.place(row), expected, found)
            })?;
        }
        let columns = self.columns.len();
        let rows = self.columns.first().map_or(0, LabelColumn::len);
        let needed = (rows * columns) as u64 * 8;
        if needed > self.source.room {
            let expected = "labels that take a few times their size as numbers";
            let found = format!("{needed} bytes for {rows} rows");
            return Err(Error::format(
                self.source.path,
                self.source.what,
                expected,
                found,
            ));
        }
        let values = match columns {
            1 => self
                .columns
                .pop()
                .map_or_else(Vec::new, LabelColumn::into_numbers),
            _ => {
                let mut values = vec![0.0; rows * columns];
                for (place, column) in self.columns.iter().enumerate() {
                    column.write_numbers(values.iter_mut().skip(place).step_by(columns));
                }
                values
            }
        };
        Ok(Labels::Values { values, columns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(cells: &[&str]) -> LabelColumn {
        let mut column = LabelColumn::default();
        for cell in cells {
            match cell.parse() {
                Ok(number) => column.push_number(number),
                Err(_) => column.push_word(cell),
            }
        }
        column
    }

    /// The task and the labels of columns of an array or of a CSV file, or the error.
    fn meaning(
        columns: &[&[&str]],
        wanted: Option<Task>,
        is_array: bool,
    ) -> Result<(Task, Labels), String> {
        let lines = (!is_array).then(|| {
            let mut lines = RowLines::default();
            (0..columns[0].len() as u64).for_each(|line| lines.push(line));
            lines
        });
        let train = LabelColumns {
            columns: columns.iter().map(|cells| column(cells)).collect(),
            names: (0..columns.len()).map(|i| format!("c{i}")).collect(),
            source: LabelSource {
                path: Path::new("t.csv"),
                what: "column y",
                lines: lines.as_ref(),
                is_table: true,
                room: u64::MAX,
            },
        };
        let found = LabelMeaning::of(train, wanted).map_err(|error| error.to_string());
        found.map(|(meaning, labels)| (meaning.task, labels))
    }

    fn task(columns: &[&[&str]]) -> Result<Task, String> {
        meaning(columns, None, false).map(|(task, _)| task)
    }

    #[test]
    fn one_column_suggests_its_task() {
        assert_eq!(task(&[&["a", "b"]]), Ok(Task::Classification));
        assert_eq!(task(&[&["0", "1", "1"]]), Ok(Task::Classification));
        assert_eq!(task(&[&["0", "1", "1.5"]]), Ok(Task::Regression));
        let many: Vec<String> = (0..21).map(|i| i.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let error = task(&[&many]).unwrap_err();
        for word in ["21 different", "line 20", "--task regression", "--label"] {
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(task(&[&many[..20]]), Ok(Task::Classification));
        let said = meaning(&[&many], Some(Task::Regression), false).unwrap();
        assert_eq!(said.1.values().len(), 21);
        let said = meaning(&[&many], Some(Task::Classification), false).unwrap();
        assert_eq!(said.1.classes().len(), 21);
        let prices: Vec<String> = (0..30).map(|i| format!("$1,{}", 200 + i)).collect();
        let prices: Vec<&str> = prices.iter().map(String::as_str).collect();
        assert!(task(&[&prices]).unwrap_err().contains("without signs"));
        let error = meaning(&[&prices], Some(Task::Regression), false).unwrap_err();
        assert!(error.contains("without signs"), "{error}");
        let error = task(&[&["1.5", "x", "2"]]).unwrap_err();
        assert!(
            error.contains("line 0") && error.contains("words"),
            "{error}"
        );
    }

    #[test]
    fn several_columns_suggest_their_task() {
        assert_eq!(task(&[&["0", "1"], &["yes", "no"]]), Ok(Task::Multilabel));
        assert_eq!(task(&[&["0", "1"], &["1", "2.5"]]), Ok(Task::Regression));
        let error = task(&[&["0", "1"], &["1", "3"]]).unwrap_err();
        assert!(
            error.contains("line 1") && error.contains("--task regression"),
            "{error}"
        );
        assert!(
            task(&[&["0", "1"], &["cat", "dog"]])
                .unwrap_err()
                .contains("cat")
        );
        let one_hot: [&[&str]; 2] = [&["0", "1", "1"], &["1", "0", "0"]];
        let array = meaning(&one_hot, None, true).unwrap();
        assert_eq!(array, (Task::Classification, vec![1, 0, 0].into()));
        assert_eq!(task(&one_hot), Ok(Task::Multilabel));
    }

    #[test]
    fn labels_that_do_not_fit_the_task_are_refused() {
        let refused = |columns: &[&[&str]], task| meaning(columns, Some(task), false).unwrap_err();
        let error = refused(&[&["1", "x"]], Task::Regression);
        assert!(
            error.contains("line 1") && error.contains("\"x\""),
            "{error}"
        );
        let error = refused(&[&["1", "inf"]], Task::Regression);
        assert!(error.contains("line 1") && error.contains("inf"), "{error}");
        let error = refused(&[&["1", "2"]], Task::Multilabel);
        assert!(
            error.contains("line 1") && error.contains("found 2"),
            "{error}"
        );
        let error = refused(&[&["1", "1"], &["0", "1"]], Task::Classification);
        assert!(error.contains("one-hot"), "{error}");
        let words: Vec<String> = (0..1001).map(|i| format!("w{i}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let error = refused(&[&words], Task::Classification);
        assert!(
            error.contains("at most 1000") && error.contains("line 1000"),
            "{error}"
        );
        assert_eq!(task(&[&words[..1000]]), Ok(Task::Classification));
    }

    #[test]
    fn numbers_stand_row_by_row() {
        let (task, labels) = meaning(&[&["1.5", "2"], &["-3", "4"]], None, false).unwrap();
        assert_eq!(
            (task, labels.values()),
            (Task::Regression, &[1.5, -3.0, 2.0, 4.0][..])
        );
        let (_, labels) = meaning(&[&["True", "no"]], Some(Task::Multilabel), false).unwrap();
        assert_eq!(labels.values(), [1.0, 0.0]);
    }
}
