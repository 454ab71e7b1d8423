//! What a worker does next, decided from the state of the file alone.
//!
//! Nothing here reads or writes. Each function tells which operations to append. They are ordered so that the beginning
//! of a batch does no harm when its end is missing.

use serde_json::{Value, json};

use super::slots::{REQUEUED, RETRY_HISTORY, Slots, is_requeued, note_slot};
use super::{Awaited, Claim, Next};
use crate::search::distribution::Distribution;
use crate::search::journal::{
    Attributes, NewTrial, Operation, Origin, Parameter, Storage, Study, Trial, TrialState, now,
};
use crate::search::plan::Plan;
use crate::search::sampler::{self, Observation, Sampler, TrialOutcome};
use crate::search::space::Point;

/// Why a void trial fails.
const VOID: &str = "another trial has this place in the budget";

/// The attribute of a retry that holds the number of workers that died in the attempts before it. A trial that its
/// worker gave back, after an interruption or because the disk was full, has killed nobody.
const DEATHS: &str = "chainrule:deaths";

/// The number of deaths after which a trial is given up. Without a limit a trial that kills its process would do so for
/// ever.
pub(super) const MAX_DEATHS: u64 = 10;

/// Operations to append, and what follows once they are in the file. `None`: look again.
pub(super) type Decision = (Vec<Operation>, Option<Next>);

/// A worker that looks for a trial to run.
pub(super) struct Seeker<'a> {
    pub(super) plan: &'a Plan,
    pub(super) sampler: &'a dyn Sampler,
    /// The worker's name.
    pub(super) worker: &'a str,
    /// The ids of the trials that it has begun already.
    pub(super) begun: &'a [usize],
    /// The budget of all workers together.
    pub(super) trials: usize,
}

impl Seeker<'_> {
    /// Claims a trial: a waiting one, or a new one.
    pub(super) fn next(&self, storage: &Storage, study: &Study) -> Decision {
        let slots = Slots::of(storage, study);
        let in_state = |state| storage.trials(study).filter(move |t| t.state() == state);
        let is_own =
            |t: &&Trial| t.owner.as_deref() == Some(self.worker) && !self.begun.contains(&t.id);
        // A claim that is in the file but was not begun: of a queued trial, or one that came late.
        if let Some(own) = in_state(TrialState::Running).find(is_own) {
            return match slots.slot(own) {
                Some(slot) => self.begin(storage, study, own, slot),
                None => (fail(own.id, VOID), None),
            };
        }
        // A worker died after it had failed a trial and before the retry was written.
        let failed = in_state(TrialState::Fail).filter(|t| is_requeued(t));
        let torn = failed.filter_map(|t| retry(study, &slots, t, number(t, REQUEUED)));
        let torn: Vec<Operation> = torn.collect();
        if !torn.is_empty() {
            return (torn, None);
        }
        let ended = storage.results(study);
        if ended >= self.trials {
            return (Vec::new(), Some(Next::Done(ended)));
        }
        if let Some(waiting) = in_state(TrialState::Waiting).next() {
            return match slots.slot(waiting) {
                Some(_) => (vec![claim(waiting.id)], None),
                None => (fail(waiting.id, VOID), None),
            };
        }
        let awaited: Vec<Awaited> = in_state(TrialState::Running)
            .filter(|t| slots.is_under_way(t))
            .map(awaited)
            .collect();
        if ended + awaited.len() >= self.trials {
            return (Vec::new(), Some(Next::Wait(awaited)));
        }
        let slot = slots.next();
        let history = history(self.plan, storage, study);
        let next = match sampler::point(self.sampler, &self.plan.space, slot, &history) {
            Some(point) => return self.create(storage, study, slot, point),
            None if awaited.is_empty() => Next::Exhausted,
            None => Next::Wait(awaited),
        };
        (Vec::new(), Some(next))
    }

    /// Creates a running trial.
    fn create(&self, storage: &Storage, study: &Study, slot: u32, point: Point) -> Decision {
        let plan = self.plan;
        let mut trial = NewTrial::new(TrialState::Running, Some(now()));
        let parameters = plan.space.iter().zip(&point);
        let parameter = |((name, distribution), &internal): ((&str, &Distribution), &f64)| {
            (name.to_owned(), parameter(distribution, internal))
        };
        trial.params = parameters.map(parameter).collect();
        let seeds = seeds(plan, &point, slot);
        trial.user_attrs.insert("seeds".into(), seeds);
        note_slot(&mut trial, slot);
        let create = Operation::CreateTrial {
            study: study.id,
            trial: Box::new(trial),
        };
        let claim = Claim {
            id: storage.next_trial(),
            number: storage.trials(study).count(),
            slot,
            point,
        };
        (vec![create], Some(Next::Run(claim)))
    }

    /// Begins a trial that is claimed already. Parameters that were fixed in the queue stay; the others are drawn. A
    /// trial whose fixed parameters have no such value fails.
    fn begin(&self, storage: &Storage, study: &Study, trial: &Trial, slot: u32) -> Decision {
        let plan = self.plan;
        let history = history(plan, storage, study);
        let drawn = sampler::point(self.sampler, &plan.space, slot, &history);
        let fixed = trial.content.system_attrs.get("fixed_params");
        let mut operations = Vec::new();
        let mut point = Point::new();
        for (i, (name, distribution)) in plan.space.iter().enumerate() {
            if let Some(parameter) = trial.content.params.get(name) {
                point.push(parameter.internal);
                continue;
            }
            let internal = match fixed.and_then(|fixed| fixed.get(name)) {
                Some(value) => distribution.internal(value),
                None => Some(
                    drawn
                        .as_ref()
                        .map_or_else(|| distribution.quantile(0.5), |point| point[i]),
                ),
            };
            // A user may queue a value outside of the range, but not one that the distribution cannot represent.
            let Some(internal) = internal else {
                let found = fixed.map_or(&Value::Null, |fixed| &fixed[name]);
                let why = format!("{name}: expected one of its values, found {found}");
                let next = Next::Failed {
                    number: trial.number,
                    why: why.clone(),
                };
                return (fail(trial.id, &why), Some(next));
            };
            point.push(internal);
            operations.push(Operation::SetParameter {
                trial: trial.id,
                name: name.to_owned(),
                parameter: parameter(distribution, internal),
            });
        }
        if !trial.content.user_attrs.contains_key("seeds") {
            operations.push(Operation::TrialUserAttr {
                trial: trial.id,
                key: "seeds".into(),
                value: seeds(plan, &point, slot),
            });
        }
        let claim = Claim {
            id: trial.id,
            number: trial.number,
            slot,
            point,
        };
        (operations, Some(Next::Run(claim)))
    }
}

