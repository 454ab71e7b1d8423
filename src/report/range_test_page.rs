//! The page of a learning-rate range test: the loss against the rate.

use std::path::{Path, PathBuf};

use super::chart::{Chart, DotStyle, LineStyle};
use super::figure::Figure;
use super::html;
use super::measure::Measure;
use super::page::document;
use super::scale::Scale;
use crate::error::Result;
use crate::text::csv;
use crate::train::RangeTest;

/// Writes `report.html` and, in `figures/`, the chart as SVG and its numbers as CSV. Returns the page's path.
/// `result` says what was found, `command` how to use it.
///
/// # Errors
/// If a file cannot be written.
pub fn write_range_test(
    out: &Path,
    test: &RangeTest,
    result: &str,
    command: Option<&str>,
) -> Result<PathBuf> {
    let figure = figure(test);
    let mut body = html::paragraph("question", result);
    body += &html::figures(std::slice::from_ref(&figure));
    if let Some(command) = command {
        body += &html::lines("", [command]);
    }
    let page = document("Learning-rate range test", &body);
    super::write_files(out, std::iter::once(&figure), &page)
}

fn figure(test: &RangeTest) -> Figure {
    let ends = |i: Option<&crate::train::RateLoss>| i.map_or(1.0, |step| step.lr);
    let x = Scale::Log {
        low: ends(test.steps.first()),
        high: ends(test.steps.last()),
    };
    // What rises above its beginning by more than a half of the fall is left out.
    let (low, high) = test.shown_losses();
    let y = Measure::from_name("train_loss")
        .axis([low - (high - low) / 4.0, high + (high - low) / 2.0]);
    let title = "training loss against the learning rate";
    let mut chart = Chart::new(title, (x, "learning rate"), (y, "training loss"));
    chart.line(test.steps.iter().map(|s| (s.lr, s.loss)), LineStyle::Faint);
    chart.line(
        test.steps.iter().map(|s| (s.lr, s.smoothed)),
        LineStyle::Plain,
    );
    let suggested = test.steps.iter().find(|s| Some(s.lr) == test.suggestion);
    if let Some(step) = suggested {
        let note = format!("suggestion: {:.3e}, loss {:.4}", step.lr, step.smoothed);
        chart.dot(step.lr, step.smoothed, DotStyle::Best, &note);
    }
    chart.legend(&[
        (LineStyle::Faint, "batches"),
        (LineStyle::Plain, "smoothed"),
    ]);
    let mark = match suggested {
        Some(_) => "; the large dot is the suggestion, where the smoothed loss falls fastest",
        None => "",
    };
    let rows = test
        .steps
        .iter()
        .map(|s| [s.lr, s.loss, s.smoothed].map(|x| x.to_string()));
    Figure {
        name: "lr-find".into(),
        caption: format!("{title}, which rises from batch to batch{mark}"),
        broad: false,
        svg: chart.svg(),
        csv: csv::table(&["lr", "loss", "smoothed"], rows),
    }
}
