//! Comma-separated values, with or without a header. Labels are numbers or words.

use std::collections::{BTreeMap, btree_map::Entry};
use std::io::ErrorKind;

use super::csv_dialect::DialectOptions;
use super::csv_rows::{CsvRow, RowReader};
use super::open::InputFile;
use super::{Features, MAX_CLASSES, Samples};
use crate::error::{Error, Result};

/// Names of the label column if the user names none, in order of preference.
const LABEL_NAMES: [&str; 4] = ["label", "class", "target", "y"];

/// A file of labelled rows.
pub(super) struct CsvTable {
    pub(super) samples: Samples,
    /// The class names if the labels are words.
    pub(super) class_names: Option<Vec<String>>,
    pub(super) notices: Vec<String>,
}

/// Reads labelled rows. `label` is a column's name, or its index from 0; a negative index counts from the end.
/// Without it the label is the column named label, class, target or y, else the last column.
pub(super) fn read(source: InputFile, label: Option<&str>) -> Result<CsvTable> {
    let mut rows = CsvRows::open(source)?;
    let columns = rows.first.len();
    if columns < 2 {
        return Err(rows.wrong(
            "line 1".to_owned(),
            "at least one feature column and a label column",
            format!("{columns} column"),
        ));
    }
    let layout = rows.layout(label)?;
    let notices = layout.notices(&rows.first, label.is_none());
    let mut labels = LabelColumn::default();
    let values = rows.values(&layout, |rows, row, column| {
        labels
            .push(row.cell(column))
            .map_err(|expected| rows.wrong_cell(&layout, row, column, &expected))
    })?;
    let (labels, class_names) = labels.finish();
    Ok(CsvTable {
        samples: Samples {
            features: Features::F64(values),
            width: columns - 1,
            labels,
        },
        class_names,
        notices,
    })
}

/// Reads rows of `width` features to predict from. A label column may be present; it is ignored.
pub(super) fn read_rows(source: InputFile, width: usize, label: Option<&str>) -> Result<Samples> {
    let mut rows = CsvRows::open(source)?;
    let columns = rows.first.len();
    let layout = if columns == width {
        rows.unlabelled_layout()
    } else if columns == width + 1 {
        rows.layout(label)?
    } else {
        return Err(rows.wrong(
            "line 1".to_owned(),
            &format!("{width} columns, or {} with a label column", width + 1),
            format!("{columns}"),
        ));
    };
    let values = rows.values(&layout, |_, _, _| Ok(()))?;
    Ok(Samples {
        features: Features::F64(values),
        width,
        labels: Vec::new(),
    })
}

/// Whether the first row is a header, and which column is the label.
struct CsvLayout {
    header: bool,
    label: Option<usize>,
}

impl CsvLayout {
    fn is_feature(&self, column: usize) -> bool {
        self.label != Some(column)
    }

    fn notices(&self, first: &CsvRow, guessed: bool) -> Vec<String> {
        let mut notices = Vec::new();
        if let Some(column) = self.label.filter(|_| guessed) {
            notices.push(if self.header {
                format!(
                    "label: column \"{}\" ({column})",
                    shorten(first.cell(column))
                )
            } else {
                format!("label: last column ({column})")
            });
        }
        let numbers = (0..first.len()).filter(|&c| self.is_feature(c) && is_number(first.cell(c)));
        if self.header && numbers.count() > 0 {
            notices.push(format!("line 1 is taken for a header: {}", excerpt(first)));
        }
        notices
    }
}

/// The rows of a file.
struct CsvRows {
    reader: RowReader,
    header: bool,
    first: CsvRow,
    second: Option<CsvRow>,
}

impl CsvRows {
    fn open(source: InputFile) -> Result<Self> {
        let mut reader = RowReader::new(source, &DialectOptions::default())?;
        let header = reader.has_header();
        let (mut first, mut second) = (CsvRow::default(), CsvRow::default());
        if !reader.read(&mut first)? {
            let path = reader.path();
            return Err(Error::format(
                path,
                "line 1",
                "at least one row",
                "an empty file",
            ));
        }
        let has_second = reader.read(&mut second)?;
        Ok(CsvRows {
            reader,
            header,
            first,
            second: has_second.then_some(second),
        })
    }

