//! The workers of a process: each takes a trial, runs it, and takes the next, until the budget of all workers is spent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::journal::{Journal, State, Storage, Study, Trial};
use super::plan::Plan;
use super::study::{Claim, Next, Work, slot};
use super::trial::{End, Worker, run_folder};
use crate::data::Dataset;
use crate::error::{Error, Result};

/// How often a worker that has nothing to do looks again.
const PAUSE: Duration = Duration::from_millis(300);

/// Watches a search. Every method has a default that does nothing. Workers call it from their own threads.
pub trait Watcher: Sync {
    /// Asked before every batch: whether to stop.
    fn interrupted(&self) -> bool {
        false
    }

    /// A worker has begun a trial.
    fn began(&self, _worker: usize, _claim: &Claim) {}

    /// So much of the trial is done, from 0 to 1.
    fn batch(&self, _worker: usize, _claim: &Claim, _share: f64) {}

    /// The trial's value after a step.
    fn epoch(&self, _worker: usize, _claim: &Claim, _step: u64, _value: f64) {}

    /// The trial has ended; the study as it is then.
    fn ended(&self, _worker: usize, _claim: &Claim, _end: End, _storage: &Storage, _study: &Study) {
    }
}

impl Watcher for () {}

/// What to do, where and with what.
pub struct Search<'a> {
    /// What.
    pub plan: &'a Plan,
    /// The study file.
    pub journal: &'a Path,
    /// What is learnt from.
    pub data: Arc<Dataset>,
    /// Trials of all workers of all processes together.
    pub trials: usize,
    /// Runs of the best so many trials are kept.
    pub keep: usize,
    /// Threads of this process.
    pub threads: usize,
}

/// How the search stands when this process has nothing more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The budget is spent.
    Done,
    /// Every point of the space has been tried.
    Exhausted,
    /// Somebody asked to stop.
    Interrupted,
}

