//! Delimited text as a table: `,`, `;`, tab or `|` between columns, with or without a header.

use std::io::ErrorKind;
use std::path::Path;

use super::classes::LabelColumn;
use super::columns::{Columns, LabelUse, Roles, excerpt, shorten};
use super::csv_dialect::{Decimal, Dialect};
use super::csv_rows::{CsvRow, RowReader};
use super::label_meaning::{LabelColumns, LabelMeaning, LabelSource};
use super::open::InputFile;
use super::options::TableOptions;
use super::table::{InputRows, RowSource, Schema, Table, TableCell, TargetColumn, WordCollector};
use super::text_cell::is_code;
use super::{Features, Labels, Samples, Task};
use crate::error::{Error, Result};

/// The rows of a file, with their labels.
pub(super) struct LabelledTable {
    /// The cells; what the labels mean is not known yet.
    pub(super) samples: Samples,
    labels: Vec<LabelColumn>,
    /// Their names.
    label_names: Vec<String>,
    /// The label columns in words.
    labels_in_words: String,
    pub(super) table: Table,
    pub(super) notices: Vec<String>,
}

impl LabelledTable {
    /// Gives the samples their labels, by the task that is wanted or else by that which they suggest.
    pub(super) fn label(&mut self, path: &Path, wanted: Option<Task>) -> Result<LabelMeaning> {
        let columns = LabelColumns {
            columns: std::mem::take(&mut self.labels),
            names: self.label_names.clone(),
            source: LabelSource {
                path,
                what: &self.labels_in_words,
                lines: Some(&self.table.train.lines),
                is_table: true,
                room: u64::MAX,
            },
        };
        let (meaning, labels) = LabelMeaning::of(columns, wanted)?;
        self.samples.labels = labels;
        Ok(meaning)
    }
}

/// Reads a file to train on.
pub(super) fn read(source: InputFile, options: &TableOptions) -> Result<LabelledTable> {
    let mut file = CsvFile::open(source, None, options)?;
    let columns = &file.columns;
    let roles = columns.to_train(options)?;
    if options.labels.is_empty() {
        let label = roles.labels[0];
        file.notices.push(match columns.names {
            Some(_) => format!("label: {}", columns.in_words(label)),
            None => format!("label: last column ({label})"),
        });
    }
    let target = |&position: &usize| TargetColumn {
        name: columns.name(position),
        position,
    };
    let table = Table {
        columns: columns.table_columns(&roles, options)?,
        has_names: columns.names.is_some(),
        file_columns: columns.count,
        targets: roles.labels.iter().map(target).collect(),
        weight: roles.weight.map(|weight| columns.name(weight)),
        ids: roles.ids.iter().map(|&id| columns.name(id)).collect(),
        ..Table::default()
    };
    file.read_labelled(&roles, options, table)
}

/// Reads a file of labelled rows for a model with this schema.
pub(super) fn read_for(
    source: InputFile,
    schema: &Schema,
    options: &TableOptions,
) -> Result<LabelledTable> {
    let mut file = CsvFile::open(source, Some(schema), options)?;
    let (roles, further) = file.columns.for_schema(schema, options, LabelUse::Needed)?;
    file.notices.extend(further);
    file.read_labelled(&roles, options, Table::default())
}

/// Reads a file of rows to predict, for a model with this schema.
pub(super) fn read_rows(
    source: InputFile,
    schema: &Schema,
    options: &TableOptions,
) -> Result<InputRows> {
    let mut file = CsvFile::open(source, Some(schema), options)?;
    let (roles, further) = file
        .columns
        .for_schema(schema, options, LabelUse::Ignored)?;
    file.notices.extend(further);
    let roles = Roles {
        labels: Vec::new(),
        ..roles
    };
    let body = file.read_body(&roles, options)?;
    let ids = roles.ids.iter().map(|&id| file.columns.name(id));
    Ok(InputRows {
        samples: body.samples,
        source: body.source,
        ids: ids.zip(body.ids).collect(),
        notices: file.notices,
    })
}

/// An open file whose columns are known.
struct CsvFile {
    reader: RowReader,
    columns: Columns,
    /// The line of the first row, header or not.
    first_line: u64,
    notices: Vec<String>,
}

