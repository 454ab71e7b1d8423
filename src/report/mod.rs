//! What a study says, as a page and as files: [`write()`].

mod answer;
mod bars;
mod chart;
mod final_model;
mod html;
mod matrix;
mod page;
mod parallel;
mod repeat;
mod scale;
mod searched;
mod series;
mod subject;
mod svg;
mod tiles;

use std::fs;
use std::path::{Path, PathBuf};

use crate::durable;
use crate::error::{Error, Result};
use crate::search::journal::Journal;
use final_model::FinalModel;
use page::Content;
use subject::Subject;

pub use chart::{Chart, Dot, Line};
pub use final_model::TestResult;
pub use scale::{Scale, Tick};
pub use subject::Figure;

/// The study file in a study's folder.
pub const JOURNAL: &str = "study.journal";

/// The final model's run in a study's folder.
pub const FINAL: &str = "final";

/// The report in a study's folder.
pub const REPORT: &str = "report";

/// Writes `report.html` and, in `figures/`, each chart as SVG and its numbers as CSV. `study` is a study file, or the
/// folder of a study, which has a final model beside it. `tested` is what that model predicts for the test set, or why
/// that cannot be told; `None` if there is no model, or it has not been tested. Returns the page's path.
///
/// # Errors
/// If the journal or the final model's run cannot be read, there is no trial, or a file cannot be written.
pub fn write(
    study: &Path,
    out: &Path,
    tested: Option<std::result::Result<TestResult, String>>,
) -> Result<PathBuf> {
    let journal = &match study.is_dir() {
        true => study.join(JOURNAL),
        false => study.to_owned(),
    };
    let opened = Journal::open(journal)?;
    let subjects = Subject::all(opened.storage());
    if subjects.is_empty() {
        let expected = "a study with trials";
        return Err(Error::format(journal, "file", expected, "none"));
    }
    let final_model = match study.is_dir() {
        true => FinalModel::read(&study.join(FINAL), tested)?,
        false => None,
    };
    let name = study.file_stem().unwrap_or_default().to_string_lossy();
    let content = Content {
        title: &format!("Study {name}"),
        studies: subjects.into_iter().map(|s| (s, figures(&s))).collect(),
        final_model: final_model.map(|model| {
            let figures = model.figures();
            (model, figures)
        }),
    };
    let folder = out.join("figures");
    fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e))?;
    for Figure { name, svg, csv, .. } in content.figures() {
        durable::write(&folder.join(format!("{name}.svg")), svg.as_bytes())?;
        durable::write(&folder.join(format!("{name}.csv")), csv.as_bytes())?;
    }
    let page = out.join("report.html");
    durable::write(&page, content.html().as_bytes())?;
    Ok(page)
}

/// All charts of a study.
fn figures(subject: &Subject<'_>) -> Vec<Figure> {
    match subject.series() {
        Some(series) => series::figures(&series),
        None => searched::figures(subject),
    }
}

#[cfg(test)]
mod tests;
