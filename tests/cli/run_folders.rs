//! The folder of a run after kills, and with several processes that want it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Chainrule, Pixels, end, hold, start, train, write_images};

/// A small study of `set.csv`.
const STUDY: [&str; 9] = [
    "study", "--preset", "quick", "--data", "set.csv", "--quiet", "--json", "--out", "study",
];

/// A data set and an undisturbed run, `whole`, with its last weights in `whole.st`.
fn program() -> Chainrule {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    train(&program, "set.npz", "whole", &["--save", "whole.st"]);
    program
}

/// The command of the run `whole`, for another folder.
fn again<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["train", "--quiet", "--data", "set.npz", "--out", out];
    let small = ["--width=7", "--batch-size=11", "--lr=0.01", "--threads=1"];
    [&fixed[..], &small, more].concat()
}

#[track_caller]
fn assert_same_weights(program: &Chainrule, run: &str) {
    let read = |path: &str| fs::read(program.path(path)).unwrap();
    let model = |run: &str| read(&format!("{run}/model.safetensors"));
    assert!(model(run) == model("whole"), "the model of {run}");
    assert!(program.path(run).join("summary.json").exists());
    let names = fs::read_dir(program.path(run)).unwrap();
    let names = names.map(|e| e.unwrap().file_name().into_string().unwrap());
    let others: Vec<String> = names
        .filter(|n| n.ends_with("tmp") || n.ends_with("lock"))
        .collect();
    assert!(others.is_empty(), "left over: {others:?}");
}

/// A run that takes long, in the folder `long`, which has its settings already.
fn start_long(program: &Chainrule) -> Child {
    let child = start(program, &again("long", &["--epochs", "1000000"]));
    wait_for(&program.path("long/metrics.jsonl"));
    child
}

fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no {path:?}");
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_folder_whose_making_was_killed_is_new() {
    let program = program();
    let lock = "process 1 on elsewhere since 2026-01-31T12:00:00Z";
    let states: [&[&str]; 6] = [
        &[],
        // Finder leaves this in a folder that it shows.
        &[".DS_Store"],
        &["run.lock"],
        &["config.toml.tmp"],
        &["run.lock", ".chainrule-00.tmp"],
        &[".chainrule-00.tmp", ".chainrule-01.tmp"],
    ];
    for (i, state) in states.iter().enumerate() {
        let run = format!("run-{i}");
        fs::create_dir(program.path(&run)).unwrap();
        for file in *state {
            program.write(&format!("{run}/{file}"), lock);
        }
        program.stdout(&again(&run, &[]));
        assert_same_weights(&program, &run);
    }
    // A folder with anything else is not.
    program.write("notes/notes.txt", "mine");
    program.refused(&again("notes", &[]), &["notes", "--resume"]);
    let names = fs::read_dir(program.path("notes")).unwrap();
    assert_eq!(names.count(), 1, "no lock was left there");
}

#[test]
fn a_run_killed_between_its_files_is_resumed() {
    let program = program();
    let file = |name: &str| fs::read(program.path("whole").join(name)).unwrap();
    let states: [&[&str]; 5] = [
        // Before the first epoch, in it, before the checkpoint, between the model and the checkpoint, at the end.
        &["config.toml"],
        &["config.toml", "metrics.jsonl"],
        &["config.toml", "metrics.jsonl", "run.lock"],
        &["config.toml", "metrics.jsonl", "model.safetensors"],
        &[
            "config.toml",
            "metrics.jsonl",
            "model.safetensors",
            "checkpoint.safetensors",
        ],
    ];
    for (i, state) in states.iter().enumerate() {
        let run = format!("run-{i}");
        for name in *state {
            let contents = match *name {
                "run.lock" => b"process 1".to_vec(),
                name => file(name),
            };
            program.write(&format!("{run}/{name}"), contents);
        }
        program.write(&format!("{run}/.chainrule-00.tmp"), "half a file");
        program.stdout(&["train", "--quiet", "--resume", &run, "--save", "last.st"]);
        assert_same_weights(&program, &run);
        let last = fs::read(program.path("last.st")).unwrap();
        assert!(last == fs::read(program.path("whole.st")).unwrap());
        let summary = |run: &str| -> Value {
            let text = fs::read(program.path(run).join("summary.json")).unwrap();
            serde_json::from_slice(&text).unwrap()
        };
        assert_eq!(summary(&run)["test_loss"], summary("whole")["test_loss"]);
        fs::remove_file(program.path("last.st")).unwrap();
    }
}

