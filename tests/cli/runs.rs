//! `runs`.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Chainrule, number, train, write_images};

/// Three runs in `runs/`: a, b (wider, longer), c (diverged).
fn three() -> (Chainrule, [Value; 3]) {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    let a = train(&program, "images.npz", "runs/a", &["--epochs", "1"]);
    let b = train(
        &program,
        "images.npz",
        "runs/b",
        &["--epochs", "12", "--activation", "tanh"],
    );
    let c = train(
        &program,
        "images.npz",
        "runs/c",
        &[
            "--epochs",
            "1",
            "--batch-norm",
            "false",
            "--weight-decay",
            "1e300",
            "--precision",
            "f64",
            "--optimizer",
            "sgd",
        ],
    );
    (program, [a, b, c])
}

fn names(report: &Value) -> Vec<&str> {
    let runs = report["runs"].as_array().unwrap();
    runs.iter()
        .map(|run| run["name"].as_str().unwrap())
        .collect()
}

#[test]
fn lists_the_numbers_of_the_summaries() {
    let (program, summaries) = three();
    let report = program.json(&["runs", "--json"]);
    assert_eq!(names(&report), ["a", "b", "c"]);
    for (run, summary) in report["runs"].as_array().unwrap().iter().zip(&summaries) {
        assert_eq!(run["run_dir"], summary["run_dir"]);
        assert_eq!(run["epochs"], summary["epochs_run"]);
        for key in [
            "best_epoch",
            "val_accuracy",
            "val_loss",
            "test_accuracy",
            "test_loss",
        ] {
            assert_eq!(run[key], summary[key], "{key}");
        }
        let seconds: f64 = summary["epoch_seconds"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .sum();
        assert!((number(&run["seconds"]) - seconds).abs() <= 1e-9);
        assert_eq!(run["problem"], Value::Null);
    }
    let status = |i: usize| report["runs"][i]["status"].as_str().unwrap();
    assert_eq!([0, 1, 2].map(status), ["finished", "finished", "diverged"]);
    assert_eq!(report["runs"][1]["settings"]["model"]["activation"], "tanh");
    let differing = report["differing_settings"].as_array().unwrap();
    for key in [
        "model.activation",
        "model.batch_norm",
        "train.epochs",
        "train.precision",
        "optimizer.name",
    ] {
        assert!(differing.contains(&json!(key)), "{key}: {differing:?}");
    }
    assert!(!differing.contains(&json!("model.width")));
}

#[test]
fn a_table_with_a_column_for_each_difference() {
    let (program, summaries) = three();
    let text = program.stdout(&["runs"]);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 4, "{text}");
    let column = |name: &str| rows[0].iter().position(|cell| *cell == name).unwrap();
    assert_eq!(rows[2][column("name")], "runs/b");
    assert_eq!(rows[2][column("activation")], "tanh");
    assert_eq!(
        rows[2][column("val_accuracy")],
        format!("{:.4}", number(&summaries[1]["val_accuracy"]))
    );
    // Both the column and the setting are called epochs, and both optimizer and schedule have a name.
    assert_eq!(
        (rows[2][column("epochs")], rows[2][column("train.epochs")]),
        ("12", "12")
    );
    assert_eq!(rows[3][column("optimizer.name")], "sgd");
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
    // Two equal runs have no differing settings.
    let alone = program.stdout(&["runs", "runs/a"]);
    assert!(
        alone.lines().next().unwrap().ends_with("seconds"),
        "{alone}"
    );
}

#[test]
fn sorted_by_a_column_or_a_setting() {
    let (program, summaries) = three();
    // Otherwise the orders below would show nothing.
    assert!(number(&summaries[1]["val_accuracy"]) > number(&summaries[0]["val_accuracy"]));
    assert!(number(&summaries[1]["val_loss"]) < number(&summaries[0]["val_loss"]));
    let sorted = |column| names(&program.json(&["runs", "--json", "--sort", column])).join(" ");
    assert_eq!(
        sorted("val_accuracy"),
        "b a c",
        "high to low, without one last"
    );
    assert_eq!(sorted("val_loss"), "b a c", "low to high, without one last");
    assert_eq!(sorted("train.epochs"), "a c b", "1, 1, 12");
    assert_eq!(sorted("weight-decay"), "a b c", "0, 0, 1e300");
    assert_eq!(sorted("precision"), "a b c");
    assert_eq!(sorted("status"), "c a b");
    program.refused(
        &["runs", "--sort", "size"],
        &["sort", "val_accuracy", "size"],
    );
}

#[test]
fn broken_and_unfinished_runs_are_listed() {
    let (program, [a, ..]) = three();
    program.write("runs/nothing/notes.txt", "");
    program.write("runs/unreadable/config.toml", "[train]\nepochs = \"ten\"\n");
    program.write("runs/garbled/config.toml", "");
    program.write("runs/garbled/metrics.jsonl", "{\n");
    // As after kill -9: the metrics exist, the summary does not.
    fs::create_dir(program.path("runs/killed")).unwrap();
    for file in ["config.toml", "metrics.jsonl"] {
        fs::copy(
            program.path("runs/a").join(file),
            program.path("runs/killed").join(file),
        )
        .unwrap();
    }
    let report = program.json(&["runs", "--json"]);
    assert_eq!(
        names(&report),
        ["a", "b", "c", "garbled", "killed", "nothing", "unreadable"]
    );
    let runs = &report["runs"];
    assert_eq!(
        (&runs[4]["status"], &runs[4]["epochs"]),
        (&json!("unfinished"), &json!(1))
    );
    assert_eq!(runs[4]["val_loss"], a["val_loss"]);
    assert_eq!(runs[4]["test_accuracy"], Value::Null);
    for (i, word) in [
        (3, "metrics.jsonl: line 1"),
        (5, "config.toml"),
        (6, "line 2"),
    ] {
        assert_eq!(runs[i]["status"], "broken");
        assert_eq!(runs[i]["epochs"], Value::Null);
        let problem = runs[i]["problem"].as_str().unwrap();
        assert!(problem.contains(word), "{problem}");
        assert!(program.stdout(&["runs"]).contains(problem));
    }
}

#[test]
fn a_resumed_run_counts_as_unfinished() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    train(&program, "images.npz", "runs/a", &["--epochs", "2"]);
    let status = || program.json(&["runs", "--json"])["runs"][0]["status"].clone();
    assert_eq!(status(), "finished");
    // Killed in its fourth epoch, while the summary is still that of the second.
    let summary = fs::read(program.path("runs/a/summary.json")).unwrap();
    program.stdout(&["train", "--quiet", "--resume", "runs/a", "--epochs", "3"]);
    assert_eq!(status(), "finished");
    program.write("runs/a/summary.json", summary);
    assert_eq!(status(), "unfinished");
}

#[test]
fn only_the_given_folders_are_listed() {
    let (program, _) = three();
    let report = program.json(&["runs", "runs/c", "runs/a", "--json"]);
    assert_eq!(names(&report), ["a", "c"]);
    program.refused(&["runs", "absent"], &["absent"]);
    program.refused(&["runs", "images.npz"], &["images.npz", "folder"]);
    let elsewhere = Chainrule::new();
    assert_eq!(elsewhere.json(&["runs", "--json"])["runs"], json!([]));
    assert!(elsewhere.run(&["runs"]).stderr.contains("no runs"));
}
