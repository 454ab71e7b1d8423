//! A run's folder: `config.toml`, `metrics.jsonl`, `model.safetensors`, `checkpoint.safetensors`, `summary.json`.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use super::checkpoint;
use super::record::{EpochRecord, Summary};
use super::trainer::Trainer;
use crate::backend::Backend;
use crate::durable;
use crate::error::{Error, Result};
use crate::input;
use crate::model::Model;
use crate::settings::Settings;

/// Settings that a resumed run may change: they do not change what was computed so far.
const FREE: [&str; 7] = [
    "train.epochs",
    "train.threads",
    "train.device",
    "train.patience",
    "train.min_delta",
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
    /// Makes a folder for a new run: `out`, which must not hold anything yet, or the next free `runs/run-0001`.
    ///
    /// # Errors
    /// If it cannot be made or is in use.
    pub fn create(out: Option<&Path>, settings: &Settings) -> Result<Self> {
        let path = match out {
            Some(path) => {
                fs::create_dir_all(path).map_err(|e| Error::io("create", path, e))?;
                let mut entries = fs::read_dir(path).map_err(|e| Error::io("list", path, e))?;
                if entries.next().is_some() {
                    let message = format!(
                        "expected a new or empty folder, found {} in use; to go on with a run: --resume {0}",
                        path.display()
                    );
                    return Err(Error::setting("out", message));
                }
                path.to_owned()
            }
            None => next_free(Path::new("runs"))?,
        };
        let run = RunDir { path };
        run.write_settings(settings)?;
        Ok(run)
    }

    /// The folder of an existing run.
    ///
    /// # Errors
    /// If it holds no `config.toml`.
    pub fn open(path: &Path) -> Result<Self> {
        let run = RunDir {
            path: path.to_owned(),
        };
        if run.file("config.toml").is_file() {
            return Ok(run);
        }
        let hint =
            "a run's folder holds config.toml, metrics.jsonl and checkpoint.safetensors".into();
        Err(Error::Missing {
            path: run.file("config.toml"),
            hint,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The settings that the run was started with.
    pub fn settings(&self) -> Result<Settings> {
        Settings::from_file(&self.file("config.toml"))
    }

    /// The records of its finished epochs.
    pub fn records(&self) -> Result<Vec<EpochRecord>> {
        let path = self.file("metrics.jsonl");
        let text = match input::read_text(&path, MAX_RECORDS) {
            Ok(text) => text,
            Err(Error::Missing { .. }) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
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
        let path = self.file("summary.json");
        match input::read_text(&path, MAX_SUMMARY) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|e| Error::format(&path, "file", "the summary of a run", e.to_string())),
            Err(Error::Missing { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether there is a checkpoint to resume from.
    pub fn has_checkpoint(&self) -> bool {
        self.file("checkpoint.safetensors").exists()
    }

    /// Checks that a run may go on with these (resolved) settings.
    ///
    /// # Errors
    /// Names a setting that was changed and must not be.
    pub fn check_settings(&self, resolved: &Settings, spans_run: bool) -> Result<()> {
        if !self.has_checkpoint() {
            return Ok(());
        }
        let before = checkpoint::header(&self.file("checkpoint.safetensors"))?.settings;
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

    /// Writes down the settings that a run goes on with.
    pub fn write_settings(&self, resolved: &Settings) -> Result<()> {
        durable::write(&self.file("config.toml"), resolved.to_toml()?.as_bytes())
    }

    /// Puts the trainer where the checkpoint was, and cuts the metrics back to it.
    pub fn restore<B: Backend>(&self, trainer: &mut Trainer<B>) -> Result<()> {
        let metrics_len = if self.has_checkpoint() {
            checkpoint::restore(&self.file("checkpoint.safetensors"), trainer)?.metrics_len
        } else {
            0
        };
        let path = self.file("metrics.jsonl");
        let found = fs::metadata(&path).map_or(0, |m| m.len());
        if found < metrics_len {
            let expected = format!("at least {metrics_len} bytes, as at the checkpoint");
            return Err(Error::format(
                &path,
                "end",
                expected,
                format!("{found} bytes"),
            ));
        }
        if found > metrics_len {
            let cut = OpenOptions::new().write(true).open(&path).and_then(|f| {
                f.set_len(metrics_len)?;
                f.sync_all()
            });
            cut.map_err(|e| Error::io("write", &path, e))?;
        }
        Ok(())
    }

    /// Appends an epoch's record.
    pub fn append(&self, record: &EpochRecord) -> Result<()> {
        let line = serde_json::to_string(record).expect("a record is plain data");
        durable::append_line(&self.file("metrics.jsonl"), &line).map(drop)
    }

    /// Writes the run's state, and its best weights as the model.
    pub fn checkpoint<B: Backend>(&self, trainer: &Trainer<B>) -> Result<()> {
        if let (Some((params, running)), Some(best)) = (&trainer.best, trainer.progress.best) {
            let mut description = trainer.description();
            description.epoch = best.epoch;
            let path = self.file("model.safetensors");
            Model::write(&path, &description, params, running, best.update)?;
        }
        let metrics_len = fs::metadata(self.file("metrics.jsonl")).map_or(0, |m| m.len());
        checkpoint::write(&self.file("checkpoint.safetensors"), trainer, metrics_len)
    }

    /// Writes what the run came to.
    pub fn summarise(&self, summary: &Summary) -> Result<()> {
        let json = serde_json::to_string_pretty(summary).expect("a summary is plain data");
        durable::write(&self.file("summary.json"), format!("{json}\n").as_bytes())
    }
}

/// Makes the first free `run-NNNN`. Making a folder fails if it exists, so two programs never take the same one.
fn next_free(parent: &Path) -> Result<PathBuf> {
    fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
    for number in 1_u32.. {
        let path = parent.join(format!("run-{number:04}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("create", &path, e)),
        }
    }
    unreachable!("2³² runs")
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
