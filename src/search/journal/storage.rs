//! What a study file says: the state that replaying its lines from the top gives. The rules are those of Optuna's journal storage.
//!
//! A record that does not fit the state is *ignored*: of two workers that claim one trial, the first in the file has it, and whatever the other writes about
//! it later changes nothing.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::record::{Attributes, Direction, NewTrial, Operation, Parameter, Record, State};

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
    /// Everything else.
    pub content: NewTrial,
}

impl Trial {
    /// What it is doing or has come to.
    pub fn state(&self) -> State {
        self.content.state
    }

    /// Its objective, if it has one.
    pub fn value(&self) -> Option<f64> {
        self.content.values.as_ref()?.first().copied()
    }

    /// A parameter as a user knows it.
    pub fn parameter(&self, name: &str) -> Option<Value> {
        let Parameter {
            internal,
            distribution,
        } = self.content.params.get(name)?;
        distribution.external(*internal)
    }

    /// The report with the largest step.
    pub fn last_report(&self) -> Option<(u64, f64)> {
        self.content
            .reports
            .last_key_value()
            .map(|(&step, &value)| (step, value))
    }

    /// The number of the first attempt at what this trial does; its own if it is no retry.
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
    /// What users and programs noted.
    pub user_attrs: Attributes,
    /// What samplers and pruners noted.
    pub system_attrs: Attributes,
    /// Its trials' ids, by number.
    trials: Vec<usize>,
}

impl Study {
    /// Whether the first objective `new` is strictly better than `old`.
    pub fn is_better(&self, new: f64, old: f64) -> bool {
        match self.directions.first() {
            Some(Direction::Maximize) => new > old,
            _ => new < old,
        }
    }
}

/// Why a record changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// There is a study of that name already.
    StudyExists,
    /// There is no such study, or it was deleted.
    NoStudy,
    /// There is no such trial, or its study was deleted.
    NoTrial,
    /// The trial has ended.
    Finished,
    /// Somebody runs the trial already.
    Claimed,
    /// The study has a parameter of this name with another kind, logarithm or list of choices.
    OtherDistribution,
    /// It means nothing here.
    Foreign,
}

