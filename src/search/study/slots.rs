//! The places in the budget.
//!
//! A *slot* is a place in the budget. A trial that fails is tried again in the same slot, at the same point and with
//! the same seeds. Retries have numbers but no slots of their own, so a disturbed search gets the same slots as an
//! undisturbed one.
//!
//! A writer that was paused between its check and its write can create a trial too late: for a slot that another
//! worker has taken meanwhile, or as a second retry of one trial. Such a trial is *void*. It has no slot, is not run,
//! and ends as failed. Every program sees from the file which trials are void: the first claim in the file counts.

use std::collections::HashSet;

use serde_json::Value;

use crate::search::journal::{NewTrial, Storage, Study, Trial, TrialState};

/// The attribute of a trial that holds the slot for which it was created.
const SLOT: &str = "chainrule:slot";

/// The attribute of a retry that holds the numbers of all attempts before it.
pub(super) const RETRY_HISTORY: &str = "retry_history";

/// The attribute of a trial that is failed to be queued again: the number of workers that have died of it.
pub(super) const REQUEUED: &str = "chainrule:requeued";

/// The slots of a study's trials.
#[derive(Clone, Debug)]
pub struct Slots {
    /// By the trial's number; `None` if the trial is void.
    slots: Vec<Option<u32>>,
    next: u32,
    /// The numbers of the trials that have a retry.
    retried: HashSet<usize>,
}

impl Slots {
    /// The slots of this study.
    pub fn of(storage: &Storage, study: &Study) -> Self {
        let trials: Vec<&Trial> = storage.trials(study).collect();
        let mut slots = Slots {
            slots: Vec::with_capacity(trials.len()),
            next: 0,
            retried: HashSet::new(),
        };
        for trial in &trials {
            let slot = slots.place(trial, &trials);
            slots.slots.push(slot);
        }
        slots
    }

    /// The slot of the next trial, which are all trials with smaller numbers.
    fn place(&mut self, trial: &Trial, trials: &[&Trial]) -> Option<u32> {
        // A result is a fact, however it came about.
        let is_fact = trial.state().has_result();
        let first = trial.first_attempt();
        if first < trial.number {
            let before = predecessor(trial).unwrap_or(first);
            let has_result = trials.get(before).is_some_and(|t| t.state().has_result());
            let is_first_retry = self.retried.insert(before);
            let slot = self.slots[first];
            return slot.filter(|_| is_fact || (is_first_retry && !has_result));
        }
        let slot = self.next;
        let intended = trial.content.system_attrs.get(SLOT).and_then(Value::as_u64);
        if !is_fact && intended.is_some_and(|intended| intended != u64::from(slot)) {
            return None;
        }
        self.next += 1;
        Some(slot)
    }

    /// The slot of the next new trial.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// The slot of a trial; `None` if the trial is void.
    pub fn slot(&self, trial: &Trial) -> Option<u32> {
        self.slots.get(trial.number).copied().flatten()
    }

    /// The slots of trials that run, wait, or are to be tried again. Running void trials count too: their workers do
    /// not know it yet.
    pub(in crate::search) fn open(&self, storage: &Storage, study: &Study) -> HashSet<u32> {
        let open = storage.trials(study).filter(|t| match t.state() {
            TrialState::Running | TrialState::Waiting => true,
            TrialState::Fail => is_requeued(t) && !self.has_retry(t),
            TrialState::Complete | TrialState::Pruned => false,
        });
        let first = |t: &Trial| self.slots[t.first_attempt().min(t.number)];
        open.filter_map(first).collect()
    }

    /// Whether another attempt has taken the place of this one.
    pub(super) fn has_retry(&self, trial: &Trial) -> bool {
        self.retried.contains(&trial.number)
    }

    /// Whether the trial runs and takes part in the budget.
    pub(super) fn is_under_way(&self, trial: &Trial) -> bool {
        trial.state() == TrialState::Running && self.slot(trial).is_some() && !self.has_retry(trial)
    }
}

/// Whether the trial was failed to be queued again.
pub(super) fn is_requeued(trial: &Trial) -> bool {
    trial.content.system_attrs.contains_key(REQUEUED)
}

/// The number of the attempt before a retry.
fn predecessor(retry: &Trial) -> Option<usize> {
    let history = retry.content.system_attrs.get(RETRY_HISTORY)?.as_array()?;
    let number = history.last()?.as_u64()?;
    usize::try_from(number).ok()
}

/// Notes for which slot a trial is created.
pub(super) fn note_slot(trial: &mut NewTrial, slot: u32) {
    trial.system_attrs.insert(SLOT.into(), slot.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metrics::Direction;

    /// A study of these trials: state and attributes.
    fn slots(trials: &[(TrialState, Value)]) -> Slots {
        let trials = trials.iter().map(|(state, attributes)| {
            let mut trial = NewTrial::new(*state, None);
            trial.system_attrs = attributes.as_object().unwrap().clone();
            trial
        });
        let storage = Storage::of_trials(Direction::Maximize, trials);
        let study = storage.study("test").unwrap();
        Slots::of(&storage, study)
    }

    #[test]
    fn the_first_claim_of_a_slot_counts() {
        use TrialState::{Complete, Fail, Running};
        let slots = slots(&[
            (Complete, json!({SLOT: 0})),
            (Running, json!({SLOT: 1})),
            (Running, json!({SLOT: 1})),
            (Running, json!({SLOT: 2})),
            (Fail, json!({})),
            (Complete, json!({SLOT: 0})),
        ]);
        let expected = [Some(0), Some(1), None, Some(2), Some(3), Some(4)];
        assert_eq!((slots.slots.as_slice(), slots.next()), (&expected[..], 5));
    }

    #[test]
    fn the_first_retry_counts_and_none_after_a_result() {
        use TrialState::{Complete, Fail, Running, Waiting};
        let retry = |history: &[u64]| json!({"failed_trial": history[0], RETRY_HISTORY: history});
        let slots = slots(&[
            (Fail, json!({})),
            (Complete, json!({})),
            (Waiting, retry(&[0])),
            (Waiting, retry(&[0])),
            (Waiting, retry(&[1])),
            (Running, retry(&[0, 2])),
        ]);
        let expected = [Some(0), Some(1), Some(0), None, None, Some(0)];
        assert_eq!((slots.slots.as_slice(), slots.next()), (&expected[..], 2));
    }

    /// Numbers in a file may be anything.
    #[test]
    fn a_retry_of_a_later_trial_is_a_first_attempt() {
        let slots = slots(&[
            (TrialState::Waiting, json!({"failed_trial": 7})),
            (TrialState::Waiting, json!({"failed_trial": u64::MAX})),
            (
                TrialState::Waiting,
                json!({"failed_trial": 0, RETRY_HISTORY: [u64::MAX]}),
            ),
        ]);
        assert_eq!(slots.slots, [Some(0), Some(1), Some(0)]);
    }
}
