//! Metrics: the numbers by which a model is judged.
//!
//! A new metric is a variant of [`Metric`], with its arms in this file, and [`Metric::of_task`] says whose it is.
//! Everything else (records, best epoch, patience, search, tables, charts) asks the metric.

use serde::{Deserialize, Serialize};

use crate::data::Task;
use crate::statistics::{Interval, wilson};

/// Which values are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Small ones.
    Minimize,
    /// Large ones.
    Maximize,
}

impl Direction {
    /// Whether `new` is strictly better than `old`. NaN is never better, and nothing is better than NaN.
    pub fn better(self, new: f64, old: f64) -> bool {
        match self {
            Direction::Maximize => new > old,
            Direction::Minimize => new < old,
        }
    }

    /// The value as a score: the larger, the better.
    pub fn score(self, value: f64) -> f64 {
        match self {
            Direction::Maximize => value,
            Direction::Minimize => -value,
        }
    }

    /// The value as a cost: the smaller, the better.
    pub fn cost(self, value: f64) -> f64 {
        -self.score(value)
    }
}

/// A number by which a model is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Share of correct samples; of a sample with several labels all must be right.
    Accuracy,
    /// Mean over the classes of the share of correct samples.
    BalancedAccuracy,
    /// F1 of all decisions on labels together.
    F1Micro,
    /// Mean F1 of the classes or labels.
    F1Macro,
    /// Area under the ROC curve; with several classes or labels the mean of each against the rest.
    RocAuc,
    /// Average precision; with several classes or labels the mean of each against the rest.
    AveragePrecision,
    /// Root of the mean squared error, in the targets' own units; the mean over the targets.
    Rmse,
    /// Mean absolute error, in the targets' own units; the mean over the targets.
    Mae,
    /// Coefficient of determination; the mean over the targets.
    R2,
    /// Mean loss without label smoothing and weights: of a classifier the cross-entropy, of values in standard units.
    Loss,
}

impl Metric {
    /// All metrics, those of classes first and the loss last.
    pub const ALL: [Metric; 10] = [
        Metric::Accuracy,
        Metric::BalancedAccuracy,
        Metric::F1Micro,
        Metric::F1Macro,
        Metric::RocAuc,
        Metric::AveragePrecision,
        Metric::Rmse,
        Metric::Mae,
        Metric::R2,
        Metric::Loss,
    ];

