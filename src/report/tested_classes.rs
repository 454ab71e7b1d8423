//! The final model's classes on the test set: what it takes for what, and where it is most surely wrong.

use super::figure::Figure;
use super::matrix::{Entry, matrix};
use super::test_result::TestResult;
use super::tiles::{ImageTile, tiles};
use crate::data::{ImageShape, Samples, sample_picture};
use crate::error::Result;
use crate::metrics::Confusion;
use crate::metrics::correlation::{ConfusedPair, confused_pairs, correlation};
use crate::model::Predictions;
use crate::text::csv;

/// Images that are shown of those that are most surely wrong.
const WRONG: usize = 12;

/// Pairs of classes that are named.
const PAIRS: usize = 5;

/// Matrices of more classes are not drawn.
const MOST_CLASSES: usize = 100;

/// What a model takes the test samples for.
pub(super) struct TestedClasses {
    names: Vec<String>,
    confusion: Confusion,
    /// Between the classes' probabilities.
    correlation: Vec<f64>,
    wrong: Vec<Wrong>,
}

/// A sample that is taken for something else.
struct Wrong {
    index: usize,
    label: u32,
    predicted: u32,
    probability: f64,
    /// As PNG, if the samples are images.
    picture: Option<Vec<u8>>,
}

impl TestedClasses {
    pub(super) fn of(result: &TestResult) -> Result<Self> {
        let (samples, predictions) = (&result.samples, &result.predictions);
        let classes = result.class_names.len();
        Ok(TestedClasses {
            names: result.class_names.clone(),
            confusion: Confusion::new(classes, samples.labels.classes(), &predictions.classes)?,
            correlation: correlation(&predictions.outputs, classes),
            wrong: most_surely_wrong(predictions, samples, result.image),
        })
    }

    /// The classes that are taken for each other most often, if any are.
    pub(super) fn confused_in_words(&self) -> Option<String> {
        let pairs = confused_pairs(&self.confusion);
        let pair = |ConfusedPair { classes, counts }: &ConfusedPair| {
            let [a, b] = classes.map(|class| &self.names[class]);
            format!("{a} / {b} ({} + {})", counts[0], counts[1])
        };
        let pairs: Vec<String> = pairs.iter().take(PAIRS).map(pair).collect();
        let all = pairs.join(", ");
        (!pairs.is_empty()).then(|| format!("Classes taken for each other most often: {all}."))
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        if self.names.len() <= MOST_CLASSES {
            figures.push(self.confusion());
            figures.push(self.correlation());
        }
        figures.extend(self.surely_wrong());
        figures
    }

    fn confusion(&self) -> Figure {
        let title = "confusion matrix of the final model";
        let entry = |row: usize, column: usize| {
            let count = self.confusion.count(row, column);
            // By the root, so that mistakes, which are few, can be seen.
            Entry {
                strength: (count as f64 / self.confusion.support(row) as f64).sqrt(),
                text: count.to_string(),
            }
        };
        let count = |row, column| self.confusion.count(row, column).to_string();
        Figure {
            name: "final-confusion".into(),
            caption: "Confusion matrix over the test set: a row for the true class, a column for what it was taken for".into(),
            broad: false,
            svg: matrix(title, &self.names, entry),
            csv: self.square(count),
        }
    }

    fn correlation(&self) -> Figure {
        let title = "correlation between the class probabilities of the final model";
        let r = |row: usize, column: usize| self.correlation[row * self.names.len() + column];
        let entry = |row, column| Entry {
            strength: r(row, column),
            text: two_decimals(r(row, column)),
        };
        let apart = -1.0 / (self.names.len() as f64 - 1.0);
        Figure {
            name: "final-correlation".into(),
            caption: format!(
                "Pearson's correlation between the class probabilities over the whole test set. Classes that are told apart without doubt have {}; what lies above is taken for alike",
                two_decimals(apart)
            ),
            broad: false,
            svg: matrix(title, &self.names, entry),
            csv: self.square(|row, column| r(row, column).to_string()),
        }
    }

