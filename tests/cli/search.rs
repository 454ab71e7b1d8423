//! Searches: exact budgets, shared files, kills, and bad input.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Chainrule, Pixels, end, number, start, write_images, write_npz};
#[cfg(unix)]
use crate::support::{EXECUTABLE, emulated};

/// Twelve trials that take about a tenth of a second each.
const FLAGS: [&str; 18] = [
    "search",
    "--data",
    "set.npz",
    "--trials",
    "12",
    "--lr",
    "1e-3..1e-1:log",
    "--width",
    "16..64",
    "--activation",
    "relu,tanh",
    "--epochs",
    "12",
    "--batch-size",
    "50",
    "--quiet",
    "--json",
    "--seed=7",
];

fn program() -> Chainrule {
    let program = Chainrule::new();
    let data = Pixels::new(3000, 64, 10, 215, 1);
    write_npz(
        &program.path("set.npz"),
        &[("x", data.x(&[8, 8])), ("y", data.y())],
    );
    program
}

fn args<'a>(study: &'a str, threads: &'a str) -> Vec<&'a str> {
    [&FLAGS[..], &["--study", study, "--threads", threads]].concat()
}

fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The points (as written) and values of the finished trials of a file with one study, and the number of failed ones.
fn finished(path: &Path) -> (BTreeMap<String, String>, usize) {
    let (mut points, mut values, mut failed) = (Vec::new(), BTreeMap::new(), 0);
    for record in records(path) {
        match record["op_code"].as_u64().unwrap() {
            4 => points.push(record["params"].to_string()),
            6 if record["state"] == 1 || record["state"] == 2 => {
                let point = points[record["trial_id"].as_u64().unwrap() as usize].clone();
                assert_eq!(
                    values.insert(point, record["values"].to_string()),
                    None,
                    "a point twice"
                );
            }
            6 if record["state"] == 3 => failed += 1,
            _ => {}
        }
    }
    (values, failed)
}

/// Whether the last whole line of a file belongs to a trial that has not ended.
fn under_way(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap();
    let last = text
        .rsplit_once('\n')
        .and_then(|(whole, _)| whole.lines().last());
    let record: Value = last.map_or(Value::Null, |line| serde_json::from_str(line).unwrap());
    let ends = record["op_code"] == 6 && record["state"] != 0;
    record["op_code"].as_u64().is_some_and(|code| code >= 4) && !ends
}

/// The weights of the best trials, by the names of their runs.
fn kept(program: &Chainrule, study: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = program.path(&format!("{study}.trials/search"));
    let runs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    runs.map(|run| {
        (
            run.file_name().into_string().unwrap(),
            fs::read(run.path().join("model.safetensors")).unwrap(),
        )
    })
    .collect()
}

#[test]
fn killed_and_shared_searches_match_an_undisturbed_one() {
    let program = program();
    let calm = program.json(&args("calm", "1"));
    let whole = fs::metadata(program.path("calm")).unwrap().len();
    let expected = (finished(&program.path("calm")).0, kept(&program, "calm"));
    assert_eq!((expected.0.len(), expected.1.len()), (12, 4));
    assert_eq!(
        (
            calm["complete"].as_u64(),
            calm["best"].as_array().unwrap().len()
        ),
        (Some(12), 4)
    );

    // Killed at five moments of its duration, with one and two threads, and then run to its end.
    for (study, threads) in [("killed-1", "1"), ("killed-2", "2")] {
        for moment in 1..=5 {
            let child = start(&program, &args(study, threads));
            let (path, begun) = (program.path(study), Instant::now());
            // The file grows most when a trial ends. The kill must come after the next trial has begun.
            while fs::metadata(&path).map_or(0, |m| m.len()) < whole * moment / 6
                || !under_way(&path)
            {
                assert!(begun.elapsed() < Duration::from_secs(60));
                sleep(Duration::from_millis(2));
            }
            end(child, "KILL");
        }
        program.json(&args(study, threads));
        let (points, failed) = finished(&program.path(study));
        assert!(failed >= 3, "kills were meant to hit trials, {failed} did");
        assert_eq!((points, kept(&program, study)), expected, "{study}");
    }

    // Two and three processes on one file.
    for (study, processes) in [("two", 2), ("three", 3)] {
        let children: Vec<_> = (0..processes)
            .map(|_| start(&program, &args(study, "1")))
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        assert_eq!(
            (finished(&program.path(study)).0, kept(&program, study)),
            expected,
            "{study}"
        );
    }
    let left: Vec<_> = fs::read_dir(program.path("."))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".lock"))
        .collect();
    assert_eq!(left, [""; 0], "no lock is left");
}

