//! Aligned columns as plain text for a terminal.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

use super::printable::printable;

/// Columns with two spaces between them. The first `left` ones stand left, as text does. The others stand right, as
/// numbers do. Width is counted in columns of a terminal, of which a wide character takes two. Cells are
/// [`printable`]. An empty row is an empty line.
pub fn align(rows: &[Vec<String>], left: usize) -> String {
    let rows: Vec<Vec<PrintableCell<'_>>> = rows
        .iter()
        .map(|row| row.iter().map(|text| PrintableCell::new(text)).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                let room = " ".repeat(width - cell.width);
                match column < left {
                    true => format!("{}{room}", cell.text),
                    false => format!("{room}{}", cell.text),
                }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

struct PrintableCell<'a> {
    text: Cow<'a, str>,
    width: usize,
}

impl<'a> PrintableCell<'a> {
    fn new(text: &'a str) -> Self {
        let text = printable(text);
        let width = text.width();
        PrintableCell { text, width }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_left_and_numbers_right() {
        let row = |cells: &[&str]| cells.iter().map(|&c| c.to_owned()).collect::<Vec<_>>();
        let rows = [
            row(&["run", "state", "n"]),
            row(&["ä", "", "10"]),
            row(&["b", "x"]),
        ];
        let expected = "run  state   n\nä           10\nb    x\n";
        assert_eq!(align(&rows, 2), expected);
    }

    #[test]
    fn columns_stay_straight_whatever_a_cell_holds() {
        let row = |cells: &[&str]| cells.iter().map(|&c| c.to_owned()).collect::<Vec<_>>();
        let rows = [
            row(&["a\nb\u{1b}", "1"]),
            row(&["鞋", "2"]),
            row(&["e\u{301}", "3"]),
        ];
        let expected = "a\\nb\\u{1b}  1\n鞋          2\ne\u{301}           3\n";
        assert_eq!(align(&rows, 1), expected);
    }
}
