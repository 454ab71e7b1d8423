//! A search's study in its file: which worker runs which trial, and how each trial ended.
//!
//! Every change is one transaction under the file's lock, so workers in any number of threads, processes and
//! machines never run a trial twice. A *slot* is a place in the budget. A trial that fails is tried again in
//! the same slot, at the same point and with the same seeds.

use serde_json::{Value, json};

use super::journal::{
    Attributes, Journal, NewTrial, Operation, Parameter, Storage, Study, Trial, TrialState, now,
};
use super::plan::Plan;
use super::pruner::Pruner;
use super::sampler::{self, Observation, Sampler, TrialOutcome};
use super::space::Point;
use crate::error::{Error, Result};

/// The attribute of a study that holds its plan.
const PLAN: &str = "chainrule";

/// The largest number of attempts for a slot. Without a limit a trial that kills its process would do so for
/// ever.
const ATTEMPTS: usize = 10;

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

/// What a worker does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// It runs this trial.
    Run(Claim),
    /// It waits: other workers run the last trials, which may still fail.
    Wait,
    /// It stops: the budget is spent, and this number of slots have ended.
    Done(usize),
    /// It stops: every point of the space has been tried.
    Exhausted,
}

/// A study, opened to work on it.
pub struct StudyWork<'a> {
    journal: Journal,
    plan: &'a Plan,
    sampler: Box<dyn Sampler>,
}