#[test]
fn an_interrupted_search_returns_its_trials() {
    let program = program();
    let child = start(&program, &args("study", "2"));
    let begun = Instant::now();
    while fs::metadata(program.path("study")).map_or(0, |m| m.len()) < 12_000 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(2));
    }
    let (code, message) = end(child, "INT");
    assert_eq!(code, Some(130));
    assert!(
        message.contains("the same command continues it"),
        "{message}"
    );
    let states: Vec<u64> = records(&program.path("study"))
        .iter()
        .filter(|r| r["op_code"] == 4)
        .map(|r| r["state"].as_u64().unwrap())
        .collect();
    assert!(states.contains(&4), "queued again: {states:?}");
    program.json(&args("study", "2"));
    program.json(&args("calm", "1"));
    assert_eq!(
        finished(&program.path("study")).0,
        finished(&program.path("calm")).0
    );
    assert_eq!(kept(&program, "study"), kept(&program, "calm"));
}

/// The flags of a small and quick search.
fn small(program: &Chainrule) -> Vec<&'static str> {
    write_images(program, "set.npz");
    vec![
        "search",
        "--data",
        "set.npz",
        "--epochs",
        "2",
        "--width",
        "7",
        "--batch-size",
        "11",
        "--threads",
        "1",
        "--quiet",
    ]
}

#[test]
fn a_trial_equals_a_run_of_train() {
    let program = Chainrule::new();
    let flags = small(&program);
    let report = program.json(
        &[
            &flags[..],
            &["--json", "--trials", "3", "--lr", "0.001..0.1"],
        ]
        .concat(),
    );
    let best = &report["best"][0];
    let run = best["runs"][0].as_str().unwrap();
    let config = program.path(run).join("config.toml");
    let summary = program.json(&[
        "train",
        "--json",
        "--quiet",
        "--config",
        config.to_str().unwrap(),
        "--out",
        "again",
        "--threads",
        "1",
    ]);
    assert_eq!(summary["val_accuracy"], best["value"]);
    assert_eq!(
        summary["test_accuracy"],
        Value::Null,
        "a search never sees the test set"
    );
    let again = |run: &str| {
        fs::read(program.path(run).join("metrics.jsonl"))
            .unwrap()
            .len()
    };
    assert!(again("again") > 0);
    program.stdout(&["eval", "--model", run, "--data", "set.npz"]);
}

