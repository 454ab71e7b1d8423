//! The study file: an append-only journal that several processes share, and that Optuna can read and write.
//!
//! The file holds one JSON object per line. Its state is the replay of all lines ([`Storage`]); no line is ever
//! changed. A writer takes the lock, reads the new lines of other writers, decides, appends whole lines with
//! one write, and syncs ([`Journal::transaction`]).

mod lock;
mod record;
mod storage;
mod worker;

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use record::{Attributes, NewTrial, Operation, Parameter, Record, TrialState};
pub use storage::{Ignored, Storage, Study, Trial};

use crate::error::{Error, Result};
use lock::{GRACE, Lock};
use worker::{DEATH_TIMEOUT, Heartbeat, Liveness};

/// An open study file, with the state read from it so far.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    worker: String,
    storage: Storage,
    /// The number of bytes, and of lines, that have been replayed.
    offset: u64,
    lines: usize,
    liveness: Liveness,
    heartbeat: Option<Heartbeat>,
}

impl Journal {
    /// Opens an existing file to read it.
    ///
    /// # Errors
    /// If the file does not exist, or a line of it is not a record.
    pub fn open(path: &Path) -> Result<Self> {
        let mut journal = Journal {
            path: path.to_owned(),
            worker: worker::name(),
            storage: Storage::default(),
            offset: 0,
            lines: 0,
            liveness: Liveness::new(path, DEATH_TIMEOUT),
            heartbeat: None,
        };
        journal.refresh()?;
        Ok(journal)
    }

    /// Opens a file to work on it, and creates it if it does not exist. From now on other workers see that this
    /// one is alive.
    ///
    /// # Errors
    /// If the file cannot be created, or a line of it is not a record.
    pub fn join(path: &Path) -> Result<Self> {
        let made = OpenOptions::new().append(true).create(true).open(path);
        made.map_err(|e| Error::io("open", path, e))?;
        let mut journal = Self::open(path)?;
        journal.heartbeat = Some(Heartbeat::start(path, &journal.worker)?);
        Ok(journal)
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// This worker's name.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// The state read so far.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Whether the trial is running but its worker, one of this program's, is dead.
    pub fn is_orphan(&mut self, trial: &Trial) -> bool {
        trial.state() == TrialState::Running
            && trial
                .owner
                .as_deref()
                .is_some_and(|owner| owner != self.worker && self.liveness.is_dead(owner))
    }

    /// Removes the sign of life of a dead worker.
    pub fn forget_worker(&mut self, worker: &str) {
        self.liveness.forget(worker);
    }

    /// Reads the lines appended since the last read. A last piece without a line end is left for later, because
    /// its writer may not be done.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is not a record.
    pub fn refresh(&mut self) -> Result<()> {
        let io = |e| Error::io("read", &self.path, e);
        let mut file = File::open(&self.path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        if size < self.offset {
            let found = format!("{size}: the file was replaced or cut");
            return Err(Error::format(
                &self.path,
                "size",
                format!("at least {} bytes", self.offset),
                found,
            ));
        }
        file.seek(SeekFrom::Start(self.offset)).map_err(io)?;
        let mut bytes = Vec::new();
        file.take(size - self.offset)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        let whole = bytes
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |last| last + 1);
        for line in bytes[..whole].split_inclusive(|&b| b == b'\n') {
            let record = parse(line).map_err(|e| {
                Error::format(
                    &self.path,
                    format!("line {}", self.lines + 1),
                    "a record of a study",
                    e,
                )
            })?;
            // An ignored record is a conflict between other workers.
            let _ = self.storage.apply(record);
            self.offset += line.len() as u64;
            self.lines += 1;
        }
        if !could_be_torn(&bytes[whole..]) {
            // This is another kind of file. A writer would cut off its last piece as if it were a torn record.
            return Err(Error::format(
                &self.path,
                format!("line {}", self.lines + 1),
                "a record of a study",
                "something else",
            ));
        }
        Ok(())
    }

    /// Takes the lock, reads to the end of the file, asks `decide` what to append, and appends all of it or
    /// nothing.
    ///
    /// # Errors
    /// If `decide` fails, an operation would be ignored, or the file cannot be written. The file is then
    /// unchanged.
    pub fn transaction<T>(
        &mut self,
        decide: impl FnOnce(&Storage) -> Result<(Vec<Operation>, T)>,
    ) -> Result<T> {
        let lock = Lock::acquire(&self.path, &self.worker, GRACE)?;
        self.refresh()?;
        let (operations, result) = decide(&self.storage)?;
        if operations.is_empty() {
            return Ok(result);
        }
        let mut after = self.storage.clone();
        let mut text = String::new();
        let count = operations.len();
        for operation in operations {
            let record = Record {
                worker: self.worker.clone(),
                operation,
            };
            text += &record.to_line();
            text.push('\n');
            after.apply(record).map_err(|why| {
                Error::Check(format!(
                    "{}: the study has changed meanwhile: {why:?}",
                    self.path.display()
                ))
            })?;
        }
        if !lock.is_held() {
            return Err(Error::Check(format!(
                "{}: the lock was lost; is the machine's clock or disk stalled?",
                self.path.display()
            )));
        }
        self.append(text.as_bytes())?;
        self.offset += text.len() as u64;
        self.lines += count;
        self.storage = after;
        Ok(result)
    }

    /// Appends with one write and syncs. First it cuts off a torn line that a dead writer left. If the write
    /// fails, it cuts off what was written.
    fn append(&self, bytes: &[u8]) -> Result<()> {
        let io = |e| Error::io("write", &self.path, e);
        let mut file = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .map_err(io)?;
        if file.metadata().map_err(io)?.len() > self.offset {
            file.set_len(self.offset).map_err(io)?;
        }
        if let Err(e) = file.write_all(bytes).and_then(|()| file.sync_all()) {
            let _ = file.set_len(self.offset);
            return Err(io(e));
        }
        Ok(())
    }
}

/// Whether a piece without a line end can be the start of a record.
fn could_be_torn(piece: &[u8]) -> bool {
    let start = b"{\"op_code\":";
    let common = piece.len().min(start.len());
    piece[..common] == start[..common]
}

fn parse(line: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
    Record::parse(text.trim_end_matches(['\n', '\r']))
}

/// The current time in the format of the journal: UTC with six digits of a second.
pub fn now() -> String {
    let text = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
    format!("{}+00:00", text.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests;
