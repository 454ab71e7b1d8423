//! A run's folder: `config.toml`, `metrics.jsonl`, `model.safetensors`, `checkpoint.safetensors`, `summary.json`, and
//! `run.lock` while a process writes to it.

use std::path::{Path, PathBuf};

use super::checkpoint;
use super::record::{EpochRecord, Summary};
use crate::error::{Error, Result};
use crate::input;
use crate::lock;
use crate::model::Model;
use crate::settings::Settings;

pub(super) const CONFIG: &str = "config.toml";
pub(super) const METRICS: &str = "metrics.jsonl";
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";
pub(super) const SUMMARY: &str = "summary.json";
pub(super) const LOCK: &str = "run.lock";

/// Settings that a resumed run may change: they do not change what was computed so far.
const FREE: [&str; 8] = [
    "train.epochs",
    "train.threads",
    "train.device",
    "train.patience",
    "train.min_delta",
    "train.watch",
    "data.path",
    "data.test",
];

/// The largest `metrics.jsonl`, in bytes: millions of epochs.
const MAX_RECORDS: u64 = 1 << 30;
/// The largest `summary.json`, in bytes.
const MAX_SUMMARY: u64 = 16 << 20;

/// The folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The folder of an existing run.
    ///
    /// # Errors
    /// If it holds no `config.toml`.
    pub fn open(path: &Path) -> Result<Self> {
        let run = RunDir::at(path.to_owned());
        if run.file(CONFIG).is_file() {
            return Ok(run);
        }
        let hint =
            "a run's folder holds config.toml, metrics.jsonl and checkpoint.safetensors".into();
        Err(Error::Missing {
            path: run.file(CONFIG),
            hint,
        })
    }

    pub(super) fn at(path: PathBuf) -> Self {
        RunDir { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Which process works on the run, if one does: "process 1234 on host since 2026-01-31T12:00:00Z".
    pub fn holder(&self) -> Option<String> {
        lock::holder(&self.path, LOCK)
    }

    /// The settings that the run was started with.
    pub fn settings(&self) -> Result<Settings> {
        Settings::from_file(&self.file(CONFIG))
    }

    /// The file of records; empty if there is none.
    fn records_text(&self) -> Result<String> {
        // A process that works on the run may append to it.
        match input::read_growing_text(&self.file(METRICS), MAX_RECORDS) {
            Err(Error::Missing { .. }) => Ok(String::new()),
            read => read,
        }
    }

    /// Checks that the first `length` bytes of the records are a whole line for each of so many epochs.
    ///
    /// # Errors
    /// Says what was found instead: checkpoint or records are damaged, or of another run.
    pub(super) fn check_records(&self, length: u64, epochs: u64) -> Result<()> {
        let text = self.records_text()?;
        let wrong = |found: String| {
            let expected = format!("{epochs} records in {length} bytes, as at the checkpoint");
            Err(Error::format(&self.file(METRICS), "end", expected, found))
        };
        let kept = usize::try_from(length).ok().and_then(|end| text.get(..end));
        match kept {
            None => wrong(format!("{} bytes", text.len())),
            Some(kept) if !kept.is_empty() && !kept.ends_with('\n') => {
                wrong("a part of one".into())
            }
            Some(kept) if kept.lines().count() as u64 != epochs => {
                wrong(kept.lines().count().to_string())
            }
            Some(_) => Ok(()),
        }
    }

    /// The records of its finished epochs.
    pub fn records(&self) -> Result<Vec<EpochRecord>> {
        let path = self.file(METRICS);
        let text = self.records_text()?;
        // Only a last line without its newline can be torn: it was being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |(i, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|e| {
                Error::format(
                    &path,
                    format!("line {}", i + 1),
                    "the record of an epoch",
                    e.to_string(),
                )
            })
        };
        whole.lines().enumerate().map(parse).collect()
    }

    /// Its summary, once it has ended.
    pub fn summary(&self) -> Result<Option<Summary>> {
        let path = self.file(SUMMARY);
        let text = match input::read_text(&path, MAX_SUMMARY) {
            Err(Error::Missing { .. }) => return Ok(None),
            read => read?,
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| Error::format(&path, "file", "the summary of a run", e.to_string()))
    }

    /// The hash of the data set that it was trained on, once a file holds it.
    ///
    /// # Errors
    /// If the checkpoint, or without one the model, cannot be read.
    pub fn data_hash(&self) -> Result<Option<String>> {
        if self.has_checkpoint() {
            let header = checkpoint::header(&self.file(CHECKPOINT))?;
            return Ok(Some(header.data_hash));
        }
        match Model::read(&self.path) {
            Err(Error::Missing { .. }) => Ok(None),
            read => Ok(Some(read?.description.data_hash)),
        }
    }

    /// Whether there is a checkpoint to resume from.
    pub fn has_checkpoint(&self) -> bool {
        self.file(CHECKPOINT).exists()
    }

    /// Checks that a run may go on with these (resolved) settings.
    ///
    /// # Errors
    /// Names a setting that was changed and must not be.
    pub fn check_settings(&self, resolved: &Settings, spans_run: bool) -> Result<()> {
        if !self.has_checkpoint() {
            return Ok(());
        }
        let before = checkpoint::header(&self.file(CHECKPOINT))?.settings;
        for (key, old, new) in differences(&before, resolved) {
            let epochs = key == "train.epochs";
            if !FREE.contains(&key.as_str()) || (epochs && spans_run) {
                let why = match epochs {
                    true => " (the schedule spans the run)",
                    false => "",
                };
                let message =
                    format!("expected {old} as the run was started with{why}, found {new}");
                return Err(Error::setting(key, message));
            }
        }
        Ok(())
    }
}

/// Keys whose values differ, with both values: "train.seed", "0", "1".
pub fn differences(a: &Settings, b: &Settings) -> Vec<(String, String, String)> {
    let (a, b) = (a.flat(), b.flat());
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let show = |value: Option<&String>| value.cloned().unwrap_or_else(|| "nothing".into());
    keys.into_iter()
        .filter(|key| a.get(*key) != b.get(*key))
        .map(|key| (key.clone(), show(a.get(key)), show(b.get(key))))
        .collect()
}
