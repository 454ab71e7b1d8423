use std::path::Path;

use super::simulation::{plan, value};
use super::*;
use crate::search::journal::NewTrial;
use crate::search::plan::SamplerName;
use crate::search::pruner::{Never, SuccessiveHalving};
use crate::search::space::Space;

const FOREIGN_TIMEOUT: Duration = Duration::from_millis(200);

fn join<'a>(path: &Path, plan: &'a Plan) -> Result<StudyWork<'a>> {
    StudyWork::join(Journal::join(path)?, plan, "hash", FOREIGN_TIMEOUT)
}

fn run(work: &mut StudyWork<'_>, trials: usize) -> Next {
    loop {
        match work.claim(trials).unwrap() {
            Next::Run(claim) => {
                let reported = work.report(&claim, 1, value(&claim.point), &Never);
                assert_eq!(reported.unwrap(), Reported::Continue);
                work.complete(&claim, value(&claim.point), Attributes::new())
                    .unwrap();
            }
            other => return other,
        }
    }
}

/// Slots, points and values of the complete trials, by slot.
fn results(work: &mut StudyWork<'_>) -> Vec<(u32, Vec<Value>, f64)> {
    let (storage, study) = work.look().unwrap();
    let slots = Slots::of(storage, study);
    let complete = storage
        .trials(study)
        .filter(|t| t.state() == TrialState::Complete);
    let mut results: Vec<_> = complete
        .map(|t| {
            (
                slots.slot(t).unwrap(),
                ["lr", "activation"]
                    .map(|p| t.parameter(p).unwrap())
                    .to_vec(),
                t.value().unwrap(),
            )
        })
        .collect();
    results.sort_by_key(|r| r.0);
    results
}

#[test]
fn the_budget_is_exact_and_a_second_run_finds_nothing_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let plan = plan(SamplerName::Random);
    assert_eq!(run(&mut join(&path, &plan).unwrap(), 6), Next::Done(6));
    let mut again = join(&path, &plan).unwrap();
    assert_eq!(run(&mut again, 6), Next::Done(6));
    assert_eq!(run(&mut again, 8), Next::Done(8), "a larger budget goes on");
    let results = results(&mut again);
    assert_eq!(
        results.iter().map(|r| r.0).collect::<Vec<_>>(),
        (0..8).collect::<Vec<_>>()
    );
    let (storage, study) = again.look().unwrap();
    let best = storage.best(study).unwrap().value().unwrap();
    assert!(results.iter().all(|r| r.2 <= best));
}

/// A complete trial without a value is none that Optuna knows, and null is no number of a report.
#[test]
fn a_value_that_is_not_finite_is_a_divergence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let plan = plan(SamplerName::Random);
    let mut work = join(&path, &plan).unwrap();
    for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let Next::Run(claim) = work.claim(3).unwrap() else {
            panic!()
        };
        work.report(&claim, 1, 0.25, &Never).unwrap();
        let reported = work.report(&claim, 2, value, &Never).unwrap();
        assert_eq!(reported, Reported::Continue);
        assert!(work.complete(&claim, value, Attributes::new()).unwrap());
        let journal = Journal::open(&path).unwrap();
        let trial = journal.storage().trial(claim.id).unwrap();
        assert_eq!(
            (trial.state(), trial.value()),
            (TrialState::Pruned, Some(0.25))
        );
        assert_eq!(trial.content.user_attrs["diverged"], true);
    }
}

/// Trials are given back, or left by dead workers, at any moment. In the end the same slots have the same
/// points and values.
#[test]
fn disturbed_searches_give_the_same_results() {
    let dir = tempfile::tempdir().unwrap();
    for sampler in [SamplerName::Random, SamplerName::Sobol] {
        let plan = plan(sampler);
        let calm = dir.path().join(format!("calm-{sampler:?}"));
        let mut calm = join(&calm, &plan).unwrap();
        run(&mut calm, 12);

        let path = dir.path().join(format!("disturbed-{sampler:?}"));
        let mut one = join(&path, &plan).unwrap();
        let mut two = join(&path, &plan).unwrap();
        let Next::Run(first) = one.claim(12).unwrap() else {
            panic!()
        };
        let Next::Run(second) = two.claim(12).unwrap() else {
            panic!()
        };
        assert_eq!((first.slot, second.slot), (0, 1));
        one.report(&first, 1, 0.1, &Never).unwrap();
        one.give_back(&first).unwrap();
        let Next::Run(retry) = two.claim(12).unwrap() else {
            panic!()
        };
        assert_eq!(
            (retry.slot, &retry.point, retry.number),
            (0, &first.point, 2)
        );
        two.give_back(&retry).unwrap();
        two.complete(&second, value(&second.point), Attributes::new())
            .unwrap();
        assert_eq!(run(&mut one, 12), Next::Done(12));
        assert_eq!(results(&mut one), results(&mut calm));
        let (storage, study) = one.look().unwrap();
        let retried = storage.trials(study).nth(3).unwrap();
        assert_eq!(retried.content.system_attrs["failed_trial"], 0);
        assert_eq!(retried.content.system_attrs["retry_history"], json!([0, 2]));
        assert_eq!(
            storage
                .trials(study)
                .filter(|t| t.state() == TrialState::Fail)
                .count(),
            2
        );
    }
}

