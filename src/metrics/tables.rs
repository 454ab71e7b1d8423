//! Scores and confusion matrices as plain text for a terminal.

use super::{Confusion, LabelScores, Metric, Score, Scores, ValueScore, format_value};
use crate::error::{Error, Result};
use crate::text::table;

/// The columns of scores.
const SCORE_TITLES: [&str; 5] = ["", "precision", "recall", "F1", "support"];
/// The columns of numbers.
const VALUE_METRICS: [Metric; 3] = [Metric::Rmse, Metric::Mae, Metric::R2];

/// A table like scikit-learn's `classification_report`: a line for each class, then accuracy and the averages.
///
/// # Errors
/// If there is not one name for each class.
pub fn scores_table(scores: &Scores, names: &[String]) -> Result<String> {
    check_names(scores.classes.len(), names)?;
    let mut rows = vec![SCORE_TITLES.map(str::to_owned).to_vec(), vec![]];
    rows.extend(
        names
            .iter()
            .zip(&scores.classes)
            .map(|(name, score)| score_row(name, score)),
    );
    rows.push(vec![]);
    rows.push(vec![
        Metric::Accuracy.name().into(),
        String::new(),
        String::new(),
        format_value(scores.accuracy),
        scores.macro_average.support.to_string(),
    ]);
    rows.push(score_row("macro average", &scores.macro_average));
    rows.push(score_row("weighted average", &scores.weighted_average));
    Ok(table::align(&rows, 0))
}

/// A table of numbers: a line for each target, and the mean if there are several.
///
/// # Errors
/// If there is not one name for each target.
pub fn values_table(targets: &[ValueScore], mean: &ValueScore, names: &[String]) -> Result<String> {
    check_names(targets.len(), names)?;
    let row = |name: &str, score: &ValueScore| {
        let cell = |metric: Metric| {
            let value = score.get(metric);
            value.map_or("not defined".into(), |x| metric.format(x))
        };
        let cells = VALUE_METRICS.map(cell).into_iter();
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let titles = VALUE_METRICS.map(|metric| metric.title().to_owned());
    let mut rows: Vec<Vec<String>> = vec![
        std::iter::once(String::new()).chain(titles).collect(),
        vec![],
    ];
    let pairs = names.iter().zip(targets);
    rows.extend(pairs.map(|(name, score)| row(name, score)));
    if targets.len() > 1 {
        rows.extend([vec![], row("mean", mean)]);
    }
    Ok(table::align(&rows, 0))
}

/// A table of labels: a line for each, then the averages.
///
/// # Errors
/// If there is not one name for each label.
pub fn labels_table(scores: &LabelScores, names: &[String]) -> Result<String> {
    check_names(scores.labels.len(), names)?;
    let mut rows = vec![SCORE_TITLES.map(str::to_owned).to_vec(), vec![]];
    let pairs = names.iter().zip(&scores.labels);
    rows.extend(pairs.map(|(name, score)| score_row(name, score)));
    rows.push(vec![]);
    rows.push(score_row("micro average", &scores.micro_average));
    rows.push(score_row("macro average", &scores.macro_average));
    Ok(table::align(&rows, 0))
}

/// The counts, rows true, columns predicted. A column carries the number of its class, a row its name and number.
///
/// # Errors
/// If there is not one name for each class.
pub fn confusion_table(confusion: &Confusion, names: &[String]) -> Result<String> {
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
    Ok(table::align(&rows, 0))
}

fn check_names(classes: usize, names: &[String]) -> Result<()> {
    if names.len() == classes {
        return Ok(());
    }
    Err(Error::shape(
        "names",
        classes.to_string(),
        names.len().to_string(),
    ))
}

fn score_row(name: &str, score: &Score) -> Vec<String> {
    vec![
        name.to_owned(),
        format_value(score.precision),
        format_value(score.recall),
        format_value(score.f1),
        score.support.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::PredictedLabels;

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
        assert_eq!(
            scores_table(&Scores::new(&confusion), &names).unwrap(),
            expected
        );
    }

    #[test]
    fn confusion_as_text() {
        let (matrix, names) = example();
        let expected = "true \\ predicted  0  1  2
       T-shirt 0  4  1  0
     Übergröße 1  2  3  0
            鞋 2  0  2  0
";
        assert_eq!(confusion_table(&matrix, &names).unwrap(), expected);
    }

    #[test]
    fn numbers_as_text() {
        let price = ValueScore {
            rmse: Some(1_234_567.8),
            mae: Some(0.5),
            r2: Some(-0.25),
        };
        let names = ["price", "Größe"].map(String::from);
        let expected = "              RMSE          MAE           R²

price      1234568      0.50000      -0.2500
Größe  not defined  not defined  not defined

 mean  not defined  not defined  not defined
";
        let none = ValueScore::default();
        assert_eq!(
            values_table(&[price, none], &none, &names).unwrap(),
            expected
        );
        let one = values_table(&[price], &price, &names[..1]).unwrap();
        assert_eq!(one.lines().count(), 3, "{one}");
        assert!(values_table(&[price], &price, &names).is_err());
    }

    #[test]
    fn labels_as_text() {
        let names = ["red", "<b>"].map(String::from);
        let predicted = PredictedLabels {
            labels: 2,
            truth: &[1.0, 0.0, 1.0, 0.0],
            probabilities: &[0.9, 0.8, 0.1, 0.2],
        };
        let expected = "               precision  recall      F1  support

          red     1.0000  0.5000  0.6667        2
          <b>     0.0000  0.0000  0.0000        0

micro average     0.5000  0.5000  0.5000        2
macro average     0.5000  0.2500  0.3333        2
";
        assert_eq!(labels_table(&predicted.scores(), &names).unwrap(), expected);
        assert!(labels_table(&predicted.scores(), &names[..1]).is_err());
    }

    #[test]
    fn a_missing_name_is_refused() {
        let (matrix, names) = example();
        assert_eq!(
            confusion_table(&matrix, &names[..2])
                .unwrap_err()
                .to_string(),
            "names: expected 3, found 2"
        );
        assert!(scores_table(&Scores::new(&matrix), &names[..2]).is_err());
    }
}
