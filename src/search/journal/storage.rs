//! The state of a study file: the result of replaying its lines from the top. The rules are those of Optuna's
//! journal storage.
//!
//! A record that does not fit the state is *ignored*. If two workers claim one trial, the first claim in the
//! file counts, and the other worker's later records about the trial change nothing.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::record::{Attributes, NewTrial, Operation, Parameter, Record, TrialState};
use crate::metrics::Direction;

/// A trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its number in the whole file.
    pub id: usize,
    /// Its number in its study, from 0.
    pub number: usize,
    /// The study's id.
    pub study: usize,
    /// The worker that runs it, or ran it last.
    pub owner: Option<String>,
    /// Its state, parameters, values and attributes.
    pub content: NewTrial,
    /// The number of records that have changed it.
    pub changes: usize,
}

impl Trial {
    /// Its state.
    pub fn state(&self) -> TrialState {
        self.content.state
    }

    /// Its objective value, if it has one.
    pub fn value(&self) -> Option<f64> {
        self.content.values.as_ref()?.first().copied()
    }

    /// The value of a parameter as a user knows it.
    pub fn parameter(&self, name: &str) -> Option<Value> {
        let Parameter {
            internal,
            distribution,
        } = self.content.params.get(name)?;
        distribution.external(*internal)
    }

    /// The numbers in a list among the user attributes, such as one for each repeat.
    pub fn noted(&self, key: &str) -> Vec<f64> {
        let list = self.content.user_attrs.get(key).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect()
    }

    /// The report with the largest step.
    pub fn last_report(&self) -> Option<(u64, f64)> {
        self.content
            .reports
            .last_key_value()
            .map(|(&step, &value)| (step, value))
    }

    /// The number of the first attempt if this trial is a retry, else its own number.
    pub fn first_attempt(&self) -> usize {
        let first = self
            .content
            .system_attrs
            .get("failed_trial")
            .and_then(Value::as_u64);
        first.map_or(self.number, |number| number as usize)
    }
}

/// A study.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// Its number in the whole file.
    pub id: usize,
    /// Its name.
    pub name: String,
    /// One direction for each objective.
    pub directions: Vec<Direction>,
    /// The worker that created it.
    pub creator: String,
    /// Attributes that users and programs have set.
    pub user_attrs: Attributes,
    /// Attributes that samplers and pruners have set.
    pub system_attrs: Attributes,
    /// Its trials' ids, by number.
    trials: Vec<usize>,
}

impl Study {
    /// Which values of the first objective are better.
    pub fn direction(&self) -> Direction {
        let first = self.directions.first();
        first.copied().unwrap_or(Direction::Minimize)
    }

    /// Whether the first objective `new` is strictly better than `old`.
    pub fn is_better(&self, new: f64, old: f64) -> bool {
        self.direction().better(new, old)
    }
}

/// Why a record changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// A study of this name exists already.
    StudyExists,
    /// The study does not exist, or was deleted.
    NoStudy,
    /// The trial does not exist, or its study was deleted.
    NoTrial,
    /// The trial has ended.
    Finished,
    /// Another worker runs the trial already.
    Claimed,
    /// The study has a parameter of this name with another kind, logarithm or list of choices.
    OtherDistribution,
    /// The operation has no meaning here.
    Foreign,
}

/// All studies of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Storage {
    studies: BTreeMap<usize, Study>,
    /// Trials by id. Those of deleted studies are removed, but their ids are not used again.
    trials: HashMap<usize, Trial>,
    next_study: usize,
    next_trial: usize,
}

#[cfg(test)]
impl Storage {
    /// One study, called "test", of these trials.
    pub(in crate::search) fn of_trials(
        direction: Direction,
        trials: impl IntoIterator<Item = NewTrial>,
    ) -> Self {
        let mut storage = Storage::default();
        let create = Operation::CreateStudy {
            name: "test".into(),
            directions: vec![direction],
        };
        let trials = trials.into_iter().map(|trial| Operation::CreateTrial {
            study: 0,
            trial: Box::new(trial),
        });
        for operation in std::iter::once(create).chain(trials) {
            let worker = "w".into();
            storage.apply(Record { worker, operation }).unwrap();
        }
        storage
    }
}

impl Storage {
    /// The live studies, oldest first.
    pub fn studies(&self) -> impl Iterator<Item = &Study> {
        self.studies.values()
    }

    /// The live study of this name.
    pub fn study(&self, name: &str) -> Option<&Study> {
        self.studies().find(|study| study.name == name)
    }

    /// A study's trials, by number.
    pub fn trials(&self, study: &Study) -> impl DoubleEndedIterator<Item = &Trial> + Clone {
        study.trials.iter().map(|id| &self.trials[id])
    }

    /// The number of a study's trials that ended with a result.
    pub fn results(&self, study: &Study) -> usize {
        self.trials(study)
            .filter(|t| t.state().has_result())
            .count()
    }

    /// A trial by its id.
    pub fn trial(&self, id: usize) -> Option<&Trial> {
        self.trials.get(&id)
    }