#[test]
fn repeats_are_averaged() {
    let program = Chainrule::new();
    let flags = small(&program);
    let report = program.json(
        &[
            &flags[..],
            &[
                "--json",
                "--trials",
                "2",
                "--repeats",
                "3",
                "--lr",
                "0.001..0.1",
            ],
        ]
        .concat(),
    );
    let noted: Vec<Value> = records(&program.path("search.journal"))
        .into_iter()
        .filter(|r| r["op_code"] == 8 && r["user_attr"]["val_accuracy"].is_array())
        .collect();
    for best in report["best"].as_array().unwrap() {
        let id = best["trial"].as_u64().unwrap();
        let values =
            &noted.iter().find(|r| r["trial_id"] == id).unwrap()["user_attr"]["val_accuracy"];
        let values: Vec<f64> = values.as_array().unwrap().iter().map(number).collect();
        assert_eq!(values.len(), 3);
        assert!((values.iter().sum::<f64>() / 3.0 - number(&best["value"])).abs() <= 1e-15);
        assert_eq!(best["runs"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn an_exhausted_space_is_reported() {
    let program = Chainrule::new();
    let flags = small(&program);
    for sampler in ["random", "sobol", "tpe", "grid"] {
        let study = format!("{sampler}.journal");
        let more = [
            "--json",
            "--trials",
            "50",
            "--activation",
            "relu,tanh",
            "--depth",
            "2..3",
            "--sampler",
            sampler,
            "--study",
            &study,
        ];
        let report = program.json(&[&flags[..], &more].concat());
        assert_eq!(
            (report["exhausted"].as_bool(), report["complete"].as_u64()),
            (Some(true), Some(4)),
            "{sampler}"
        );
    }
}

#[test]
fn pruned_and_diverged_trials_are_recorded() {
    let program = Chainrule::new();
    let flags = small(&program);
    let report = program.json(
        &[
            &flags[..],
            &[
                "--json",
                "--trials",
                "12",
                "--lr",
                "1e-5..1e-1:log",
                "--pruner",
                "asha",
            ],
        ]
        .concat(),
    );
    let count = |key: &str| report[key].as_u64().unwrap();
    assert_eq!(count("complete") + count("pruned"), 12);
    assert!(count("pruned") > 0 && count("complete") > 0, "{report}");

    let wild = [
        "--json",
        "--trials",
        "2",
        "--study",
        "wild",
        "--optimizer",
        "sgd",
        "--batch-norm=false",
        "--lr",
        "1e30..1e35",
        "--activation",
        "identity",
        "--depth",
        "4",
    ];
    let report = program.json(&[&flags[..], &wild].concat());
    assert_eq!(
        (
            report["pruned"].as_u64(),
            report["best"].as_array().unwrap().len()
        ),
        (Some(2), 0)
    );
    assert!(
        records(&program.path("wild"))
            .iter()
            .any(|r| r["user_attr"]["diverged"] == true)
    );
    assert!(
        !fs::read_to_string(program.path("wild"))
            .unwrap()
            .contains("NaN")
    );
}

#[test]
fn a_space_can_be_read_from_a_file() {
    let program = Chainrule::new();
    let flags = small(&program);
    program.write(
        "space.toml",
        "[space]\nlr = \"1e-3..1e-1:log\"\ndropout = \"0,0.5\"\n[train]\nseed = 4\n",
    );
    let report = program.json(
        &[
            &flags[..],
            &["--json", "--trials", "3", "--config", "space.toml"],
        ]
        .concat(),
    );
    let parameters = report["best"][0]["parameters"].as_object().unwrap();
    assert_eq!(parameters.keys().collect::<Vec<_>>(), ["dropout", "lr"]);
    program.write("wrong.toml", "[space]\nlr = \"1e-3\"\n");
    program.refused(
        &[&flags[..], &["--config", "wrong.toml"]].concat(),
        &["space.lr", "range"],
    );
}

#[test]
fn bad_input_is_refused_and_the_file_stays_unchanged() {
    let program = Chainrule::new();
    let flags = small(&program);
    let with = |more: &[&'static str]| [&flags[..], more].concat();
    program.refused(&with(&[]), &["search space", "--lr"]);
    let cases: &[(&[&'static str], &[&str])] = &[
        (&["--lr", "0.1..0.01"], &["lr", "low"]),
        (&["--lr", "0..1:log"], &["lr", "above 0"]),
        (&["--lr", "1e-3..1e-1", "--trials", "0"], &["trials"]),
        (&["--lr", "1e-3..1e-1", "--repeats", "0"], &["repeats"]),
        (&["--lr", "1e-3..1e-1", "--name", "a/b"], &["--name"]),
        (
            &["--lr", "1e-3..1e-1", "--validation", "0"],
            &["data.validation"],
        ),
        (
            &["--lr", "1e-3..1e-1", "--study", "no/where"],
            &["no/where"],
        ),
        (&["--learning-rate", "1e-3..1e-1"], &["--learning-rate"]),
        (
            &["--lr", "1e-3..1e-1", "--activation", "relu,rely"],
            &["rely"],
        ),
    ];
    for (more, words) in cases {
        program.refused(&with(more), words);
    }
    program.write("space.toml", "[space]\nspeed = \"1..2\"\n");
    program.refused(&with(&["--config", "space.toml"]), &["speed"]);

    let lr = ["--lr", "1e-3..1e-1", "--trials", "2"];
    program.stdout(&with(&lr));
    let good = fs::read_to_string(program.path("search.journal")).unwrap();
    let unchanged = |name: &str, text: &str| {
        assert_eq!(
            fs::read_to_string(program.path(name)).unwrap(),
            text,
            "{name}"
        )
    };
    program.refused(&with(&["--lr", "1e-3..2e-1"]), &["space", "--name"]);
    unchanged("search.journal", &good);
    // A broken line in the middle.
    let mut lines: Vec<&str> = good.lines().collect();
    let broken = &lines[2][..9].to_owned();
    lines[2] = broken;
    let text = lines.join("\n") + "\n";
    program.write("broken", &text);
    program.refused(
        &with(&["--lr", "1e-3..1e-1", "--study", "broken"]),
        &["broken", "line 3"],
    );
    unchanged("broken", &text);
    // A study of this name that another program made.
    let foreign =
        "{\"op_code\":0,\"worker_id\":\"a\",\"study_name\":\"search\",\"directions\":[1]}\n";
    program.write("foreign", foreign);
    program.refused(
        &with(&["--lr", "1e-3..1e-1", "--study", "foreign"]),
        &["another"],
    );
    unchanged("foreign", foreign);
    // A file that is not a journal.
    program.refused(
        &with(&["--lr", "1e-3..1e-1", "--study", "set.npz"]),
        &["set.npz", "line 1"],
    );
}

#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_search_with_a_message() {
    let program = Chainrule::new();
    let flags = small(&program);
    // Appending to this file fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", program.path("full")).unwrap();
    let output = program.run(&[&flags[..], &["--lr", "1e-3..1e-1", "--study", "full"]].concat());
    assert!(output.code == 1 || output.code == 2, "{output:?}");
    assert!(output.stderr.contains("full"), "{output:?}");
}

/// Permissions do not bind root. If root runs the tests, the program runs as the user nobody.
#[cfg(unix)]
#[test]
fn a_read_only_file_ends_the_search_with_a_message() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let program = Chainrule::new();
    let flags = small(&program);
    let search = |trials| [&flags[..], &["--lr", "1e-3..1e-1", "--trials", trials]].concat();
    program.stdout(&search("1"));
    let journal = program.path("search.journal");
    let before = fs::read(&journal).unwrap();
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    set(&journal, 0o444);
    set(&program.path("."), 0o777);
    let mut command = program.command(&search("2"));
    if fs::metadata(&journal).unwrap().uid() == 0 {
        // The user nobody may not be allowed to read the build's folder.
        let copy = program.path("chainrule");
        fs::copy(EXECUTABLE, &copy).unwrap();
        set(&copy, 0o755);
        let words = emulated(copy.to_str().unwrap());
        command = std::process::Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(search("2"))
            .current_dir(program.path("."))
            .uid(65_534);
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("search.journal"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_eq!(fs::read(&journal).unwrap(), before);
}
