//! A matrix as SVG: a square for each entry, the stronger the entry, the stronger its colour.

use std::fmt::Write as _;

use super::svg::{escape, shortened, svg};

/// Width and height of an entry.
const CELL: (f64, f64) = (46.0, 28.0);

/// Room for the rows' names, and for the columns' numbers.
const LEFT: f64 = 120.0;
const TOP: f64 = 24.0;

/// Entries of larger matrices are too small for their numbers.
const MOST_WITH_NUMBERS: usize = 20;

/// From here on an entry's number stands on its colour.
const STRONG: f64 = 0.55;

/// Characters of a name for which there is room.
const MOST_CHARACTERS: usize = 16;

/// What an entry looks like.
pub(super) struct Entry {
    /// From −1 to 1; what is negative has another colour.
    pub(super) strength: f64,
    /// What is written on it.
    pub(super) text: String,
}

/// The picture of a square matrix with a name for each row; columns have the rows' numbers.
pub(super) fn matrix(
    title: &str,
    names: &[String],
    entry: impl Fn(usize, usize) -> Entry,
) -> String {
    let n = names.len();
    let mut body = String::new();
    for (row, name) in names.iter().enumerate() {
        let middle = TOP + (row as f64 + 0.5) * CELL.1 + 4.0;
        let _ = writeln!(
            body,
            "<text class=\"name\" x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{} {row}</text>",
            LEFT - 8.0,
            escape(&shortened(name, MOST_CHARACTERS))
        );
        let x = LEFT + (row as f64 + 0.5) * CELL.0;
        let _ = writeln!(
            body,
            "<text class=\"name\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{row}</text>",
            TOP - 8.0
        );
        for column in 0..n {
            cell(
                &mut body,
                row,
                column,
                &entry(row, column),
                n <= MOST_WITH_NUMBERS,
            );
        }
    }
    let side = n as f64;
    let size = (LEFT + side * CELL.0 + 2.0, TOP + side * CELL.1 + 2.0);
    svg(title, size, &body)
}

fn cell(body: &mut String, row: usize, column: usize, entry: &Entry, with_number: bool) {
    let (x, y) = (LEFT + column as f64 * CELL.0, TOP + row as f64 * CELL.1);
    let strength = if entry.strength.is_finite() {
        entry.strength.clamp(-1.0, 1.0)
    } else {
        0.0
    };
    let class = if strength < 0.0 { "best" } else { "bar" };
    let _ = writeln!(
        body,
        "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill-opacity=\"{:.3}\"/>",
        x + 1.0,
        y + 1.0,
        CELL.0 - 2.0,
        CELL.1 - 2.0,
        strength.abs()
    );
    if with_number {
        let on = if strength.abs() >= STRONG {
            "on"
        } else {
            "name"
        };
        let _ = writeln!(
            body,
            "<text class=\"{on}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x + CELL.0 / 2.0,
            y + CELL.1 / 2.0 + 4.0,
            escape(&entry.text)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_its_square() {
        let names = ["<a>", "a name that is much too long"].map(str::to_owned);
        let svg = matrix("m", &names, |row, column| Entry {
            strength: if row == column { f64::NAN } else { -0.25 },
            text: format!("{row}{column}"),
        });
        assert_eq!(svg.matches("<rect").count(), 4);
        assert_eq!(svg.matches("fill-opacity=\"0.250\"").count(), 2);
        assert!(
            svg.contains("&lt;a&gt; 0")
                && svg.contains(">a name that is … 1<")
                && svg.contains(">10</text>")
                && !svg.contains("NaN")
        );
    }
}