#[test]
fn the_last_trials_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let plan = plan(SamplerName::Random);
    let (mut one, mut two) = (join(&path, &plan).unwrap(), join(&path, &plan).unwrap());
    let Next::Run(claim) = one.claim(1).unwrap() else {
        panic!()
    };
    let Next::Wait(awaited) = two.claim(1).unwrap() else {
        panic!()
    };
    assert_eq!((awaited.len(), awaited[0].number), (1, claim.number));
    assert_eq!(awaited[0].origin, Origin::ThisProcess);
    one.give_back(&claim).unwrap();
    assert!(
        matches!(two.claim(1).unwrap(), Next::Run(retry) if retry.slot == claim.slot && retry.point == claim.point)
    );
}

/// The trial of a worker on this machine whose process no longer exists is run by another one. Windows does not tell.
#[cfg(unix)]
#[test]
fn a_dead_worker_s_trial_is_taken_up_but_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let plan = plan(SamplerName::Random);
    let mut work = join(&path, &plan).unwrap();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let (own, gone) = (
        format!("-{}-", std::process::id()),
        format!("-{}-", child.id()),
    );
    child.wait().unwrap();
    let mut slots = Vec::new();
    for _ in 0..=decide::MAX_DEATHS {
        let Next::Run(mut claim) = work.claim(2).unwrap() else {
            panic!()
        };
        slots.push(claim.slot);
        // An attempt that was given back does not count.
        for _ in 0..2 {
            work.give_back(&claim).unwrap();
            let Next::Run(again) = work.claim(2).unwrap() else {
                panic!()
            };
            assert_eq!(again.slot, claim.slot);
            claim = again;
        }
        // As if the process that claimed it had been killed.
        drop(work);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(&own, &gone)).unwrap();
        work = join(&path, &plan).unwrap();
    }
    let mut expected = vec![0; decide::MAX_DEATHS as usize];
    expected.push(1);
    assert_eq!(slots, expected, "after so many deaths the slot is given up");
    let (storage, study) = work.look().unwrap();
    let given_up = storage
        .trials(study)
        .filter(|t| t.content.user_attrs.contains_key("error"));
    assert_eq!(given_up.count(), 1, "and says why");
}

#[test]
fn another_plan_under_the_same_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let first = plan(SamplerName::Random);
    join(&path, &first).unwrap();
    let before = std::fs::read(&path).unwrap();
    let mut wider = Space::default();
    wider.add("lr", "0.001..0.02:log").unwrap();
    wider.add("activation", "relu,tanh").unwrap();
    let others = [
        (
            Plan {
                seed: 12,
                ..first.clone()
            },
            "seed 12",
        ),
        (
            Plan {
                space: wider,
                ..first.clone()
            },
            "space",
        ),
        (
            Plan {
                sampler: SamplerName::Sobol,
                ..first.clone()
            },
            "sobol",
        ),
    ];
    for (other, word) in others {
        let error = join(&path, &other).err().unwrap();
        assert!(
            error.to_string().contains(word) && error.to_string().contains("--name"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 2);
    }
    assert!(
        StudyWork::join(
            Journal::join(&path).unwrap(),
            &first,
            "other data",
            FOREIGN_TIMEOUT
        )
        .err()
        .unwrap()
        .to_string()
        .contains("data")
    );
    assert_eq!(
        std::fs::read(&path).unwrap(),
        before,
        "the file is as it was"
    );
    // Two studies in one file do not touch each other.
    let second = Plan {
        name: "second".into(),
        seed: 12,
        ..first.clone()
    };
    run(&mut join(&path, &second).unwrap(), 2);
    assert_eq!(results(&mut join(&path, &first).unwrap()), []);
}

/// Appends operations as another worker.
fn write(path: &Path, operations: &[Operation]) {
    let mut journal = Journal::join(path).unwrap();
    let written = journal.transaction(|_| Ok((operations.to_vec(), ())));
    written.unwrap();
}

