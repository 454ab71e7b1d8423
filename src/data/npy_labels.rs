//! Labels of NPY files from their bytes.

use std::mem;

use byteorder::{BigEndian, ByteOrder, LittleEndian};

use super::MAX_CLASSES;
use super::classes::LabelColumn;
use super::npy_header::{CHARACTER, NpyHeader, ValueKind};
use super::npy_number::{integer_reader, number_reader};

/// What is wrong with a label.
pub(super) struct LabelMismatch {
    pub(super) place: String,
    pub(super) expected: String,
    pub(super) found: String,
}

/// Collects the labels of an array, value by value.
pub(super) struct LabelReader {
    form: LabelForm,
    /// The number of values so far.
    read: usize,
    labels: LabelColumn,
}

enum LabelForm {
    Integer(fn(&[u8]) -> i128),
    Float(fn(&[u8]) -> f64),
    Truth,
    Bytes,
    Text { big_endian: bool },
    OneHot(OneHot),
}

impl LabelReader {
    /// For an array of shape `[n]` or `[n, k]`.
    pub(super) fn new(header: &NpyHeader) -> Self {
        let form = match (integer_reader(header), number_reader(header), header.kind) {
            (_, Some(number), _) if header.shape.get(1).is_some_and(|&k| k > 1) => {
                LabelForm::OneHot(OneHot::new(header, number))
            }
            (Some(integer), ..) => LabelForm::Integer(integer),
            (None, Some(number), ValueKind::Float) => LabelForm::Float(number),
            (None, Some(_), _) => LabelForm::Truth,
            (.., ValueKind::Text) => LabelForm::Text {
                big_endian: header.big_endian,
            },
            _ => LabelForm::Bytes,
        };
        LabelReader {
            form,
            read: 0,
            labels: LabelColumn::default(),
        }
    }

    /// Adds a value.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), LabelMismatch> {
        let position = self.read;
        self.read += 1;
        let wrong = |expected: &str, found: String| LabelMismatch {
            place: format!("position {position}"),
            expected: expected.to_owned(),
            found,
        };
        match &mut self.form {
            LabelForm::OneHot(one_hot) => return one_hot.push(bytes),
            LabelForm::Integer(integer) => push_integer(&mut self.labels, integer(bytes)),
            LabelForm::Float(number) => {
                let number = number(bytes);
                if number.is_nan() {
                    self.labels.push_missing();
                    return Ok(());
                }
                if !number.is_finite() || number.fract() != 0.0 {
                    let found = match number.is_finite() {
                        true => format!(
                            "{number}: it looks like a number to predict (regression), which is not supported"
                        ),
                        false => number.to_string(),
                    };
                    return Err(wrong("a class: a whole number or a word", found));
                }
                self.labels.push_number(number);
            }
            LabelForm::Truth => self
                .labels
                .push_word(if bytes[0] == 0 { "False" } else { "True" }),
            LabelForm::Bytes => match str::from_utf8(without_zeros(bytes)) {
                Ok(word) => push_word(&mut self.labels, word, wrong)?,
                Err(_) => return Err(wrong("text in UTF-8", "other bytes".to_owned())),
            },
            LabelForm::Text { big_endian } => match decode(bytes, *big_endian) {
                Some(word) => push_word(&mut self.labels, &word, wrong)?,
                None => return Err(wrong("text in UTF-32", "other bytes".to_owned())),
            },
        }
        if self.labels.distinct() > MAX_CLASSES {
            let expected = format!("one of at most {MAX_CLASSES} classes");
            let found = "one more: it looks like a number to predict, an identifier or free text";
            return Err(wrong(&expected, found.to_owned()));
        }
        Ok(())
    }

    /// The labels, after the last value.
    pub(super) fn finish(self) -> Result<LabelColumn, LabelMismatch> {
        match self.form {
            LabelForm::OneHot(one_hot) => one_hot.finish(),
            _ => Ok(self.labels),
        }
    }
}

/// Integers that f64 does not hold keep all their digits.
fn push_integer(labels: &mut LabelColumn, integer: i128) {
    const EXACT: u128 = 1 << 53;
    match integer.unsigned_abs() <= EXACT {
        true => labels.push_number(integer as f64),
        false => labels.push_word(&integer.to_string()),
    }
}

fn push_word(
    labels: &mut LabelColumn,
    word: &str,
    wrong: impl Fn(&str, String) -> LabelMismatch,
) -> Result<(), LabelMismatch> {
    match word.trim() {
        "" => Err(wrong("a label", "an empty text".to_owned())),
        word => {
            labels.push_word(word);
            Ok(())
        }
    }
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0);
    &bytes[..end.map_or(0, |last| last + 1)]
}

/// A text of UTF-32, without the zeros at its end.
fn decode(bytes: &[u8], big_endian: bool) -> Option<String> {
    let code = match big_endian {
        true => BigEndian::read_u32,
        false => LittleEndian::read_u32,
    };
    let characters = bytes
        .chunks_exact(CHARACTER)
        .map(|c| char::from_u32(code(c)));
    let text: String = characters.collect::<Option<_>>()?;
    Some(text.trim_end_matches('\0').to_owned())
}

/// Labels of shape `[n, k]` with a single 1 in each row.
struct OneHot {
    number: fn(&[u8]) -> f64,
    fortran_order: bool,
    rows: usize,
    columns: usize,
    /// The number of values so far.
    read: usize,
    /// The column of the 1 of each row, or [`NO_CLASS`].
    classes: Vec<u32>,
}

const NO_CLASS: u32 = u32::MAX;

impl OneHot {
    fn new(header: &NpyHeader, number: fn(&[u8]) -> f64) -> Self {
        OneHot {
            number,
            fortran_order: header.fortran_order,
            rows: header.shape[0],
            columns: header.shape[1],
            read: 0,
            classes: Vec::new(),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), LabelMismatch> {
        let (row, column) = match self.fortran_order {
            true => (self.read % self.rows, self.read / self.rows),
            false => (self.read / self.columns, self.read % self.columns),
        };
        self.read += 1;
        if row == self.classes.len() {
            self.classes.push(NO_CLASS);
        }
        let value = (self.number)(bytes);
        if value == 0.0 {
            return Ok(());
        }
        if value != 1.0 {
            return Err(wrong_row(row, format!("{value} in column {column}")));
        }
        match mem::replace(&mut self.classes[row], column as u32) {
            NO_CLASS => Ok(()),
            other => Err(wrong_row(row, format!("1 in columns {other} and {column}"))),
        }
    }

    fn finish(self) -> Result<LabelColumn, LabelMismatch> {
        let mut labels = LabelColumn::default();
        for (row, class) in self.classes.into_iter().enumerate() {
            if class == NO_CLASS {
                return Err(wrong_row(row, "no 1".to_owned()));
            }
            labels.push_number(class.into());
        }
        Ok(labels)
    }
}

fn wrong_row(row: usize, found: String) -> LabelMismatch {
    LabelMismatch {
        place: format!("row {row}"),
        expected: "a single 1 among zeros (one-hot), or one label a sample".to_owned(),
        found,
    }
}
