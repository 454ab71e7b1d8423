//! The final model's labels on the test set: how good each one is.

use super::bars::bars;
use super::chart::{Chart, DotStyle, LineStyle};
use super::figure::Figure;
use super::html;
use super::scale::Scale;
use super::test_result::TestResult;
use crate::metrics::multilabel::{PrecisionRecall, RankedLabel};
use crate::metrics::{LabelScores, Score, format_value};
use crate::text::csv;

/// Labels that are drawn, those that most samples have.
const MOST_LABELS: usize = 20;

/// Points of a curve are no closer than this in recall or precision.
const LEAST_STEP: f64 = 0.005;

/// What a model predicts for the test samples.
pub(super) struct TestedLabels {
    names: Vec<String>,
    scores: LabelScores,
    /// Of each label that some samples have and others do not.
    curves: Vec<Option<LabelCurve>>,
    /// Of all decisions on labels together.
    all: Option<LabelCurve>,
}

/// How well a label is ranked.
struct LabelCurve {
    roc_auc: f64,
    average_precision: f64,
    points: Vec<PrecisionRecall>,
}

impl TestedLabels {
    pub(super) fn of(result: &TestResult) -> Self {
        let truth = result.samples.labels.values();
        let labels = result.class_names.len();
        let predicted = result.predictions.of_labels(truth, labels);
        let together = result.predictions.of_labels(truth, 1);
        let curve = |ranked: Option<RankedLabel>| {
            let ranked = ranked?;
            Some(LabelCurve {
                roc_auc: ranked.roc_auc,
                average_precision: ranked.average_precision,
                points: thinned(ranked.curve),
            })
        };
        TestedLabels {
            names: result.class_names.clone(),
            scores: predicted.scores(),
            curves: (0..labels)
                .map(|label| curve(predicted.ranked(label)))
                .collect(),
            all: curve(together.ranked(0)),
        }
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        let drawn = self.drawn();
        let mut figures = vec![self.f1(&drawn)];
        figures.extend(
            self.all
                .as_ref()
                .map(|all| self.precision_recall(&drawn, all)),
        );
        figures
    }

    /// The scores of each label.
    pub(super) fn table(&self) -> String {
        let header = [
            "label",
            "support",
            "precision",
            "recall",
            "F1",
            "ROC AUC",
            "average precision",
        ];
        let row = |name: &str, score: &Score, curve: Option<&LabelCurve>| {
            let ranked = |of: fn(&LabelCurve) -> f64| {
                curve.map_or_else(|| "–".to_owned(), |curve| format_value(of(curve)))
            };
            vec![
                name.to_owned(),
                score.support.to_string(),
                format_value(score.precision),
                format_value(score.recall),
                format_value(score.f1),
                ranked(|c| c.roc_auc),
                ranked(|c| c.average_precision),
            ]
        };
        let labels = self.names.iter().zip(&self.scores.labels).zip(&self.curves);
        let mut rows: Vec<Vec<String>> = labels
            .map(|((name, score), curve)| row(name, score, curve.as_ref()))
            .collect();
        rows.push(row(
            "micro average",
            &self.scores.micro_average,
            self.all.as_ref(),
        ));
        rows.push(row("macro average", &self.scores.macro_average, None));
        let what = "On the test set; a label is predicted where its probability is above 0.5";
        html::paragraph("label", what) + &html::table(&header, rows)
    }

    /// The labels that are drawn, in their order.
    fn drawn(&self) -> Vec<usize> {
        let mut labels: Vec<usize> = (0..self.names.len()).collect();
        labels.sort_by_key(|&label| std::cmp::Reverse(self.scores.labels[label].support));
        labels.truncate(MOST_LABELS);
        labels.sort_unstable();
        labels
    }

    /// How many labels are drawn, if not all.
    fn share_in_words(&self, drawn: &[usize]) -> String {
        match self.names.len() {
            all if all > drawn.len() => {
                format!(
                    ". The {} of {all} labels that most samples have",
                    drawn.len()
                )
            }
            _ => String::new(),
        }
    }

    fn f1(&self, drawn: &[usize]) -> Figure {
        let f1 = |label: &usize| (self.names[*label].as_str(), self.scores.labels[*label].f1);
        let shares: Vec<(&str, f64)> = drawn.iter().map(f1).collect();
        let title = "F1 of each label";
        let rows = shares
            .iter()
            .map(|(name, f1)| [(*name).to_owned(), f1.to_string()]);
        Figure {
            name: "final-f1".into(),
            caption: format!("{title} on the test set{}", self.share_in_words(drawn)),
            broad: false,
            svg: bars(title, &shares),
            csv: csv::table(&["label", "F1"], rows),
        }
    }

    fn precision_recall(&self, drawn: &[usize], all: &LabelCurve) -> Figure {
        let title = "precision against recall of each label";
        let axis = Scale::Linear {
            low: 0.0,
            high: 1.0,
        };
        let mut chart = Chart::new(title, (axis.clone(), "recall"), (axis, "precision"));
        let mut rows = Vec::new();
        let mut draw = |chart: &mut Chart, name: &str, curve: &LabelCurve, style| {
            let points = curve.points.iter();
            chart.line(points.clone().map(|p| (p.recall, p.precision)), style);
            rows.extend(points.map(|p| {
                let numbers = [p.threshold, p.recall, p.precision].map(|x| x.to_string());
                [vec![name.to_owned()], numbers.to_vec()].concat()
            }));
        };
        for &label in drawn {
            if let Some(curve) = &self.curves[label] {
                draw(&mut chart, &self.names[label], curve, LineStyle::Faint);
            }
        }
        draw(&mut chart, "all together", all, LineStyle::Best);
        for &label in drawn.iter().filter(|&&label| self.curves[label].is_some()) {
            let Score {
                precision, recall, ..
            } = self.scores.labels[label];
            let [p, r] = [precision, recall].map(format_value);
            let note = format!("{}: precision {p}, recall {r}", self.names[label]);
            chart.dot(recall, precision, DotStyle::Single, &note);
        }
        chart.legend(&[
            (LineStyle::Faint, "one label"),
            (LineStyle::Best, "all together"),
        ]);
        Figure {
            name: "final-precision-recall".into(),
            caption: format!(
                "{title} on the test set, from the most probable sample down; a dot where the probability is 0.5{}",
                self.share_in_words(drawn)
            ),
            broad: false,
            svg: chart.svg(),
            csv: csv::table(&["label", "threshold", "recall", "precision"], rows),
        }
    }
}

/// A curve without the points that lie on the one before, at the size of a chart.
fn thinned(points: Vec<PrecisionRecall>) -> Vec<PrecisionRecall> {
    let last = points.len().saturating_sub(1);
    let mut kept: Vec<PrecisionRecall> = Vec::new();
    for (i, point) in points.into_iter().enumerate() {
        let is_far = kept.last().is_none_or(|before| {
            (point.recall - before.recall).abs() >= LEAST_STEP
                || (point.precision - before.precision).abs() >= LEAST_STEP
        });
        if is_far || i == last {
            kept.push(point);
        }
    }
    kept
}