    fn square(&self, cell: impl Fn(usize, usize) -> String) -> String {
        let header: Vec<&str> = std::iter::once("class")
            .chain(self.names.iter().map(String::as_str))
            .collect();
        let rows = self.names.iter().enumerate().map(|(row, name)| {
            let cells = (0..self.names.len()).map(|column| cell(row, column));
            std::iter::once(name.clone())
                .chain(cells)
                .collect::<Vec<_>>()
        });
        csv::table(&header, rows)
    }

    /// None if nothing is wrong, or the samples are no images.
    fn surely_wrong(&self) -> Option<Figure> {
        let tile = |wrong: &Wrong| {
            Some(ImageTile {
                png: wrong.picture.clone()?,
                above: self.names[wrong.label as usize].clone(),
                below: format!(
                    "{} {:.1} %",
                    self.names[wrong.predicted as usize],
                    100.0 * wrong.probability
                ),
            })
        };
        let shown: Vec<ImageTile> = self.wrong.iter().filter_map(tile).collect();
        let rows = self.wrong.iter().map(|w| {
            let name = |class: u32| self.names[class as usize].clone();
            [
                w.index.to_string(),
                name(w.label),
                name(w.predicted),
                w.probability.to_string(),
            ]
        });
        (!shown.is_empty()).then(|| Figure {
            name: "final-wrong".into(),
            caption: "Test images about which the final model is most surely wrong: above their class, below what they are taken for, and the probability that the model gives it".into(),
            broad: true,
            svg: tiles("images that are most surely taken for something else", &shown),
            csv: csv::table(&["test image", "class", "taken for", "probability"], rows),
        })
    }
}

fn two_decimals(x: f64) -> String {
    match x.is_finite() {
        // A minus sign as wide as a plus sign; no negative zero.
        true => format!("{x:.2}").replace("-0.00", "0.00").replace('-', "−"),
        false => "–".into(),
    }
}

fn most_surely_wrong(found: &Predictions, test: &Samples, image: Option<ImageShape>) -> Vec<Wrong> {
    let classes = found.outputs.len() / found.classes.len().max(1);
    let pairs = test.labels.classes().iter().zip(&found.classes).enumerate();
    let mut wrong: Vec<(f64, usize)> = pairs
        .filter(|(_, (label, predicted))| label != predicted)
        .map(|(i, (_, &predicted))| (found.outputs[i * classes + predicted as usize], i))
        .collect();
    wrong.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    wrong.truncate(WRONG);
    let show = |(probability, index)| Wrong {
        index,
        label: test.labels.classes()[index],
        predicted: found.classes[index],
        probability,
        picture: image.map(|shape| sample_picture(test, shape, index)),
    };
    wrong.into_iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Features, Task};

    #[test]
    fn the_surest_mistakes_come_first() {
        let found = Predictions {
            task: Task::Classification,
            outputs: vec![0.6, 0.4, 0.1, 0.9, 0.8, 0.2, 0.3, 0.7, 0.2, 0.8],
            logits: Vec::new(),
            classes: vec![0, 1, 0, 1, 1],
        };
        let test = Samples {
            features: Features::U8(vec![0, 10, 20, 30, 40]),
            width: 1,
            labels: vec![1, 1, 1, 0, 0].into(),
            weights: None,
        };
        let wrong = most_surely_wrong(&found, &test, None);
        let seen: Vec<_> = wrong
            .iter()
            .map(|w| (w.index, w.label, w.predicted, w.probability))
            .collect();
        assert_eq!(
            seen,
            [
                (2, 1, 0, 0.8),
                (4, 0, 1, 0.8),
                (3, 0, 1, 0.7),
                (0, 1, 0, 0.6)
            ]
        );
        assert!(wrong.iter().all(|w| w.picture.is_none()));
        let shape = ImageShape {
            height: 1,
            width: 1,
        };
        assert!(
            most_surely_wrong(&found, &test, Some(shape))[0]
                .picture
                .is_some()
        );
    }

    #[test]
    fn two_decimals_have_no_negative_zero() {
        let shown = [-0.004, 0.0, -0.5, 1.0, f64::NAN].map(two_decimals);
        assert_eq!(shown, ["0.00", "0.00", "−0.50", "1.00", "–"]);
    }
}
