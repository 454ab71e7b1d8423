//! A search's study in its file: which worker runs which trial, and how each trial ended.
//!
//! Every change is one transaction under the file's locks, so workers in any number of threads, processes and
//! machines never run a trial twice. A worker whose record came too late sees that in the file, and looks for other
//! work ([`Slots`]).

mod decide;
mod slots;

use std::time::Duration;

use serde_json::{Value, json};

use super::journal::{Attributes, Journal, Operation, Origin, Storage, Study, Trial, TrialState};
use super::plan::Plan;
use super::pruner::Pruner;
use super::sampler::Sampler;
use super::space::Point;
use crate::error::{Error, Result};
use decide::{Seeker, deaths, end, fail, requeue, retry};
pub use slots::Slots;

/// The attribute of a study that holds its plan.
pub(super) const PLAN: &str = "chainrule";

/// A trial that this worker has claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Its id in the file.
    pub id: usize,
    /// Its number in the study.
    pub number: usize,
    /// Its place in the budget.
    pub slot: u32,
    /// Its point.
    pub point: Point,
}

/// A running trial that a worker waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Awaited {
    /// Its number in the study.
    pub number: usize,
    /// Whose its worker is.
    pub origin: Origin,
    /// The name of its worker.
    pub worker: String,
    /// When it began.
    pub since: Option<String>,
}

/// What a worker does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// It runs this trial.
    Run(Claim),
    /// It waits: other workers run these last trials, which may still fail.
    Wait(Vec<Awaited>),
    /// A queued trial could not be begun, and has failed. The worker looks again.
    Failed {
        /// The trial's number.
        number: usize,
        /// The reason.
        why: String,
    },
    /// It stops: the budget is spent, and this number of slots have ended.
    Done(usize),
    /// It stops: every point of the space has been tried.
    Exhausted,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The trial goes on.
    Continue,
    /// The trial was pruned: it has ended.
    Pruned,
    /// The trial is no longer this worker's: another program has ended it or taken it over.
    Lost,
}

/// A study, opened to work on it.
pub struct StudyWork<'a> {
    journal: Journal,
    plan: &'a Plan,
    sampler: Box<dyn Sampler>,
    /// The ids of the trials that this worker has begun.
    begun: Vec<usize>,
    /// The time without news after which a trial of another program is no longer waited for.
    foreign_timeout: Duration,
}

impl<'a> StudyWork<'a> {
    /// Joins the study, or begins it if it does not exist. A trial of another program that is running is no longer
    /// waited for after `foreign_timeout` without news of it.
    ///
    /// # Errors
    /// If the file holds a study of this name with another plan.
    pub fn join(
        mut journal: Journal,
        plan: &'a Plan,
        data_hash: &str,
        foreign_timeout: Duration,
    ) -> Result<Self> {
        let direction = plan.objective.metric().direction();
        journal.transaction(|storage| {
            let create = Operation::CreateStudy {
                name: plan.name.clone(),
                directions: vec![direction],
            };
            let is_missing = storage.study(&plan.name).is_none();
            Ok((Vec::from_iter(is_missing.then_some(create)), ()))
        })?;
        let described = plan.describe(data_hash);
        let path = journal.path().to_owned();
        journal.transaction(|storage| {
            let study = find(storage, plan)?;
            let found = study.user_attrs.get(PLAN);
            if found == Some(&described) {
                return Ok((Vec::new(), ()));
            }
            // Its creator has not written the plan yet, or died before.
            let is_ours = Origin::of(&study.creator) != Origin::OtherProgram;
            if found.is_none() && is_ours && study.directions == [direction] {
                return Ok((describe(plan, study, &described), ()));
            }
            let (expected, found) = difference(&described, found);
            let advice =
                "to begin another study: another --name (search), --study or --out (study)";
            let place = format!("study {:?}", plan.name);
            Err(Error::format(
                &path,
                place,
                expected,
                format!("{found}; {advice}"),
            ))
        })?;
        Ok(StudyWork {
            journal,
            plan,
            sampler: plan.sampler(),
            begun: Vec::new(),
            foreign_timeout,
        })
    }

    /// Leaves the study, to join another one in the same file.
    pub fn leave(self) -> Journal {
        self.journal
    }

