//! The final model's numbers on the test set: beside the true ones, and what is between them.

use super::chart::{Chart, DotStyle, LineStyle};
use super::figure::Figure;
use super::file_names::stem;
use super::html;
use super::scale::Scale;
use super::test_result::TestResult;
use crate::metrics::{Metric, ValueScore, format_in_units};
use crate::text::csv;

/// Samples that are drawn. More are drawn over each other, and would make the page large.
const MOST_DOTS: usize = 1000;

/// Targets that are drawn.
const MOST_TARGETS: usize = 8;

/// What a model predicts for the test samples.
pub(super) struct TestedValues {
    names: Vec<String>,
    scores: Vec<ValueScore>,
    mean: ValueScore,
    /// Row-major `[samples, targets]`.
    truth: Vec<f64>,
    /// Likewise.
    predicted: Vec<f64>,
}

/// A sample's place in the test set, its true number and the predicted one.
type Drawn = (usize, f64, f64);

impl TestedValues {
    pub(super) fn of(result: &TestResult) -> Self {
        let truth = result.samples.labels.values();
        let predicted = result
            .predictions
            .of_values(truth, result.class_names.len());
        TestedValues {
            names: result.class_names.clone(),
            scores: predicted.of_targets(),
            mean: predicted.mean(),
            truth: truth.to_vec(),
            predicted: result.predictions.outputs.clone(),
        }
    }

    /// Two charts a target.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let targets = 0..self.names.len().min(MOST_TARGETS);
        let both = |target| [self.beside_truth(target), self.residuals(target)];
        targets.flat_map(both).collect()
    }

    /// The scores of each target.
    pub(super) fn table(&self) -> String {
        let metrics = [Metric::Rmse, Metric::Mae, Metric::R2];
        let row = |name: &str, score: &ValueScore| {
            let cell = |metric: Metric| {
                let value = score.get(metric);
                value.map_or_else(|| "–".to_owned(), |x| metric.format(x))
            };
            let cells = metrics.map(cell).into_iter();
            std::iter::once(name.to_owned()).chain(cells).collect()
        };
        let scores = self.names.iter().zip(&self.scores);
        let mut rows: Vec<Vec<String>> = scores.map(|(name, score)| row(name, score)).collect();
        if self.names.len() > 1 {
            rows.push(row("mean", &self.mean));
        }
        let header = ["target", "RMSE", "MAE", "R²"];
        let mut out = html::paragraph("label", "On the test set, in each target's own units");
        out += &html::table(&header, rows);
        if self.names.len() > MOST_TARGETS {
            let text = format!(
                "Charts show the first {MOST_TARGETS} of {} targets.",
                self.names.len()
            );
            out += &html::paragraph("note", &text);
        }
        out
    }

    /// The samples to draw of a target: all, or evenly spread over the test set.
    fn drawn(&self, target: usize) -> Vec<Drawn> {
        let (samples, targets) = (self.samples(), self.names.len());
        let count = samples.min(MOST_DOTS);
        let place = |i: usize| (i as u128 * samples as u128 / count as u128) as usize;
        let numbers = |sample: usize| {
            let at = sample * targets + target;
            (sample, self.truth[at], self.predicted[at])
        };
        (0..count).map(place).map(numbers).collect()
    }

    fn samples(&self) -> usize {
        self.truth.len() / self.names.len().max(1)
    }

    /// How many samples are drawn, if not all.
    fn share_in_words(&self, drawn: &[Drawn]) -> String {
        match self.samples() {
            all if all > drawn.len() => {
                format!(
                    ". {} of {all} samples are drawn, evenly spread over the test set",
                    drawn.len()
                )
            }
            _ => String::new(),
        }
    }

    /// Predicted against true numbers, with the line on which both are equal.
    fn beside_truth(&self, target: usize) -> Figure {
        let (name, drawn) = (&self.names[target], self.drawn(target));
        let title = format!("predicted against true {name}");
        let ends = || {
            drawn
                .iter()
                .flat_map(|&(_, truth, predicted)| [truth, predicted])
        };
        let axis = Scale::around(ends(), 0.0);
        let (x_name, y_name) = (format!("true {name}"), format!("predicted {name}"));
        let mut chart = Chart::new(&title, (axis.clone(), &x_name), (axis.clone(), &y_name));
        for &(sample, truth, predicted) in &drawn {
            let [y, p] = [truth, predicted].map(format_in_units);
            let note = format!("test sample {sample}: true {y}, predicted {p}");
            chart.dot(truth, predicted, DotStyle::Single, &note);
        }
        if let Scale::Linear { low, high } = axis {
            chart.line([(low, low), (high, high)], LineStyle::Best);
        }
        let rows = drawn.iter().map(|&(sample, truth, predicted)| {
            [sample.to_string(), truth.to_string(), predicted.to_string()]
        });
        Figure {
            name: stem("final-predicted", name),
            caption: format!(
                "{title} on the test set; on the line both are equal{}",
                self.share_in_words(&drawn)
            ),
            broad: false,
            svg: chart.svg(),
            csv: csv::table(&["test sample", "true", "predicted"], rows),
        }
    }

    /// True minus predicted numbers against the predicted ones.
    fn residuals(&self, target: usize) -> Figure {
        let (name, drawn) = (&self.names[target], self.drawn(target));
        let residual = |&(_, truth, predicted): &Drawn| truth - predicted;
        let title = format!("residuals of {name}");
        let x = Scale::around(drawn.iter().map(|d| d.2), 0.0);
        let y = Scale::around(drawn.iter().map(residual).chain([0.0]), 0.0);
        let x_name = format!("predicted {name}");
        let mut chart = Chart::new(&title, (x.clone(), &x_name), (y, "true − predicted"));
        for point in &drawn {
            let [p, r] = [point.2, residual(point)].map(format_in_units);
            let note = format!("test sample {}: predicted {p}, residual {r}", point.0);
            chart.dot(point.2, residual(point), DotStyle::Single, &note);
        }
        if let Scale::Linear { low, high } = x {
            chart.line([(low, 0.0), (high, 0.0)], LineStyle::Best);
        }
        let rows = drawn.iter().map(|point| {
            let numbers = [point.2, residual(point)].map(|x| x.to_string());
            [vec![point.0.to_string()], numbers.to_vec()].concat()
        });
        Figure {
            name: stem("final-residuals", name),
            caption: format!(
                "{title} on the test set: what the model leaves unexplained, against its predictions{}",
                self.share_in_words(&drawn)
            ),
            broad: false,
            svg: chart.svg(),
            csv: csv::table(&["test sample", "predicted", "residual"], rows),
        }
    }
}
