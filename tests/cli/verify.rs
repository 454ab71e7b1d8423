//! `verify`: a run is trained again, and compared bit by bit.

use std::fs;

use crate::support::{Chainrule, number, write_images};
use crate::tasks::{Y, with_table};

/// A run of three epochs on pictures.
fn with_run() -> Chainrule {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let args = "train --data set.npz --widths 9,6 --batch-size 16 --dropout 0.2 --epochs 3 --out run --quiet";
    program.stdout(&args.split(' ').collect::<Vec<_>>());
    program
}

#[test]
fn a_run_is_the_same_on_any_threads_and_leaves_no_trace() {
    let program = with_run();
    let files = || {
        let mut names: Vec<_> = fs::read_dir(program.path("run"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = files();
    for flags in [&[][..], &["--threads", "3"], &["--plain"]] {
        let text = program.stdout(&[&["verify", "run", "--quiet"], flags].concat());
        assert!(
            text.starts_with("run: the same bits in 3 epochs (")
                && text.trim_end().ends_with("; model.safetensors too"),
            "{text}"
        );
    }
    let found = program.json(&["verify", "run", "--json", "--quiet"]);
    assert_eq!(found["same"], true);
    let run = &found["runs"][0];
    assert_eq!(
        (number(&run["epochs"]), run["difference"].is_null()),
        (3.0, true)
    );
    assert_eq!((files(), program.path("runs").exists()), (before, false));
    // The data may have moved.
    fs::rename(program.path("set.npz"), program.path("moved.npz")).unwrap();
    program.refused(&["verify", "run"], &["set.npz"]);
    program.stdout(&["verify", "run", "--quiet", "--data", "moved.npz"]);
}

#[test]
fn a_difference_is_named_and_fails() {
    let program = with_run();
    let metrics = fs::read_to_string(program.path("run/metrics.jsonl")).unwrap();
    // The hash of one tensor, in the last record that has hashes.
    let place = metrics.rfind("\"1.running_var\":\"").unwrap() + "\"1.running_var\":\"".len();
    let mut changed = metrics.clone();
    let other = if metrics[place..].starts_with('a') {
        "b"
    } else {
        "a"
    };
    changed.replace_range(place..=place, other);
    program.write("run/metrics.jsonl", changed);
    let output = program.run(&["verify", "run", "--quiet"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output
            .stdout
            .starts_with("run: epoch 2 differs: 1.running_var\n"),
        "{output:?}"
    );
    assert!(
        output
            .stderr
            .contains("run does not give the same bits again"),
        "{output:?}"
    );
    let output = program.run(&["verify", "run", "--quiet", "--json"]);
    assert_eq!(output.code, 1);
    let found: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        found["runs"][0]["difference"]["tensors"][0],
        "1.running_var"
    );
    // A loss of the first epoch.
    program.write(
        "run/metrics.jsonl",
        metrics.replacen("\"train_loss\":", "\"train_loss\":1", 1),
    );
    let output = program.run(&["verify", "run", "--quiet"]);
    let text = "run: epoch 1 differs; train_loss was 1";
    assert!(
        output.code == 1 && output.stdout.contains(text),
        "{output:?}"
    );
    // Other data and settings are refused.
    program.write("run/metrics.jsonl", metrics);
    fs::copy(program.path("set.npz"), program.path("kept.npz")).unwrap();
    let settings = fs::read_to_string(program.path("run/config.toml")).unwrap();
    program.write(
        "run/config.toml",
        settings.replace("dropout = 0.2", "dropout = 0.3"),
    );
    program.refused(&["verify", "run"], &["dropout", "0.2", "0.3"]);
    program.refused(&["verify", "nowhere"], &["config.toml"]);
}

#[test]
fn the_runs_of_all_folds_are_verified() {
    let program = with_table();
    let fixed = [
        "train", "--data", "t.csv", "--id", "id", "--out", "cv", "--folds", "3", "--widths", "8",
        "--epochs", "2", "--quiet",
    ];
    program.stdout(&[&fixed[..], &Y].concat());
    let found = program.json(&["verify", "cv", "--json", "--quiet"]);
    assert_eq!(
        (&found["same"], found["runs"].as_array().unwrap().len()),
        (&true.into(), 3)
    );
}