impl Search<'_> {
    /// Checks the plan, joins the study or begins it, and works until there is nothing left to do.
    ///
    /// # Errors
    /// If the plan makes no sense, the study is another one, or the data or the files fail.
    pub fn run(&self, watcher: &dyn Watcher) -> Result<Finish> {
        self.plan.check()?;
        if self
            .plan
            .config(&self.plan.space.middle(), 0, 0)?
            .split(&self.data)
            .validation
            .is_empty()
        {
            return Err(Error::setting(
                "data.validation",
                "expected validation data to search with, found none",
            ));
        }
        // One after the other: the first one begins the study.
        let works: Vec<Work<'_>> = (0..self.threads.min(self.trials).max(1))
            .map(|_| self.join())
            .collect::<Result<_>>()?;
        let stop = AtomicBool::new(false);
        let watched = Stoppable {
            watcher,
            stop: &stop,
        };
        let finished: Vec<Result<Finish>> = std::thread::scope(|scope| {
            let start = |(number, work)| scope.spawn(move || self.work(number, work, &watched));
            let handles: Vec<_> = works.into_iter().enumerate().map(start).collect();
            handles
                .into_iter()
                .map(|h| {
                    h.join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        self.tidy_up()?;
        let mut finish = Finish::Done;
        for worker in finished {
            match worker? {
                Finish::Done => {}
                other => finish = other,
            }
        }
        Ok(finish)
    }

    fn join(&self) -> Result<Work<'_>> {
        Work::join(Journal::join(self.journal)?, self.plan, &self.data.hash)
    }

    /// A worker's loop. If it fails the others end too, their trials going back into the queue.
    fn work(&self, number: usize, mut work: Work<'_>, watcher: &Stoppable<'_>) -> Result<Finish> {
        let folder = folder(self.journal, &self.plan.name);
        let worker = Worker {
            plan: self.plan,
            data: &self.data,
            folder: &folder,
            watcher,
            number,
        };
        let mut rounds = || -> Result<Finish> {
            while !watcher.interrupted() {
                match work.claim(self.trials)? {
                    Next::Run(claim) => {
                        watcher.began(number, &claim);
                        let threads = self.threads_of_a_trial(&mut work)?;
                        let end = worker.run(&mut work, &claim, threads)?;
                        let (storage, study) = work.look()?;
                        watcher.ended(number, &claim, end, storage, study);
                        self.tidy(&folder, storage, study);
                    }
                    Next::Wait => std::thread::sleep(PAUSE),
                    Next::Done(_) => return Ok(Finish::Done),
                    Next::Exhausted => return Ok(Finish::Exhausted),
                }
            }
            Ok(Finish::Interrupted)
        };
        let finish = rounds();
        if finish.is_err() {
            watcher.stop.store(true, Ordering::Relaxed);
        }
        finish
    }

    /// One, while there are as many open trials as threads; the last ones share what the others have left.
    fn threads_of_a_trial(&self, work: &mut Work<'_>) -> Result<usize> {
        let (storage, study) = work.look()?;
        let ended = storage.results(study);
        let open = self.trials.saturating_sub(ended).max(1);
        Ok((self.threads / open).max(1))
    }

    /// At the end: also what a killed worker did not come to.
    fn tidy_up(&self) -> Result<()> {
        let journal = Journal::open(self.journal)?;
        let folder = folder(self.journal, &self.plan.name);
        if let Some(study) = journal.storage().study(&self.plan.name) {
            self.tidy(&folder, journal.storage(), study);
        }
        // Only if nothing is kept there.
        let _ = std::fs::remove_dir(&folder)
            .and_then(|()| folder.parent().map_or(Ok(()), std::fs::remove_dir));
        Ok(())
    }

    /// Removes the runs of complete trials that are not among the best. Others' unfinished ones are left alone.
    fn tidy(&self, folder: &Path, storage: &Storage, study: &Study) {
        for trial in ranking(storage, study).into_iter().skip(self.keep) {
            for repeat in 0..self.plan.repeats {
                // Another worker may have been faster; a folder that stays costs room and nothing else.
                let _ = std::fs::remove_dir_all(run_folder(
                    folder,
                    slot(storage, study, trial),
                    repeat,
                ));
            }
        }
    }
}

/// Where the runs of a study's trials are: `<journal>.trials/<study>/<slot>-<repeat>`.
pub fn folder(journal: &Path, study: &str) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".trials");
    PathBuf::from(name).join(study)
}

/// Complete trials, the best first; of equals the earlier one.
pub fn ranking<'s>(storage: &'s Storage, study: &'s Study) -> Vec<&'s Trial> {
    let complete = storage
        .trials(study)
        .filter(|t| t.state() == State::Complete);
    let mut scored: Vec<(f64, &Trial)> = complete
        .filter_map(|t| Some((t.value().filter(|x| !x.is_nan())?, t)))
        .collect();
    scored.sort_by(|a, b| match study.is_better(a.0, b.0) {
        true => std::cmp::Ordering::Less,
        false if study.is_better(b.0, a.0) => std::cmp::Ordering::Greater,
        false => std::cmp::Ordering::Equal,
    });
    scored.into_iter().map(|(_, trial)| trial).collect()
}

/// A watcher that also stops when another worker has failed.
#[derive(Clone, Copy)]
struct Stoppable<'a> {
    watcher: &'a dyn Watcher,
    stop: &'a AtomicBool,
}

impl Watcher for Stoppable<'_> {
    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.watcher.interrupted()
    }

    fn began(&self, worker: usize, claim: &Claim) {
        self.watcher.began(worker, claim);
    }

    fn batch(&self, worker: usize, claim: &Claim, share: f64) {
        self.watcher.batch(worker, claim, share);
    }

    fn epoch(&self, worker: usize, claim: &Claim, step: u64, value: f64) {
        self.watcher.epoch(worker, claim, step, value);
    }

    fn ended(&self, worker: usize, claim: &Claim, end: End, storage: &Storage, study: &Study) {
        self.watcher.ended(worker, claim, end, storage, study);
    }
}
