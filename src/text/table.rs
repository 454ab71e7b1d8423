//! Scores, confusion matrices and other aligned columns as plain text for a terminal.

use crate::error::{Error, Result};
use crate::metrics::{Confusion, Score, Scores};

/// A table like scikit-learn's `classification_report`: a line for each class, then accuracy and the averages. One name
/// for each class.
pub fn scores(scores: &Scores, names: &[String]) -> Result<String> {
    check_names(scores.classes.len(), names)?;
    let mut rows = vec![
        ["", "precision", "recall", "F1", "support"]
            .map(str::to_owned)
            .to_vec(),
        vec![],
    ];
    rows.extend(
        names
            .iter()
            .zip(&scores.classes)
            .map(|(name, score)| score_row(name, score)),
    );
    rows.push(vec![]);
    rows.push(vec![
        "accuracy".into(),
        String::new(),
        String::new(),
        decimals(scores.accuracy),
        scores.macro_average.support.to_string(),
    ]);
    rows.push(score_row("macro average", &scores.macro_average));
    rows.push(score_row("weighted average", &scores.weighted_average));
    Ok(align(&rows, 0))
}

/// The counts, rows true, columns predicted. Columns carry the number of the class, rows its name and number. One name
/// for each class.
pub fn confusion(confusion: &Confusion, names: &[String]) -> Result<String> {
    check_names(confusion.classes(), names)?;
    let mut rows = Vec::new();
    let mut header = vec!["true \\ predicted".to_owned()];
    header.extend((0..names.len()).map(|class| class.to_string()));
    rows.push(header);
    for (class, name) in names.iter().enumerate() {
        let mut row = vec![format!("{name} {class}")];
        row.extend(confusion.row(class).iter().map(u64::to_string));
        rows.push(row);
    }
    Ok(align(&rows, 0))
}

fn check_names(classes: usize, names: &[String]) -> Result<()> {
    if names.len() == classes {
        return Ok(());
    }
    Err(Error::shape(
        "class names",
        classes.to_string(),
        names.len().to_string(),
    ))
}

fn score_row(name: &str, score: &Score) -> Vec<String> {
    vec![
        name.to_owned(),
        decimals(score.precision),
        decimals(score.recall),
        decimals(score.f1),
        score.support.to_string(),
    ]
}

fn decimals(x: f64) -> String {
    format!("{x:.4}")
}

/// Columns with two spaces between them: the first `left` ones stand left, as text does, the others right, as numbers do. Width is
/// counted in characters. An empty row is an empty line.
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

    fn example() -> (Confusion, Vec<String>) {
        let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2];
        let predictions = [0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1];
        let names = ["T-shirt", "Übergröße", "鞋"].map(String::from).to_vec();
        (Confusion::new(3, &labels, &predictions).unwrap(), names)
    }

    #[test]
    fn scores_as_text() {
        let (confusion, names) = example();
        let expected = "                  precision  recall      F1  support

         T-shirt     0.6667  0.8000  0.7273        5
       Übergröße     0.5000  0.6000  0.5455        5
               鞋     0.0000  0.0000  0.0000        2

        accuracy                     0.5833       12
   macro average     0.3889  0.4667  0.4242       12
weighted average     0.4861  0.5833  0.5303       12
";
        assert_eq!(scores(&Scores::new(&confusion), &names).unwrap(), expected);
    }

    #[test]
    fn confusion_as_text() {
        let (matrix, names) = example();
        let expected = "true \\ predicted  0  1  2
       T-shirt 0  4  1  0
     Übergröße 1  2  3  0
             鞋 2  0  2  0
";
        assert_eq!(confusion(&matrix, &names).unwrap(), expected);
    }

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
    fn a_missing_name_is_refused() {
        let (matrix, names) = example();
        assert_eq!(
            confusion(&matrix, &names[..2]).unwrap_err().to_string(),
            "class names: expected 3, found 2"
        );
        assert!(scores(&Scores::new(&matrix), &names[..2]).is_err());
    }
}
