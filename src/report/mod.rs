//! What a study file says, as a page and as files: [`write()`].

mod chart;
mod figures;
mod page;
mod scale;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::search::journal::{Journal, Storage};
use crate::train::durable;

pub use chart::{Chart, Dot, Line};
pub use figures::{Figure, Subject};
pub use scale::{Scale, Tick};

/// The study file in a study's folder.
pub const JOURNAL: &str = "study.journal";

/// The final model's run in a study's folder.
pub const FINAL: &str = "final";

/// Writes `report.html` and, in `figures/`, each chart as SVG and its numbers as CSV. Returns the page's path.
///
/// # Errors
/// If the journal cannot be read, holds no trial, or a file cannot be written.
pub fn write(study: &Path, out: &Path) -> Result<PathBuf> {
    let journal = &match study.is_dir() {
        true => study.join(JOURNAL),
        false => study.to_owned(),
    };
    let opened = Journal::open(journal)?;
    let subjects = subjects(opened.storage());
    if subjects.is_empty() {
        return Err(Error::format(
            journal,
            "file",
            "a study with trials",
            "none",
        ));
    }
    let folder = out.join("figures");
    fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e))?;
    for figure in subjects.iter().flat_map(|(_, figures)| figures) {
        durable::write(
            &folder.join(format!("{}.svg", figure.name)),
            figure.svg.as_bytes(),
        )?;
        durable::write(
            &folder.join(format!("{}.csv", figure.name)),
            figure.csv.as_bytes(),
        )?;
    }
    let title = journal.file_stem().unwrap_or_default().to_string_lossy();
    let page = out.join("report.html");
    durable::write(&page, page::page(&title, &subjects).as_bytes())?;
    Ok(page)
}

fn subjects(storage: &Storage) -> Vec<(Subject<'_>, Vec<Figure>)> {
    let subjects = storage.studies().map(|study| Subject { storage, study });
    let begun = subjects.filter(|s| s.storage.trials(s.study).next().is_some());
    begun.map(|s| (s, s.figures())).collect()
}

#[cfg(test)]
mod tests;
