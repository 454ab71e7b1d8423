//! The study file: an append-only journal that several processes, and Optuna, share.
//!
//! It is one JSON object a line, and its state is the replay of all lines ([`Storage`]); nothing is ever rewritten. A writer takes the lock, reads what others
//! have written meanwhile, decides, appends whole lines with one write, and syncs ([`Journal::transaction`]).

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
use worker::{Heartbeat, SILENCE, Watch};

/// An open study file, with what has been read of it so far.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    worker: String,
    storage: Storage,
    /// Bytes and lines that have been replayed.
    offset: u64,
    lines: usize,
    watch: Watch,
    heartbeat: Option<Heartbeat>,
}

impl Journal {
    /// Opens an existing file to read it.
    ///
    /// # Errors
    /// If there is none, or a line of it is no record.
    pub fn open(path: &Path) -> Result<Self> {
        let mut journal = Journal {
            path: path.to_owned(),
            worker: worker::name(),
            storage: Storage::default(),
            offset: 0,
            lines: 0,
            watch: Watch::new(path, SILENCE),
            heartbeat: None,
        };
        journal.refresh()?;
        Ok(journal)
    }

    /// Opens a file, or makes an empty one, to work on it: other workers see from now on that this one is alive.
    ///
    /// # Errors
    /// If it cannot be made, or a line of it is no record.
    pub fn join(path: &Path) -> Result<Self> {
        let made = OpenOptions::new().append(true).create(true).open(path);
        made.map_err(|e| Error::io("open", path, e))?;
        let mut journal = Self::open(path)?;
        journal.heartbeat = Some(Heartbeat::start(path, &journal.worker)?);
        Ok(journal)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// This worker's name.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// What has been read so far.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Whether the trial's worker is one of ours and dead.
    pub fn is_orphan(&mut self, trial: &Trial) -> bool {
        trial.state() == TrialState::Running
            && trial
                .owner
                .as_deref()
                .is_some_and(|owner| owner != self.worker && self.watch.is_dead(owner))
    }

    /// Forgets a dead worker.
    pub fn bury(&mut self, worker: &str) {
        self.watch.bury(worker);
    }

    /// Reads what has been appended since. A last piece without an end of line is left for later: its writer may not be done.
    ///
    /// # Errors
    /// If it cannot be read, or a line is no record.
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
            // What others have lost does not concern us.
            let _ = self.storage.apply(record);
            self.offset += line.len() as u64;
            self.lines += 1;
        }
        if !could_be_torn(&bytes[whole..]) {
            // Some other file, without an end of line: a writer would cut it off as if it were a torn record.
            return Err(Error::format(
                &self.path,
                format!("line {}", self.lines + 1),
                "a record of a study",
                "something else",
            ));
        }
        Ok(())
    }

    /// Under the lock: reads on to the end, lets `decide` say what to append, and appends it whole or not at all.
    ///
    /// # Errors
    /// If `decide` fails, an operation would be ignored, or the file cannot be written; then it is as it was.
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

    /// Appends with one write and syncs. A piece of a line that a dead writer left is cut off first; so is what could not be written whole.
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

/// Whether a piece without an end of line can be the start of a record.
fn could_be_torn(piece: &[u8]) -> bool {
    let start = b"{\"op_code\":";
    let common = piece.len().min(start.len());
    piece[..common] == start[..common]
}

fn parse(line: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
    Record::parse(text.trim_end_matches(['\n', '\r']))
}

/// Now, as the journal writes times: UTC with six digits of a second.
pub fn now() -> String {
    let text = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
    format!("{}+00:00", text.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests;
