//! How a CSV file is written: what divides its cells, and what its numbers look like.

use std::cmp::{Ordering, Reverse};
use std::path::Path;

use csv_core::{ReadFieldResult, ReaderBuilder};

use crate::error::{Error, Result};

/// The delimiters that are recognised. Of two that fit alike, the first is taken.
const DELIMITERS: [u8; 4] = *b"\t,;|";

/// The character between the whole part of a number and its fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Decimal {
    /// 1.5
    #[serde(rename = ".")]
    #[cfg_attr(feature = "cli", value(name = "."))]
    Point,
    /// 1,5
    #[serde(rename = ",")]
    #[cfg_attr(feature = "cli", value(name = ","))]
    Comma,
}

/// What a person says of a CSV file. The rest is found in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialectOptions {
    /// The character between cells.
    pub delimiter: Option<u8>,
    /// The character before the fraction of a number.
    pub decimal: Option<Decimal>,
    /// Whether the first row holds the names of the columns.
    pub header: Option<bool>,
}

/// The delimiter that a text names: one character, or `tab` or `\t`. `None` if cells cannot be divided by it.
pub fn parse_delimiter(text: &str) -> Option<u8> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Some(b'\t'),
        &[byte] if can_delimit(byte) => Some(byte),
        _ => None,
    }
}

/// Letters, digits and what belongs to numbers, quotes and lines do not divide cells.
fn can_delimit(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"'.+-_\r\n\0".contains(&byte)
}

/// How the cells of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) decimal: Decimal,
}

impl Dialect {
    /// The number that a cell holds. It may be infinite; NaN is no number.
    pub(super) fn number(&self, cell: &str) -> Option<f64> {
        match self.decimal {
            Decimal::Point => point_number(cell),
            Decimal::Comma => comma_number(cell),
        }
    }
}

fn point_number(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|number: &f64| !number.is_nan())
}

fn comma_number(cell: &str) -> Option<f64> {
    match (cell.contains(','), cell.contains('.')) {
        (_, true) => None,
        (false, false) => point_number(cell),
        (true, false) => point_number(&cell.replacen(',', ".", 1)),
    }
}

/// Whether a text is a number with a decimal comma whose thousands are divided by points: 1.234,56. It is not read as a
/// number, but no comma in it divides cells.
fn is_grouped_comma_number(cell: &str) -> bool {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((whole, fraction)) = cell.split_once(',') else {
        return false;
    };
    let mut groups = whole.trim_start_matches(['-', '+']).split('.');
    let starts = groups
        .next()
        .is_some_and(|first| (1..=3).contains(&first.len()) && is_digits(first));
    starts && is_digits(fraction) && groups.all(|group| group.len() == 3 && is_digits(group))
}

/// A first line such as `sep=;`, by which spreadsheet programs name the delimiter.
pub(super) struct DelimiterLine {
    pub(super) delimiter: u8,
    /// Bytes of the line with its end.
    pub(super) length: usize,
}

