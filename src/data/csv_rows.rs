//! The rows of a CSV file, one at a time.

use std::io::BufRead;
use std::mem;
use std::path::Path;

use csv_core::{ReadRecordResult, ReaderBuilder};

use super::csv_dialect::{
    Decimal, DelimiterLine, Dialect, DialectOptions, find_decimal, find_delimiter,
};
use super::csv_header::has_header;
pub(super) use super::csv_row::CsvRow;
use super::csv_row::{LineCounter, grow};
use super::open::{HEAD, InputFile};
use crate::error::{Error, Result};
use crate::input::refuse_utf16;

/// The largest number of columns of a table.
pub(super) const MAX_COLUMNS: usize = 1 << 20;
/// The largest number of bytes in the cells of one row.
const MAX_ROW: usize = 64 << 20;

/// As many rows are read ahead to tell a header from data, if they have no more bytes than [`AHEAD_BYTES`].
const AHEAD_ROWS: usize = 256;
const AHEAD_BYTES: usize = 256 << 10;
/// The mark of UTF-8 at the start of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file row by row. The first rows are read ahead, to tell how the file is written.
pub(super) struct RowReader {
    source: InputFile,
    /// A line feed after the file. The last row then ends like all others.
    ending: &'static [u8],
    parser: csv_core::Reader,
    lines: LineCounter,
    dialect: Dialect,
    header: Option<bool>,
    /// Rows that were read ahead, and how many of them are handed out.
    ahead: Vec<CsvRow>,
    handed_out: usize,
}

impl RowReader {
    /// Reads the first rows. What `options` do not say is found in them.
    pub(super) fn new(mut source: InputFile, options: &DialectOptions) -> Result<Self> {
        let head = source.peek();
        refuse_utf16(source.path(), head)?;
        let mark = match head.starts_with(BYTE_ORDER_MARK) {
            true => BYTE_ORDER_MARK.len(),
            false => 0,
        };
        let named = DelimiterLine::find(source.path(), &head[mark..])?;
        let start = mark + named.as_ref().map_or(0, |line| line.length);
        let delimiter = options
            .delimiter
            .or(named.as_ref().map(|line| line.delimiter))
            .unwrap_or_else(|| find_delimiter(&whole_lines(head)[start..], options.decimal));
        source.consume(start);
        let mut reader = RowReader {
            source,
            ending: b"\n",
            parser: ReaderBuilder::new().delimiter(delimiter).build(),
            lines: LineCounter {
                ended: u64::from(named.is_some()),
                after_return: false,
            },
            dialect: Dialect {
                delimiter,
                decimal: Decimal::Point,
            },
            header: options.header,
            ahead: Vec::new(),
            handed_out: 0,
        };
        reader.read_ahead()?;
        reader.dialect.decimal = match options.decimal {
            Some(decimal) => decimal,
            None if delimiter == b',' => Decimal::Point,
            None => find_decimal(reader.ahead.iter().flat_map(CsvRow::cells)),
        };
        Ok(reader)
    }

    fn read_ahead(&mut self) -> Result<()> {
        let mut bytes = 0;
        while self.ahead.len() < AHEAD_ROWS && bytes < AHEAD_BYTES {
            let mut row = CsvRow::default();
            if !self.read_from_file(&mut row)? {
                break;
            }
            bytes += row.whole().len() + row.len();
            self.ahead.push(row);
        }
        Ok(())
    }

    /// The path of the file, for messages.
    pub(super) fn path(&self) -> &Path {
        self.source.path()
    }

    /// How the cells are written.
    pub(super) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// The rows that were read ahead and are still to come.
    pub(super) fn ahead(&self) -> &[CsvRow] {
        &self.ahead[self.handed_out..]
    }

    /// Whether the next row, as the first of the file, names the columns: as it was said, or as the rows look.
    pub(super) fn has_header(&self) -> bool {
        self.header
            .unwrap_or_else(|| has_header(self.ahead(), &self.dialect))
    }