/// Queues trials with these fixed parameters.
fn queue(path: &Path, trials: &[Value]) {
    let operation = |fixed: &Value| {
        let mut trial = NewTrial::new(TrialState::Waiting, None);
        let fixed = ("fixed_params".to_owned(), fixed.clone());
        trial.system_attrs.extend([fixed]);
        Operation::CreateTrial {
            study: 0,
            trial: Box::new(trial),
        }
    };
    write(path, &trials.iter().map(operation).collect::<Vec<_>>());
}

#[test]
fn queued_trials_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let plan = plan(SamplerName::Random);
    let mut work = join(&path, &plan).unwrap();
    queue(
        &path,
        &[
            json!({"lr": 0.005, "activation": "tanh"}),
            json!({"activation": "relu"}),
        ],
    );
    let Next::Run(first) = work.claim(3).unwrap() else {
        panic!()
    };
    assert_eq!(first.point, [0.005, 1.0]);
    let Next::Run(second) = work.claim(3).unwrap() else {
        panic!()
    };
    assert_eq!(second.point[1], 0.0);
    assert!(
        (0.001..=0.01).contains(&second.point[0]),
        "what is not fixed is drawn"
    );
    let (storage, study) = work.look().unwrap();
    assert!(
        storage
            .trials(study)
            .all(|t| t.content.params.len() == 2 && t.content.user_attrs.contains_key("seeds"))
    );
}

/// A queued trial that no worker can begin does not stop the others.
#[test]
fn a_queued_trial_with_a_value_outside_its_choices_fails_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let plan = plan(SamplerName::Random);
    let mut work = join(&path, &plan).unwrap();
    let bad = [
        json!({"activation": "no such function"}),
        json!({"lr": "fast"}),
        json!({"lr": [0.1], "activation": {"a": 1}}),
    ];
    queue(&path, &bad);
    for (expected, name) in ["activation", "lr", "lr"].into_iter().enumerate() {
        let Next::Failed { number, why } = work.claim(2).unwrap() else {
            panic!()
        };
        assert!(number == expected && why.contains(name), "{number}: {why}");
    }
    assert_eq!(run(&mut work, 2), Next::Done(2));
    let (storage, study) = work.look().unwrap();
    let failed = storage.trials(study).next().unwrap();
    assert_eq!(failed.state(), TrialState::Fail);
    let why = failed.content.user_attrs["error"].as_str().unwrap();
    assert!(why.contains("no such function"), "{why}");
}

/// A trial that another program left running is named, and after a while the search goes on without it.
#[test]
fn a_foreign_trial_that_is_silent_does_not_hold_the_study() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let plan = plan(SamplerName::Random);
    let mut work = join(&path, &plan).unwrap();
    queue(&path, &[json!({"lr": 0.005, "activation": "tanh"})]);
    let claimed = r#"{"op_code":6,"worker_id":"f1af3dd8-1","trial_id":0,"state":0,"values":null,"datetime_start":"2026-01-01T00:00:00.000000+00:00"}"#;
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}{claimed}\n")).unwrap();
    let Next::Wait(awaited) = work.claim(1).unwrap() else {
        panic!()
    };
    let expected = Awaited {
        number: 0,
        origin: Origin::OtherProgram,
        worker: "f1af3dd8-1".into(),
        since: Some("2026-01-01T00:00:00.000000+00:00".into()),
    };
    assert_eq!(awaited, [expected]);
    std::thread::sleep(FOREIGN_TIMEOUT * 2 / 3);
    // News of it: it is waited for anew.
    let report = Operation::Report {
        trial: 0,
        step: 1,
        value: 0.5,
    };
    write(&path, &[report]);
    assert!(matches!(work.claim(1).unwrap(), Next::Wait(_)));
    std::thread::sleep(FOREIGN_TIMEOUT * 2 / 3);
    assert!(matches!(work.claim(1).unwrap(), Next::Wait(_)));
    std::thread::sleep(FOREIGN_TIMEOUT);
    // Another attempt takes its place, with the parameters that were queued.
    let Next::Run(claim) = work.claim(1).unwrap() else {
        panic!()
    };
    assert_eq!((claim.number, claim.slot), (1, 0));
    assert_eq!(claim.point, [0.005, 1.0]);
    assert!(work.complete(&claim, 0.9, Attributes::new()).unwrap());
    assert_eq!(work.claim(1).unwrap(), Next::Done(1));
    let (storage, study) = work.look().unwrap();
    let foreign = storage.trials(study).next().unwrap();
    assert_eq!(
        foreign.state(),
        TrialState::Running,
        "its program may be alive"
    );
}

