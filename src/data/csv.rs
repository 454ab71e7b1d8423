//! Comma-separated values, with or without a header. Labels are numbers or words.

use std::collections::{BTreeMap, btree_map::Entry};
use std::io::{Chain, Read};
use std::path::{Path, PathBuf};

use csv::{ErrorKind, ReaderBuilder, StringRecord, Terminator, Trim};

use super::open::InputFile;
use super::{Features, MAX_CLASSES, Samples};
use crate::error::{Error, Result};
use crate::text::file::refuse_utf16;

/// Names of the label column if the user names none, in order of preference.
const LABEL_NAMES: [&str; 4] = ["label", "class", "target", "y"];

/// A line feed is added after the file. The last row then ends like all others, and lines can be counted.
type Reader = csv::Reader<Chain<InputFile, &'static [u8]>>;

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
    let columns = rows.first.cells.len();
    if columns < 2 {
        return Err(rows.wrong(
            "line 1".to_owned(),
            "at least one feature column and a label column",
            format!("{columns} column"),
        ));
    }
    let layout = rows.layout(label)?;
    let notices = layout.notices(&rows.first.cells, label.is_none());
    let mut labels = LabelColumn::default();
    let values = rows.values(&layout, |rows, row, column| {
        labels
            .push(&row.cells[column])
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
    let columns = rows.first.cells.len();
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

    fn notices(&self, first: &StringRecord, guessed: bool) -> Vec<String> {
        let mut notices = Vec::new();
        if let Some(column) = self.label.filter(|_| guessed) {
            notices.push(if self.header {
                format!("label: column \"{}\" ({column})", &first[column])
            } else {
                format!("label: last column ({column})")
            });
        }
        let numbers = (0..first.len()).filter(|&c| self.is_feature(c) && is_number(&first[c]));
        if self.header && numbers.count() > 0 {
            notices.push(format!("line 1 is taken for a header: {}", excerpt(first)));
        }
        notices
    }
}

/// One row and the number of its first line, from 1.
#[derive(Clone)]
struct CsvRow {
    line: u64,
    cells: StringRecord,
}

/// The rows of a file. The first two are read ahead, to tell a header from data.
struct CsvRows {
    path: PathBuf,
    reader: Reader,
    first: CsvRow,
    second: Option<CsvRow>,
}

impl CsvRows {
    fn open(mut source: InputFile) -> Result<Self> {
        let path = source.path().to_owned();
        let head = source.peek()?;
        refuse_utf16(&path, head)?;
        let delimiter = delimiter(head);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .delimiter(delimiter)
            // Trimming removes carriage returns. The default terminator would count lines wrongly.
            .terminator(Terminator::Any(b'\n'))
            .from_reader(source.chain(&b"\n"[..]));
        let Some(first) = next(&mut reader, &path)? else {
            return Err(Error::format(
                &path,
                "line 1",
                "at least one row",
                "an empty file",
            ));
        };
        let second = next(&mut reader, &path)?;
        Ok(CsvRows {
            path,
            reader,
            first,
            second,
        })
    }

    fn wrong(&self, place: String, expected: &str, found: String) -> Error {
        Error::format(&self.path, place, expected, found)
    }

    /// The error for a bad cell. It names the line, the column (from 1, with its name) and what the cell holds.
    fn wrong_cell(&self, layout: &CsvLayout, row: &CsvRow, column: usize, expected: &str) -> Error {
        let mut place = format!("line {}, column {}", row.line, column + 1);
        if layout.header {
            place.push_str(&format!(" ({})", &self.first.cells[column]));
        }
        let found = match &row.cells[column] {
            "" => "an empty cell".to_owned(),
            text => format!("\"{text}\""),
        };
        self.wrong(place, expected, found)
    }

    /// Finds the label column, and whether the first row is a header.
    fn layout(&self, label: Option<&str>) -> Result<CsvLayout> {
        let columns = self.first.cells.len();
        let Some(label) = label else {
            let named = LABEL_NAMES.iter().find_map(|name| {
                self.first
                    .cells
                    .iter()
                    .position(|c| c.eq_ignore_ascii_case(name))
            });
            if let Some(column) = named {
                let layout = self.labelled_layout(column);
                // "y" may be a class name in a file without header; "label" cannot.
                if layout.header || !self.first.cells[column].eq_ignore_ascii_case("y") {
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
                        self.path.display()
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
            let columns = self.first.cells.iter().enumerate();
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
                    self.path.display(),
                    excerpt(&self.first.cells)
                ),
            )),
            _ => Err(Error::setting(
                "label",
                format!(
                    "{} columns of {} are named \"{name}\"; give the column's index instead",
                    found.len(),
                    self.path.display()
                ),
            )),
        }
    }

    fn labelled_layout(&self, column: usize) -> CsvLayout {
        let mut layout = self.layout_for(Some(column));
        if let Some(second) = &self.second {
            let label_below = second.cells.get(column).is_some_and(is_number);
            layout.header |= is_word(&self.first.cells[column]) && label_below;
        }
        layout
    }

    fn unlabelled_layout(&self) -> CsvLayout {
        self.layout_for(None)
    }

    /// The first row is a header if one of its feature columns holds a word.
    fn layout_for(&self, label: Option<usize>) -> CsvLayout {
        let mut cells = self.first.cells.iter().enumerate();
        CsvLayout {
            header: cells.any(|(column, cell)| label != Some(column) && is_word(cell)),
            label,
        }
    }

    /// Reads all rows. Returns the features, and passes each row's label cell to `on_label`.
    fn values(
        &mut self,
        layout: &CsvLayout,
        mut on_label: impl FnMut(&Self, &CsvRow, usize) -> Result<()>,
    ) -> Result<Vec<f64>> {
        let mut values = Vec::new();
        let mut ahead = self.second.take();
        let mut next_row = if layout.header {
            ahead.take()
        } else {
            Some(self.first.clone())
        };
        while let Some(row) = next_row {
            if row.cells.len() != self.first.cells.len() {
                return Err(self.wrong(
                    format!("line {}", row.line),
                    &format!(
                        "{} columns as in line {}",
                        self.first.cells.len(),
                        self.first.line
                    ),
                    row.cells.len().to_string(),
                ));
            }
            for (column, cell) in row.cells.iter().enumerate() {
                if !layout.is_feature(column) {
                    on_label(self, &row, column)?;
                    continue;
                }
                match cell.parse::<f64>() {
                    Ok(value) if value.is_finite() => values.push(value),
                    Ok(_) => return Err(self.wrong_cell(layout, &row, column, "a finite number")),
                    Err(_) => return Err(self.wrong_cell(layout, &row, column, "a number")),
                }
            }
            next_row = match ahead.take() {
                Some(row) => Some(row),
                None => next(&mut self.reader, &self.path)?,
            };
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
        let labels = self.ranks.iter().map(|&r| class_of_rank[r as usize]);
        (labels.collect(), Some(self.names.into_keys().collect()))
    }
}

/// Reads the next row that is not blank.
fn next(reader: &mut Reader, path: &Path) -> Result<Option<CsvRow>> {
    let mut cells = StringRecord::new();
    loop {
        let more = reader.read_record(&mut cells);
        let end = reader.position().line() - 1;
        match more {
            Ok(false) => return Ok(None),
            Ok(true) if cells.len() == 1 && cells[0].is_empty() => {}
            Ok(true) => {
                let inside = cells.as_slice().matches('\n').count() as u64;
                let line = end.saturating_sub(inside);
                return Ok(Some(CsvRow { line, cells }));
            }
            Err(error) => return Err(read_error(error, reader, path, end)),
        }
    }
}

fn read_error(error: csv::Error, reader: &Reader, path: &Path, line: u64) -> Error {
    match error.into_kind() {
        ErrorKind::Io(error) => reader.get_ref().get_ref().0.error(error),
        ErrorKind::Utf8 { err, .. } => Error::format(
            path,
            format!("line {line}, column {}", err.field() + 1),
            "text in UTF-8",
            "other bytes",
        ),
        other => Error::format(
            path,
            format!("line {line}"),
            "comma-separated values",
            format!("{other:?}"),
        ),
    }
}

/// The delimiter in the first line: comma, else semicolon, else tab; comma if the line has none of them.
fn delimiter(head: &[u8]) -> u8 {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or(head);
    *b",;\t"
        .iter()
        .find(|delimiter| line.contains(delimiter))
        .unwrap_or(&b',')
}

fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

fn is_word(cell: &str) -> bool {
    !cell.is_empty() && !is_number(cell)
}

/// The first 8 cells of a row, as text.
fn excerpt(record: &StringRecord) -> String {
    const MAX_CELLS: usize = 8;
    let mut cells: Vec<&str> = record.iter().take(MAX_CELLS).collect();
    if record.len() > MAX_CELLS {
        cells.push("…");
    }
    cells.join(", ")
}

#[cfg(test)]
mod tests;