impl<'a> StudyWork<'a> {
    /// Joins the study, or begins it if it does not exist.
    ///
    /// # Errors
    /// If the file holds a study of this name with another plan.
    pub fn join(mut journal: Journal, plan: &'a Plan, data_hash: &str) -> Result<Self> {
        let described = plan.describe(data_hash);
        let path = journal.path().to_owned();
        journal.transaction(|storage| match storage.study(&plan.name) {
            Some(study) => match study.user_attrs.get(PLAN) {
                Some(found) if *found == described => Ok((Vec::new(), ())),
                found => {
                    let place = format!("study {:?}", plan.name);
                    let (expected, found) = difference(&described, found);
                    Err(Error::format(
                        &path,
                        place,
                        expected,
                        format!(
                            "{found}; to begin another study: another --name (search), --study or --out (study)"
                        ),
                    ))
                }
            },
            None => {
                let study = storage.next_study();
                let create = Operation::CreateStudy {
                    name: plan.name.clone(),
                    directions: vec![plan.objective.metric().direction()],
                };
                let note = Operation::StudyUserAttr {
                    study,
                    key: PLAN.into(),
                    value: described.clone(),
                };
                let metric = Operation::StudySystemAttr {
                    study,
                    key: "study:metric_names".into(),
                    value: json!([plan.objective.name()]),
                };
                Ok((vec![create, note, metric], ()))
            }
        })?;
        Ok(StudyWork {
            journal,
            plan,
            sampler: plan.sampler(),
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
        let (plan, sampler) = (self.plan, self.sampler.as_ref());
        self.journal.transaction(|storage| {
            let study = find(storage, plan)?;
            let ended = storage.results(study);
            if ended >= trials {
                return Ok((Vec::new(), Next::Done(ended)));
            }
            if let Some(waiting) = storage
                .trials(study)
                .find(|t| t.state() == TrialState::Waiting)
            {
                return take(plan, sampler, storage, study, waiting);
            }
            let running = storage
                .trials(study)
                .filter(|t| t.state() == TrialState::Running)
                .count();
            if ended + running >= trials {
                return Ok((Vec::new(), Next::Wait));
            }
            let number = storage.trials(study).count();
            let slot = slots_before(storage, study, number);
            let history = history(plan, storage, study);
            let Some(point) = sampler::point(sampler, &plan.space, slot, &history) else {
                return Ok((
                    Vec::new(),
                    if running > 0 {
                        Next::Wait
                    } else {
                        Next::Exhausted
                    },
                ));
            };
            let trial = Box::new(attempt(plan, slot, &point, TrialState::Running));
            let claim = Claim {
                id: storage.next_trial(),
                number,
                slot,
                point,
            };
            Ok((
                vec![Operation::CreateTrial {
                    study: study.id,
                    trial,
                }],
                Next::Run(claim),
            ))
        })
    }

    /// Reports a value after an epoch. Returns whether the trial was pruned; it has ended then.
    ///
    /// # Errors
    /// If the file cannot be written, or another program has ended the trial.
    pub fn report(
        &mut self,
        claim: &Claim,
        step: u64,
        value: f64,
        pruner: &dyn Pruner,
    ) -> Result<bool> {
        let plan = self.plan;
        let trial = claim.id;
        self.journal.transaction(|storage| {
            let study = find(storage, plan)?;
            let mut operations = vec![Operation::Report { trial, step, value }];
            let mut reported = running_trial(storage, trial)?.clone();
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
            }
            Ok((operations, verdict.prune))
        })
    }

    /// Ends a trial with its value and attributes.
    ///
    /// # Errors
    /// As for [`StudyWork::report`].
    pub fn complete(&mut self, claim: &Claim, value: f64, notes: Attributes) -> Result<()> {
        self.finish(claim, notes, |_| {
            end(claim.id, TrialState::Complete, Some(value))
        })
    }

    /// Ends a trial whose loss is no longer a number. To samplers it is a pruned trial with its last report.
    ///
    /// # Errors
    /// As for [`StudyWork::report`].
    pub fn diverge(&mut self, claim: &Claim, mut notes: Attributes) -> Result<()> {
        notes.insert("diverged".into(), json!(true));
        self.finish(claim, notes, |trial| {
            end(
                claim.id,
                TrialState::Pruned,
                trial.last_report().map(|(_, value)| value),
            )
        })
    }

    /// Ends a trial that could not be run at all.
    ///
    /// # Errors
    /// As for [`StudyWork::report`].
    pub fn fail(&mut self, claim: &Claim, why: &str) -> Result<()> {
        let notes = Attributes::from_iter([("error".to_owned(), json!(why))]);
        self.finish(claim, notes, |_| end(claim.id, TrialState::Fail, None))
    }

    /// Puts a trial back into the queue, from which any worker may begin it anew.
    ///
    /// # Errors
    /// As for [`StudyWork::report`].
    pub fn give_back(&mut self, claim: &Claim) -> Result<()> {
        let plan = self.plan;
        self.journal.transaction(|storage| {
            let study = find(storage, plan)?;
            Ok((
                requeue(study, running_trial(storage, claim.id)?, usize::MAX),
                (),
            ))
        })
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
        end: impl FnOnce(&Trial) -> Operation,
    ) -> Result<()> {
        let trial = claim.id;
        self.journal.transaction(|storage| {
            let end = end(running_trial(storage, trial)?);
            let notes = notes
                .into_iter()
                .map(|(key, value)| Operation::TrialUserAttr { trial, key, value });
            Ok((notes.chain([end]).collect(), ()))
        })
    }

    /// Fails the trials of dead workers, and puts them back into the queue.
    fn requeue_orphans(&mut self) -> Result<()> {
        self.journal.refresh()?;
        let study = find(self.journal.storage(), self.plan)?;
        let running: Vec<Trial> = self
            .journal
            .storage()
            .trials(study)
            .filter(|t| t.state() == TrialState::Running)
            .cloned()
            .collect();
        let orphans: Vec<Trial> = running
            .into_iter()
            .filter(|t| self.journal.is_orphan(t))
            .collect();
        if orphans.is_empty() {
            return Ok(());
        }
        let plan = self.plan;
        self.journal.transaction(|storage| {
            let study = find(storage, plan)?;
            // Another worker may have requeued them meanwhile.
            let still = orphans.iter().filter(|t| {
                storage
                    .trial(t.id)
                    .is_some_and(|now| now.state() == TrialState::Running && now.owner == t.owner)
            });
            Ok((
                still
                    .flat_map(|trial| requeue(study, trial, ATTEMPTS))
                    .collect(),
                (),
            ))
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

/// A trial that no other program has ended.
fn running_trial(storage: &Storage, id: usize) -> Result<&Trial> {
    let running = storage
        .trial(id)
        .filter(|t| t.state() == TrialState::Running);
    running.ok_or_else(|| Error::Check(format!("trial {id} was ended by another program")))
}

/// A trial's place in the budget.
pub fn slot(storage: &Storage, study: &Study, trial: &Trial) -> u32 {
    slots_before(storage, study, trial.first_attempt())
}

/// The number of first attempts with a smaller number. Retries have numbers too but no slots, so a disturbed
/// search gets the same slots as an undisturbed one.
fn slots_before(storage: &Storage, study: &Study, number: usize) -> u32 {
    storage
        .trials(study)
        .take(number)
        .filter(|t| t.first_attempt() == t.number)
        .count() as u32
}

fn end(trial: usize, state: TrialState, value: Option<f64>) -> Operation {
    // A value that is not finite would make the whole file unreadable for other programs.
    let values = value.filter(|x| x.is_finite()).map(|x| vec![x]);
    Operation::SetState {
        trial,
        state,
        values,
        at: Some(now()),
    }
}

/// A trial at a point.
fn attempt(plan: &Plan, slot: u32, point: &[f64], state: TrialState) -> NewTrial {
    let mut trial = NewTrial::new(state, (state == TrialState::Running).then(now));
    let parameter = |((name, distribution), &internal): ((&str, &super::Distribution), &f64)| {
        (
            name.to_owned(),
            Parameter {
                internal,
                distribution: distribution.clone(),
            },
        )
    };
    trial.params = plan.space.iter().zip(point).map(parameter).collect();
    trial
        .user_attrs
        .insert("seeds".into(), seeds(plan, point, slot));
    trial
}

fn seeds(plan: &Plan, point: &[f64], slot: u32) -> Value {
    (0..plan.repeats)
        .map(|repeat| plan.repeat_seed(point, slot, repeat))
        .collect()
}

/// Fails a running trial and queues it again, unless it has had `attempts` attempts already.
fn requeue(study: &Study, trial: &Trial, attempts: usize) -> Vec<Operation> {
    let mut operations = vec![end(trial.id, TrialState::Fail, None)];
    let history = trial
        .content
        .system_attrs
        .get("retry_history")
        .and_then(Value::as_array);
    let mut history = history.cloned().unwrap_or_default();
    history.push(json!(trial.number));
    if history.len() < attempts {
        let mut again = NewTrial::new(TrialState::Waiting, None);
        again.params.clone_from(&trial.content.params);
        again.user_attrs.clone_from(&trial.content.user_attrs);
        let fixed: Attributes = again
            .params
            .keys()
            .filter_map(|name| Some((name.clone(), trial.parameter(name)?)))
            .collect();
        again
            .system_attrs
            .insert("fixed_params".into(), Value::Object(fixed));
        again
            .system_attrs
            .insert("failed_trial".into(), json!(trial.first_attempt()));
        again
            .system_attrs
            .insert("retry_history".into(), Value::Array(history));
        operations.push(Operation::CreateTrial {
            study: study.id,
            trial: Box::new(again),
        });
    }
    operations
}

/// Claims a waiting trial. Parameters that were fixed in the queue stay; the others are drawn.
fn take(
    plan: &Plan,
    sampler: &dyn Sampler,
    storage: &Storage,
    study: &Study,
    waiting: &Trial,
) -> Result<(Vec<Operation>, Next)> {
    let slot = slot(storage, study, waiting);
    let trial = waiting.id;
    let fixed = waiting
        .content
        .system_attrs
        .get("fixed_params")
        .and_then(Value::as_object);
    let claim = Operation::SetState {
        trial,
        state: TrialState::Running,
        values: None,
        at: Some(now()),
    };
    let mut operations = vec![claim];
    let drawn = sampler::point(sampler, &plan.space, slot, &history(plan, storage, study));
    let mut point = Point::new();
    for (i, (name, distribution)) in plan.space.iter().enumerate() {
        if let Some(parameter) = waiting.content.params.get(name) {
            point.push(parameter.internal);
            continue;
        }
        let internal = match fixed.and_then(|f| f.get(name)) {
            // A user may queue a value outside of the range, but not one that the distribution cannot
            // represent.
            Some(value) => distribution.internal(value).ok_or_else(|| {
                Error::setting(
                    name,
                    format!(
                        "expected one of its values in queued trial {}, found {value}",
                        waiting.number
                    ),
                )
            })?,
            None => drawn
                .as_ref()
                .map_or_else(|| distribution.quantile(0.5), |point| point[i]),
        };
        point.push(internal);
        let parameter = Parameter {
            internal,
            distribution: distribution.clone(),
        };
        operations.push(Operation::SetParameter {
            trial,
            name: name.to_owned(),
            parameter,
        });
    }
    if !waiting.content.user_attrs.contains_key("seeds") {
        operations.push(Operation::TrialUserAttr {
            trial,
            key: "seeds".into(),
            value: seeds(plan, &point, slot),
        });
    }
    Ok((
        operations,
        Next::Run(Claim {
            id: trial,
            number: waiting.number,
            slot,
            point,
        }),
    ))
}

/// The trials that samplers learn from: those that have every parameter of the space.
fn history(plan: &Plan, storage: &Storage, study: &Study) -> Vec<Observation> {
    let direction = plan.objective.metric().direction();
    let observe = |trial: &Trial| {
        let parameter = |(name, distribution): (&str, &super::Distribution)| {
            let parameter = trial.content.params.get(name)?;
            (parameter.distribution == *distribution && distribution.contains(parameter.internal))
                .then_some(parameter.internal)
        };
        let point = plan
            .space
            .iter()
            .map(parameter)
            .collect::<Option<Point>>()?;
        let outcome = match trial.state() {
            TrialState::Complete => TrialOutcome::Complete(direction.cost(trial.value()?)),
            TrialState::Pruned => TrialOutcome::Pruned(
                trial
                    .last_report()
                    .filter(|(_, x)| x.is_finite())
                    .map(|(step, x)| (step, direction.cost(x))),
            ),
            TrialState::Running => TrialOutcome::Running,
            TrialState::Fail | TrialState::Waiting => return None,
        };
        Some(Observation { point, outcome })
    };
    storage.trials(study).filter_map(observe).collect()
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
mod tests;