    /// The metrics of a task: the main one first, the loss last.
    pub fn of_task(task: Task) -> &'static [Metric] {
        match task {
            Task::Classification => &[
                Metric::Accuracy,
                Metric::BalancedAccuracy,
                Metric::F1Macro,
                Metric::RocAuc,
                Metric::AveragePrecision,
                Metric::Loss,
            ],
            Task::Regression => &[Metric::Rmse, Metric::Mae, Metric::R2, Metric::Loss],
            Task::Multilabel => &[
                Metric::F1Micro,
                Metric::F1Macro,
                Metric::Accuracy,
                Metric::RocAuc,
                Metric::AveragePrecision,
                Metric::Loss,
            ],
        }
    }

    /// The metric that a task's result is told by first.
    pub fn main(task: Task) -> Metric {
        Metric::of_task(task)[0]
    }

    /// This metric of a part of the data.
    pub fn of(self, part: DataPart) -> PartMetric {
        PartMetric { part, metric: self }
    }

    /// Whether models of a task are judged by it.
    pub fn is_of(self, task: Task) -> bool {
        Metric::of_task(task).contains(&self)
    }

    /// Whether it is measured of a task's models only where it is asked for.
    pub fn is_on_request(self, task: Task) -> bool {
        self.is_of(task)
            && match self {
                Metric::BalancedAccuracy | Metric::RocAuc | Metric::AveragePrecision => true,
                Metric::F1Macro => task == Task::Classification,
                _ => false,
            }
    }

    /// Whether it is measured of every model of a task.
    pub fn is_always_measured(self, task: Task) -> bool {
        self.is_of(task) && !self.is_on_request(task)
    }

    /// Whether it needs samples of two classes.
    pub fn needs_two_classes(self) -> bool {
        matches!(self, Metric::RocAuc | Metric::AveragePrecision)
    }

    /// The name in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::BalancedAccuracy => "balanced_accuracy",
            Metric::F1Micro => "f1_micro",
            Metric::F1Macro => "f1_macro",
            Metric::RocAuc => "roc_auc",
            Metric::AveragePrecision => "average_precision",
            Metric::Rmse => "rmse",
            Metric::Mae => "mae",
            Metric::R2 => "r2",
            Metric::Loss => "loss",
        }
    }

    /// The name in words.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::BalancedAccuracy => "balanced accuracy",
            Metric::F1Micro => "micro F1",
            Metric::F1Macro => "macro F1",
            Metric::RocAuc => "ROC AUC",
            Metric::AveragePrecision => "average precision",
            Metric::Rmse => "RMSE",
            Metric::Mae => "MAE",
            Metric::R2 => "R²",
            Metric::Loss => "loss",
        }
    }

    /// The name where there is little room.
    pub fn short_name(self) -> &'static str {
        match self {
            Metric::Accuracy => "acc",
            Metric::BalancedAccuracy => "bal_acc",
            Metric::F1Micro => "f1_micro",
            Metric::F1Macro => "f1",
            Metric::RocAuc => "auc",
            Metric::AveragePrecision => "ap",
            Metric::Rmse => "rmse",
            Metric::Mae => "mae",
            Metric::R2 => "r2",
            Metric::Loss => "loss",
        }
    }

    /// Which values are better.
    pub fn direction(self) -> Direction {
        match self {
            Metric::Rmse | Metric::Mae | Metric::Loss => Direction::Minimize,
            _ => Direction::Maximize,
        }
    }

    /// The least and the greatest value that it can have.
    pub fn limits(self) -> (f64, f64) {
        match self {
            Metric::Rmse | Metric::Mae | Metric::Loss => (0.0, f64::INFINITY),
            Metric::R2 => (f64::NEG_INFINITY, 1.0),
            _ => (0.0, 1.0),
        }
    }

    /// The metric that decides between equal values of this one.
    pub fn tie_breaker(self) -> Option<Metric> {
        (self != Metric::Loss).then_some(Metric::Loss)
    }

    /// Whether its values are in the targets' own units, and of any size.
    pub fn is_in_units(self) -> bool {
        matches!(self, Metric::Rmse | Metric::Mae)
    }

    /// A value as text: one in a target's own units with five digits ([`format_in_units`]), another with four decimals.
    pub fn format(self, value: f64) -> String {
        match self.is_in_units() {
            true => format_in_units(value),
            false => format_value(value),
        }
    }

    /// The 95 % interval of a value measured on this number of samples, if the metric is a proportion of them.
    pub fn interval(self, value: f64, samples: u64) -> Option<Interval> {
        match self {
            Metric::Accuracy => {
                // A file may hold any number.
                let successes = (value * samples as f64).round() as u64;
                Some(wilson(successes.min(samples), samples))
            }
            _ => None,
        }
    }
}

/// A value of a metric, known or not, as text.
pub fn format_value(value: f64) -> String {
    match value.is_finite() && value.abs() >= 1e9 {
        true => format!("{value:.4e}"),
        false => format!("{value:.4}"),
    }
}

/// A number whose size is not known as text: five digits, but no digit before the point is left out. Very large and
/// very small ones have an exponent.
pub fn format_in_units(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-4..1e9).contains(&size) {
        return format!("{value:.4e}");
    }
    let decimals = (4 - size.log10().floor() as i32).max(0) as usize;
    format!("{value:.decimals$}")
}

/// A share from 0 to 1 as text, in percent.
pub fn format_percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPart {
    /// The samples that are learnt from.
    Training,
    /// The samples that choose the epoch and the settings.
    Validation,
    /// The samples that are used once, at the end.
    Test,
}

impl DataPart {
    /// All parts.
    pub const ALL: [DataPart; 3] = [DataPart::Training, DataPart::Validation, DataPart::Test];

    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            DataPart::Training => "training",
            DataPart::Validation => "validation",
            DataPart::Test => "test",
        }
    }

    /// The first word of the names in files: `val` as in `val_loss`.
    fn prefix(self) -> &'static str {
        match self {
            DataPart::Training => "train",
            DataPart::Validation => "val",
            DataPart::Test => "test",
        }
    }
}

/// A metric of a part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartMetric {
    /// The part.
    pub part: DataPart,
    /// The metric.
    pub metric: Metric,
}

impl PartMetric {
    /// The metric with this name in files, such as `val_loss`.
    pub fn from_name(name: &str) -> Option<Self> {
        let of_part = |part| Metric::ALL.map(|metric| metric.of(part));
        let mut all = DataPart::ALL.into_iter().flat_map(of_part);
        all.find(|known| known.name() == name)
    }