impl DelimiterLine {
    /// Finds the line at the start of a file.
    ///
    /// # Errors
    /// [`Error::Format`] if it names no delimiter.
    pub(super) fn find(path: &Path, text: &[u8]) -> Result<Option<Self>> {
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let end = text.iter().position(is_end).unwrap_or(text.len());
        let (line, rest) = text.split_at(end);
        let quoted = line.strip_prefix(b"\"").and_then(|l| l.strip_suffix(b"\""));
        let Some((key, name)) = quoted.unwrap_or(line).split_at_checked(4) else {
            return Ok(None);
        };
        // Words make it a row whose first cell begins so.
        let is_name = name == b"\\t" || !name.iter().any(u8::is_ascii_alphanumeric);
        if !key.eq_ignore_ascii_case(b"sep=") || !is_name {
            return Ok(None);
        }
        let delimiter = str::from_utf8(name).ok().and_then(parse_delimiter);
        let Some(delimiter) = delimiter else {
            let expected = "sep= and the one character that divides cells";
            let found = String::from_utf8_lossy(line).into_owned();
            return Err(Error::format(
                path,
                "line 1",
                expected,
                format!("\"{found}\""),
            ));
        };
        let ending = match rest {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        Ok(Some(DelimiterLine {
            delimiter,
            length: end + ending,
        }))
    }
}

/// How well a delimiter divides the first rows of a file. The better fit is the larger one.
#[derive(PartialEq, PartialOrd)]
struct DelimiterFit {
    /// Whether nearly all rows have as many cells, and more than one.
    divides: bool,
    /// The share of numbers among the cells.
    numbers: f64,
    /// The share of cells in which no other delimiter is left, unless as a part of a number.
    clean: f64,
    columns: usize,
    /// The share of rows with as many cells.
    alike: f64,
}

impl DelimiterFit {
    fn new(text: &[u8], delimiter: u8, decimal: Option<Decimal>) -> Self {
        const NEARLY_ALL: f64 = 0.9;
        let may_be_comma =
            decimal == Some(Decimal::Comma) || (decimal.is_none() && delimiter != b',');
        let is_number = |cell: &str| {
            point_number(cell).is_some()
                || (may_be_comma && (comma_number(cell).is_some() || is_grouped_comma_number(cell)))
        };
        let is_clean = |cell: &str| !cell.bytes().any(|byte| DELIMITERS.contains(&byte));
        let (mut cells, mut numbers, mut clean) = (0, 0, 0);
        let mut lengths = row_lengths(text, delimiter, |cell| {
            let cell = cell.trim();
            let number = is_number(cell);
            cells += usize::from(!cell.is_empty());
            numbers += usize::from(number);
            clean += usize::from(!cell.is_empty() && (number || is_clean(cell)));
        });
        let (columns, count) = most_frequent(&mut lengths);
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let alike = share(count, lengths.len());
        DelimiterFit {
            divides: columns > 1 && alike >= NEARLY_ALL,
            numbers: share(numbers, cells),
            clean: share(clean, cells),
            columns,
            alike,
        }
    }
}

/// The number of cells in each row, each of which is visited.
fn row_lengths(text: &[u8], delimiter: u8, mut visit: impl FnMut(&str)) -> Vec<usize> {
    let mut parser = ReaderBuilder::new().delimiter(delimiter).build();
    // Room for the longest cell, and more.
    let mut cell = vec![0; text.len() + 1];
    let (mut rest, mut length) = (text, 0);
    let (mut lengths, mut columns) = (Vec::new(), 0);
    loop {
        let (result, read, written) = parser.read_field(rest, &mut cell[length..]);
        rest = &rest[read..];
        length += written;
        match result {
            ReadFieldResult::Field { record_end } => {
                visit(&String::from_utf8_lossy(&cell[..length]));
                (length, columns) = (0, columns + 1);
                if record_end {
                    lengths.push(columns);
                    columns = 0;
                }
            }
            // The parser is asked once more, with nothing left: that ends the last row.
            ReadFieldResult::InputEmpty => {}
            ReadFieldResult::OutputFull | ReadFieldResult::End => return lengths,
        }
    }
}

/// The number that occurs most often, and how often. Of two such numbers it is the smaller.
fn most_frequent(numbers: &mut [usize]) -> (usize, usize) {
    numbers.sort_unstable();
    let groups = numbers.chunk_by(|a, b| a == b);
    let most = groups.min_by_key(|group| Reverse(group.len()));
    most.map_or((0, 0), |group| (group[0], group.len()))
}

/// The delimiter of a file, from its first bytes. A file of one column has commas.
pub(super) fn find_delimiter(text: &[u8], decimal: Option<Decimal>) -> u8 {
    let mut best: Option<(DelimiterFit, u8)> = None;
    for delimiter in DELIMITERS {
        let fit = DelimiterFit::new(text, delimiter, decimal);
        let better =
            |(best, _): &(DelimiterFit, u8)| fit.partial_cmp(best) == Some(Ordering::Greater);
        if fit.columns > 1 && best.as_ref().is_none_or(better) {
            best = Some((fit, delimiter));
        }
    }
    best.map_or(b',', |(_, delimiter)| delimiter)
}

/// Whether the numbers of these cells have a comma. It is a point if one of them has a point, or if all commas may
/// divide thousands.
pub(super) fn find_decimal<'a>(cells: impl Iterator<Item = &'a str>) -> Decimal {
    let mut decimal = Decimal::Point;
    for cell in cells {
        if cell.contains('.') && point_number(cell).is_some() {
            return Decimal::Point;
        }
        if cell.contains(',') && comma_number(cell).is_some() && !may_be_thousands(cell) {
            decimal = Decimal::Comma;
        }
    }
    decimal
}

