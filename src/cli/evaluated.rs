//! What a model comes to on labelled samples, in words and as JSON: by the task, that of classes, numbers or labels.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::data::{Labels, Task};
use crate::error::Result;
use crate::metrics::tables::{confusion_table, labels_table, scores_table, values_table};
use crate::metrics::{Confusion, Metric, Score, Scores, ValueScore};
use crate::model::Predictions;
use crate::statistics::{Interval, wilson};

/// What a model comes to.
pub(super) struct Evaluated {
    /// Nothing if no sample is of a class of the model.
    pub(super) loss: Option<f64>,
    /// What the samples should give.
    pub(super) labels: Labels,
    /// What the model says of them.
    pub(super) predictions: Predictions,
}

/// The part of the report that the task decides.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum FoundReport {
    /// Of classes.
    Classes(ClassReport),
    /// Of numbers.
    Values(ValueReport),
    /// Of several labels.
    Labels(LabelReport),
}

#[derive(Debug, Serialize)]
pub(super) struct ClassReport {
    accuracy: f64,
    accuracy_interval: Interval,
    /// Null if no sample is of a class of the model.
    loss: Option<f64>,
    /// By name; null where it is not defined.
    #[serde(flatten)]
    on_request: Map<String, Value>,
    classes: Vec<Named<Score>>,
    macro_average: Score,
    weighted_average: Score,
    confusion: Vec<Vec<u64>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ValueReport {
    /// Of standardised targets.
    loss: Option<f64>,
    /// The means over the targets, in their own units.
    #[serde(flatten)]
    mean: ValueScore,
    targets: Vec<Named<ValueScore>>,
}

#[derive(Debug, Serialize)]
pub(super) struct LabelReport {
    loss: Option<f64>,
    /// By name; null where it is not defined.
    #[serde(flatten)]
    metrics: Map<String, Value>,
    accuracy_interval: Option<Interval>,
    labels: Vec<Named<Score>>,
    micro_average: Score,
    macro_average: Score,
}

/// A score with the name of what it is for.
#[derive(Debug, Serialize)]
struct Named<S> {
    name: String,
    #[serde(flatten)]
    score: S,
}

fn named<S>(names: Vec<String>, scores: Vec<S>) -> Vec<Named<S>> {
    let pairs = names.into_iter().zip(scores);
    pairs.map(|(name, score)| Named { name, score }).collect()
}

impl Evaluated {
    /// For `--json`, with the names of the classes, numbers or labels.
    pub(super) fn report(&self, names: Vec<String>) -> Result<FoundReport> {
        let Evaluated {
            loss, predictions, ..
        } = self;
        Ok(match (predictions.task, &self.labels) {
            (Task::Regression, Labels::Values { values, columns }) => {
                let predicted = predictions.of_values(values, *columns);
                FoundReport::Values(ValueReport {
                    loss: *loss,
                    mean: predicted.mean(),
                    targets: named(names, predicted.of_targets()),
                })
            }
            (_, Labels::Values { values, columns }) => {
                let scores = predictions.of_labels(values, *columns).scores();
                FoundReport::Labels(LabelReport {
                    loss: *loss,
                    metrics: self.as_json(|m| m != Metric::Loss),
                    accuracy_interval: self.accuracy_interval(),
                    labels: named(names, scores.labels),
                    micro_average: scores.micro_average,
                    macro_average: scores.macro_average,
                })
            }
            (task, Labels::Classes(labels)) => {
                let confusion = Confusion::new(names.len(), labels, &predictions.classes)?;
                let scores = Scores::new(&confusion);
                let row = |class| confusion.row(class).to_vec();
                FoundReport::Classes(ClassReport {
                    accuracy: scores.accuracy,
                    accuracy_interval: wilson(confusion.correct(), confusion.total()),
                    loss: *loss,
                    on_request: self.as_json(|m| m.is_on_request(task)),
                    classes: named(names, scores.classes),
                    macro_average: scores.macro_average,
                    weighted_average: scores.weighted_average,
                    confusion: (0..confusion.classes()).map(row).collect(),
                })
            }
        })
    }

    /// Lines and tables, with the names of the classes, numbers or labels.
    pub(super) fn in_words(&self, names: &[String]) -> Result<String> {
        let predictions = &self.predictions;
        match (predictions.task, &self.labels) {
            (Task::Regression, Labels::Values { values, columns }) => {
                let predicted = predictions.of_values(values, *columns);
                let table = values_table(&predicted.of_targets(), &predicted.mean(), names)?;
                let loss = self.loss_in_words();
                Ok(format!(
                    "loss      {loss} (of standardised targets)\n\n{table}"
                ))
            }
            (_, Labels::Values { values, columns }) => {
                let scores = predictions.of_labels(values, *columns).scores();
                let [micro, macro_f1, accuracy] =
                    [Metric::F1Micro, Metric::F1Macro, Metric::Accuracy].map(|m| self.value(m));
                let interval = self
                    .accuracy_interval()
                    .map(|Interval { low, high }| format!(", 95 % interval {low:.4} to {high:.4}"));
                Ok(format!(
                    "micro F1  {micro}\n\
                     macro F1  {macro_f1}\n\
                     accuracy  {accuracy} (samples with all labels right{})\n\
                     loss      {}\n\
                     others    {}\n\n{}",
                    interval.unwrap_or_default(),
                    self.loss_in_words(),
                    self.others(),
                    labels_table(&scores, names)?
                ))
            }
            (_, Labels::Classes(labels)) => {
                let confusion = &Confusion::new(names.len(), labels, &predictions.classes)?;
                let scores = Scores::new(confusion);
                let Interval { low, high } = wilson(confusion.correct(), confusion.total());
                Ok(format!(
                    "accuracy  {:.4} (95 % interval {low:.4} to {high:.4})\n\
                     loss      {}\n\
                     others    {}\n\n{}\n{}",
                    scores.accuracy,
                    self.loss_in_words(),
                    self.others(),
                    scores_table(&scores, names)?,
                    confusion_table(confusion, names)?,
                ))
            }
        }
    }

    fn loss_in_words(&self) -> String {
        let loss = self.loss.map(|x| format!("{x:.4}"));
        loss.unwrap_or("not defined".into())
    }

    /// The value of a metric in words.
    fn value(&self, metric: Metric) -> String {
        let value = self.predictions.metric(metric, &self.labels);
        value.map_or("not defined".into(), |x| metric.format(x))
    }

    /// The metrics that are measured on request.
    fn others(&self) -> String {
        let task = self.predictions.task;
        let metrics = Metric::of_task(task).iter();
        let asked = metrics.filter(|m| m.is_on_request(task));
        let others = asked.map(|&m| format!("{} {}", m.title(), self.value(m)));
        others.collect::<Vec<_>>().join(", ")
    }

    /// These metrics of the task, by name.
    fn as_json(&self, is_meant: impl Fn(Metric) -> bool) -> Map<String, Value> {
        let metrics = Metric::of_task(self.predictions.task).iter().copied();
        let named = |m: Metric| {
            let value = self.predictions.metric(m, &self.labels);
            (m.name().to_owned(), json!(value))
        };
        metrics.filter(|&m| is_meant(m)).map(named).collect()
    }

    /// Of the samples with all labels right.
    fn accuracy_interval(&self) -> Option<Interval> {
        let accuracy = self.predictions.metric(Metric::Accuracy, &self.labels)?;
        Metric::Accuracy.interval(accuracy, self.labels.len() as u64)
    }
}
