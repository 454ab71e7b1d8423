//! Writing to a run's folder: by one process at a time.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::checkpoint;
use super::record::{EpochRecord, Summary};
use super::run_dir::{CHECKPOINT, CONFIG, LOCK, METRICS, RunDir, SUMMARY};
use super::trainer::Trainer;
use crate::backend::Backend;
use crate::durable;
use crate::error::{Error, Result};
use crate::input::is_of_file_manager;
use crate::lock::FolderLock;
use crate::model::{Model, model_path};
use crate::settings::Settings;

/// The folder of a run that no other process writes to.
#[derive(Debug)]
pub struct RunWriter {
    run: RunDir,
    lock: FolderLock,
}

impl RunWriter {
    /// Makes and locks a folder for a new run: `out`, which must not hold anything yet, or the next free
    /// `runs/run-0001`. What a process left that was killed at this point does not count. The run begins with its
    /// settings: [`RunWriter::write_settings`].
    ///
    /// # Errors
    /// If it cannot be made or is in use.
    pub fn create(out: Option<&Path>) -> Result<Self> {
        let path = match out {
            Some(path) => {
                durable::create_dir_all(path)?;
                path.to_owned()
            }
            None => next_free(Path::new("runs"))?,
        };
        let run = RunDir::at(path);
        // A folder that is not new gets no lock, not even for a moment.
        left_overs(&run)?;
        let lock = FolderLock::acquire(run.path(), LOCK)?;
        // Another process may have trained a whole run in it meanwhile.
        for path in left_overs(&run)? {
            fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
        Ok(RunWriter { run, lock })
    }

    /// Locks the folder of a run to go on with it.
    ///
    /// # Errors
    /// If another process works on it.
    pub fn resume(run: &RunDir) -> Result<Self> {
        Ok(RunWriter {
            lock: FolderLock::acquire(run.path(), LOCK)?,
            run: run.clone(),
        })
    }

    /// The folder, to read from.
    pub fn run(&self) -> &RunDir {
        &self.run
    }

    /// Whether other processes are kept out. They are not on a file system without locks.
    pub fn is_exclusive(&self) -> bool {
        self.lock.is_exclusive()
    }

    /// Writes a file whole or not at all.
    fn write(&self, path: &Path, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
        // A process that slept for long may find another run in this place. It is asked once its new file exists under
        // a temporary name, which cannot be renamed from another folder.
        durable::write_with(path, |file| {
            self.lock.check()?;
            fill(file)
        })
    }

    fn write_text(&self, name: &str, text: &str) -> Result<()> {
        let path = self.run.file(name);
        self.write(&path, |file| {
            file.write_all(text.as_bytes())
                .map_err(|e| Error::io("write", &path, e))
        })
    }

    /// Writes down the settings that a run begins or goes on with.
    pub fn write_settings(&self, resolved: &Settings) -> Result<()> {
        self.write_text(CONFIG, &resolved.to_toml()?)
    }

    /// Puts the trainer where the checkpoint was, and cuts the metrics back to it.
    pub fn restore<B: Backend>(&self, trainer: &mut Trainer<B>) -> Result<()> {
        let metrics_len = if self.run.has_checkpoint() {
            checkpoint::restore(&self.run.file(CHECKPOINT), trainer)?.metrics_len
        } else {
            0
        };
        let path = self.run.file(METRICS);
        let found = fs::metadata(&path).map_or(0, |m| m.len());
        // The epoch in which a run diverges has a record, but is not finished.
        let progress = &trainer.progress;
        let epochs = u64::from(progress.epoch) + u64::from(progress.diverged);
        self.run.check_records(metrics_len, epochs)?;
        if found > metrics_len {
            let cut = OpenOptions::new().write(true).open(&path).and_then(|f| {
                f.set_len(metrics_len)?;
                f.sync_all()
            });
            cut.map_err(|e| Error::io("write", &path, e))?;
        }
        Ok(())
    }

    /// Appends an epoch's record. It is safe from a failure of the system from the next checkpoint on, as the epoch is.
    pub fn append(&self, record: &EpochRecord) -> Result<()> {
        let line = serde_json::to_string(record).expect("a record is plain data");
        durable::append_line(&self.run.file(METRICS), &line, || self.lock.check())
    }

    /// Writes the run's state, and its best weights as the model.
    pub fn checkpoint<B: Backend>(&self, trainer: &Trainer<B>) -> Result<()> {
        if let (Some((params, running)), Some(best)) = (&trainer.best, trainer.progress.best) {
            let mut description = trainer.description();
            description.epoch = best.epoch;
            let path = model_path(self.run.path());
            self.write(&path, |file| {
                Model::write_to(file, &path, &description, params, running, best.update)
            })?;
        }
        let metrics = self.run.file(METRICS);
        durable::sync_file(&metrics)?;
        let metrics_len = fs::metadata(metrics).map_or(0, |m| m.len());
        let path = self.run.file(CHECKPOINT);
        self.write(&path, |file| {
            checkpoint::write_to(file, &path, trainer, metrics_len)
        })
    }

    /// Writes what the run came to.
    pub fn summarise(&self, summary: &Summary) -> Result<()> {
        let json = serde_json::to_string_pretty(summary).expect("a summary is plain data");
        self.write_text(SUMMARY, &format!("{json}\n"))
    }
}

/// Makes the first free `run-NNNN`. Making a folder fails if it exists, so two programs never take the same one.
pub(super) fn next_free(parent: &Path) -> Result<PathBuf> {
    durable::create_dir_all(parent)?;
    for number in 1_u32.. {
        let path = parent.join(format!("run-{number:04}"));
        if durable::create_dir(&path)? {
            return Ok(path);
        }
    }
    unreachable!("2³² runs")
}

/// The files of a process that was killed before its run began. Temporary files are no part of them; they are swept up
/// by the next write.
///
/// # Errors
/// If the folder holds anything else.
fn left_overs(run: &RunDir) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io("list", run.path(), e);
    let mut found = Vec::new();
    for entry in fs::read_dir(run.path()).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (name, path) = (entry.file_name(), entry.path());
        if durable::is_temporary(&name) || is_of_file_manager(&name) || name == LOCK {
            continue;
        }
        // Earlier versions wrote the settings under this temporary name.
        if name != "config.toml.tmp" && !(name == CHECKPOINT && is_untrained(&path)) {
            return Err(already_used(run));
        }
        found.push(path);
    }
    Ok(found)
}

/// Whether a checkpoint holds given weights before their first update. It is written before the settings.
fn is_untrained(checkpoint: &Path) -> bool {
    checkpoint::header(checkpoint).is_ok_and(|header| header.progress.update == 0)
}

/// The error for a folder that holds something.
fn already_used(run: &RunDir) -> Error {
    if let Some(holder) = run.holder() {
        return Error::InUse {
            path: run.path().to_owned(),
            holder,
        };
    }
    let message = format!(
        "expected a new or empty folder, found {} in use; to go on with a run: --resume {0}",
        run.path().display()
    );
    Error::setting("out", message)
}
