//! The workers of a process. Each takes a trial, runs it, and takes the next one, until the budget of all
//! workers is spent.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::journal::{Journal, Storage, Study, Trial, TrialState};
use super::plan::Plan;
use super::study::{Awaited, Claim, Next, Slots, StudyWork};
use super::trial::{Worker, run_folder};
use super::watch::{Assignment, End, Watcher};
use crate::backend::select::Device;
use crate::backend::select::check_device;
use crate::data::Dataset;
use crate::error::{Error, Result};

/// How long a worker without work waits before it looks for work again.
const PAUSE: Duration = Duration::from_millis(300);

/// So many trials that fail one after the other end the search: the next would most likely fail too.
const FAILURES: usize = 10;

/// A study to work on.
#[derive(Clone, Copy)]
pub struct StudyTask<'a> {
    /// The plan of the study.
    pub plan: &'a Plan,
    /// The number of trials, of all workers of all processes together.
    pub trials: usize,
    /// The number of best trials whose runs are kept.
    pub keep: usize,
}

impl<'a> StudyTask<'a> {
    /// A task that tries every value of a series. Only its figures are needed, so no run is kept.
    pub fn series(plan: &'a Plan) -> Self {
        StudyTask {
            plan,
            trials: plan.space.cardinality().unwrap_or(0) as usize,
            keep: 0,
        }
    }
}

/// Studies to work on, with the journal, the data and the number of threads.
pub struct Search<'a> {
    /// Studies that do not depend on each other. They are begun in this order. A worker that finds no trial to
    /// begin in one goes on with the next.
    pub tasks: &'a [StudyTask<'a>],
    /// The study file.
    pub journal: &'a Path,
    /// The data set to learn from.
    pub data: Arc<Dataset>,
    /// The number of threads of this process.
    pub threads: usize,
    /// The time without news after which a running trial of another program is no longer waited for.
    pub foreign_timeout: Duration,
}

/// The number of workers of a process for the tasks: one per thread, but at most one per trial. On a GPU trials
/// run one after the other. Their kernels would do so anyway, and each trial has the memory to itself.
pub fn workers(tasks: &[StudyTask<'_>], threads: usize) -> usize {
    let trials = tasks.iter().map(|t| t.trials).sum();
    match tasks.iter().all(|t| t.plan.device() == Device::Cpu) {
        true => threads.min(trials),
        false => trials.min(1),
    }
}

/// The state of a task when this process has nothing more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The budget is spent.
    Done,
    /// Every point of the space has been tried.
    Exhausted,
    /// The search was asked to stop.
    Interrupted,
}

