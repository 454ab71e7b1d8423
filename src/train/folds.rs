//! Cross-validation: one run a fold, all under one folder.
//!
//! The folder holds `folds.toml` (the settings), `fold-1`, `fold-2` and so on (a run each, [`RunDir`](super::RunDir))
//! and, once all have ended, `folds.json` ([`FoldsSummary`]). The samples of a fold validate its run; the other folds'
//! samples are learnt from ([`Validation::Fold`](crate::data::Validation)). No run is tested, and no model stands for
//! all: a later prediction averages those of the folds.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::record::Summary;
use super::run_writer::next_free;
use crate::durable;
use crate::error::{Error, Result};
use crate::input::is_of_file_manager;
use crate::metrics::{DataPart, Metric};
use crate::settings::Settings;
use crate::statistics::student::{self, Mean};

const SETTINGS: &str = "folds.toml";
const SUMMARY: &str = "folds.json";

/// The folder of a cross-validation.
#[derive(Clone, Debug)]
pub struct FoldsDir {
    path: PathBuf,
}

/// What a cross-validation came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoldsSummary {
    /// The folder.
    pub run_dir: String,
    /// The summary of each fold's run.
    pub folds: Vec<Summary>,
    /// Mean, spread and 95 % interval over the folds of each metric of the validation parts, by name as in `val_loss`.
    ///
    /// The folds share training samples, so their results are not independent, and the interval is somewhat too narrow
    /// (Nadeau, Bengio, “Inference for the Generalization Error”, Machine Learning 52, 2003).
    pub metrics: BTreeMap<String, Mean>,
}

impl FoldsDir {
    /// Makes a folder: `out`, which must not hold more than what a killed process had begun to write, or the next free
    /// `runs/run-0001`.
    ///
    /// # Errors
    /// If it cannot be made, or holds something.
    pub fn create(out: Option<&Path>, settings: &Settings) -> Result<Self> {
        let path = match out {
            Some(path) => {
                durable::create_dir_all(path)?;
                let mut entries = fs::read_dir(path).map_err(|e| Error::io("list", path, e))?;
                let is_nothing = |entry: io::Result<DirEntry>| {
                    let name = entry.map(|entry| entry.file_name());
                    name.is_ok_and(|name| is_of_file_manager(&name) || durable::is_temporary(&name))
                };
                if !entries.all(is_nothing) {
                    let message = format!(
                        "expected a new or empty folder, found {} in use; to go on with its folds: --resume {0}",
                        path.display()
                    );
                    return Err(Error::setting("out", message));
                }
                path.to_owned()
            }
            None => next_free(Path::new("runs"))?,
        };
        let folder = FoldsDir { path };
        folder.write_settings(settings)?;
        Ok(folder)
    }

    /// The folder of a cross-validation that was begun; `None` if it is none.
    pub fn open(path: &Path) -> Option<Self> {
        let folder = FoldsDir {
            path: path.to_owned(),
        };
        path.join(SETTINGS).is_file().then_some(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The settings that its runs share.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn settings(&self) -> Result<Settings> {
        Settings::from_file(&self.path.join(SETTINGS))
    }

    /// Writes the settings that its runs share.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn write_settings(&self, settings: &Settings) -> Result<()> {
        let path = self.path.join(SETTINGS);
        durable::write(&path, settings.to_toml()?.as_bytes())
    }

    /// The folder of a fold's run.
    pub fn run_dir(&self, fold: u32) -> PathBuf {
        self.path.join(format!("fold-{fold}"))
    }

    /// The folders of the runs that are there.
    pub fn run_dirs(&self) -> Vec<PathBuf> {
        let all = (1..).map(|fold| self.run_dir(fold));
        all.take_while(|path| path.is_dir()).collect()
    }

    /// Writes what it came to.
    ///
    /// # Errors
    /// If the file system fails.
    pub fn summarise(&self, summary: &FoldsSummary) -> Result<()> {
        let json = serde_json::to_string_pretty(summary).expect("a summary is plain data");
        durable::write(&self.path.join(SUMMARY), format!("{json}\n").as_bytes())
    }
}

/// The settings of a fold's run. It is not tested.
pub fn fold_settings(settings: &Settings, fold: u32) -> Settings {
    let mut settings = settings.clone();
    settings.data.fold = Some(fold);
    settings.data.test = Some(false);
    settings
}

impl FoldsSummary {
    /// Of the runs of all folds, which are under `folder`.
    pub fn new(folder: &FoldsDir, folds: Vec<Summary>) -> Self {
        let mean = |metric: Metric| {
            let metric_of_part = metric.of(DataPart::Validation);
            let values: Option<Vec<f64>> =
                folds.iter().map(|fold| fold.get(metric_of_part)).collect();
            let mean = student::means(&[&values?[..]], metric.limits())
                .pop()
                .flatten();
            Some((metric_of_part.name(), mean?))
        };
        FoldsSummary {
            run_dir: folder.path.display().to_string(),
            metrics: Metric::ALL.into_iter().filter_map(mean).collect(),
            folds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(accuracy: f64, loss: Option<f64>) -> Summary {
        Summary {
            val_accuracy: Some(accuracy),
            val_loss: loss,
            ..Summary::default()
        }
    }

    #[test]
    fn what_was_killed_before_it_had_written_the_settings_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(".chainrule-0123.tmp");
        fs::write(&left, "").unwrap();
        FoldsDir::create(Some(dir.path()), &Settings::default()).unwrap();
        assert!(!left.exists());
        assert!(FoldsDir::open(dir.path()).is_some());
    }

    #[test]
    fn a_metric_that_a_fold_lacks_has_no_mean() {
        let dir = tempfile::tempdir().unwrap();
        let folder = FoldsDir::create(Some(dir.path()), &Settings::default()).unwrap();
        let folds = vec![
            summary(0.5, Some(1.0)),
            summary(0.7, None),
            summary(0.9, Some(2.0)),
        ];
        let found = FoldsSummary::new(&folder, folds);
        assert_eq!(found.metrics.keys().collect::<Vec<_>>(), ["val_accuracy"]);
        let mean = &found.metrics["val_accuracy"];
        assert!((mean.mean - 0.7).abs() < 1e-15 && (mean.deviation.unwrap() - 0.2).abs() < 1e-15);
        assert!(mean.interval.unwrap().high <= 1.0);
        found
            .folds
            .iter()
            .for_each(|fold| assert!(fold.val_accuracy.is_some()));
        folder.summarise(&found).unwrap();
        assert!(
            FoldsDir::create(Some(dir.path()), &Settings::default()).is_err(),
            "in use"
        );
    }
}