    /// Reads the next row that is not blank; `false` at the end of the file.
    pub(super) fn read(&mut self, row: &mut CsvRow) -> Result<bool> {
        match self.ahead.get_mut(self.handed_out) {
            Some(next) => {
                mem::swap(row, next);
                *next = CsvRow::default();
                self.handed_out += 1;
                Ok(true)
            }
            None => self.read_from_file(row),
        }
    }

    fn read_from_file(&mut self, row: &mut CsvRow) -> Result<bool> {
        while self.read_any(row)? {
            if !row.is_blank() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_any(&mut self, row: &mut CsvRow) -> Result<bool> {
        let (mut length, mut columns) = (0, 0);
        let lines_before = self.lines.ended;
        loop {
            let input = match self.source.fill_buf() {
                Ok(input) => input,
                Err(error) => return Err(self.source.error(error)),
            };
            let at_end = input.is_empty();
            let input = if at_end { self.ending } else { input };
            let (text, ends) = (&mut row.text[length..], &mut row.ends[columns..]);
            let line = self.parser.line();
            let (result, read, written, ended) = self.parser.read_record(input, text, ends);
            self.lines.add(&input[..read], self.parser.line() - line);
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
        let end = self.lines.ended;
        row.line = match end - lines_before {
            1 => end,
            _ => end.saturating_sub(row.line_ends()).max(1),
        };
        self.check_text(row, end)?;
        Ok(true)
    }

    fn too_large(&self, expected: String) -> Error {
        let place = format!("line {}", self.lines.ended + 1);
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

/// The head of a file without a last line that may be cut off, if it has others.
fn whole_lines(head: &[u8]) -> &[u8] {
    if head.len() < HEAD {
        return head;
    }
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    match head.iter().rposition(is_end) {
        Some(end) => &head[..=end],
        None => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row's line with its cells, joined by a bar.
    fn rows(bytes: &[u8], options: &DialectOptions) -> Vec<(u64, String)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = RowReader::new(InputFile::open(&path).unwrap(), options).unwrap();
        let (mut row, mut rows) = (CsvRow::default(), Vec::new());
        while reader.read(&mut row).unwrap() {
            rows.push((row.line, row.cells().collect::<Vec<_>>().join("|")));
        }
        rows
    }

    fn expect(text: &str, expected: &[(u64, &str)]) {
        let found = rows(text.as_bytes(), &DialectOptions::default());
        let found: Vec<(u64, &str)> = found.iter().map(|(line, row)| (*line, &row[..])).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn each_line_end_and_their_mixture() {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("a,b{end}1,2{end}{end}\"3{end}x\",4{end}5,6");
            let cell = format!("3{end}x|4");
            expect(&text, &[(1, "a|b"), (2, "1|2"), (4, &cell), (6, "5|6")]);
            expect(&format!("{end}a,b{end}1,2{end}"), &[(2, "a|b"), (3, "1|2")]);
        }
        expect(
            "a,b\r1,2\r\n3,4\n5,6",
            &[(1, "a|b"), (2, "1|2"), (3, "3|4"), (4, "5|6")],
        );
        expect("a,b\n1,\"2", &[(1, "a|b"), (2, "1|2")]);
    }

    #[test]
    fn a_line_that_names_the_delimiter_is_skipped() {
        for text in ["sep=;\n1,5;2\n", "\u{feff}\"sep=;\"\r\n1,5;2"] {
            expect(text, &[(2, "1,5|2")]);
        }
        // A person's word counts more.
        let options = DialectOptions {
            delimiter: Some(b'|'),
            ..DialectOptions::default()
        };
        assert_eq!(rows(b"sep=;\n1;2|3\n", &options), [(2, "1;2|3".to_owned())]);
    }

    #[test]
    fn rows_that_were_read_ahead_come_in_order() {
        let text: String = (0..2000).map(|i| format!("{i},x\n")).collect();
        let found = rows(text.as_bytes(), &DialectOptions::default());
        let expected = (0..2000).map(|i| (i + 1, format!("{i}|x")));
        assert!(found.into_iter().eq(expected));
    }
}
