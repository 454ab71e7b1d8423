//! The report of a study or a run, as a page and as files: [`write()`].

mod bars;
mod chart;
mod commands;
mod figure;
mod file_names;
mod final_model;
mod headline;
mod html;
mod layer_figures;
mod matrix;
mod measure;
mod page;
mod parallel_coordinates;
mod range_test_page;
mod scale;
mod search_figures;
mod section;
mod series_figures;
mod svg;
mod test_result;
mod tested;
mod tested_classes;
mod tested_labels;
mod tested_values;
mod tiles;

use std::path::{Path, PathBuf};

use crate::durable;
use crate::error::{Error, Result};
use crate::search::journal::Journal;
use file_names::FileNames;
use final_model::FinalModel;
use page::Page;
use section::StudySection;

pub use chart::{Chart, DotStyle, LineStyle};
pub use figure::Figure;
pub use range_test_page::write_range_test;
pub use scale::{Scale, Tick};
pub use test_result::TestResult;

/// The study file in a study's folder.
pub const JOURNAL: &str = "study.journal";

/// The final model's run in a study's folder.
pub const FINAL: &str = "final";

/// The report in a study's folder.
pub const REPORT: &str = "report";

/// The folder of the run that a report shows as the final model: that of a study, or the run itself.
pub fn final_folder(study: &Path) -> PathBuf {
    match is_run(study) {
        true => study.to_owned(),
        false => study.join(FINAL),
    }
}

fn is_run(study: &Path) -> bool {
    study.join("config.toml").is_file() && !study.join(JOURNAL).exists()
}

/// Writes `report.html` and, in `figures/`, each chart as SVG and its numbers as CSV. Returns the page's path.
///
/// `study` is a study file, the folder of a study, where the final model is beside the file, or the folder of a run.
/// `tested` has the predictions of that model for the test set, or the reason why there are none. It is `None` if
/// there is no model, or if it was not tested.
///
/// # Errors
/// If the journal or the final model's run cannot be read, there is no trial, or a file cannot be written.
pub fn write(
    study: &Path,
    out: &Path,
    tested: Option<std::result::Result<TestResult, String>>,
) -> Result<PathBuf> {
    let is_run = is_run(study);
    let journal = match study.is_dir() {
        true => study.join(JOURNAL),
        false => study.to_owned(),
    };
    let opened = (!is_run).then(|| Journal::open(&journal)).transpose()?;
    let sections =
        (opened.as_ref()).map_or_else(Vec::new, |opened| StudySection::all(opened.storage()));
    if sections.is_empty() && !is_run {
        let expected = "a study with trials";
        return Err(Error::format(&journal, "file", expected, "none"));
    }
    let final_model = match study.is_dir() {
        true => FinalModel::read(&final_folder(study), tested)?,
        false => None,
    };
    let name = study.file_stem().unwrap_or_default().to_string_lossy();
    let mut names = FileNames::default();
    let mut named = |mut figures: Vec<Figure>| {
        figures
            .iter_mut()
            .for_each(|f| f.name = names.take(&f.name));
        figures
    };
    let kind = if is_run { "Run" } else { "Study" };
    let page = Page {
        title: &format!("{kind} {name}"),
        studies: sections
            .into_iter()
            .map(|s| (s, named(figures(&s))))
            .collect(),
        final_model: final_model.map(|model| {
            let figures = named(model.figures());
            (model, figures)
        }),
    };
    write_files(out, page.figures(), &page.html())
}

/// Writes a page and the files of its charts. Returns the page's path.
fn write_files<'a>(
    out: &Path,
    figures: impl Iterator<Item = &'a Figure>,
    html: &str,
) -> Result<PathBuf> {
    let folder = out.join("figures");
    durable::create_dir_all(&folder)?;
    for Figure { name, svg, csv, .. } in figures {
        durable::write(&folder.join(format!("{name}.svg")), svg.as_bytes())?;
        durable::write(&folder.join(format!("{name}.csv")), csv.as_bytes())?;
    }
    let path = out.join("report.html");
    durable::write(&path, html.as_bytes())?;
    Ok(path)
}

/// All charts of a study.
fn figures(section: &StudySection<'_>) -> Vec<Figure> {
    match section.series() {
        Some(series) => series_figures::figures(&series),
        None => search_figures::figures(section),
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod task_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod well_formed_tests;