    /// The name in files: `val_loss`.
    pub fn name(self) -> String {
        format!("{}_{}", self.part.prefix(), self.metric.name())
    }

    /// The name in a line of progress: `acc` on the training part, `val_acc` on the validation part.
    pub fn short_name(self) -> String {
        match self.part {
            DataPart::Training => self.metric.short_name().to_owned(),
            part => format!("{}_{}", part.prefix(), self.metric.short_name()),
        }
    }

    /// In words: `validation loss`.
    pub fn title(self) -> String {
        format!("{} {}", self.part.title(), self.metric.title())
    }
}

/// A metric of the validation part: what training monitors, and the objective of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "cli", value(rename_all = "snake_case"))]
pub enum ValidationMetric {
    /// The accuracy, as high as possible
    #[default]
    ValAccuracy,
    /// The mean of the classes' accuracies, as high as possible
    ValBalancedAccuracy,
    /// The F1 of all decisions on labels together, as high as possible
    ValF1Micro,
    /// The mean of the classes' or labels' F1, as high as possible
    ValF1Macro,
    /// The area under the ROC curve, as high as possible; the mean of each class against the rest if there are several
    ValRocAuc,
    /// The average precision, as high as possible; the mean of each class against the rest if there are several
    ValAveragePrecision,
    /// The root of the mean squared error of values, as low as possible
    ValRmse,
    /// The mean absolute error of values, as low as possible
    ValMae,
    /// The coefficient of determination of values, as high as possible
    ValR2,
    /// The loss, which is the log loss, as low as possible; also called val_log_loss
    #[serde(alias = "val_log_loss")]
    #[cfg_attr(feature = "cli", value(alias = "val_log_loss"))]
    ValLoss,
}

impl ValidationMetric {
    /// The main metric of a task.
    pub fn main(task: Task) -> Self {
        match task {
            Task::Classification => ValidationMetric::ValAccuracy,
            Task::Regression => ValidationMetric::ValRmse,
            Task::Multilabel => ValidationMetric::ValF1Micro,
        }
    }

    /// The metric.
    pub fn metric(self) -> Metric {
        match self {
            ValidationMetric::ValAccuracy => Metric::Accuracy,
            ValidationMetric::ValBalancedAccuracy => Metric::BalancedAccuracy,
            ValidationMetric::ValF1Micro => Metric::F1Micro,
            ValidationMetric::ValF1Macro => Metric::F1Macro,
            ValidationMetric::ValRocAuc => Metric::RocAuc,
            ValidationMetric::ValAveragePrecision => Metric::AveragePrecision,
            ValidationMetric::ValRmse => Metric::Rmse,
            ValidationMetric::ValMae => Metric::Mae,
            ValidationMetric::ValR2 => Metric::R2,
            ValidationMetric::ValLoss => Metric::Loss,
        }
    }

