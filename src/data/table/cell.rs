//! A cell of a table, kept in the eight bytes of an f64.
//!
//! A number is itself. IEEE 754 leaves 51 bits of a quiet NaN free: a word is a NaN that carries the word's code in
//! them, and a missing value is the NaN without them.

use crate::data::Features;

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) enum TableCell {
    /// Nothing.
    Missing,
    /// A number, finite or infinite.
    Number(f64),
    /// A word by its code.
    Word(u32),
}

const QUIET_NAN: u64 = 0x7ff8_0000_0000_0000;
/// Marks a NaN that carries a code.
const WORD: u64 = 1 << 32;

impl TableCell {
    /// The cell that a value holds.
    pub(in crate::data) fn of(value: f64) -> Self {
        let bits = value.to_bits();
        match value.is_nan() {
            false => TableCell::Number(value),
            true if bits & !u64::from(u32::MAX) == QUIET_NAN | WORD => TableCell::Word(bits as u32),
            true => TableCell::Missing,
        }
    }

    /// The value that holds this cell.
    pub(in crate::data) fn value(self) -> f64 {
        match self {
            TableCell::Missing => f64::from_bits(QUIET_NAN),
            TableCell::Number(number) => number,
            TableCell::Word(code) => f64::from_bits(QUIET_NAN | WORD | u64::from(code)),
        }
    }

    /// The cell at a place of a table.
    pub(in crate::data) fn at(features: &Features, place: usize) -> Self {
        match features {
            Features::U8(values) => TableCell::Number(values[place].into()),
            Features::F32(values) => TableCell::of(values[place].into()),
            Features::F64(values) => TableCell::of(values[place]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_what_they_hold() {
        for code in [0, 1, 77, u32::MAX] {
            assert_eq!(
                TableCell::of(TableCell::Word(code).value()),
                TableCell::Word(code)
            );
        }
        for number in [0.0, -1.5, f64::MAX, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(
                TableCell::of(TableCell::Number(number).value()),
                TableCell::Number(number)
            );
        }
        assert_eq!(
            TableCell::of(TableCell::Missing.value()),
            TableCell::Missing
        );
        for nan in [
            f64::NAN,
            -f64::NAN,
            f64::from(f32::NAN),
            f64::from(-f32::NAN),
        ] {
            assert_eq!(TableCell::of(nan), TableCell::Missing);
        }
    }
}