    /// Claims a trial: a waiting one, or a new one. `trials` is the budget of all workers together.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn claim(&mut self, trials: usize) -> Result<Next> {
        self.requeue_orphans()?;
        loop {
            let worker = self.journal.worker().to_owned();
            let seeker = Seeker {
                plan: self.plan,
                sampler: self.sampler.as_ref(),
                worker: &worker,
                begun: &self.begun,
                trials,
            };
            let next = self.journal.transaction(|storage| {
                let study = find(storage, seeker.plan)?;
                Ok(seeker.next(storage, study))
            })?;
            if let Some(Next::Run(claim)) = &next {
                self.begun.push(claim.id);
            }
            if let Some(next) = next {
                return Ok(next);
            }
        }
    }

    /// Reports a value after an epoch. One that is not finite is not written down.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn report(
        &mut self,
        claim: &Claim,
        step: u64,
        value: f64,
        pruner: &dyn Pruner,
    ) -> Result<Reported> {
        let trial = claim.id;
        let reported = self.change(claim, |storage, study, found| {
            if !value.is_finite() {
                return (Vec::new(), Reported::Continue);
            }
            let mut operations = vec![Operation::Report { trial, step, value }];
            let mut reported = found.clone();
            reported.content.reports.insert(step, value);
            let verdict = pruner.verdict(storage, study, &reported);
            let note = |(key, value): (String, f64)| Operation::TrialSystemAttr {
                trial,
                key,
                value: json!(value),
            };
            operations.extend(verdict.notes.into_iter().map(note));
            if verdict.prune {
                operations.push(end(trial, TrialState::Pruned, Some(value)));
                return (operations, Reported::Pruned);
            }
            (operations, Reported::Continue)
        })?;
        Ok(reported.unwrap_or(Reported::Lost))
    }

    /// Ends a trial with its value and attributes; one whose value is not finite has diverged ([`StudyWork::diverge`]).
    /// Returns whether it was still this worker's.
    ///
    /// # Errors
    /// As for [`StudyWork::report`].
    pub fn complete(&mut self, claim: &Claim, value: f64, notes: Attributes) -> Result<bool> {
        if !value.is_finite() {
            return self.diverge(claim, notes);
        }
        self.finish(claim, notes, |_| {
            end(claim.id, TrialState::Complete, Some(value))
        })
    }

    /// Ends a trial whose loss is no longer a number. To samplers it is a pruned trial with its last report. Returns
    /// whether it was still this worker's.
    ///
    /// # Errors
    /// As for [`StudyWork::report`].
    pub fn diverge(&mut self, claim: &Claim, mut notes: Attributes) -> Result<bool> {
        notes.insert("diverged".into(), json!(true));
        self.finish(claim, notes, |trial| {
            end(
                claim.id,
                TrialState::Pruned,
                trial.last_report().map(|(_, value)| value),
            )
        })
    }

    /// Ends a trial that could not be run at all. Returns whether it was still this worker's.
    ///
    /// # Errors
    /// As for [`StudyWork::report`].
    pub fn fail(&mut self, claim: &Claim, why: &str) -> Result<bool> {
        let failed = self.change(claim, |_, _, _| (fail(claim.id, why), ()))?;
        Ok(failed.is_some())
    }

    /// Puts a trial back into the queue, from which any worker may begin it anew. Returns whether it was still this
    /// worker's.
    ///
    /// # Errors
    /// As for [`StudyWork::report`].
    pub fn give_back(&mut self, claim: &Claim) -> Result<bool> {
        let given = self.change(claim, |storage, study, trial| {
            let slots = Slots::of(storage, study);
            (requeue(study, &slots, trial, deaths(trial)), ())
        })?;
        Ok(given.is_some())
    }

    /// Whether a trial is still this worker's: no other program has ended it, and no other worker has taken it over
    /// because this one was silent for too long.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn is_own(&mut self, claim: &Claim) -> Result<bool> {
        self.journal.refresh()?;
        let storage = self.journal.storage();
        find(storage, self.plan)?;
        Ok(own(storage, claim, self.journal.worker()).is_some())
    }

    /// The study as it is now.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn look(&mut self) -> Result<(&Storage, &Study)> {
        self.journal.refresh()?;
        let storage = self.journal.storage();
        Ok((storage, find(storage, self.plan)?))
    }

    fn finish(
        &mut self,
        claim: &Claim,
        notes: Attributes,
        end: impl Fn(&Trial) -> Operation,
    ) -> Result<bool> {
        let trial = claim.id;
        let finished = self.change(claim, |_, _, found| {
            let note = |(key, value)| Operation::TrialUserAttr { trial, key, value };
            let notes = notes.clone().into_iter().map(note);
            (notes.chain([end(found)]).collect(), ())
        })?;
        Ok(finished.is_some())
    }

    /// Changes a trial that this worker runs. `None` if it is no longer this worker's ([`StudyWork::is_own`]).
    fn change<T>(
        &mut self,
        claim: &Claim,
        decide: impl Fn(&Storage, &Study, &Trial) -> (Vec<Operation>, T),
    ) -> Result<Option<T>> {
        let plan = self.plan;
        let worker = self.journal.worker().to_owned();
        self.journal.transaction(|storage| {
            let study = find(storage, plan)?;
            let Some(trial) = own(storage, claim, &worker) else {
                return Ok((Vec::new(), None));
            };
            let (operations, result) = decide(storage, study, trial);
            Ok((operations, Some(result)))
        })
    }

    /// Fails the trials of dead workers and puts them back into the queue, unless too many workers have died of them. A
    /// trial of another program of which there was no news for long gets a retry too, but is not ended: its program may
    /// be alive.
    fn requeue_orphans(&mut self) -> Result<()> {
        self.journal.refresh()?;
        let study = find(self.journal.storage(), self.plan)?;
        let running = self.journal.storage().trials(study);
        let running: Vec<Trial> = running
            .filter(|t| t.state() == TrialState::Running)
            .cloned()
            .collect();
        let (mut orphans, mut silent) = (Vec::new(), Vec::new());
        for trial in running {
            if self.journal.is_orphan(&trial) {
                orphans.push(trial);
            } else if self.journal.is_foreign(&trial)
                && self.journal.silence(&trial) >= self.foreign_timeout
            {
                silent.push(trial.id);
            }
        }
        if orphans.is_empty() && silent.is_empty() {
            return Ok(());
        }
        let plan = self.plan;
        self.journal.transaction(|storage| {
            let study = find(storage, plan)?;
            let slots = Slots::of(storage, study);
            let running = |id| {
                let trial = storage.trial(id);
                trial.filter(|t| t.state() == TrialState::Running)
            };
            // Another worker may have requeued them meanwhile.
            let still = |t: &Trial| running(t.id).filter(|now| now.owner == t.owner);
            let orphans = orphans.iter().filter_map(still);
            let orphans = orphans.flat_map(|t| requeue(study, &slots, t, deaths(t) + 1));
            let silent = silent.iter().filter_map(|&id| running(id));
            let silent = silent.filter_map(|t| retry(study, &slots, t, deaths(t) + 1));
            Ok((orphans.chain(silent).collect(), ()))
        })?;
        orphans
            .iter()
            .filter_map(|t| t.owner.as_deref())
            .for_each(|owner| self.journal.forget_worker(owner));
        Ok(())
    }
}