impl Search<'_> {
    /// Checks the plans, joins or begins the studies, and works until nothing is left to do. Returns the state
    /// of each task.
    ///
    /// # Errors
    /// If a plan is invalid, if a study in the file has another plan, or if the data or the files fail.
    pub fn run(&self, watcher: &dyn Watcher) -> Result<Vec<Finish>> {
        self.check()?;
        // All studies are begun before a worker starts, so that they are in the file in the order of the tasks.
        let mut journal = Journal::join(self.journal)?;
        for task in self.tasks {
            journal = self.join(journal, task)?.leave();
        }
        watcher.joined(journal.storage());
        let mut journals = vec![journal];
        for _ in 1..workers(self.tasks, self.threads) {
            journals.push(Journal::join(self.journal)?);
        }
        let stop = AtomicBool::new(false);
        let stoppable = Stoppable {
            watcher,
            stop: &stop,
        };
        let finished: Vec<Result<Vec<Finish>>> = std::thread::scope(|scope| {
            let start =
                |(number, journal)| scope.spawn(move || self.work(number, journal, &stoppable));
            let handles: Vec<_> = journals.into_iter().enumerate().map(start).collect();
            handles
                .into_iter()
                .map(|h| {
                    h.join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        let mut finishes = vec![Finish::Done; self.tasks.len()];
        for worker in finished {
            for (finish, own) in finishes.iter_mut().zip(worker?) {
                if own != Finish::Done {
                    *finish = own;
                }
            }
        }
        self.conclude(&mut finishes)?;
        Ok(finishes)
    }

    fn join<'a>(&self, journal: Journal, task: &StudyTask<'a>) -> Result<StudyWork<'a>> {
        StudyWork::join(journal, task.plan, &self.data.hash, self.foreign_timeout)
    }

    fn check(&self) -> Result<()> {
        for StudyTask { plan, .. } in self.tasks {
            plan.check()?;
            plan.check_fit(&self.data)?;
            check_device(plan.device())?;
        }
        Ok(())
    }

    /// The work of one worker. If it fails, the other workers stop too, and their trials go back into the
    /// queue.
    fn work(
        &self,
        worker: usize,
        journal: Journal,
        watcher: &Stoppable<'_>,
    ) -> Result<Vec<Finish>> {
        let finishes = self.work_on_tasks(worker, journal, watcher);
        if finishes.is_err() {
            watcher.stop.store(true, Ordering::Relaxed);
        }
        finishes
    }

    fn work_on_tasks(
        &self,
        worker: usize,
        mut journal: Journal,
        watcher: &Stoppable<'_>,
    ) -> Result<Vec<Finish>> {
        let mut finishes = vec![Finish::Interrupted; self.tasks.len()];
        let mut open: VecDeque<usize> = (0..self.tasks.len()).collect();
        let (mut waited, mut failed) = (0, 0);
        while let Some(&task) = open.front()
            && !watcher.interrupted()
        {
            let mut work = self.join(journal, &self.tasks[task])?;
            let assignment = Assignment { worker, task };
            match work.claim(self.tasks[task].trials)? {
                Next::Run(claim) => {
                    waited = 0;
                    match self.trial(assignment, &mut work, &claim, watcher)? {
                        End::Failed(why) => failed = self.after_failure(failed, &why)?,
                        _ => failed = 0,
                    }
                }
                Next::Failed { number, why } => watcher.refused(assignment, number, &why),
                // Other workers run the last trials of this study. Another study may have trials to begin.
                Next::Wait(awaited) => {
                    watcher.waiting(assignment, &awaited);
                    open.rotate_left(1);
                    waited += 1;
                    if waited >= open.len() {
                        std::thread::sleep(PAUSE);
                        waited = 0;
                    }
                }
                over => {
                    finishes[task] = match over {
                        Next::Exhausted => Finish::Exhausted,
                        _ => Finish::Done,
                    };
                    open.pop_front();
                }
            }
            journal = work.leave();
        }
        Ok(finishes)
    }

    /// The number of trials that have failed one after the other.
    fn after_failure(&self, before: usize, why: &str) -> Result<usize> {
        let failed = before + 1;
        if failed < FAILURES {
            return Ok(failed);
        }
        let message = format!("{FAILURES} trials failed one after the other; the last one: {why}");
        Err(Error::setting("the search space", message))
    }

    /// Runs a claimed trial.
    fn trial(
        &self,
        assignment: Assignment,
        work: &mut StudyWork<'_>,
        claim: &Claim,
        watcher: &Stoppable<'_>,
    ) -> Result<End> {
        let task = self.tasks[assignment.task];
        watcher.began(assignment, claim);
        let folder = folder(self.journal, &task.plan.name);
        let runner = Worker {
            plan: task.plan,
            data: &self.data,
            folder: &folder,
            watcher,
            assignment,
        };
        let threads = self.threads_of_a_trial(work)?;
        let end = runner.run(work, claim, threads)?;
        let (storage, study) = work.look()?;
        watcher.ended(assignment, claim, end.clone(), storage, study);
        tidy(task, &folder, storage, study);
        Ok(end)
    }

    /// The number of threads for a trial: one, as long as there are at least as many open trials as threads.
    /// The last trials share the threads that are free.
    fn threads_of_a_trial(&self, work: &mut StudyWork<'_>) -> Result<usize> {
        let (storage, _) = work.look()?;
        let open = |task: &StudyTask<'_>| {
            let ended = storage
                .study(&task.plan.name)
                .map_or(0, |s| storage.results(s));
            task.trials.saturating_sub(ended)
        };
        let open: usize = self.tasks.iter().map(open).sum();
        Ok((self.threads / open.max(1)).max(1))
    }

    /// Finishes the tasks. A task that was stopped after its last trial is done. Runs that a killed worker
    /// could not remove are removed.
    fn conclude(&self, finishes: &mut [Finish]) -> Result<()> {
        let journal = Journal::open(self.journal)?;
        let storage = journal.storage();
        for (task, finish) in self.tasks.iter().zip(finishes) {
            let folder = folder(self.journal, &task.plan.name);
            if let Some(study) = storage.study(&task.plan.name) {
                tidy(*task, &folder, storage, study);
                if *finish == Finish::Interrupted && storage.results(study) >= task.trials {
                    *finish = Finish::Done;
                }
            }
            // Succeeds only if the folder is empty.
            let _ = std::fs::remove_dir(&folder)
                .and_then(|()| folder.parent().map_or(Ok(()), std::fs::remove_dir));
        }
        Ok(())
    }
}