    fn wrong(&self, place: String, expected: &str, found: String) -> Error {
        Error::format(self.reader.path(), place, expected, found)
    }

    /// The error for a bad cell. It names the line, the column (from 1, with its name) and what the cell holds.
    fn wrong_cell(&self, layout: &CsvLayout, row: &CsvRow, column: usize, expected: &str) -> Error {
        let mut place = format!("line {}, column {}", row.line, column + 1);
        if layout.header {
            place.push_str(&format!(" ({})", shorten(self.first.cell(column))));
        }
        let found = match row.cell(column) {
            "" => "an empty cell".to_owned(),
            text => format!("\"{}\"", shorten(text)),
        };
        self.wrong(place, expected, found)
    }

    /// Finds the label column, and whether the first row is a header.
    fn layout(&self, label: Option<&str>) -> Result<CsvLayout> {
        let columns = self.first.len();
        let Some(label) = label else {
            let named = LABEL_NAMES.iter().find_map(|name| {
                let mut cells = self.first.cells();
                cells.position(|cell| cell.eq_ignore_ascii_case(name))
            });
            if let Some(column) = named {
                let layout = self.labelled_layout(column);
                // "y" may be a class name in a file without header; "label" cannot.
                if layout.header || !self.first.cell(column).eq_ignore_ascii_case("y") {
                    return Ok(CsvLayout {
                        header: true,
                        ..layout
                    });
                }
            }
            return Ok(self.labelled_layout(columns - 1));
        };
        if let Ok(index) = label.parse::<i64>() {
            let from_start = if index < 0 {
                index + columns as i64
            } else {
                index
            };
            return match usize::try_from(from_start) {
                Ok(column) if column < columns => Ok(self.labelled_layout(column)),
                _ => Err(Error::setting(
                    "label",
                    format!(
                        "expected a column from 0 to {} (or -{columns} to -1, from the end) of {}, found {index}",
                        columns - 1,
                        self.reader.path().display()
                    ),
                )),
            };
        }
        self.named_column(label).map(|column| CsvLayout {
            header: true,
            label: Some(column),
        })
    }

    fn named_column(&self, name: &str) -> Result<usize> {
        let matching = |same: &dyn Fn(&str) -> bool| -> Vec<usize> {
            let columns = self.first.cells().enumerate();
            columns.filter(|(_, c)| same(c)).map(|(i, _)| i).collect()
        };
        let mut found = matching(&|cell| cell == name);
        if found.is_empty() {
            found = matching(&|cell| cell.eq_ignore_ascii_case(name));
        }
        match found[..] {
            [column] => Ok(column),
            [] => Err(Error::setting(
                "label",
                format!(
                    "expected a column of {}, found \"{name}\"; its first line is: {}",
                    self.reader.path().display(),
                    excerpt(&self.first)
                ),
            )),
            _ => Err(Error::setting(
                "label",
                format!(
                    "{} columns of {} are named \"{name}\"; give the column's index instead",
                    found.len(),
                    self.reader.path().display()
                ),
            )),
        }
    }

    fn labelled_layout(&self, column: usize) -> CsvLayout {
        CsvLayout {
            header: self.header,
            label: Some(column),
        }
    }

    fn unlabelled_layout(&self) -> CsvLayout {
        CsvLayout {
            header: self.header,
            label: None,
        }
    }

    /// Reads all rows. Returns the features, and passes each row's label cell to `on_label`.
    fn values(
        &mut self,
        layout: &CsvLayout,
        mut on_label: impl FnMut(&Self, &CsvRow, usize) -> Result<()>,
    ) -> Result<Vec<f64>> {
        let mut values = Vec::new();
        if !layout.header {
            self.append(&self.first, layout, &mut values, &mut on_label)?;
        }
        if let Some(mut row) = self.second.take() {
            loop {
                self.append(&row, layout, &mut values, &mut on_label)?;
                if !self.reader.read(&mut row)? {
                    break;
                }
            }
        }
        if values.is_empty() {
            return Err(self.wrong(
                "line 2".to_owned(),
                "at least one row after the header",
                "the end of the file".to_owned(),
            ));
        }
        Ok(values)
    }

