//! The study file: an append-only journal that several processes share, and that Optuna can read and write.
//!
//! The file holds one JSON object per line. Its state is the replay of all lines ([`Storage`]); no line is ever
//! changed or removed. A writer takes the locks, reads the new lines of other writers, decides, appends whole lines
//! with one write, and syncs. Then it reads what it wrote: no lock holds for ever, and if a writer was paused for long
//! before its write, lines of others may stand before its own ([`Journal::transaction`]).

mod lock;
mod record;
mod storage;
pub(super) mod system;
mod worker;
mod worker_name;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use record::{Attributes, NewTrial, Operation, Parameter, Record, TrialState};
pub use storage::{Ignored, Storage, Study, Trial};
pub use worker_name::Origin;

use crate::durable;
use crate::error::{Error, Result};
use crate::input::BoundedFile;
use lock::{GRACE, Lock};
use system::{Access, JournalFile, OperatingSystem, System};
use worker::{DEATH_TIMEOUT, Heartbeat, Liveness};

/// An open study file, with the state read from it so far.
#[derive(Debug)]
pub struct Journal {
    system: Arc<dyn System>,
    path: PathBuf,
    worker: String,
    storage: Storage,
    /// The number of bytes, and of lines, that have been replayed.
    offset: u64,
    lines: usize,
    /// The length of the last piece, which has no line end. Its writer may not be done, or it died.
    tail: usize,
    /// Torn pieces before records: offset and length.
    torn: Vec<(u64, usize)>,
    liveness: Liveness,
    heartbeat: Option<Heartbeat>,
    /// The number of changes of trials of other programs, and since when it has been the same.
    news: HashMap<usize, (usize, Duration)>,
}

impl Journal {
    /// Opens an existing file to read it.
    ///
    /// # Errors
    /// If the file does not exist, or a line of it is not a record.
    pub fn open(path: &Path) -> Result<Self> {
        // A device or a named pipe is refused here, before anybody waits for its end.
        BoundedFile::open(path)?;
        Self::open_on(Arc::new(OperatingSystem::new()), path, worker_name::name())
    }

