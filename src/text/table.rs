//! Aligned columns as plain text for a terminal.

/// Columns with two spaces between them. The first `left` ones stand left, as text does. The others stand right, as
/// numbers do. Width is counted in characters. An empty row is an empty line.
pub fn align(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                if column < left {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
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
}