/// Removes the runs of ended trials that are not among the best. The unfinished runs of other workers stay.
fn tidy(task: StudyTask<'_>, folder: &Path, storage: &Storage, study: &Study) {
    let slots = Slots::of(storage, study);
    let best = ranking(storage, study).into_iter().take(task.keep);
    let kept: HashSet<u32> = best
        .filter_map(|t| slots.slot(t))
        .chain(slots.open(storage, study))
        .collect();
    let ended = storage.trials(study).filter_map(|t| slots.slot(t));
    for slot in ended.collect::<HashSet<u32>>().difference(&kept) {
        for repeat in 0..task.plan.repeats {
            // Another worker may have removed it already. A folder that stays only takes space.
            let _ = std::fs::remove_dir_all(run_folder(folder, *slot, repeat));
        }
    }
}

/// The folder of the runs of a study's trials; a run is in `<journal>.trials/<study>/<slot>-<repeat>`.
pub fn folder(journal: &Path, study: &str) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".trials");
    PathBuf::from(name).join(study)
}

/// Complete trials, the best first. Of equal ones the earlier is first.
pub fn ranking<'s>(storage: &'s Storage, study: &'s Study) -> Vec<&'s Trial> {
    let complete = storage
        .trials(study)
        .filter(|t| t.state() == TrialState::Complete);
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

    fn joined(&self, storage: &Storage) {
        self.watcher.joined(storage);
    }

    fn waiting(&self, assignment: Assignment, awaited: &[Awaited]) {
        self.watcher.waiting(assignment, awaited);
    }

    fn refused(&self, assignment: Assignment, number: usize, why: &str) {
        self.watcher.refused(assignment, number, why);
    }

    fn began(&self, assignment: Assignment, claim: &Claim) {
        self.watcher.began(assignment, claim);
    }

    fn batch(&self, assignment: Assignment, claim: &Claim, share: f64) {
        self.watcher.batch(assignment, claim, share);
    }

    fn epoch(&self, assignment: Assignment, claim: &Claim, step: u64, value: f64) {
        self.watcher.epoch(assignment, claim, step, value);
    }

    fn ended(
        &self,
        assignment: Assignment,
        claim: &Claim,
        end: End,
        storage: &Storage,
        study: &Study,
    ) {
        self.watcher.ended(assignment, claim, end, storage, study);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::journal::NewTrial;
    use super::super::plan::SamplerName;
    use super::super::study::simulation::plan;
    use super::*;
    use crate::metrics::Direction;

    #[test]
    fn only_runs_of_the_best_and_of_open_trials_stay() {
        use TrialState::{Complete, Fail, Pruned, Running, Waiting};
        let plan = plan(SamplerName::Random);
        let requeued = json!({"chainrule:requeued": 1});
        let late = json!({"failed_trial": 2, "retry_history": [2]});
        let trials = [
            (Complete, Some(0.2), json!({}), false),
            (Complete, Some(0.1), json!({}), true),
            // Pruned by another worker while the retry runs.
            (Pruned, None, json!({}), true),
            (Pruned, None, json!({}), false),
            // Given up; to be tried again; not begun; begun.
            (Fail, None, json!({}), false),
            (Fail, None, requeued, true),
            (Waiting, None, json!({}), true),
            (Running, None, json!({}), true),
            (Running, None, late, true),
        ];
        let given = trials.iter().map(|(state, value, attributes, _)| {
            let mut trial = NewTrial::new(*state, None);
            trial.values = value.map(|x| vec![x]);
            trial.system_attrs = attributes.as_object().unwrap().clone();
            trial
        });
        let storage = Storage::of_trials(Direction::Minimize, given);
        let dir = tempfile::tempdir().unwrap();
        for number in 0..trials.len() {
            std::fs::create_dir(run_folder(dir.path(), number as u32, 0)).unwrap();
        }
        let task = StudyTask {
            keep: 1,
            ..StudyTask::series(&plan)
        };
        tidy(task, dir.path(), &storage, storage.study("test").unwrap());
        for (slot, (state, _, _, stays)) in trials.iter().take(8).enumerate() {
            let found = run_folder(dir.path(), slot as u32, 0).exists();
            assert_eq!(found, *stays, "{slot}: {state:?}");
        }
    }
}
