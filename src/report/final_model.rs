//! The final model of a study, or of a run: how it learnt, and what it says of the test set.

use std::path::Path;

use super::chart::{Chart, DotStyle, LineStyle};
use super::figure::Figure;
use super::layer_figures;
use super::measure::Measure;
use super::scale::Scale;
use super::test_result::TestResult;
use super::tested::Tested;
use crate::error::Result;
use crate::metrics::{DataPart, Metric};
use crate::text::csv;
use crate::train::{EpochRecord, RunDir, Summary};

/// The run of a study's final model, or a run by itself.
pub(super) struct FinalModel {
    pub(super) records: Vec<EpochRecord>,
    /// Once it has ended.
    pub(super) summary: Option<Summary>,
    /// Its settings, as TOML.
    pub(super) settings: String,
    /// What it says of the test set, or why that cannot be told; nothing before it has been tested.
    pub(super) tested: Option<std::result::Result<Tested, String>>,
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
        figures.extend(layer_figures::figures(&self.records));
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