/// The rows of a file.
struct Body {
    samples: Samples,
    labels: Vec<LabelColumn>,
    source: RowSource,
    /// The cells of each column that identifies rows.
    ids: Vec<Vec<String>>,
    /// Rows without a label, and the line of the first of them.
    unlabelled: usize,
    first_unlabelled: Option<u64>,
}

impl CsvFile {
    /// Opens a file. Its first row is a header if the user says so, if it has the names of a schema, or else if it
    /// looks like one.
    fn open(source: InputFile, schema: Option<&Schema>, options: &TableOptions) -> Result<Self> {
        let reader = RowReader::new(source, &options.dialect)?;
        let Some(first) = reader.ahead().first() else {
            let path = reader.path();
            return Err(Error::format(
                path,
                "line 1",
                "at least one row",
                "an empty file",
            ));
        };
        let known = schema.is_some_and(|schema| has_names_of(first, schema));
        let is_guess = options.dialect.header.is_none() && !known;
        let has_header = match options.dialect.header {
            Some(said) => said,
            None => known || reader.has_header(),
        };
        let names: Vec<String> = first.cells().map(str::to_owned).collect();
        let columns = Columns {
            path: reader.path().to_owned(),
            count: names.len(),
            names: has_header.then_some(names),
        };
        let mut notices = dialect_notices(reader.dialect(), options);
        let numbers = |names: &Vec<String>| names.iter().any(|name| name.parse::<f64>().is_ok());
        let names = columns.names.as_ref().filter(|_| is_guess);
        if let Some(names) = names.filter(|names| numbers(names)) {
            let hint = "--header false if it is none";
            notices.push(format!(
                "line 1 is taken for a header: {} ({hint})",
                excerpt(names)
            ));
        }
        Ok(CsvFile {
            first_line: first.line,
            columns,
            notices,
            reader,
        })
    }

    fn read_labelled(
        mut self,
        roles: &Roles,
        options: &TableOptions,
        table: Table,
    ) -> Result<LabelledTable> {
        let body = self.read_body(roles, options)?;
        let mut notices = self.notices;
        if let Some(first) = body.first_unlabelled {
            notices.push(format!(
                "rows without a label are left out: {} (the first in line {first})",
                body.unlabelled
            ));
        }
        let columns = &self.columns;
        let in_words: Vec<String> = roles.labels.iter().map(|&l| columns.in_words(l)).collect();
        let labels_in_words = in_words.join(", ");
        if body.labels.iter().all(|column| column.len() == 0) {
            let found = "none; another label column is chosen by --label";
            return Err(Error::format(
                &columns.path,
                labels_in_words,
                "labels",
                found,
            ));
        }
        if let Some(weights) = body
            .samples
            .weights
            .as_ref()
            .filter(|w| w.iter().all(|&w| w == 0.0))
        {
            let found = format!("0 in all {} rows", weights.len());
            return Err(Error::format(
                &columns.path,
                "weights",
                "a weight above 0",
                found,
            ));
        }
        Ok(LabelledTable {
            samples: body.samples,
            labels: body.labels,
            label_names: roles
                .labels
                .iter()
                .map(|&label| columns.name(label))
                .collect(),
            labels_in_words,
            table: Table {
                train: body.source,
                ..table
            },
            notices,
        })
    }