fn claim(trial: usize) -> Operation {
    Operation::SetState {
        trial,
        state: TrialState::Running,
        values: None,
        at: Some(now()),
    }
}

fn parameter(distribution: &Distribution, internal: f64) -> Parameter {
    Parameter {
        internal,
        distribution: distribution.clone(),
    }
}

fn seeds(plan: &Plan, point: &[f64], slot: u32) -> Value {
    (0..plan.repeats)
        .map(|repeat| plan.repeat_seed(point, slot, repeat))
        .collect()
}

fn awaited(trial: &Trial) -> Awaited {
    let worker = trial.owner.clone().unwrap_or_default();
    Awaited {
        number: trial.number,
        origin: Origin::of(&worker),
        worker,
        since: trial.content.start.clone(),
    }
}

/// Ends a trial.
pub(super) fn end(trial: usize, state: TrialState, value: Option<f64>) -> Operation {
    // A value that is not finite would make the whole file unreadable for other programs.
    let values = value.filter(|x| x.is_finite()).map(|x| vec![x]);
    Operation::SetState {
        trial,
        state,
        values,
        at: Some(now()),
    }
}

/// Fails a trial by itself, with the reason.
pub(super) fn fail(trial: usize, why: &str) -> Vec<Operation> {
    let reason = Operation::TrialUserAttr {
        trial,
        key: "error".into(),
        value: json!(why),
    };
    vec![reason, end(trial, TrialState::Fail, None)]
}

/// The number of workers that have died of a trial in the attempts before this one.
pub(super) fn deaths(trial: &Trial) -> u64 {
    number(trial, DEATHS)
}

fn number(trial: &Trial, attribute: &str) -> u64 {
    let value = trial.content.system_attrs.get(attribute);
    value.and_then(Value::as_u64).unwrap_or(0)
}

/// Queues a trial again, unless it is void, has a retry already, or has killed its workers too often.
pub(super) fn retry(study: &Study, slots: &Slots, trial: &Trial, deaths: u64) -> Option<Operation> {
    let history = trial.content.system_attrs.get(RETRY_HISTORY);
    let mut history = history
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    history.push(json!(trial.number));
    if slots.slot(trial).is_none() || slots.has_retry(trial) || deaths >= MAX_DEATHS {
        return None;
    }
    let mut again = NewTrial::new(TrialState::Waiting, None);
    again.params.clone_from(&trial.content.params);
    again.user_attrs.clone_from(&trial.content.user_attrs);
    // What was fixed in the queue stays fixed, also if its parameter was not yet set.
    let fixed = trial.content.system_attrs.get("fixed_params");
    let mut fixed = fixed
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let set = |name: &String| Some((name.clone(), trial.parameter(name)?));
    fixed.extend(again.params.keys().filter_map(set));
    again.system_attrs = Attributes::from_iter([
        ("fixed_params".to_owned(), Value::Object(fixed)),
        ("failed_trial".to_owned(), json!(trial.first_attempt())),
        (RETRY_HISTORY.to_owned(), Value::Array(history)),
        (DEATHS.to_owned(), json!(deaths)),
    ]);
    Some(Operation::CreateTrial {
        study: study.id,
        trial: Box::new(again),
    })
}

/// Fails a running trial and queues it again. The trial fails first: then a late record of its worker changes nothing.
/// If the retry is missing after that, the note on the trial tells that it was to come.
pub(super) fn requeue(study: &Study, slots: &Slots, trial: &Trial, deaths: u64) -> Vec<Operation> {
    if deaths >= MAX_DEATHS {
        let why = format!("given up: the programs that ran it have died {deaths} times");
        return fail(trial.id, &why);
    }
    let retry = retry(study, slots, trial, deaths);
    let note = retry.is_some().then(|| Operation::TrialSystemAttr {
        trial: trial.id,
        key: REQUEUED.into(),
        value: json!(deaths),
    });
    let fail = end(trial.id, TrialState::Fail, None);
    note.into_iter().chain([fail]).chain(retry).collect()
}

/// The trials that samplers learn from: those that have every parameter of the space.
fn history(plan: &Plan, storage: &Storage, study: &Study) -> Vec<Observation> {
    let direction = plan.objective.metric().direction();
    let observe = |trial: &Trial| {
        let parameter = |(name, distribution): (&str, &Distribution)| {
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
