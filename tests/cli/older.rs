//! Files of version 0.1 are read, and its unfinished work has the same result. `tests/older/v0.1/make.sh` made the
//! files.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::Chainrule;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/older/v0.1")
}

/// The program, with everything that version 0.1 left in its folder.
fn program() -> Chainrule {
    let program = Chainrule::new();
    copy(&folder(), &program.path("."));
    program
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

/// Compares two tables of probabilities. In f32 they are the same bytes.
#[track_caller]
fn same_predictions(program: &Chainrule, ours: &str, theirs: &str, exact: bool) {
    let read = |name: &str| fs::read_to_string(program.path(name)).unwrap();
    let (ours, theirs) = (read(ours), read(theirs));
    if exact {
        assert_eq!(ours, theirs);
        return;
    }
    let cells = |text: &str| -> Vec<String> {
        let cells = text.lines().flat_map(|line| line.split(','));
        cells.map(str::to_owned).collect()
    };
    let (ours, theirs) = (cells(&ours), cells(&theirs));
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(&theirs) {
        match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => assert!((a - b).abs() <= 1e-5, "{a} and {b}"),
            _ => assert_eq!(a, b),
        }
    }
}

/// What an epoch came to, without times.
fn epochs(program: &Chainrule, run: &str) -> Vec<[Value; 6]> {
    let text = fs::read_to_string(program.path(run).join("metrics.jsonl")).unwrap();
    let keys = [
        "epoch",
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "lr",
    ];
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        keys.map(|key| record[key].clone())
    };
    text.lines().map(record).collect()
}

#[test]
fn models_predict_what_they_did() {
    let program = program();
    for (run, exact) in [("default", true), ("adamw", true), ("f64", false)] {
        let model = format!("runs/{run}/model.safetensors");
        program.stdout(&[
            "predict", "--model", &model, "data.csv", "--out", "ours.csv",
        ]);
        same_predictions(&program, "ours.csv", &format!("runs/{run}.csv"), exact);
        let scores = program.json(&["eval", "--model", &model, "--data", "data.csv", "--json"]);
        assert_eq!(scores["samples"], 90);
    }
    let list = program.stdout(&["runs", "runs"]);
    for run in ["default", "adamw", "f64", "stopped"] {
        assert!(list.contains(run), "{list}");
    }
}

#[test]
fn runs_go_on_to_the_same_end() {
    let program = program();
    for (run, exact, more) in [
        ("default", true, &["--epochs", "4"][..]),
        ("adamw", true, &["--epochs", "4"]),
        ("f64", false, &["--epochs", "4"]),
        // Stopped within its fourth epoch; here on one thread.
        ("stopped", true, &["--threads", "1"]),
    ] {
        let folder = format!("runs/{run}");
        program.stdout(&[&["train", "--quiet", "--resume", &folder], more].concat());
        program.stdout(&[
            "predict", "--model", &folder, "data.csv", "--out", "ours.csv",
        ]);
        same_predictions(&program, "ours.csv", &format!("whole/{run}.csv"), exact);
        let (ours, theirs) = (
            epochs(&program, &folder),
            epochs(&program, &format!("whole/{run}")),
        );
        assert_eq!(ours.len(), theirs.len());
        if exact {
            assert_eq!(ours, theirs);
        }
    }
}

/// What all commands that made the studies have in common.
const COMMON: &str = "--quiet --data data.csv --threads 1 --epochs 2";

/// The defaults of the version that made the studies, where tables have others now.
const DEFAULTS: &str = "--normalize auto --monitor val_accuracy";

const RANGES: &str = "search --trials 6 --seed 5 --lr 0.0005..0.05:log --width 4..9 --batch-size 4..16:4 \
    --activation relu,tanh --dropout 0.0..0.4 --augment none --class-weights 1,1,1/1,2,3 --optimizer adam,adamw \
    --batch-norm true,false";

const SOBOL: &str = "search --trials 6 --seed 5 --name sobol --sampler sobol --repeats 2 --batch-size 7 --widths 6/5,4 \
    --lr 0.001..0.1 --weight-decay 0,0.0001 --schedule cosine --warmup 1 --objective val_loss --keep 1";

const SWEEP: &str = "sweep lr --values 0.001,0.01 init --values default,kaiming_normal --width 5 --batch-size 7 \
    --repeats 2";

/// The plans of a journal's studies, as bytes, and the sorted points and values of its trials: trials may change
/// places.
fn contents(path: &Path) -> (Vec<String>, Vec<String>) {
    let (mut plans, mut points, mut trials) = (Vec::new(), Vec::new(), Vec::new());
    for line in fs::read_to_string(path).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        match record["op_code"].as_u64().unwrap() {
            2 if record["user_attr"]["chainrule"].is_object() => {
                plans.push(line[line.find("\"user_attr\"").unwrap()..].to_owned());
            }
            4 => points.push(record["params"].to_string()),
            6 if record["state"] == 1 => {
                let point = &points[record["trial_id"].as_u64().unwrap() as usize];
                // Normal weights are other ones since their logarithms are the portable library's.
                let known = point != r#"{"init":1}"#;
                let values = known.then_some(&record["values"]);
                trials.push(format!("{point} {values:?}"));
            }
            _ => {}
        }
    }
    trials.sort();
    (plans, trials)
}

#[test]
fn studies_are_joined_and_come_to_the_same_end() {
    let program = program();
    for (study, commands) in [
        ("search.journal", &[RANGES, SOBOL][..]),
        ("sweep.journal", &[SWEEP]),
    ] {
        let whole = contents(&program.path("whole").join(study));
        // Once joined, once begun anew with the same defaults.
        for place in ["studies", "anew"] {
            fs::create_dir_all(program.path(place)).unwrap();
            let file = format!("{place}/{study}");
            for command in commands {
                let mut command = format!("{command} {COMMON} --study {file}");
                if place == "anew" {
                    command = format!("{command} {DEFAULTS}");
                    if !command.contains("batch-norm") {
                        command += " --batch-norm true";
                    }
                }
                program.stdout(&command.split_whitespace().collect::<Vec<_>>());
            }
            let (plans, trials) = contents(&program.path(&file));
            if place == "studies" {
                assert_eq!(plans, whole.0);
            }
            assert_eq!(trials.len(), whole.1.len());
            assert_eq!(trials, whole.1);
        }
    }
}

/// Version 0.1 recorded no hashes. Its normal numbers were others, so the run with such initial weights differs.
#[test]
fn runs_of_version_0_1_have_the_same_bits_again() {
    let program = program();
    for run in ["runs/default", "runs/adamw", "runs/stopped"] {
        let found = program.json(&["verify", run, "--json", "--quiet"]);
        let found = &found["runs"][0];
        assert_eq!(found["hashed_epochs"], 0, "{found}");
        assert_eq!(found["is_same_model"], true, "{found}");
    }
    let output = program.run(&["verify", "runs/f64", "--json", "--quiet"]);
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    let epoch = &found["runs"][0]["difference"]["epoch"];
    assert_eq!((output.code, epoch), (1, &Value::from(1)));
}