    /// The name in files and flags.
    pub fn name(self) -> String {
        self.metric().of(DataPart::Validation).name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_files_lead_back_to_the_metric() {
        let found = PartMetric::from_name("test_loss").unwrap();
        assert_eq!((found.part, found.metric), (DataPart::Test, Metric::Loss));
        assert_eq!(
            (found.title(), found.short_name()),
            ("test loss".into(), "test_loss".into())
        );
        for name in ["val_accuracy", "train_loss", "test_accuracy"] {
            assert_eq!(PartMetric::from_name(name).unwrap().name(), name);
        }
        assert_eq!(PartMetric::from_name("value"), None);
    }

    const TASKS: [Task; 3] = [Task::Classification, Task::Regression, Task::Multilabel];

    #[cfg(feature = "cli")]
    #[test]
    fn every_metric_can_be_monitored_under_one_name() {
        use clap::ValueEnum;
        let choices = ValidationMetric::value_variants();
        assert_eq!(choices.len(), Metric::ALL.len());
        for (choice, metric) in choices.iter().zip(Metric::ALL) {
            let name = metric.of(DataPart::Validation).name();
            assert_eq!(choice.metric(), metric);
            assert_eq!(choice.name(), name);
            assert_eq!(choice.to_possible_value().unwrap().get_name(), name);
            assert_eq!(serde_json::to_value(choice).unwrap(), name.as_str());
        }
        let main = |task| ValidationMetric::main(task).metric();
        assert_eq!(Task::value_variants(), TASKS);
        for task in TASKS {
            assert_eq!(main(task), Metric::main(task));
        }
        assert_eq!(
            ValidationMetric::default(),
            ValidationMetric::main(Task::default())
        );
        for other_name in [
            ValidationMetric::from_str("val_log_loss", false).ok(),
            serde_json::from_str(r#""val_log_loss""#).ok(),
        ] {
            assert_eq!(other_name, Some(ValidationMetric::ValLoss));
        }
    }

    /// A run's records have the metrics that are always measured. Each task has the loss, last, which breaks ties.
    #[test]
    fn each_task_has_its_metrics() {
        let always = |task| -> Vec<&str> {
            let metrics = Metric::of_task(task).iter();
            let metrics = metrics.filter(|m| m.is_always_measured(task));
            metrics.map(|m| m.name()).collect()
        };
        assert_eq!(always(Task::Classification), ["accuracy", "loss"]);
        assert_eq!(always(Task::Regression), ["rmse", "mae", "r2", "loss"]);
        let multilabel = ["f1_micro", "f1_macro", "accuracy", "loss"];
        assert_eq!(always(Task::Multilabel), multilabel);
        for task in TASKS {
            let metrics = Metric::of_task(task);
            assert_eq!(metrics.last(), Some(&Metric::Loss));
            assert!(!Metric::main(task).is_on_request(task));
            for metric in Metric::ALL {
                assert_eq!(metric.is_of(task), metrics.contains(&metric));
                let (always, asked) = (metric.is_always_measured(task), metric.is_on_request(task));
                assert_eq!(metric.is_of(task), always || asked);
                assert!(!(always && asked));
            }
        }
    }

    #[test]
    fn errors_fall_and_shares_rise() {
        for metric in Metric::ALL {
            let is_error = ["rmse", "mae", "loss"].contains(&metric.name());
            assert_eq!(metric.direction() == Direction::Minimize, is_error);
            let (least, most) = metric.limits();
            assert_eq!(most == 1.0, !is_error);
            assert_eq!(least == f64::NEG_INFINITY, metric == Metric::R2);
            let breaker = (metric != Metric::Loss).then_some(Metric::Loss);
            assert_eq!(metric.tie_breaker(), breaker);
        }
    }

    /// Prices, seconds and millionths of a metre: what is shown says as much of each.
    #[test]
    fn values_in_own_units_have_five_digits() {
        for (value, text) in [
            (1_234_567.8, "1234568"),
            (123_456.78, "123457"),
            (54.321_04, "54.321"),
            (0.4948, "0.49480"),
            (0.000_123_456, "0.00012346"),
            (0.000_012_345_6, "1.2346e-5"),
            (-54.321_04, "-54.321"),
            (2.5e12, "2.5000e12"),
            (f64::MIN_POSITIVE, "2.2251e-308"),
            (0.0, "0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(Metric::Rmse.format(value), text);
            assert_eq!(Metric::Mae.format(value), text);
        }
        assert_eq!(Metric::R2.format(0.5), "0.5000");
        assert_eq!(Metric::Loss.format(1_234_567.8), "1234567.8000");
    }

    #[test]
    fn directions_agree_with_scores_and_costs() {
        for (direction, large_is_better) in
            [(Direction::Maximize, true), (Direction::Minimize, false)]
        {
            assert_eq!(direction.better(2.0, 1.0), large_is_better);
            assert_eq!(direction.better(1.0, 2.0), !large_is_better);
            assert_eq!(direction.score(2.0) > direction.score(1.0), large_is_better);
            assert_eq!(direction.cost(2.0) < direction.cost(1.0), large_is_better);
            for (new, old) in [(1.0, 1.0), (f64::NAN, 1.0), (1.0, f64::NAN)] {
                assert!(!direction.better(new, old));
            }
        }
    }

    #[test]
    fn a_proportion_has_an_interval_whatever_a_file_says() {
        assert_eq!(Metric::Accuracy.interval(0.9, 100), Some(wilson(90, 100)));
        assert_eq!(Metric::Accuracy.interval(1.5, 100), Some(wilson(100, 100)));
        assert_eq!(Metric::Accuracy.interval(f64::NAN, 9), Some(wilson(0, 9)));
        assert_eq!(Metric::Loss.interval(0.9, 100), None);
    }
}
