//! One row of a CSV file.

/// One row and the number of its first line, from 1. It keeps its memory from row to row.
#[derive(Default)]
pub(super) struct CsvRow {
    pub(super) line: u64,
    pub(super) text: Vec<u8>,
    /// Where each cell ends in the text.
    pub(super) ends: Vec<usize>,
    pub(super) columns: usize,
}

impl CsvRow {
    /// The number of cells.
    pub(super) fn len(&self) -> usize {
        self.columns
    }

    /// A cell, without spaces around it.
    pub(super) fn cell(&self, column: usize) -> &str {
        trimmed(str::from_utf8(self.bytes(column)).expect(CHECKED))
    }

    /// The cells as text, for whoever reads all of them.
    pub(super) fn text(&self) -> RowText<'_> {
        RowText {
            text: str::from_utf8(self.whole()).expect(CHECKED),
            ends: &self.ends[..self.columns],
        }
    }

    /// A cell, if the row has it.
    pub(super) fn get(&self, column: usize) -> Option<&str> {
        (column < self.columns).then(|| self.cell(column))
    }

    /// All cells.
    pub(super) fn cells(&self) -> impl Iterator<Item = &str> {
        (0..self.columns).map(|column| self.cell(column))
    }

    pub(super) fn bytes(&self, column: usize) -> &[u8] {
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[column]]
    }

    /// The bytes of all cells.
    pub(super) fn whole(&self) -> &[u8] {
        let end = self.ends[..self.columns].last();
        &self.text[..end.copied().unwrap_or(0)]
    }

    /// The number of line ends inside of cells.
    pub(super) fn line_ends(&self) -> u64 {
        let (mut lines, text) = (LineCounter::default(), self.whole());
        let feeds = text.iter().filter(|&&byte| byte == b'\n').count();
        lines.add(text, feeds as u64);
        lines.ended
    }

    pub(super) fn is_blank(&self) -> bool {
        self.columns == 1 && self.cell(0).is_empty()
    }
}

const CHECKED: &str = "a row is checked when it is read";

/// The cells of a row.
pub(super) struct RowText<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> RowText<'a> {
    /// A cell, without spaces around it.
    pub(super) fn cell(&self, column: usize) -> &'a str {
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        trimmed(&self.text[start..self.ends[column]])
    }
}

/// As [`str::trim`], which is slow for the many cells that have no spaces.
fn trimmed(cell: &str) -> &str {
    let is_inside = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    match is_inside(cell.as_bytes().first()) && is_inside(cell.as_bytes().last()) {
        true => cell,
        false => cell.trim(),
    }
}

/// Makes room for more of a row; `false` if there is as much as there may be.
pub(super) fn grow<T: Clone + Default>(room: &mut Vec<T>, most: usize) -> bool {
    let length = (2 * room.len()).clamp(64, most);
    let grown = length > room.len();
    room.resize(length, T::default());
    grown
}

/// Counts line ends: CR, LF, and both as one.
#[derive(Default)]
pub(super) struct LineCounter {
    pub(super) ended: u64,
    /// Whether the last byte was a CR, of which an LF may be the second half.
    pub(super) after_return: bool,
}

impl LineCounter {
    /// Adds bytes, of which `feeds` are LF.
    pub(super) fn add(&mut self, bytes: &[u8], feeds: u64) {
        let Some((&first, &last)) = bytes.first().zip(bytes.last()) else {
            return;
        };
        let halves = u64::from(self.after_return && first == b'\n');
        let lone_returns = match bytes.contains(&b'\r') {
            false => 0,
            true => {
                let returns = bytes.iter().filter(|&&byte| byte == b'\r').count();
                returns - bytes.windows(2).filter(|pair| *pair == b"\r\n").count()
            }
        };
        self.ended += feeds + lone_returns as u64 - halves;
        self.after_return = last == b'\r';
    }
}