/// Whether a number is written as 1,234.
fn may_be_thousands(number: &str) -> bool {
    let digits = number.trim_start_matches(['-', '+']);
    let is_group = |(whole, thousand): (&str, &str)| {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (1..=3).contains(&whole.len())
            && !whole.starts_with('0')
            && thousand.len() == 3
            && digits(thousand)
    };
    digits.split_once(',').is_some_and(is_group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_one_that_divides_all_rows() {
        for (text, expected) in [
            ("a,b,label\n1,2,0\n3,4,1\n", b','),
            ("1;2;0\n3;4;1\n", b';'),
            ("1\t2\t0\n3\t4\t1\n", b'\t'),
            ("a|b|c\n1|2|3\n", b'|'),
            // Decimal commas, with and without a header, in all cells and in one.
            ("len;wid;kind\n-2,36;1,66;cedar\n0,28;-3,44;birch\n", b';'),
            ("1,5;2,5;3,5\n2,5;3,5;4,5\n", b';'),
            ("1,5\t2,5\t3,5\n2,5\t3,5\t4,5\n", b'\t'),
            ("x;1,5\ny;2,5\n", b';'),
            ("1,5;a\n2,5;b\n", b';'),
            ("1.234,5;0,5;a\n2.345,6;1,5;b\n-3.456,7;2,5;a\n", b';'),
            // Text in which other delimiters occur.
            ("1.5,x;y,0\n2.5,z;w,1\n", b','),
            ("1.5,x|y|z|w,0\n2.5,z|w|x|y,1\n", b','),
            ("1.5,\"x;y\",0\n2.5,\"z\",1\n", b','),
            ("text;label\nHello, world;0\nGood, morning;1\n", b';'),
            ("text\tlabel\nHello, world\tgood\nBye, world\tbad\n", b'\t'),
            ("\"a,b\";\"c,d\";1\n\"e\";\"f\";2\n", b';'),
            ("\"a\nb\",1\n\"c;d\",2\n", b','),
            // One row with a cell too few.
            (
                "a,b|c\n1,x|y\n1,x|y\n1,x|y\n1,x|y\n1,x|y\n1,x|y\n1,x|y\n1,x|y\n1\n",
                b',',
            ),
            ("1\r2\r", b','),
            ("1;2\r3;4\r", b';'),
            ("one column\nof; words\n", b','),
            ("", b','),
        ] {
            let found = find_delimiter(text.as_bytes(), None);
            assert_eq!(found as char, expected as char, "{text}");
        }
        let quoted = "\"1,5\",\"2,5\"\n\"3,5\",\"4,5\"\n";
        assert_eq!(
            find_delimiter(quoted.as_bytes(), Some(Decimal::Comma)),
            b','
        );
    }

    #[test]
    fn a_line_that_names_the_delimiter() {
        let find = |text: &str| DelimiterLine::find(Path::new("a.csv"), text.as_bytes());
        for (line, delimiter, length) in [
            ("sep=;\na;b", b';', 6),
            ("sep=,\r\na,b", b',', 7),
            ("SEP=|\ra|b", b'|', 6),
            ("\"sep=;\"\na;b", b';', 8),
            ("sep=\t\na", b'\t', 6),
            ("sep=\\t\na", b'\t', 7),
            ("sep=^", b'^', 5),
        ] {
            let found = find(line).unwrap().unwrap();
            assert_eq!(
                (found.delimiter, found.length),
                (delimiter, length),
                "{line}"
            );
        }
        for line in ["", "a,b\n", "sep\n1\n", "sep=x,b\n1,2\n", "separate;b\n"] {
            assert!(find(line).unwrap().is_none(), "{line}");
        }
        for line in ["sep=\n", "sep=;;\n", "sep=\"\n"] {
            let error = find(line).err().unwrap().to_string();
            assert!(error.contains("a.csv: line 1: expected sep="), "{error}");
        }
    }

    #[test]
    fn decimal_commas_are_recognised() {
        let find = |cells: &[&str]| find_decimal(cells.iter().copied());
        assert_eq!(find(&["a", "-2,3643", "7"]), Decimal::Comma);
        assert_eq!(find(&["1,234", "0,5"]), Decimal::Comma);
        assert_eq!(find(&["1,5e3"]), Decimal::Comma);
        assert_eq!(find(&["0,123"]), Decimal::Comma);
        for cells in [
            &["1", "2"][..],
            &["1,5", "1.5"],
            // It may be a thousand.
            &["1,234", "-12,345"],
            &["1,234,567"],
            &["a,5", "31.12.2020"],
        ] {
            assert_eq!(find(cells), Decimal::Point, "{cells:?}");
        }
    }

    #[test]
    fn numbers_of_each_dialect() {
        let number = |decimal, cell| {
            let delimiter = b';';
            Dialect { delimiter, decimal }.number(cell)
        };
        for (text, expected) in [
            ("1", Some(1.0)),
            ("-2.5e3", Some(-2500.0)),
            ("+.5", Some(0.5)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("1e999", Some(f64::INFINITY)),
            ("nan", None),
            ("NaN", None),
            ("", None),
            ("1,5", None),
            ("0x1", None),
        ] {
            assert_eq!(number(Decimal::Point, text), expected, "{text}");
        }
        for (text, expected) in [
            ("1", Some(1.0)),
            ("-2,5e3", Some(-2500.0)),
            (",5", Some(0.5)),
            ("-inf", Some(f64::NEG_INFINITY)),
            ("1.5", None),
            ("1.234,5", None),
            ("1,234,567", None),
            ("nan", None),
            (",", None),
        ] {
            assert_eq!(number(Decimal::Comma, text), expected, "{text}");
        }
    }

    #[test]
    fn delimiters_that_a_person_names() {
        for (text, expected) in [
            (";", Some(b';')),
            ("tab", Some(b'\t')),
            ("\\t", Some(b'\t')),
            ("\t", Some(b'\t')),
            (" ", Some(b' ')),
            ("", None),
            (";;", None),
            ("a", None),
            (".", None),
            ("\"", None),
            ("ä", None),
        ] {
            assert_eq!(parse_delimiter(text), expected, "{text}");
        }
    }
}
