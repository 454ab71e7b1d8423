//! Labels of NPY files from their bytes.

use byteorder::{BigEndian, ByteOrder, LittleEndian};

use super::classes::LabelColumn;
use super::npy_header::{CHARACTER, NpyHeader, ValueKind};
use super::npy_number::{integer_reader, number_reader};

/// What is wrong with a label.
pub(super) struct LabelMismatch {
    pub(super) place: String,
    pub(super) expected: String,
    pub(super) found: String,
}

/// Collects the labels of an array of shape `[n]` or `[n, k]`, value by value.
pub(super) enum LabelReader {
    /// One label a sample.
    Column {
        form: LabelForm,
        labels: LabelColumn,
    },
    /// Several numbers a sample.
    Matrix(LabelMatrix),
}

pub(super) enum LabelForm {
    Integer(fn(&[u8]) -> i128),
    Float(fn(&[u8]) -> f64),
    Truth,
    Bytes,
    Text { big_endian: bool },
}

/// Numbers of shape `[n, k]`.
pub(super) struct LabelMatrix {
    number: fn(&[u8]) -> f64,
    fortran_order: bool,
    rows: usize,
    columns: usize,
    /// The bytes of the values, as they lie in the file.
    bytes: Vec<u8>,
}

/// A label of an array.
enum ArrayLabel {
    Number(f64),
    Word(String),
    Missing,
}

impl LabelReader {
    /// For an array with this header.
    pub(super) fn new(header: &NpyHeader) -> Self {
        let form = match (integer_reader(header), number_reader(header), header.kind) {
            (_, Some(number), _) if header.shape.get(1).is_some_and(|&k| k != 1) => {
                return LabelReader::Matrix(LabelMatrix {
                    number,
                    fortran_order: header.fortran_order,
                    rows: header.shape[0],
                    columns: header.shape[1],
                    bytes: Vec::new(),
                });
            }
            (Some(integer), ..) => LabelForm::Integer(integer),
            (None, Some(number), ValueKind::Float) => LabelForm::Float(number),
            (None, Some(_), _) => LabelForm::Truth,
            (.., ValueKind::Text) => LabelForm::Text {
                big_endian: header.big_endian,
            },
            _ => LabelForm::Bytes,
        };
        let labels = LabelColumn::default();
        LabelReader::Column { form, labels }
    }

    /// Adds a value.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), LabelMismatch> {
        let (form, labels) = match self {
            LabelReader::Matrix(matrix) => {
                matrix.bytes.extend_from_slice(bytes);
                return Ok(());
            }
            LabelReader::Column { form, labels } => (form, labels),
        };
        let position = labels.rows();
        match form.label(bytes) {
            Ok(ArrayLabel::Number(number)) => labels.push_number(number),
            Ok(ArrayLabel::Word(word)) => labels.push_word(&word),
            Ok(ArrayLabel::Missing) => labels.push_missing(),
            Err((expected, found)) => {
                return Err(LabelMismatch {
                    place: format!("position {position}"),
                    expected: expected.to_owned(),
                    found,
                });
            }
        }
        Ok(())
    }

    /// The columns of the labels, after the last value.
    pub(super) fn finish(self) -> Vec<LabelColumn> {
        match self {
            LabelReader::Column { labels, .. } => vec![labels],
            LabelReader::Matrix(matrix) => matrix.finish(),
        }
    }
}

impl LabelMatrix {
    /// The columns. A row with a NaN has no labels.
    fn finish(self) -> Vec<LabelColumn> {
        let place = |row: usize, column: usize| match self.fortran_order {
            true => column * self.rows + row,
            false => row * self.columns + column,
        };
        let size = self
            .bytes
            .len()
            .checked_div(self.rows * self.columns)
            .unwrap_or(0);
        let mut columns = vec![LabelColumn::narrow(); self.columns];
        for row in 0..self.rows {
            let value = |column| {
                let start = place(row, column) * size;
                (self.number)(&self.bytes[start..start + size])
            };
            let is_missing = (0..self.columns).any(|column| value(column).is_nan());
            for (column, labels) in columns.iter_mut().enumerate() {
                match is_missing {
                    true => labels.push_missing(),
                    false => labels.push_number(value(column)),
                }
            }
        }
        columns
    }
}

impl LabelForm {
    /// The label in the bytes of a value; else what was expected and found.
    fn label(&self, bytes: &[u8]) -> Result<ArrayLabel, (&'static str, String)> {
        match self {
            LabelForm::Integer(integer) => Ok(of_integer(integer(bytes))),
            LabelForm::Float(number) => Ok(match number(bytes) {
                number if number.is_nan() => ArrayLabel::Missing,
                number if number.is_infinite() => {
                    return Err(("a class, or a finite number", number.to_string()));
                }
                number => ArrayLabel::Number(number),
            }),
            LabelForm::Truth if bytes[0] == 0 => Ok(ArrayLabel::Word("False".to_owned())),
            LabelForm::Truth => Ok(ArrayLabel::Word("True".to_owned())),
            LabelForm::Bytes => match str::from_utf8(without_zeros(bytes)) {
                Ok(word) => of_word(word),
                Err(_) => Err(("text in UTF-8", "other bytes".to_owned())),
            },
            LabelForm::Text { big_endian } => match decode(bytes, *big_endian) {
                Some(word) => of_word(&word),
                None => Err(("text in UTF-32", "other bytes".to_owned())),
            },
        }
    }
}

/// Integers that f64 does not hold keep all their digits.
fn of_integer(integer: i128) -> ArrayLabel {
    const EXACT: u128 = 1 << 53;
    match integer.unsigned_abs() <= EXACT {
        true => ArrayLabel::Number(integer as f64),
        false => ArrayLabel::Word(integer.to_string()),
    }
}

fn of_word(word: &str) -> Result<ArrayLabel, (&'static str, String)> {
    match word.trim() {
        "" => Err(("a label", "an empty text".to_owned())),
        word => Ok(ArrayLabel::Word(word.to_owned())),
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
