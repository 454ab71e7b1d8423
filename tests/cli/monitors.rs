//! Metrics for classes of unequal size: as monitor, as objective, for the plateau schedule, and in `eval`.

use std::fs;

use serde_json::Value;

use crate::support::{Chainrule, Pixels, number, train, write_images, write_npz};

/// The metrics that are measured on request, by their names in `eval --json`.
const ON_REQUEST: [&str; 4] = [
    "balanced_accuracy",
    "f1_macro",
    "roc_auc",
    "average_precision",
];

fn records(program: &Chainrule, run: &str) -> Vec<Value> {
    let text = fs::read_to_string(program.path(run).join("metrics.jsonl")).unwrap();
    let lines = text.lines();
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// Which of the metrics on request an object has, as metrics of the validation part.
fn found(object: &Value) -> Vec<&'static str> {
    let has = |name: &&str| object.get(format!("val_{name}")).is_some();
    ON_REQUEST.into_iter().filter(has).collect()
}

#[test]
fn each_monitor_chooses_the_epoch_and_agrees_with_eval() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    for name in ON_REQUEST {
        let monitor = format!("val_{name}");
        let run = format!("runs/{name}");
        let flags = ["--epochs", "6", "--monitor", &monitor];
        let summary = train(&program, "images.npz", &run, &flags);
        assert_eq!(found(&summary), [name]);
        let best = number(&summary[&monitor]);
        let records = records(&program, &run);
        let values: Vec<f64> = records.iter().map(|r| number(&r[&monitor])).collect();
        let highest = values.iter().copied().fold(0.0, f64::max);
        assert_eq!(best, highest);
        assert!(records.iter().all(|record| found(record) == [name]));
        let epoch = summary["best_epoch"].as_u64().unwrap() as usize;
        assert_eq!(values[epoch - 1], highest);

        let eval = ["eval", "--model", &run, "--split", "validation", "--json"];
        let report = program.json(&eval);
        assert_eq!(number(&report[name]), best);
    }
    // Nothing else is measured, and nothing else is shown.
    train(&program, "images.npz", "runs/plain", &["--epochs", "1"]);
    assert_eq!(found(&records(&program, "runs/plain")[0]), [""; 0]);
    let plain = program.stdout(&["runs", "runs/plain"]);
    assert!(!plain.contains("f1_macro"), "{plain}");
    let all = program.stdout(&["runs", "--sort", "val_f1_macro"]);
    assert!(all.contains("val_f1_macro") && all.contains("val_roc_auc"));
    let first = all.lines().nth(1).unwrap();
    assert!(first.contains("runs/f1_macro"), "{all}");
    let entry = &program.json(&["runs", "runs/plain", "--json"])["runs"][0];
    assert_eq!(found(entry), [""; 0]);
    program.refused(
        &["runs", "runs/plain", "--sort", "val_f1_macro"],
        &["sort", "val_accuracy"],
    );
}

#[test]
fn a_line_of_progress_shows_the_monitor() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    let args = ["train", "--data", "images.npz", "--batch-size", "11"];
    let more = ["--epochs", "1", "--monitor", "val_balanced_accuracy"];
    let output = program.run(&[&args[..], &more].concat());
    let last = |word: &str| output.stderr.lines().any(|line| line.contains(word));
    assert!(last("val_bal_acc 0."), "{output:?}");
    assert!(output.stdout.contains("balanced accuracy 0."), "{output:?}");
}

#[test]
fn a_resumed_run_goes_on_with_its_monitor() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    let flags = |epochs| ["--monitor", "val_f1_macro", "--epochs", epochs];
    let whole = train(&program, "images.npz", "whole", &flags("5"));
    train(&program, "images.npz", "parts", &flags("2"));
    let resumed = program.json(&[
        "train", "--resume", "parts", "--epochs", "5", "--json", "-q",
    ]);
    for key in ["val_f1_macro", "val_loss", "best_epoch"] {
        assert_eq!(resumed[key], whole[key]);
    }
    assert_eq!(records(&program, "parts").len(), 5);
}

/// A score that stops rising lowers the rate, as a loss that stops falling does.
#[test]
fn a_schedule_waits_for_its_own_monitor() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    let plateau = ["--schedule", "plateau", "--schedule-patience", "0"];
    let flags = ["--epochs", "8", "--schedule-monitor", "val_roc_auc"];
    train(
        &program,
        "images.npz",
        "run",
        &[&plateau[..], &flags].concat(),
    );
    let config = fs::read_to_string(program.path("run/config.toml")).unwrap();
    assert!(config.contains("monitor = \"val_roc_auc\""), "{config}");
    let (mut best, mut rate) = (0.0, 0.01);
    for record in records(&program, "run") {
        assert_eq!(found(&record), ["roc_auc"]);
        assert!((number(&record["lr"]) - rate).abs() <= 1e-12);
        let auc = number(&record["val_roc_auc"]);
        match auc > best * 1.0001 {
            true => best = auc,
            false => rate *= 0.1,
        }
    }
    assert!(rate < 0.01, "otherwise this would say little");
    program.refused(
        &[
            "train",
            "--schedule-monitor",
            "val_loss",
            "--data",
            "images.npz",
        ],
        &["schedule.monitor (--schedule-monitor)", "constant"],
    );
}

