use std::fs;

use serde_json::json;

use super::*;
use crate::metrics::Direction;
use crate::search::distribution::Distribution;

fn create(name: &str) -> Operation {
    Operation::CreateStudy {
        name: name.into(),
        directions: vec![Direction::Maximize],
    }
}

fn running(lr: f64) -> Operation {
    let mut trial = NewTrial::new(TrialState::Running, Some(now()));
    let distribution = Distribution::float(1e-4, 0.1, true, None).unwrap();
    trial.params.insert(
        "lr".into(),
        Parameter {
            internal: lr,
            distribution,
        },
    );
    Operation::CreateTrial {
        study: 0,
        trial: Box::new(trial),
    }
}

fn complete(trial: usize, value: f64) -> Operation {
    Operation::SetState {
        trial,
        state: TrialState::Complete,
        values: Some(vec![value]),
        at: Some(now()),
    }
}

fn append(journal: &mut Journal, operations: Vec<Operation>) -> Result<()> {
    journal.transaction(|_| Ok((operations.clone(), ())))
}

#[test]
fn what_one_worker_writes_another_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let mut one = Journal::join(&path).unwrap();
    let mut two = Journal::join(&path).unwrap();
    append(&mut one, vec![create("s"), running(0.01)]).unwrap();
    // `two` decides on what `one` has written.
    let number = two
        .transaction(|storage| {
            let study = storage.study("s").unwrap();
            Ok((
                vec![complete(0, 0.9), running(0.02)],
                storage.trials(study).count(),
            ))
        })
        .unwrap();
    assert_eq!(number, 1);
    one.refresh().unwrap();
    assert_eq!(one.storage(), two.storage());
    let study = one.storage().study("s").unwrap();
    assert_eq!(
        one.storage().best(study).unwrap().parameter("lr").unwrap(),
        0.01
    );
    assert_eq!(
        one.storage().trial(1).unwrap().owner.as_deref(),
        Some(two.worker())
    );
    assert_eq!(Journal::open(&path).unwrap().storage(), two.storage());
    drop((one, two));
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no lock and no sign of life is left"
    );
}

#[test]
fn a_torn_end_is_not_read_and_then_blanked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    append(&mut Journal::join(&path).unwrap(), vec![create("s")]).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{{\"op_code\":4,\"wor")).unwrap();
    let mut journal = Journal::join(&path).unwrap();
    assert_eq!(journal.storage().next_trial(), 0);
    append(&mut journal, vec![running(0.01)]).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(&whole) && text.lines().count() == 2);
    assert_eq!(Journal::open(&path).unwrap().storage(), journal.storage());
}

/// On Windows no number tells that a file was replaced, so it cannot be while it is written.
#[cfg(windows)]
#[test]
fn a_journal_that_is_written_cannot_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("study.journal"), dir.path().join("other"));
    fs::write(&path, "").unwrap();
    fs::write(&other, "other").unwrap();
    let file = OperatingSystem::new().open(&path, Access::Append).unwrap();
    fs::rename(&other, &path).unwrap_err();
    fs::remove_file(&path).unwrap_err();
    assert_eq!(
        Journal::open(&path).unwrap().storage().next_study(),
        0,
        "it is read"
    );
    drop(file);
    fs::rename(&other, &path).unwrap();
}

#[cfg(unix)]
#[test]
fn what_has_no_end_is_no_study_file() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [Path::new("/dev/zero"), dir.path(), &pipe] {
        for opened in [Journal::open(path), Journal::join(path)] {
            assert_eq!(opened.unwrap_err().exit_code(), 2, "{path:?}");
        }
    }
    // Nor is what stands in the place of the lock read without end.
    let path = dir.path().join("study.journal");
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("study.journal.lock")).unwrap();
    let system = OperatingSystem::new();
    assert!(system.read(&dir.path().join("study.journal.lock")).is_err());
    assert!(Journal::join(&path).is_ok());
}

/// A late writer, or a program that knows nothing of torn records, has appended to one. The record behind it counts.
#[test]
fn a_record_behind_a_torn_one_is_read_and_the_line_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    append(&mut Journal::join(&path).unwrap(), vec![create("s")]).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    for torn in [
        "{",
        "{\"op_code\":4,\"worker_id\":\"x",
        "   ",
        "{\"op_{{\"op_code\":4",
        &whole[..whole.len() - 2],
    ] {
        fs::write(
            &path,
            format!("{whole}{torn}{}", whole.replace("\"s\"", "\"t\"")),
        )
        .unwrap();
        let mut journal = Journal::join(&path).unwrap();
        assert!(journal.storage().study("t").is_some(), "{torn}");
        let before = fs::metadata(&path).unwrap().len();
        append(&mut journal, vec![]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), before, "nothing is cut");
        for line in fs::read_to_string(&path).unwrap().lines() {
            Record::parse(line).unwrap();
        }
    }
    // In the middle of a line it is no torn record.
    fs::write(&path, format!("{whole}thesis{whole}")).unwrap();
    assert!(Journal::open(&path).is_err());
}

#[test]
fn another_file_is_not_treated_as_a_torn_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("thesis.txt");
    for (contents, is_torn) in [
        ("PK\u{3}\u{4} no end of line", false),
        ("{\"run\": 1}", false),
        ("{\"o{\"run\": 1}", false),
        ("{", true),
        ("{\"op_code\"", true),
        ("{\"op{\"op_code\":1", true),
        (&"{".repeat(1_000_000), true),
    ] {
        fs::write(&path, contents).unwrap();
        assert_eq!(Journal::join(&path).is_ok(), is_torn, "{contents:.20?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), contents);
    }
}