/// A worker that was thought to be dead lost its trial. It is told so, and its records change nothing.
#[test]
fn a_worker_that_was_silent_for_too_long_learns_that_its_trial_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let plan = plan(SamplerName::Random);
    let mut silent = join(&path, &plan).unwrap();
    let Next::Run(lost) = silent.claim(1).unwrap() else {
        panic!()
    };
    let requeued = |storage: &Storage| {
        let study = find(storage, &plan)?;
        let slots = Slots::of(storage, study);
        let trial = storage.trial(lost.id).unwrap();
        Ok((requeue(study, &slots, trial, 1), ()))
    };
    Journal::join(&path).unwrap().transaction(requeued).unwrap();
    let reported = silent.report(&lost, 1, 0.1, &Never).unwrap();
    assert_eq!(reported, Reported::Lost);
    assert!(!silent.complete(&lost, 0.1, Attributes::new()).unwrap());
    assert!(!silent.give_back(&lost).unwrap());
    assert_eq!(run(&mut silent, 1), Next::Done(1));
    assert_eq!(results(&mut silent).len(), 1);
}

/// A worker died after it had failed a trial and before the retry was written.
#[test]
fn a_retry_that_is_missing_is_made_up_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let plan = plan(SamplerName::Random);
    let mut work = join(&path, &plan).unwrap();
    let Next::Run(first) = work.claim(1).unwrap() else {
        panic!()
    };
    let (storage, study) = work.look().unwrap();
    let slots = Slots::of(storage, study);
    let whole = requeue(study, &slots, storage.trial(first.id).unwrap(), 1);
    let [beginning @ .., Operation::CreateTrial { .. }] = &whole[..] else {
        panic!("{whole:?}")
    };
    write(&path, beginning);
    let Next::Run(again) = work.claim(1).unwrap() else {
        panic!()
    };
    assert_eq!(
        (again.number, again.slot, &again.point),
        (1, 0, &first.point)
    );
    assert!(!work.complete(&first, 0.1, Attributes::new()).unwrap());
    assert!(work.complete(&again, 0.9, Attributes::new()).unwrap());
    assert_eq!(work.claim(1).unwrap(), Next::Done(1));
}

#[test]
fn pruned_and_diverged_trials_count_and_failed_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let plan = plan(SamplerName::Random);
    let asha = SuccessiveHalving {
        reduction: 2,
        ..SuccessiveHalving::default()
    };
    let mut work = join(&path, &plan).unwrap();
    let mut claims = std::iter::from_fn(|| match work.claim(9).unwrap() {
        Next::Run(claim) => Some(claim),
        _ => None,
    });
    let [good, bad, lost, unlucky, broken]: [Claim; 5] =
        std::array::from_fn(|_| claims.next().unwrap());
    let mut report = |claim, step, value| work.report(claim, step, value, &asha).unwrap();
    assert_eq!(report(&good, 1, 0.9), Reported::Continue);
    assert_eq!(report(&bad, 1, 0.8), Reported::Pruned);
    assert_eq!(report(&bad, 2, 0.8), Reported::Lost, "it has ended");
    work.diverge(&lost, Attributes::new()).unwrap();
    let reported = work.report(&unlucky, 1, 0.95, &asha).unwrap();
    assert_eq!(reported, Reported::Continue);
    work.diverge(&unlucky, Attributes::new()).unwrap();
    work.fail(&broken, "no such file").unwrap();
    work.complete(
        &good,
        0.91,
        Attributes::from_iter([("epochs".to_owned(), json!(10))]),
    )
    .unwrap();
    let (storage, study) = work.look().unwrap();
    let ends: Vec<_> = storage
        .trials(study)
        .map(|t| (t.state(), t.value()))
        .collect();
    use TrialState::*;
    assert_eq!(
        ends,
        [
            (Complete, Some(0.91)),
            (Pruned, Some(0.8)),
            (Pruned, None),
            (Pruned, Some(0.95)),
            (Fail, None)
        ]
    );
    assert_eq!(storage.results(study), 4);
    let notes: Vec<_> = storage
        .trials(study)
        .map(|t| &t.content.user_attrs)
        .collect();
    assert_eq!(
        (
            &notes[0]["epochs"],
            &notes[2]["diverged"],
            &notes[4]["error"]
        ),
        (&json!(10), &json!(true), &json!("no such file"))
    );
    assert_eq!(
        storage.trials(study).nth(1).unwrap().content.system_attrs["completed_rung_0"],
        0.8
    );
}
