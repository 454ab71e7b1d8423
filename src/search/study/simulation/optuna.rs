//! A worker of Optuna, as far as its way to write to the file matters.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::machine::{EndsWhenDropped, JOURNAL, Killed, Promises, SimulatedProcess};
use crate::search::journal::system::{Access, System};
use crate::search::journal::{NewTrial, Operation, Record, Storage, TrialState};

/// A lock that has not changed for this time is removed.
const GRACE: Duration = Duration::from_secs(30);

/// The number of trials that a worker runs.
const TRIALS: usize = 3;

pub(super) struct OptunaWorker<'a> {
    pub(super) process: SimulatedProcess,
    pub(super) study: &'a str,
    pub(super) promises: &'a Mutex<Promises>,
}

impl OptunaWorker<'_> {
    /// Runs some trials. After a death or an error it is not started again, and its trial stays running in the file.
    pub(super) fn run(&self) {
        let worker = format!("{:032x}-{}", self.process.number, self.process.number);
        let _end = EndsWhenDropped(&self.process);
        self.process.start(&worker);
        match catch_unwind(AssertUnwindSafe(|| self.live(&worker))) {
            Err(payload) if !payload.is::<Killed>() => resume_unwind(payload),
            _ => {}
        }
    }

    /// `None`: the file could not be read, and the program ended with an error.
    fn live(&self, worker: &str) -> Option<()> {
        let mut done = 0;
        while done < TRIALS {
            self.process.sleep(Duration::from_secs(1));
            let Some(trial) = self.claim(worker)? else {
                continue;
            };
            done += 1;
            self.promises.lock().unwrap().begun.push(trial);
            let seconds = 1 + self.process.below(30);
            self.process.sleep(Duration::from_secs(seconds as u64));
            let value = trial as f64;
            let complete = Operation::SetState {
                trial,
                state: TrialState::Complete,
                values: Some(vec![value]),
                at: None,
            };
            self.append(worker, complete)?;
            // Nobody takes a worker of another program for dead, so the trial is still its own.
            let storage = self.replay()?;
            assert_eq!(storage.trial(trial)?.value(), Some(value));
            self.promises.lock().unwrap().complete.push((trial, value));
        }
        Some(())
    }

    /// Claims the first waiting trial, or creates one. Returns its id if it is this worker's.
    fn claim(&self, worker: &str) -> Option<Option<usize>> {
        let storage = self.replay()?;
        let Some(study) = storage.study(self.study) else {
            return Some(None);
        };
        let waiting = storage
            .trials(study)
            .find(|t| t.state() == TrialState::Waiting);
        let operation = match waiting {
            Some(trial) => Operation::SetState {
                trial: trial.id,
                state: TrialState::Running,
                values: None,
                at: None,
            },
            None => Operation::CreateTrial {
                study: study.id,
                trial: Box::new(NewTrial::new(TrialState::Running, None)),
            },
        };
        self.append(worker, operation)?;
        let after = self.replay()?;
        let study = after.study(self.study)?;
        let own = after
            .trials(study)
            .find(|t| t.state() == TrialState::Running && t.owner.as_deref() == Some(worker));
        Some(own.map(|t| t.id))
    }

    fn replay(&self) -> Option<Storage> {
        let file = self.process.open(Path::new(JOURNAL), Access::Read).ok()?;
        let bytes = file.read_from(0).ok()?;
        let mut storage = Storage::default();
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |n| n + 1);
        for line in String::from_utf8_lossy(&bytes[..whole]).lines() {
            let _ = storage.apply(Record::parse(line).ok()?);
        }
        Some(storage)
    }

    fn append(&self, worker: &str, operation: Operation) -> Option<()> {
        let record = Record {
            worker: worker.into(),
            operation,
        };
        self.acquire();
        let file = self.process.open(Path::new(JOURNAL), Access::Append).ok()?;
        let line = format!("{}\n", record.to_line());
        let written = file.append(line.as_bytes()).and_then(|()| file.sync());
        drop(file);
        self.release();
        written.ok()
    }

    fn acquire(&self) {
        let lock = lock();
        let mut seen = None;
        let mut pause = Duration::from_millis(1);
        loop {
            match self.process.create_new(&lock, "link") {
                Ok(_) => return,
                Err(e) => assert_eq!(e.kind(), ErrorKind::AlreadyExists),
            }
            // The link is followed: it is the journal's time that counts.
            let modified = self.process.identity(Path::new(JOURNAL)).unwrap().2;
            let now = self.process.time();
            match seen {
                Some((before, since)) if before == modified => {
                    if now - since > GRACE {
                        self.release();
                        pause = Duration::from_millis(1);
                    }
                }
                _ => seen = Some((modified, now)),
            }
            self.process.sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Removes the lock, whosever it is by now.
    fn release(&self) {
        let renamed = PathBuf::from(format!("{JOURNAL}.lock-{}.rename", self.process.number));
        if self.process.rename(&lock(), &renamed).is_ok() {
            self.process.remove(&renamed).unwrap();
        }
    }
}

fn lock() -> PathBuf {
    format!("{JOURNAL}.lock").into()
}
