//! The state of a study file, in a form that can be compared: NaN equals NaN.

use std::collections::BTreeMap;
use std::path::Path;

use chainrule::search::journal::{Journal, Storage};

/// What a file holds: its studies, and their trials in order.
pub(crate) fn state(storage: &Storage) -> String {
    let studies = storage.studies().map(|study| {
        let trials: Vec<_> = storage.trials(study).collect();
        format!("{study:?} {trials:?}")
    });
    let ids = (storage.next_study(), storage.next_trial());
    format!("{ids:?} {:?}", studies.collect::<Vec<String>>())
}

/// The trials that have ended, by id.
pub(crate) fn finished(storage: &Storage) -> BTreeMap<usize, String> {
    let trials = storage.studies().flat_map(|study| storage.trials(study));
    trials
        .filter(|trial| trial.state().is_finished())
        .map(|trial| (trial.id, format!("{trial:?}")))
        .collect()
}

/// Reads a file twice, and checks that it is the same twice.
pub(crate) fn read_twice(path: &Path) -> chainrule::Result<Journal> {
    let journal = Journal::open(path)?;
    let again = Journal::open(path)?;
    assert_eq!(state(journal.storage()), state(again.storage()));
    Ok(journal)
}
