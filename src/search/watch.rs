//! What a search tells its watcher: which worker runs which trial, how far it is, and how it ended.

use super::journal::{Storage, Study};
use super::study::{Awaited, Claim};

/// Which worker of this process works on which task of the search. Both are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The worker.
    pub worker: usize,
    /// The task.
    pub task: usize,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// It is complete and has this value.
    Complete(f64),
    /// It was pruned after this last report.
    Pruned(f64),
    /// A loss was not a number.
    Diverged,
    /// It could not be run, for this reason.
    Failed(String),
    /// The search was asked to stop: the trial is back in the queue.
    Interrupted,
    /// Another program has ended it, or another worker has taken it over.
    Lost,
}

/// Watches a search. Every method has a default that does nothing. Workers call the methods from their own
/// threads.
pub trait Watcher: Sync {
    /// Whether to stop. Asked before every batch.
    fn interrupted(&self) -> bool {
        false
    }

    /// All studies are in the file, and no worker has begun yet.
    fn joined(&self, _storage: &Storage) {}

    /// A worker waits for these trials, which other workers run. Called again and again while it waits.
    fn waiting(&self, _assignment: Assignment, _awaited: &[Awaited]) {}

    /// The queued trial of this number could not be begun, for this reason.
    fn refused(&self, _assignment: Assignment, _number: usize, _why: &str) {}

    /// A worker has begun a trial.
    fn began(&self, _assignment: Assignment, _claim: &Claim) {}

    /// A share of the trial is done, from 0 to 1.
    fn batch(&self, _assignment: Assignment, _claim: &Claim, _share: f64) {}

    /// The trial has a value after a step.
    fn epoch(&self, _assignment: Assignment, _claim: &Claim, _step: u64, _value: f64) {}

    /// The trial has ended, and the study is in this state.
    fn ended(
        &self,
        _assignment: Assignment,
        _claim: &Claim,
        _end: End,
        _storage: &Storage,
        _study: &Study,
    ) {
    }
}

impl Watcher for () {}