    /// The complete trial with the best first objective. The first one wins ties.
    pub fn best(&self, study: &Study) -> Option<&Trial> {
        let complete = self
            .trials(study)
            .filter(|t| t.state() == TrialState::Complete);
        let scored = complete.filter_map(|t| Some((t.value().filter(|x| !x.is_nan())?, t)));
        let best = scored.reduce(|best, new| {
            if study.is_better(new.0, best.0) {
                new
            } else {
                best
            }
        });
        best.map(|(_, trial)| trial)
    }

    /// The id that the next trial will have.
    pub fn next_trial(&self) -> usize {
        self.next_trial
    }

    /// The id that the next study will have.
    pub fn next_study(&self) -> usize {
        self.next_study
    }

    /// Replays a record.
    ///
    /// # Errors
    /// Says why the record changed nothing. The file is not at fault then.
    pub fn apply(&mut self, record: Record) -> Result<(), Ignored> {
        let Record { worker, operation } = record;
        match operation {
            Operation::CreateStudy { name, directions } => {
                self.create_study(name, directions, worker)
            }
            Operation::DeleteStudy { study } => {
                let study = self.studies.remove(&study).ok_or(Ignored::NoStudy)?;
                study
                    .trials
                    .iter()
                    .for_each(|id| drop(self.trials.remove(id)));
                Ok(())
            }
            Operation::StudyUserAttr { study, key, value } => {
                self.live_study(study)?.user_attrs.insert(key, value);
                Ok(())
            }
            Operation::StudySystemAttr { study, key, value } => {
                self.live_study(study)?.system_attrs.insert(key, value);
                Ok(())
            }
            Operation::CreateTrial { study, trial } => self.create_trial(study, *trial, worker),
            Operation::SetParameter {
                trial,
                name,
                parameter,
            } => self.set_parameter(trial, name, parameter),
            Operation::SetState {
                trial,
                state,
                values,
                at,
            } => self.set_state(trial, state, values, at, worker),
            Operation::Report { trial, step, value } => {
                self.open_trial(trial)?.content.reports.insert(step, value);
                Ok(())
            }
            Operation::TrialUserAttr { trial, key, value } => {
                self.open_trial(trial)?
                    .content
                    .user_attrs
                    .insert(key, value);
                Ok(())
            }
            Operation::TrialSystemAttr { trial, key, value } => {
                self.open_trial(trial)?
                    .content
                    .system_attrs
                    .insert(key, value);
                Ok(())
            }
            Operation::Discard => Err(Ignored::Foreign),
        }
    }

    fn live_study(&mut self, id: usize) -> Result<&mut Study, Ignored> {
        self.studies.get_mut(&id).ok_or(Ignored::NoStudy)
    }

    /// A trial that can still change.
    fn open_trial(&mut self, id: usize) -> Result<&mut Trial, Ignored> {
        let trial = self.trials.get_mut(&id).ok_or(Ignored::NoTrial)?;
        if trial.state().is_finished() {
            return Err(Ignored::Finished);
        }
        trial.changes += 1;
        Ok(trial)
    }

    fn create_study(
        &mut self,
        name: String,
        directions: Vec<Direction>,
        creator: String,
    ) -> Result<(), Ignored> {
        if self.study(&name).is_some() {
            return Err(Ignored::StudyExists);
        }
        let id = self.next_study;
        self.next_study += 1;
        let study = Study {
            id,
            name,
            directions,
            creator,
            user_attrs: Attributes::new(),
            system_attrs: Attributes::new(),
            trials: Vec::new(),
        };
        self.studies.insert(id, study);
        Ok(())
    }

    fn create_trial(
        &mut self,
        study: usize,
        content: NewTrial,
        worker: String,
    ) -> Result<(), Ignored> {
        let id = self.next_trial;
        let study = self.live_study(study)?;
        let owner = (content.state == TrialState::Running).then_some(worker);
        let trial = Trial {
            id,
            number: study.trials.len(),
            study: study.id,
            owner,
            content,
            changes: 0,
        };
        study.trials.push(id);
        self.trials.insert(id, trial);
        self.next_trial += 1;
        Ok(())
    }

    fn set_parameter(
        &mut self,
        id: usize,
        name: String,
        parameter: Parameter,
    ) -> Result<(), Ignored> {
        let study = self.open_trial(id)?.study;
        let ids = &self.studies[&study].trials;
        let first = ids
            .iter()
            .find_map(|id| self.trials[id].content.params.get(&name));
        if first.is_some_and(|first| !first.distribution.is_compatible(&parameter.distribution)) {
            return Err(Ignored::OtherDistribution);
        }
        self.open_trial(id)?.content.params.insert(name, parameter);
        Ok(())
    }

    fn set_state(
        &mut self,
        id: usize,
        state: TrialState,
        values: Option<Vec<f64>>,
        at: Option<String>,
        worker: String,
    ) -> Result<(), Ignored> {
        let trial = self.open_trial(id)?;
        match state {
            TrialState::Running if trial.state() == TrialState::Running => {
                return Err(Ignored::Claimed);
            }
            TrialState::Running => {
                trial.content.start = at;
                trial.owner = Some(worker);
            }
            TrialState::Waiting => {}
            _ => trial.content.complete = at,
        }
        trial.content.state = state;
        if values.is_some() {
            trial.content.values = values;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