    /// Opens an existing file of a system as this worker.
    pub(super) fn open_on(system: Arc<dyn System>, path: &Path, worker: String) -> Result<Self> {
        let mut journal = Journal {
            path: path.to_owned(),
            worker,
            storage: Storage::default(),
            offset: 0,
            lines: 0,
            tail: 0,
            torn: Vec::new(),
            liveness: Liveness::new(system.clone(), path, DEATH_TIMEOUT),
            heartbeat: None,
            news: HashMap::new(),
            system,
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
        if path.exists() {
            BoundedFile::open(path)?;
        }
        durable::create(path)?;
        let mut journal = Self::open(path)?;
        lock::sweep(path);
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

    /// Whether the trial is running and its worker is of another program. Such a worker gives no sign of life.
    pub fn is_foreign(&self, trial: &Trial) -> bool {
        let owner = trial.owner.as_deref().unwrap_or_default();
        trial.state() == TrialState::Running && Origin::of(owner) == Origin::OtherProgram
    }

    /// For how long this journal has seen no record about the trial, counted from the first time that it was asked.
    pub fn silence(&mut self, trial: &Trial) -> Duration {
        let now = self.system.time();
        let (changes, since) = self.news.entry(trial.id).or_insert((trial.changes, now));
        if *changes != trial.changes {
            (*changes, *since) = (trial.changes, now);
        }
        now - *since
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
        let file = self.system.open(&self.path, Access::Read);
        let file = file.map_err(|e| Error::io("read", &self.path, e))?;
        self.read_new(&*file).map(drop)
    }

    /// Reads and replays the new lines. Returns their bytes, and whether every record of this worker among them had
    /// its effect.
    fn read_new(&mut self, file: &dyn JournalFile) -> Result<(Vec<u8>, bool)> {
        let io = |e| Error::io("read", &self.path, e);
        let size = file.size().map_err(io)?;
        if size < self.offset {
            let expected = format!("at least {} bytes", self.offset);
            let found = format!("{size}: the file was replaced or cut");
            return Err(Error::format(&self.path, "size", expected, found));
        }
        let mut bytes = file.read_from(self.offset).map_err(io)?;
        let whole = bytes
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |last| last + 1);
        let not_a_record = |line, why: String| {
            let place = format!("line {line}");
            Error::format(&self.path, place, "a record of a study", why)
        };
        let mut all_applied = true;
        for line in bytes[..whole].split_inclusive(|&b| b == b'\n') {
            let (torn, record) = parse(line).map_err(|why| not_a_record(self.lines + 1, why))?;
            if torn > 0 {
                self.torn.push((self.offset, torn));
            }
            let own = record.worker == self.worker;
            // An ignored record of others is a conflict between them.
            let applied = self.storage.apply(record);
            all_applied &= applied.is_ok() || !own;
            self.offset += line.len() as u64;
            self.lines += 1;
        }
        if !could_be_torn(&bytes[whole..]) {
            // This is another kind of file. A writer would blank its last piece as if it were a torn record.
            return Err(not_a_record(self.lines + 1, "something else".into()));
        }
        self.tail = bytes.len() - whole;
        bytes.truncate(whole);
        Ok((bytes, all_applied))
    }

    /// Takes the locks, reads to the end of the file, asks `decide` what to append, and appends it.
    ///
    /// If the lines of another writer turn out to stand before these, and these had no effect or created a trial, then
    /// `decide` is asked again. The lines are in the file by then. So what it answers must take into account what this
    /// worker has written already.
    ///
    /// The lines of a batch can also be cut short, by a full disk or a power failure. So each batch must be in an order
    /// in which its beginning alone does no harm.
    ///
    /// # Errors
    /// If `decide` fails, an operation would be ignored or has a number that is not finite, or the file cannot be
    /// written.
    pub fn transaction<T>(
        &mut self,
        mut decide: impl FnMut(&Storage) -> Result<(Vec<Operation>, T)>,
    ) -> Result<T> {
        let system = self.system.clone();
        loop {
            let file = system.open(&self.path, Access::Append);
            let file = file.map_err(|e| Error::io("write", &self.path, e))?;
            let lock = Lock::acquire(&*system, &*file, &self.path, &self.worker, GRACE)?;
            self.read_new(&*file)?;
            self.blank_torn(&*file)?;
            let (operations, result) = decide(&self.storage)?;
            if operations.is_empty() || self.append(&*file, &lock, operations)? {
                return Ok(result);
            }
        }
    }

    /// Puts spaces in the place of torn pieces before records, which JSON allows. They are not cut off, because a late
    /// writer could cut off the lines that others have appended meanwhile.
    fn blank_torn(&mut self, file: &dyn JournalFile) -> Result<()> {
        for (offset, length) in self.torn.drain(..) {
            let blanked = file.blank(offset, length);
            blanked.map_err(|e| Error::io("write", &self.path, e))?;
        }
        Ok(())
    }

    /// Appends operations, unless the lock was lost. Returns whether they have the effect that was intended.
    fn append(
        &mut self,
        file: &dyn JournalFile,
        lock: &Lock<'_>,
        operations: Vec<Operation>,
    ) -> Result<bool> {
        let creates_trial = operations
            .iter()
            .any(|o| matches!(o, Operation::CreateTrial { .. }));
        let text = self.encode(operations)?;
        let path = self.path.clone();
        let io = |e| Error::io("write", &path, e);
        if !file.is_at(&path).map_err(io)? {
            return Err(io(io::Error::other("it was replaced by another file")));
        }
        let tail = self.tail;
        if tail > 0 {
            // The records will stand behind this piece.
            self.torn.push((self.offset, tail));
            self.blank_torn(file)?;
        }
        if !lock.is_held() {
            return Ok(false);
        }
        file.append(text.as_bytes())
            .and_then(|()| file.sync())
            .map_err(io)?;
        let (written, all_applied) = self.read_new(file)?;
        let is_next = written
            .get(tail..)
            .is_some_and(|rest| rest.starts_with(text.as_bytes()));
        Ok(all_applied && (is_next || !creates_trial))
    }

    /// The lines of operations.
    ///
    /// # Errors
    /// If one of them would be ignored, or has a number that is not finite: nobody could read the file any more.
    fn encode(&self, operations: Vec<Operation>) -> Result<String> {
        let mut after = self.storage.clone();
        let mut text = String::new();
        for operation in operations {
            if !operation.is_finite() {
                let path = self.path.display();
                return Err(Error::Check(format!(
                    "{path}: expected finite numbers to write, found {operation:?}"
                )));
            }
            let record = Record {
                worker: self.worker.clone(),
                operation,
            };
            text += &record.to_line();
            text.push('\n');
            after.apply(record).map_err(|why| {
                let path = self.path.display();
                Error::Check(format!("{path}: the study has changed meanwhile: {why:?}"))
            })?;
        }
        Ok(text)
    }
}

/// How each record begins.
const RECORD_START: &str = "{\"op_code\":";

/// Whether a piece without a line end can be the start of a record, or several starts: writers may have died one after
/// the other.
fn could_be_torn(mut piece: &[u8]) -> bool {
    let start = RECORD_START.as_bytes();
    loop {
        piece = piece.trim_ascii_start();
        let common = piece.iter().zip(start).take_while(|(a, b)| a == b).count();
        if common == start.len() || common == piece.len() {
            return true;
        }
        if common == 0 {
            return false;
        }
        piece = &piece[common..];
    }
}

/// Parses a line. Before the record may be a torn one, if a late writer or another program has appended to it. Returns
/// the length of this torn piece too.
fn parse(line: &[u8]) -> Result<(usize, Record), String> {
    let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
    let text = text.trim_end_matches(['\n', '\r']);
    let whole = Record::parse(text);
    if whole.is_err()
        && let Some(torn) = text.rfind(RECORD_START).filter(|&at| at > 0)
        && could_be_torn(&line[..torn])
        && let Ok(record) = Record::parse(&text[torn..])
    {
        return Ok((torn, record));
    }
    whole.map(|record| (0, record))
}

/// The current time in the format of the journal: UTC with six digits of a second.
pub fn now() -> String {
    let text = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
    format!("{}+00:00", text.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests;