#[test]
fn a_broken_line_is_named_and_nothing_is_appended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    append(
        &mut Journal::join(&path).unwrap(),
        vec![create("s"), running(0.01), complete(0, 0.5)],
    )
    .unwrap();
    let mut lines: Vec<String> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    lines[1].truncate(20);
    let broken = lines.join("\n") + "\n";
    fs::write(&path, &broken).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    assert_eq!(error.exit_code(), 2);
    assert!(Journal::join(&path).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), broken);
}

#[test]
fn what_would_be_ignored_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let mut journal = Journal::join(&path).unwrap();
    append(&mut journal, vec![create("s"), running(0.01)]).unwrap();
    let before = (fs::read(&path).unwrap(), journal.storage().clone());
    for operations in [
        vec![create("s")],
        vec![complete(0, 0.5), complete(0, 0.6)],
        vec![complete(7, 0.5)],
    ] {
        assert!(append(&mut journal, operations).is_err());
        assert_eq!(
            (fs::read(&path).unwrap(), journal.storage().clone()),
            before
        );
    }
    let failed: Result<()> = journal.transaction(|_| Err(Error::Check("no".into())));
    assert!(failed.is_err());
    assert_eq!(fs::read(&path).unwrap(), before.0);
}

#[test]
fn a_number_that_is_not_finite_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let mut journal = Journal::join(&path).unwrap();
    append(&mut journal, vec![create("a"), running(0.5)]).unwrap();
    let before = fs::read(&path).unwrap();
    let mut created = NewTrial::new(TrialState::Pruned, None);
    created.reports.insert(1, f64::NAN);
    let created = Operation::CreateTrial {
        study: 0,
        trial: Box::new(created),
    };
    let reported = Operation::Report {
        trial: 0,
        step: 1,
        value: f64::NEG_INFINITY,
    };
    for operation in [
        created,
        reported,
        running(f64::NAN),
        complete(0, f64::INFINITY),
    ] {
        let error = append(&mut journal, vec![operation]).unwrap_err();
        assert!(
            error.to_string().contains("expected finite numbers"),
            "{error}"
        );
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_missing_or_replaced_file_is_bad_input() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    assert_eq!(Journal::open(&path).unwrap_err().exit_code(), 2);
    assert!(!path.exists());
    let mut journal = Journal::join(&path).unwrap();
    append(&mut journal, vec![create("s")]).unwrap();
    fs::write(&path, "").unwrap();
    assert!(
        journal
            .refresh()
            .unwrap_err()
            .to_string()
            .contains("replaced or cut")
    );
}

/// Another process may have taken the lock file for abandoned. Then the worker decides again, on what is there now.
#[test]
fn a_worker_that_has_lost_its_lock_decides_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let mut journal = Journal::join(&path).unwrap();
    append(&mut journal, vec![create("s")]).unwrap();
    let mut decisions = 0;
    let decided = journal.transaction(|_| {
        decisions += 1;
        if decisions == 1 {
            fs::remove_file(dir.path().join("study.journal.lock")).unwrap();
        }
        Ok((vec![running(0.01)], decisions))
    });
    assert_eq!(decided.unwrap(), 2);
    let lines = fs::read_to_string(&path).unwrap().lines().count();
    assert_eq!(lines, 2, "nothing was written without the lock");
}

/// Many threads share one file: every trial is claimed once, and nothing is lost.
#[test]
fn a_queue_is_shared_without_losses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let mut journal = Journal::join(&path).unwrap();
    let queued = |i: usize| {
        let mut trial = NewTrial::new(TrialState::Waiting, None);
        trial
            .system_attrs
            .insert("fixed_params".into(), json!({"lr": i as f64}));
        Operation::CreateTrial {
            study: 0,
            trial: Box::new(trial),
        }
    };
    append(
        &mut journal,
        std::iter::once(create("s"))
            .chain((0..24).map(queued))
            .collect(),
    )
    .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut journal = Journal::join(&path).unwrap();
                loop {
                    let claimed = journal.transaction(|storage| {
                        let study = storage.study("s").unwrap();
                        let next = storage
                            .trials(study)
                            .find(|t| t.state() == TrialState::Waiting)
                            .map(|t| t.id);
                        let claim = |trial| Operation::SetState {
                            trial,
                            state: TrialState::Running,
                            values: None,
                            at: Some(now()),
                        };
                        Ok((next.map(claim).into_iter().collect(), next))
                    });
                    let Some(trial) = claimed.unwrap() else { break };
                    append(&mut journal, vec![complete(trial, trial as f64)]).unwrap();
                }
            });
        }
    });
    journal.refresh().unwrap();
    let study = journal.storage().study("s").unwrap();
    assert!(
        journal
            .storage()
            .trials(study)
            .all(|t| t.value() == Some(t.id as f64))
    );
    assert_eq!(
        fs::read_to_string(&path).unwrap().lines().count(),
        1 + 3 * 24
    );
}

#[test]
fn times_have_six_digits_and_an_offset() {
    let now = now();
    assert_eq!(
        (now.len(), &now[10..11], &now[19..20], &now[26..]),
        (32, "T", ".", "+00:00")
    );
}