    /// Reads all rows. A row without a label is left out if labels are read.
    fn read_body(&mut self, roles: &Roles, options: &TableOptions) -> Result<Body> {
        let mut words = WordCollector::default();
        let mut values: Vec<f64> = Vec::new();
        let mut body = Body {
            samples: Samples {
                features: Features::F64(Vec::new()),
                width: roles.features.len(),
                labels: Labels::default(),
                weights: roles.weight.map(|_| Vec::new()),
            },
            labels: vec![label_column(options); roles.labels.len()],
            source: RowSource::default(),
            ids: vec![Vec::new(); roles.ids.len()],
            unlabelled: 0,
            first_unlabelled: None,
        };
        let mut row = CsvRow::default();
        let mut skip = self.columns.names.is_some();
        let mut seen = 0;
        while self.reader.read(&mut row)? {
            if std::mem::take(&mut skip) {
                continue;
            }
            seen += 1;
            self.check_width(&row)?;
            let is_unlabelled = |&label: &usize| options.is_missing(row.cell(label));
            if roles.labels.iter().any(is_unlabelled) {
                body.unlabelled += 1;
                body.first_unlabelled.get_or_insert(row.line);
                continue;
            }
            for (labels, &label) in body.labels.iter_mut().zip(&roles.labels) {
                let cell = row.cell(label);
                match number(cell, self.reader.dialect()).filter(|x| x.is_finite()) {
                    Some(number) => labels.push_number(number),
                    None => labels.push_word(cell),
                }
            }
            if let (Some(weights), Some(column)) = (&mut body.samples.weights, roles.weight) {
                weights.push(self.weight(&row, column)?);
            }
            let room = values.try_reserve(roles.features.len());
            room.map_err(|_| Error::io("read", &self.columns.path, ErrorKind::OutOfMemory.into()))?;
            let text = row.text();
            values.extend(roles.features.iter().map(|&column| {
                let cell = text.cell(column);
                let cell = match number(cell, self.reader.dialect()) {
                    // The usual words for a missing value are no numbers.
                    Some(number) if options.missing.is_none() => TableCell::Number(number),
                    _ if options.is_missing(cell) => TableCell::Missing,
                    Some(number) => TableCell::Number(number),
                    None => TableCell::Word(words.code(cell)),
                };
                cell.value()
            }));
            for (texts, &id) in body.ids.iter_mut().zip(&roles.ids) {
                texts.push(row.cell(id).to_owned());
            }
            body.source.lines.push(row.line);
        }
        if seen == 0 {
            let expected = "at least one row after the header";
            return Err(self.wrong(
                "line 2".to_owned(),
                expected,
                "the end of the file".to_owned(),
            ));
        }
        body.samples.features = Features::F64(values);
        body.source.path.clone_from(&self.columns.path);
        body.source.words = words.finish();
        Ok(body)
    }

    fn weight(&self, row: &CsvRow, column: usize) -> Result<f64> {
        let cell = row.cell(column);
        let weight = self.reader.dialect().number(cell);
        weight
            .filter(|x| x.is_finite() && *x >= 0.0)
            .ok_or_else(|| {
                let place = format!("line {}, {}", row.line, self.columns.in_words(column));
                let found = format!("{:?} (--weight)", shorten(cell));
                self.wrong(place, "a weight: a number from 0 on", found)
            })
    }

    fn check_width(&self, row: &CsvRow) -> Result<()> {
        let (columns, line) = (self.columns.count, self.first_line);
        if row.len() == columns {
            return Ok(());
        }
        let expected = format!("{columns} columns as in line {line}");
        let found = format!(
            "{}: {}",
            row.len(),
            shorten(&row.cells().collect::<Vec<_>>().join(", "))
        );
        Err(self.wrong(format!("line {}", row.line), &expected, found))
    }

    fn wrong(&self, place: String, expected: &str, found: String) -> Error {
        Error::format(&self.columns.path, place, expected, found)
    }
}

/// An empty label column. Numbers to predict need no names.
fn label_column(options: &TableOptions) -> LabelColumn {
    match options.task {
        Some(Task::Regression) => LabelColumn::of_numbers(),
        _ => LabelColumn::default(),
    }
}

/// What was found out about how a file is written, where it is not the usual.
fn dialect_notices(dialect: &Dialect, options: &TableOptions) -> Vec<String> {
    let comma = dialect.decimal == Decimal::Comma && options.dialect.decimal.is_none();
    let notice = "numbers are read with a decimal comma (--decimal . if they are not)";
    comma.then(|| notice.to_owned()).into_iter().collect()
}

/// The number in a cell. A code, such as 007, is none.
fn number(cell: &str, dialect: &Dialect) -> Option<f64> {
    match dialect.number(cell) {
        Some(_) if is_code(cell) => None,
        number => number,
    }
}

/// Whether a row holds the names of all features of a schema.
fn has_names_of(row: &CsvRow, schema: &Schema) -> bool {
    let cells: std::collections::HashSet<&str> = row.cells().collect();
    let mut columns = schema.columns.iter();
    schema.has_names && columns.all(|column| cells.contains(column.name.as_str()))
}

#[cfg(test)]
mod tests;
