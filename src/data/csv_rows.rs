//! The rows of a CSV file, one at a time.

use std::io::BufRead;
use std::path::Path;

use csv_core::{ReadRecordResult, ReaderBuilder, Terminator};

use super::open::InputFile;
use crate::error::{Error, Result};
use crate::input::refuse_utf16;

/// The largest number of columns.
const MAX_COLUMNS: usize = 1 << 20;
/// The largest number of bytes in the cells of one row.
const MAX_ROW: usize = 64 << 20;

/// One row and the number of its first line, from 1. It keeps its memory from row to row.
#[derive(Default)]
pub(super) struct CsvRow {
    pub(super) line: u64,
    text: Vec<u8>,
    /// Where each cell ends in the text.
    ends: Vec<usize>,
    columns: usize,
}

impl CsvRow {
    /// The number of cells.
    pub(super) fn len(&self) -> usize {
        self.columns
    }

    /// A cell, without spaces around it.
    pub(super) fn cell(&self, column: usize) -> &str {
        let text = str::from_utf8(self.bytes(column));
        text.expect("a row is checked when it is read").trim()
    }

    /// All cells.
    pub(super) fn cells(&self) -> impl Iterator<Item = &str> {
        (0..self.columns).map(|column| self.cell(column))
    }

    fn bytes(&self, column: usize) -> &[u8] {
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[column]]
    }

    /// The bytes of all cells.
    fn whole(&self) -> &[u8] {
        let end = self.ends[..self.columns].last();
        &self.text[..end.copied().unwrap_or(0)]
    }

    fn is_blank(&self) -> bool {
        self.columns == 1 && self.cell(0).is_empty()
    }
}

/// Reads a file row by row.
pub(super) struct RowReader {
    source: InputFile,
    /// A line feed after the file. The last row then ends like all others, and lines can be counted.
    ending: &'static [u8],
    parser: csv_core::Reader,
}

impl RowReader {
    pub(super) fn new(mut source: InputFile) -> Result<Self> {
        let path = source.path().to_owned();
        let head = source.peek()?;
        refuse_utf16(&path, head)?;
        let parser = ReaderBuilder::new()
            .delimiter(delimiter(head))
            // Trimming removes carriage returns. The default terminator would count lines wrongly.
            .terminator(Terminator::Any(b'\n'))
            .build();
        Ok(RowReader {
            source,
            ending: b"\n",
            parser,
        })
    }

    /// The path of the file, for messages.
    pub(super) fn path(&self) -> &Path {
        self.source.path()
    }

    /// Reads the next row that is not blank; `false` at the end of the file.
    pub(super) fn read(&mut self, row: &mut CsvRow) -> Result<bool> {
        while self.read_any(row)? {
            if !row.is_blank() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_any(&mut self, row: &mut CsvRow) -> Result<bool> {
        let (mut length, mut columns) = (0, 0);
        loop {
            let input = match self.source.fill_buf() {
                Ok(input) => input,
                Err(error) => return Err(self.source.error(error)),
            };
            let at_end = input.is_empty();
            let input = if at_end { self.ending } else { input };
            let (text, ends) = (&mut row.text[length..], &mut row.ends[columns..]);
            let (result, read, written, ended) = self.parser.read_record(input, text, ends);
            match at_end {
                true => self.ending = &self.ending[read..],
                false => self.source.consume(read),
            }
            length += written;
            columns += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if grow(&mut row.text, MAX_ROW) => {}
                ReadRecordResult::OutputEndsFull if grow(&mut row.ends, MAX_COLUMNS) => {}
                ReadRecordResult::OutputFull => {
                    return Err(self.too_large(format!("a row of at most {MAX_ROW} bytes")));
                }
                ReadRecordResult::OutputEndsFull => {
                    return Err(self.too_large(format!("at most {MAX_COLUMNS} columns")));
                }
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(false),
            }
        }
        row.columns = columns;
        let end = self.parser.line() - 1;
        let inside = row.whole().iter().filter(|&&byte| byte == b'\n').count() as u64;
        row.line = end.saturating_sub(inside);
        self.check_text(row, end)?;
        Ok(true)
    }

    fn too_large(&self, expected: String) -> Error {
        let place = format!("line {}", self.parser.line());
        Error::format(self.path(), place, expected, "more")
    }

    fn check_text(&self, row: &CsvRow, line: u64) -> Result<()> {
        if row.whole().is_ascii() {
            return Ok(());
        }
        let is_text = |&column: &usize| str::from_utf8(row.bytes(column)).is_ok();
        match (0..row.len()).find(|column| !is_text(column)) {
            None => Ok(()),
            Some(column) => {
                let place = format!("line {line}, column {}", column + 1);
                Err(Error::format(
                    self.path(),
                    place,
                    "text in UTF-8",
                    "other bytes",
                ))
            }
        }
    }
}

/// Makes room for more of a row; `false` if there is as much as there may be.
fn grow<T: Clone + Default>(room: &mut Vec<T>, most: usize) -> bool {
    let length = (2 * room.len()).clamp(64, most);
    let grown = length > room.len();
    room.resize(length, T::default());
    grown
}

/// The delimiter in the first line: comma, else semicolon, else tab; comma if the line has none of them.
fn delimiter(head: &[u8]) -> u8 {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or(head);
    *b",;\t"
        .iter()
        .find(|delimiter| line.contains(delimiter))
        .unwrap_or(&b',')
}