fn find<'s>(storage: &'s Storage, plan: &Plan) -> Result<&'s Study> {
    storage
        .study(&plan.name)
        .ok_or_else(|| Error::Check(format!("the study {:?} was deleted", plan.name)))
}

/// A claimed trial, if it is still this worker's.
fn own<'s>(storage: &'s Storage, claim: &Claim, worker: &str) -> Option<&'s Trial> {
    let trial = storage.trial(claim.id);
    trial.filter(|t| t.state() == TrialState::Running && t.owner.as_deref() == Some(worker))
}

/// Notes the plan of a new study.
fn describe(plan: &Plan, study: &Study, described: &Value) -> Vec<Operation> {
    let plan_note = Operation::StudyUserAttr {
        study: study.id,
        key: PLAN.into(),
        value: described.clone(),
    };
    let metric = Operation::StudySystemAttr {
        study: study.id,
        key: "study:metric_names".into(),
        value: json!([plan.objective.name()]),
    };
    vec![plan_note, metric]
}

/// The first key in which two plans differ, with both values.
fn difference(wanted: &Value, found: Option<&Value>) -> (String, String) {
    let Some(found) = found.and_then(Value::as_object) else {
        return (
            "a search of this program".into(),
            "a study of another one".into(),
        );
    };
    for (key, value) in wanted.as_object().into_iter().flatten() {
        match found.get(key) {
            Some(other) if other == value => {}
            other => {
                return (
                    format!("{key} {value}"),
                    format!("{key} {}", other.unwrap_or(&Value::Null)),
                );
            }
        }
    }
    ("the same plan".into(), "one with more in it".into())
}

#[cfg(test)]
pub(super) mod simulation;
#[cfg(test)]
mod tests;