/// Without both classes there is no such number: the run is refused before it begins.
#[test]
fn what_is_not_defined_is_refused_in_words() {
    let program = Chainrule::new();
    let mut data = Pixels::new(40, 6, 2, 190, 1);
    // The only sample of its class is kept for training.
    data.labels.fill(0);
    data.labels[7] = 1;
    write_npz(
        &program.path("rare.npz"),
        &[("x", data.x(&[6])), ("y", data.y())],
    );
    let args = ["train", "--data", "rare.npz", "--batch-size", "8"];
    let refused = |flags: &[&str], words: &[&str]| {
        program.refused(&[&args[..], flags].concat(), words);
    };
    let two = "validation samples of at least two classes";
    refused(
        &["--monitor", "val_roc_auc"],
        &["train.monitor", "--monitor", two, "\"0\""],
    );
    refused(&["--monitor", "val_average_precision"], &[two]);
    let plateau = ["--schedule", "plateau", "--schedule-monitor", "val_roc_auc"];
    refused(&plateau, &["schedule.monitor", two]);
    refused(
        &["--monitor", "val_f1_macro", "--validation", "0"],
        &["validation data"],
    );
    let search = [
        "search",
        "--data",
        "rare.npz",
        "--lr",
        "0.001..0.01",
        "--batch-size",
        "8",
    ];
    let objective = ["--objective", "val_roc_auc", "--trials", "1"];
    program.refused(&[&search[..], &objective].concat(), &["--objective", two]);
    // What is defined for one class is measured.
    let run = program.stdout(
        &[
            &args[..],
            &["--monitor", "val_f1_macro", "--epochs", "1", "--json"],
        ]
        .concat(),
    );
    assert!(run.contains("val_f1_macro"), "{run}");
    // In `eval` there is no number to be had either, and that is said.
    let folder: Value = serde_json::from_str(&run).unwrap();
    let eval = [
        "eval",
        "--split",
        "validation",
        "--model",
        folder["run_dir"].as_str().unwrap(),
    ];
    let words = program.stdout(&eval);
    assert!(words.contains("ROC AUC not defined"), "{words}");
    let json = program.json(&[&eval[..], &["--json"]].concat());
    assert!(
        json["roc_auc"].is_null() && json["f1_macro"].is_f64(),
        "{json}"
    );
}

#[test]
fn every_trial_measures_the_objective() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    let fixed = [
        "search",
        "--data",
        "images.npz",
        "--batch-size",
        "11",
        "--epochs",
        "2",
    ];
    let search = [
        "--lr",
        "0.001..0.1:log",
        "--trials",
        "3",
        "--width",
        "8",
        "--threads",
        "2",
    ];
    let objective = ["--objective", "val_average_precision", "--json", "-q"];
    let report = program.json(&[&fixed[..], &search, &objective].concat());
    assert_eq!(report["objective"], "val_average_precision");
    let journal = fs::read_to_string(program.path("search.journal")).unwrap();
    assert_eq!(journal.matches("\"val_average_precision\":[").count(), 3);
    assert!(!journal.contains("val_f1_macro"));
    let page = program.stdout(&["report", "search.journal"]);
    let html = fs::read_to_string(program.path(page.trim())).unwrap();
    assert!(html.contains("validation average precision of each complete trial"));
    assert!(html.contains("--objective val_average_precision"), "{html}");
}

#[test]
fn balanced_weights_are_counted_on_the_training_part() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    let flags = ["--epochs", "1", "--class-weights", "balanced"];
    let balanced = train(&program, "images.npz", "balanced", &flags);
    let config = fs::read_to_string(program.path("balanced/config.toml")).unwrap();
    assert!(config.contains("class_weights = \"balanced\""), "{config}");
    let plain = train(&program, "images.npz", "plain", &["--epochs", "1"]);
    assert_ne!(balanced["train_loss"], plain["train_loss"]);

    // The same weights as a list give the same bits.
    let report = program.json(&["eval", "--model", "plain", "--split", "train", "--json"]);
    let classes = report["classes"].as_array().unwrap();
    let counts: Vec<f64> = classes.iter().map(|c| number(&c["support"])).collect();
    let samples: f64 = counts.iter().sum();
    let weight = |count: &f64| (samples / (counts.len() as f64 * count)).to_string();
    let list: Vec<String> = counts.iter().map(weight).collect();
    let flags = ["--epochs", "1", "--class-weights", &list.join(",")];
    let listed = train(&program, "images.npz", "listed", &flags);
    assert_eq!(listed["train_loss"], balanced["train_loss"]);
    program.refused(
        &["train", "--data", "images.npz", "--class-weights", "fair"],
        &["--class-weights", "balanced"],
    );
}
