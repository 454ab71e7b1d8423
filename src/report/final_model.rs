//! The final model: how it learnt, what it takes for what, and where it is most surely wrong.

use std::path::Path;

use super::chart::{Chart, DotStyle, LineStyle};
use super::figure::Figure;
use super::matrix::{Entry, matrix};
use super::measure::Measure;
use super::scale::Scale;
use super::tiles::{ImageTile, tiles};
use crate::data::{ImageShape, Samples, sample_picture};
use crate::error::Result;
use crate::metrics::correlation::{ConfusedPair, confused_pairs, correlation};
use crate::metrics::{Confusion, DataPart, Metric};
use crate::model::Predictions;
use crate::text::csv;
use crate::train::{EpochRecord, RunDir, Summary};

/// Images that are shown of those that are most surely wrong.
const WRONG: usize = 12;

/// Matrices of more classes are not drawn.
const MOST_CLASSES: usize = 100;

/// The test samples with what a study's final model predicts for them. It has been tested before; nothing is chosen by
/// what is seen here.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// One name a class.
    pub class_names: Vec<String>,
    /// The labelled samples.
    pub samples: Samples,
    /// Set if the samples are images.
    pub image: Option<ImageShape>,
    /// What the model predicts.
    pub predictions: Predictions,
}

/// The run of a study's final model.
pub(super) struct FinalModel {
    pub(super) records: Vec<EpochRecord>,
    /// Once it has ended.
    pub(super) summary: Option<Summary>,
    /// Its settings, as TOML.
    pub(super) settings: String,
    /// What it says of the test set, or why that cannot be told; nothing before it has been tested.
    pub(super) tested: Option<std::result::Result<Tested, String>>,
}

/// What a model says of the test set.
pub(super) struct Tested {
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

impl FinalModel {
    /// Reads a run's folder; none if there is no run yet.
    ///
    /// # Errors
    /// If its records or its settings cannot be read.
    pub(super) fn read(
        folder: &Path,
        tested: Option<std::result::Result<TestResult, String>>,
    ) -> Result<Option<Self>> {
        if !folder.join("config.toml").is_file() {
            return Ok(None);
        }
        let run = RunDir::open(folder)?;
        let tested = tested.map(|result| Tested::of(&result?).map_err(|e| e.to_string()));
        Ok(Some(FinalModel {
            records: run.records()?,
            summary: run.summary()?.filter(|s| !s.interrupted),
            settings: run.settings()?.to_toml()?,
            tested,
        }))
    }

    /// All charts for which there are numbers.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        if !self.records.is_empty() {
            // The loss first, as in the lines of progress.
            let metrics = Metric::ALL.into_iter().rev();
            let measured = metrics.filter(|&metric| self.is_measured(metric));
            figures.extend(measured.map(|metric| self.curve(metric)));
        }
        if let Some(Ok(tested)) = &self.tested {
            figures.extend(tested.figures());
        }
        figures
    }

    fn is_measured(&self, metric: Metric) -> bool {
        let parts = [DataPart::Training, DataPart::Validation].map(|part| metric.of(part));
        let mut records = self.records.iter();
        records.any(|record| parts.iter().any(|&of_part| record.get(of_part).is_some()))
    }

    /// A metric of the training and the validation part against the epoch.
    fn curve(&self, metric: Metric) -> Figure {
        let what = metric.title();
        let value = |r: &EpochRecord| {
            let of = |part| r.get(metric.of(part)).unwrap_or(f64::NAN);
            let (training, validation) = (of(DataPart::Training), of(DataPart::Validation));
            (f64::from(r.epoch), training, validation)
        };
        let points: Vec<(f64, f64, f64)> = self.records.iter().map(value).collect();
        let measure = Measure::Metric(metric.of(DataPart::Validation));
        let y = measure.axis(points.iter().flat_map(|p| [p.1, p.2]));
        let high = points.last().map_or(1.0, |p| p.0);
        let title = format!("{what} of the final model");
        let mut chart = Chart::new(
            &title,
            (Scale::Linear { low: 1.0, high }, "epoch"),
            (y, what),
        );
        chart.line(points.iter().map(|p| (p.0, p.1)), LineStyle::Plain);
        chart.line(points.iter().map(|p| (p.0, p.2)), LineStyle::Best);
        for &(epoch, training, validation) in &points {
            chart.dot(
                epoch,
                training,
                DotStyle::Single,
                &format!("epoch {epoch}, training: {}", metric.format(training)),
            );
            chart.dot(
                epoch,
                validation,
                DotStyle::Single,
                &format!("epoch {epoch}, validation: {}", metric.format(validation)),
            );
        }
        let best = self
            .summary
            .as_ref()
            .and_then(|s| s.best_epoch)
            .map(f64::from);
        for &(epoch, _, validation) in points.iter().filter(|p| Some(p.0) == best) {
            chart.dot(
                epoch,
                validation,
                DotStyle::Best,
                &format!("epoch {epoch}, the model: {}", metric.format(validation)),
            );
        }
        let names = [
            (LineStyle::Plain, "training"),
            (LineStyle::Best, "validation"),
        ];
        // The first line may have no points.
        let has_training = points.iter().any(|p| p.1.is_finite());
        chart.legend(&names[usize::from(!has_training)..]);
        let rows = points.iter().map(|p| {
            let cell = |x: f64| {
                if x.is_finite() {
                    x.to_string()
                } else {
                    String::new()
                }
            };
            [p.0.to_string(), cell(p.1), cell(p.2)]
        });
        Figure {
            name: format!("final-{}", metric.name()),
            caption: format!(
                "{title} against the epoch; the large dot is the epoch whose weights are the model. Training figures are taken before each update and with dropout"
            ),
            broad: false,
            svg: chart.svg(),
            csv: csv::table(&["epoch", "training", "validation"], rows),
        }
    }
}

impl Tested {
    fn of(result: &TestResult) -> Result<Self> {
        let (samples, predictions) = (&result.samples, &result.predictions);
        let classes = result.class_names.len();
        Ok(Tested {
            names: result.class_names.clone(),
            confusion: Confusion::new(classes, samples.labels.classes(), &predictions.classes)?,
            correlation: correlation(&predictions.outputs, classes),
            wrong: most_surely_wrong(predictions, samples, result.image),
        })
    }

    /// Classes that are taken for each other, most often first.
    pub(super) fn confused(&self) -> Vec<(&str, &str, ConfusedPair)> {
        let name = |class: usize| self.names[class].as_str();
        let pairs = confused_pairs(&self.confusion).into_iter();
        pairs
            .map(|p| (name(p.classes[0]), name(p.classes[1]), p))
            .collect()
    }

    fn figures(&self) -> Vec<Figure> {
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