/// A run that ended by patience or diverged, and was killed before its summary, gets its summary and its test.
#[test]
fn a_run_that_ended_early_gets_its_summary() {
    let program = program();
    let diverging = [
        "--batch-norm=false",
        "--optimizer=sgd",
        "--weight-decay=1e300",
        "--precision=f64",
    ];
    let ends: [(&str, &[&str]); 2] = [
        (
            "stopped_early",
            &["--epochs=50", "--patience=1", "--min-delta=0.9"],
        ),
        ("diverged", &diverging),
    ];
    for (run, flags) in ends {
        let summary = train(&program, "set.npz", run, flags);
        assert_eq!(summary[run], true);
        fs::remove_file(program.path(run).join("summary.json")).unwrap();
        let resumed = program.json(&["train", "--quiet", "--json", "--resume", run]);
        assert_eq!(resumed, summary);
    }
}

/// `train --resume` of a run that is over once only said so, even if it was killed before it wrote what `--save` names.
#[test]
fn the_last_weights_of_a_run_that_is_over_can_be_saved() {
    let program = program();
    program.stdout(&["train", "--quiet", "--resume", "whole", "--save", "late.st"]);
    let read = |name: &str| fs::read(program.path(name)).unwrap();
    assert!(read("late.st") == read("whole.st"));
}

/// Given weights are in the folder before its settings, so that no resume begins with drawn ones.
#[test]
fn given_weights_survive_a_kill_before_the_settings() {
    let program = program();
    let given = ["--init-from", "whole.st"];
    program.stdout(&again("given", &given));
    let child = start(
        &program,
        &again("killed", &[&given[..], &["--epochs=1000000"]].concat()),
    );
    wait_for(&program.path("killed/config.toml"));
    assert!(
        program.path("killed/checkpoint.safetensors").exists(),
        "the weights are there when the settings are"
    );
    end(child, "KILL");
    // Killed before the settings: the same command begins anew, and so does one without given weights.
    let first = fs::read(program.path("killed/checkpoint.safetensors")).unwrap();
    for (run, flags, same) in [("a", &given[..], "given"), ("b", &[], "whole")] {
        program.write(&format!("{run}/checkpoint.safetensors"), &first);
        program.stdout(&again(run, flags));
        let model = |run: &str| fs::read(program.path(run).join("model.safetensors")).unwrap();
        assert!(model(run) == model(same), "{run}");
    }
    // A checkpoint with work in it is not thrown away.
    let trained = fs::read(program.path("whole/checkpoint.safetensors")).unwrap();
    program.write("kept/checkpoint.safetensors", trained);
    program.refused(&again("kept", &[]), &["kept", "in use"]);
}

#[test]
fn a_run_in_use_is_refused_and_its_holder_named() {
    let program = program();
    let child = start_long(&program);
    let holder = format!("process {} on ", child.id());
    for args in [
        again("long", &[]),
        vec!["train", "--quiet", "--resume", "long"],
    ] {
        let output = program.run(&args);
        assert_eq!(output.code, 1, "{output:?}");
        let said = &output.stderr;
        assert!(said.contains("long") && said.contains(&holder), "{said}");
        assert!(said.contains(" since 20"), "{said}");
    }
    let status = || {
        let report = program.json(&["runs", "--json", "long", "whole"]);
        let of = |i: usize| report["runs"][i]["status"].as_str().unwrap().to_owned();
        [of(0), of(1)]
    };
    assert_eq!(status(), ["running", "finished"]);
    end(child, "KILL");
    assert_eq!(status(), ["unfinished", "finished"]);
    let child = start(&program, &["train", "--quiet", "--resume", "long"]);
    wait_for_holder(&program, child.id());
    let (code, _) = end(child, "INT");
    assert_eq!(code, Some(130));
    assert!(!program.path("long/run.lock").exists());
}

fn wait_for_holder(program: &Chainrule, process: u32) {
    let begun = Instant::now();
    let holder = format!("process {process} on ");
    while !fs::read_to_string(program.path("long/run.lock")).is_ok_and(|h| h.starts_with(&holder)) {
        assert!(begun.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(2));
    }
}