    /// Appends the features of a row.
    fn append(
        &self,
        row: &CsvRow,
        layout: &CsvLayout,
        values: &mut Vec<f64>,
        on_label: &mut impl FnMut(&Self, &CsvRow, usize) -> Result<()>,
    ) -> Result<()> {
        let (columns, line) = (self.first.len(), self.first.line);
        if row.len() != columns {
            return Err(self.wrong(
                format!("line {}", row.line),
                &format!("{columns} columns as in line {line}"),
                row.len().to_string(),
            ));
        }
        let room = values.try_reserve(columns);
        room.map_err(|_| Error::io("read", self.reader.path(), ErrorKind::OutOfMemory.into()))?;
        for (column, cell) in row.cells().enumerate() {
            if !layout.is_feature(column) {
                on_label(self, row, column)?;
                continue;
            }
            match self.reader.dialect().number(cell) {
                Some(value) if value.is_finite() => values.push(value),
                Some(_) => return Err(self.wrong_cell(layout, row, column, "a finite number")),
                None => return Err(self.wrong_cell(layout, row, column, "a number")),
            }
        }
        Ok(())
    }
}

/// The label column. Its first row decides whether labels are numbers or words.
#[derive(Default)]
struct LabelColumn {
    numbers: Vec<u32>,
    /// Each name with its rank in order of first appearance.
    names: BTreeMap<String, u32>,
    /// The rank of each row's name.
    ranks: Vec<u32>,
}

impl LabelColumn {
    /// Adds a label. The error says what was expected.
    fn push(&mut self, cell: &str) -> Result<(), String> {
        if cell.is_empty() {
            return Err("a label".to_owned());
        }
        match cell.parse::<f64>() {
            Ok(_) if !self.ranks.is_empty() => Err("a class name as in the rows before".to_owned()),
            Err(_) if !self.numbers.is_empty() => {
                Err("a class number as in the rows before".to_owned())
            }
            Ok(number) => self.push_number(number),
            Err(_) => self.push_name(cell),
        }
    }

    fn push_number(&mut self, number: f64) -> Result<(), String> {
        if number.is_finite() && number.fract() != 0.0 {
            let reason = "a class: a whole number or a name (regression is not supported)";
            return Err(reason.to_owned());
        }
        if !(0.0..MAX_CLASSES as f64).contains(&number) {
            return Err(format!("a class from 0 to {}", MAX_CLASSES - 1));
        }
        self.numbers.push(number as u32);
        Ok(())
    }

    fn push_name(&mut self, name: &str) -> Result<(), String> {
        let next = self.names.len();
        let rank = match self.names.entry(name.to_owned()) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(_) if next == MAX_CLASSES => {
                return Err(format!("one of at most {MAX_CLASSES} class names"));
            }
            Entry::Vacant(entry) => *entry.insert(next as u32),
        };
        self.ranks.push(rank);
        Ok(())
    }

    /// The labels and, if they are words, the class names in alphabetical order.
    fn finish(self) -> (Vec<u32>, Option<Vec<String>>) {
        if self.ranks.is_empty() {
            return (self.numbers, None);
        }
        let mut class_of_rank = vec![0; self.names.len()];
        for (class, &rank) in (0..).zip(self.names.values()) {
            class_of_rank[rank as usize] = class;
        }
        let mut labels = self.ranks;
        for label in &mut labels {
            *label = class_of_rank[*label as usize];
        }
        (labels, Some(self.names.into_keys().collect()))
    }
}

fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

/// The first 8 cells of a row, as text.
fn excerpt(row: &CsvRow) -> String {
    const MAX_CELLS: usize = 8;
    let mut cells: Vec<String> = row.cells().take(MAX_CELLS).map(shorten).collect();
    if row.len() > MAX_CELLS {
        cells.push("…".to_owned());
    }
    cells.join(", ")
}

/// The start of a cell, for messages.
fn shorten(cell: &str) -> String {
    const MAX_LENGTH: usize = 60;
    let mut start: String = cell.chars().take(MAX_LENGTH).collect();
    if start.len() < cell.len() {
        start.push('…');
    }
    start
}

#[cfg(test)]
mod tests;