/// All studies of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Storage {
    studies: BTreeMap<usize, Study>,
    /// By id; those of deleted studies are gone, but their ids stay taken.
    trials: HashMap<usize, Trial>,
    next_study: usize,
    next_trial: usize,
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

    /// A trial by its id.
    pub fn trial(&self, id: usize) -> Option<&Trial> {
        self.trials.get(&id)
    }

    /// The trial of a study with the best first objective among those that are complete; the first one wins ties.
    pub fn best(&self, study: &Study) -> Option<&Trial> {
        let complete = self.trials(study).filter(|t| t.state() == State::Complete);
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
    /// Says why it changed nothing; that is no fault of the file.
    pub fn apply(&mut self, record: Record) -> Result<(), Ignored> {
        let Record { worker, operation } = record;
        match operation {
            Operation::CreateStudy { name, directions } => self.create_study(name, directions),
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
        Ok(trial)
    }

    fn create_study(&mut self, name: String, directions: Vec<Direction>) -> Result<(), Ignored> {
        if self.study(&name).is_some() {
            return Err(Ignored::StudyExists);
        }
        let id = self.next_study;
        self.next_study += 1;
        let study = Study {
            id,
            name,
            directions,
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
        let owner = (content.state == State::Running).then_some(worker);
        let trial = Trial {
            id,
            number: study.trials.len(),
            study: study.id,
            owner,
            content,
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
        state: State,
        values: Option<Vec<f64>>,
        at: Option<String>,
        worker: String,
    ) -> Result<(), Ignored> {
        let trial = self.open_trial(id)?;
        match state {
            State::Running if trial.state() == State::Running => return Err(Ignored::Claimed),
            State::Running => {
                trial.content.start = at;
                trial.owner = Some(worker);
            }
            State::Waiting => {}
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
mod tests {
    use super::*;

    /// What Optuna wrote: a queued trial, a claimed one, a pruned one, a failed one with a NaN report, one that was left running, an imported one.
    const SAMPLE: &str = include_str!("sample.journal");

    fn replay(text: &str) -> (Storage, Vec<Result<(), Ignored>>) {
        let mut storage = Storage::default();
        let effects = text
            .lines()
            .map(|line| storage.apply(Record::parse(line).unwrap()))
            .collect();
        (storage, effects)
    }

    #[test]
    fn optuna_s_file_says_what_optuna_reads() {
        let (storage, effects) = replay(SAMPLE);
        assert_eq!(effects.iter().filter(|e| e.is_err()).count(), 1);
        assert_eq!(effects[4], Err(Ignored::StudyExists));
        let study = storage.study("mlp-demo").unwrap();
        assert_eq!(study.directions, [Direction::Maximize]);
        assert_eq!(study.user_attrs["dataset"], "digits");
        let states: Vec<_> = storage.trials(study).map(Trial::state).collect();
        use State::*;
        assert_eq!(states, [Complete, Pruned, Fail, Running, Complete]);
        let best = storage.best(study).unwrap();
        assert_eq!((best.number, best.value()), (0, Some(0.9)));
        assert_eq!(best.parameter("lr").unwrap(), 0.01);
        assert_eq!(best.parameter("hidden").unwrap(), 64);
        assert_eq!(best.parameter("act").unwrap(), "relu");
        let trials: Vec<_> = storage.trials(study).collect();
        assert_eq!(
            (
                trials[1].parameter("act").unwrap(),
                trials[1].parameter("hidden").unwrap()
            ),
            ("tanh".into(), 208.into())
        );
        assert_eq!(trials[1].value(), Some(0.41000000000000003));
        assert!(trials[2].last_report().unwrap().1.is_nan());
        assert_eq!(
            trials[4].content.reports,
            BTreeMap::from([(1, 0.5), (2, 0.88)])
        );
    }

    /// What is written back is what was read. Optuna's own lines come out as they were, but for the spaces inside of a distribution and `64.0`.
    #[test]
    fn lines_are_written_as_they_were_read() {
        for line in SAMPLE.lines() {
            let record = Record::parse(line).unwrap();
            if line.contains("NaN") {
                continue; // never written
            }
            assert_eq!(Record::parse(&record.to_line()).unwrap(), record);
            if !line.contains("Distribution") && !line.contains("\"op_code\":4") {
                assert_eq!(record.to_line(), line);
            }
        }
    }

    const F: &str = r#"{\"name\":\"FloatDistribution\",\"attributes\":{\"step\":null,\"low\":0,\"high\":1,\"log\":false}}"#;

    fn float(low: f64, high: f64, log: bool) -> String {
        F.replace(":0,", &format!(":{low},"))
            .replace("\\\"high\\\":1,", &format!("\\\"high\\\":{high},"))
            .replace("false", &log.to_string())
    }

    /// Two workers, a and b, and every rule about what counts and what is ignored; the outcome is the one that Optuna has.
    #[test]
    fn conflicts_are_resolved_as_optuna_does() {
        let set = |x: f64, distribution: &str| {
            format!(
                r#""op_code":5,"trial_id":2,"param_name":"x","param_value_internal":{x},"distribution":"{distribution}""#
            )
        };
        let int = r#"{\"name\":\"IntDistribution\",\"attributes\":{\"log\":false,\"step\":1,\"low\":0,\"high\":9}}"#;
        let script: Vec<(&str, String, Result<(), Ignored>)> = vec![
            (
                "a",
                r#""op_code":0,"study_name":"c","directions":[1]"#.into(),
                Ok(()),
            ),
            (
                "b",
                r#""op_code":0,"study_name":"c","directions":[1]"#.into(),
                Err(Ignored::StudyExists),
            ),
            (
                "b",
                r#""op_code":0,"study_name":"d","directions":[1]"#.into(),
                Ok(()),
            ),
            (
                "a",
                r#""op_code":4,"study_id":7,"datetime_start":null"#.into(),
                Err(Ignored::NoStudy),
            ),
            (
                "a",
                r#""op_code":4,"study_id":1,"datetime_start":"t0""#.into(),
                Ok(()),
            ),
            (
                "a",
                r#""op_code":4,"study_id":0,"datetime_start":null,"state":4"#.into(),
                Ok(()),
            ),
            (
                "b",
                r#""op_code":6,"trial_id":1,"state":0,"values":null,"datetime_start":"t1""#.into(),
                Ok(()),
            ),
            (
                "a",
                r#""op_code":6,"trial_id":1,"state":0,"values":null,"datetime_start":"t2""#.into(),
                Err(Ignored::Claimed),
            ),
            (
                "b",
                set(0.5, &float(0.0, 1.0, false)).replace(":2,", ":1,"),
                Ok(()),
            ),
            (
                "b",
                r#""op_code":6,"trial_id":1,"state":1,"values":[0.25],"datetime_complete":"t3""#
                    .into(),
                Ok(()),
            ),
            (
                "a",
                r#""op_code":6,"trial_id":1,"state":3,"values":null,"datetime_complete":"t4""#
                    .into(),
                Err(Ignored::Finished),
            ),
            (
                "a",
                r#""op_code":8,"trial_id":1,"user_attr":{"k":1}"#.into(),
                Err(Ignored::Finished),
            ),
            (
                "a",
                r#""op_code":4,"study_id":0,"datetime_start":"t5""#.into(),
                Ok(()),
            ),
            (
                "a",
                set(0.5, &float(0.1, 1.0, true)),
                Err(Ignored::OtherDistribution),
            ),
            ("a", set(5.0, int), Err(Ignored::OtherDistribution)),
            ("a", set(7.5, &float(0.0, 10.0, false)), Ok(())),
            (
                "a",
                r#""op_code":7,"trial_id":2,"step":3,"intermediate_value":1.5"#.into(),
                Ok(()),
            ),
            (
                "a",
                r#""op_code":7,"trial_id":2,"step":3,"intermediate_value":1.25"#.into(),
                Ok(()),
            ),
            (
                "a",
                r#""op_code":6,"trial_id":2,"state":4,"values":null"#.into(),
                Ok(()),
            ),
            (
                "b",
                r#""op_code":6,"trial_id":2,"state":0,"values":null,"datetime_start":"t6""#.into(),
                Ok(()),
            ),
            (
                "a",
                r#""op_code":6,"trial_id":99,"state":3,"values":null"#.into(),
                Err(Ignored::NoTrial),
            ),
            ("a", r#""op_code":1,"study_id":1"#.into(), Ok(())),
            (
                "a",
                r#""op_code":4,"study_id":0,"datetime_start":"t7""#.into(),
                Ok(()),
            ),
            (
                "b",
                r#""op_code":0,"study_name":"d","directions":[2]"#.into(),
                Ok(()),
            ),
            (
                "z",
                r#""op_code":10,"trial_ids":[1]"#.into(),
                Err(Ignored::Foreign),
            ),
        ];
        let mut storage = Storage::default();
        for (worker, fields, effect) in script {
            let line = format!(r#"{{"worker_id":"{worker}",{fields}}}"#);
            assert_eq!(
                storage.apply(Record::parse(&line).unwrap()),
                effect,
                "{line}"
            );
        }
        let c = storage.study("c").unwrap();
        let ids: Vec<_> = storage
            .trials(c)
            .map(|t| (t.id, t.number, t.state()))
            .collect();
        assert_eq!(
            ids,
            [
                (1, 0, State::Complete),
                (2, 1, State::Running),
                (3, 2, State::Running)
            ]
        );
        let [one, two] = [1, 2].map(|id| storage.trial(id).unwrap());
        assert_eq!(
            (
                one.value(),
                one.content.start.as_deref(),
                one.owner.as_deref()
            ),
            (Some(0.25), Some("t1"), Some("b"))
        );
        assert_eq!(
            (two.parameter("x").unwrap(), two.owner.as_deref()),
            (7.5.into(), Some("b"))
        );
        assert_eq!(two.content.reports, BTreeMap::from([(3, 1.25)]));
        let d = storage.study("d").unwrap();
        assert_eq!(
            (d.id, storage.trials(d).count(), storage.trial(0)),
            (2, 0, None)
        );
    }

    #[test]
    fn what_is_no_record_says_why() {
        for (line, word) in [
            ("", "EOF"),
            ("{\"op_code\":4", "EOF"),
            ("[]", "object"),
            (r#"{"op_code":0}"#, "worker_id"),
            (r#"{"op_code":11,"worker_id":"a"}"#, "11"),
            (
                r#"{"op_code":0,"worker_id":"a","study_name":"s","directions":[3]}"#,
                "directions",
            ),
            (
                r#"{"op_code":4,"worker_id":"a","study_id":0}"#,
                "datetime_start",
            ),
            (
                r#"{"op_code":6,"worker_id":"a","trial_id":0,"state":1}"#,
                "values",
            ),
            (
                r#"{"op_code":6,"worker_id":"a","trial_id":0,"state":9,"values":null}"#,
                "state",
            ),
            (
                r#"{"op_code":7,"worker_id":"a","trial_id":0,"step":-1,"intermediate_value":1}"#,
                "step",
            ),
            (
                r#"{"op_code":7,"worker_id":"a","trial_id":0,"step":1,"intermediate_value":"x"}"#,
                "number",
            ),
            (
                r#"{"op_code":8,"worker_id":"a","trial_id":0,"user_attr":{}}"#,
                "user_attr",
            ),
        ] {
            let message = Record::parse(line).unwrap_err();
            assert!(message.contains(word), "{line}: {message}");
        }
    }

    #[test]
    fn python_s_words_for_numbers_are_read_outside_of_strings_only() {
        let record = Record::parse(r#"{"op_code":8,"worker_id":"NaN \" Infinity","trial_id":0,"user_attr":{"note":"a NaN, \\"}}"#).unwrap();
        assert_eq!(record.worker, "NaN \" Infinity");
        assert!(
            matches!(record.operation, Operation::TrialUserAttr { value, .. } if value == "a NaN, \\")
        );
        for (word, expected) in [
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            let line = format!(
                r#"{{"op_code":7,"worker_id":"a","trial_id":0,"step":1,"intermediate_value":{word}}}"#
            );
            let Operation::Report { value, .. } = Record::parse(&line).unwrap().operation else {
                unreachable!()
            };
            assert_eq!(value, expected);
        }
    }
}