/// Five at once: each either does the whole work, or finds it done, or is refused. The epochs are those of one run.
#[test]
fn five_at_once_make_one_run() {
    let program = program();
    let five = |args: &[&str]| -> Vec<i32> {
        let children: Vec<Child> = (0..5).map(|_| start(&program, args)).collect();
        let outputs = children.into_iter().map(|c| c.wait_with_output().unwrap());
        let codes = outputs.map(|o| {
            let said = String::from_utf8(o.stderr).unwrap();
            let code = o.status.code().unwrap();
            assert!(code == 0 || said.contains("in use"), "{code}: {said}");
            code
        });
        codes.collect()
    };
    let made = five(&again("many", &[]));
    assert_eq!(
        made.iter().filter(|code| **code == 0).count(),
        1,
        "{made:?}"
    );
    assert_same_weights(&program, "many");

    for file in ["checkpoint.safetensors", "summary.json"] {
        fs::remove_file(program.path("many").join(file)).unwrap();
    }
    let resumed = five(&["train", "--quiet", "--resume", "many"]);
    assert!(resumed.contains(&0), "{resumed:?}");
    assert_same_weights(&program, "many");
    let lines = |run: &str| {
        let text = fs::read_to_string(program.path(run).join("metrics.jsonl")).unwrap();
        text.lines().count()
    };
    assert_eq!(lines("many"), lines("whole"));
}

/// Temporary files once had foreseeable names, and a link there was followed.
#[cfg(unix)]
#[test]
fn planted_links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let program = program();
    program.write("victim", "kept");
    let victim = program.path("victim");
    for name in [
        "out.csv.tmp",
        "saved.st.tmp",
        "whole/config.toml.tmp",
        "whole/summary.json.tmp",
    ] {
        symlink(&victim, program.path(name)).unwrap();
    }
    let predict = ["predict", "set.npz", "--model", "whole", "--out", "out.csv"];
    program.stdout(&predict);
    let resume = ["train", "--quiet", "--resume", "whole", "--epochs=12"];
    program.stdout(&[&resume[..], &["--save", "saved.st"]].concat());
    assert_eq!(fs::read(&victim).unwrap(), b"kept");
    // Nor is one in place of the lock.
    symlink(&victim, program.path("whole/run.lock")).unwrap();
    assert_eq!(program.run(&resume).code, 1);
    assert_eq!(fs::read(&victim).unwrap(), b"kept");
}

/// `/dev/stdout` is a link to the file behind `>>`; it was replaced by a file of its own.
#[cfg(target_os = "linux")]
#[test]
fn standard_output_can_be_named() {
    let program = program();
    program.write("all.csv", "before\n");
    let all = fs::OpenOptions::new()
        .append(true)
        .open(program.path("all.csv"))
        .unwrap();
    let predict = ["predict", "set.npz", "--model", "whole", "--out"];
    program.stdout(&[&predict[..], &["own.csv"]].concat());
    let mut named = program.command(&[&predict[..], &["/proc/self/fd/1"]].concat());
    let ended = named
        .stdout(all)
        .stderr(std::process::Stdio::null())
        .status();
    assert!(ended.unwrap().success());
    let read = |name: &str| fs::read_to_string(program.path(name)).unwrap();
    assert!(read("all.csv").starts_with(&("before\n".to_owned() + &read("own.csv"))));
}

/// The final model of a study goes on after a kill in any state of its folder.
#[test]
fn a_study_goes_on_from_any_state_of_its_final_model() {
    let program = Chainrule::new();
    program.write("set.csv", Pixels::new(400, 6, 4, 190, 1).csv());
    let whole = program.json(&STUDY);
    let read = |name: &str| fs::read(program.path("study/final").join(name)).unwrap();
    let model = read("model.safetensors");
    let remove = |names: &[&str]| {
        for name in names {
            fs::remove_file(program.path("study/final").join(name)).unwrap();
        }
    };
    let states: [&[&str]; 3] = [
        &["summary.json"],
        &["summary.json", "checkpoint.safetensors"],
        &[
            "summary.json",
            "checkpoint.safetensors",
            "model.safetensors",
            "metrics.jsonl",
            "config.toml",
        ],
    ];
    for lost in states {
        remove(lost);
        program.write("study/final/.chainrule-00.tmp", "half");
        program.write("study/final/run.lock", "process 1");
        let outcome = program.json(&STUDY);
        let figure = |o: &Value| o["final_model"]["val_loss"].clone();
        assert_eq!(figure(&outcome), figure(&whole));
        assert!(read("model.safetensors") == model);
    }
    assert!(!program.path("study/final.lock").exists());
}

/// A study that waits for the process that trains the final model says so, with `--quiet` too.
#[test]
fn a_study_says_whom_it_waits_for() {
    let program = Chainrule::new();
    program.write("set.csv", Pixels::new(400, 6, 4, 190, 1).csv());
    program.write("study/final.lock", "process 7 on elsewhere since ever");
    let held = hold(&program.path("study/final.lock"));
    let mut child = start(&program, &STUDY);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = said.find(|line| line.as_ref().is_ok_and(|l| l.contains("waiting")));
    let line = line.expect("it waits").unwrap();
    assert!(line.contains("process 7 on elsewhere"), "{line}");
    drop(held);
    assert!(child.wait_with_output().unwrap().status.success());
}
