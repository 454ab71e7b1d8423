//! Stopping and resuming: the result has the same bits as that of an undisturbed run.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Chainrule, Pixels, end, start, train, write_images, write_npz};

/// Everything that has state: dropout, batch norm, sample order, augmentation, plateau, patience, momentum.
const FLAGS: [&str; 23] = [
    "--widths",
    "64,32",
    "--dropout",
    "0.2",
    "--augment",
    "flip,shift=1,noise=0.02",
    "--batch-size",
    "50",
    "--schedule",
    "plateau",
    "--factor",
    "0.5",
    "--schedule-patience",
    "7",
    "--patience",
    "5000",
    "--lr",
    "0.003",
    "--quiet",
    "--epochs",
    "60",
    "--seed",
    "5",
];

fn program() -> Chainrule {
    let program = Chainrule::new();
    let (data, test) = (
        Pixels::new(3000, 64, 10, 215, 1),
        Pixels::new(200, 64, 10, 215, 2),
    );
    let arrays = [
        ("x", data.x(&[8, 8])),
        ("y", data.y()),
        ("x_test", test.x(&[8, 8])),
        ("y_test", test.y()),
    ];
    write_npz(&program.path("set.npz"), &arrays);
    program
}

fn args(out: &str) -> Vec<&str> {
    [&["train", "--data", "set.npz", "--out", out][..], &FLAGS].concat()
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.matches('\n').count())
}

/// Waits until the run has `count` records.
fn wait_for_records(program: &Chainrule, run: &str, count: usize) {
    let (path, start) = (program.path(run).join("metrics.jsonl"), Instant::now());
    while lines(&path) < count {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "no {count} records in a minute"
        );
        sleep(Duration::from_millis(2));
    }
}

/// A run's metrics or summary, without times and paths.
fn lasting(text: &str) -> Vec<Value> {
    let passing = [
        "train_seconds",
        "samples_per_second",
        "epoch_seconds",
        "run_dir",
    ];
    let strip = |value: Value| match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(key, _)| !passing.contains(&key.as_str()))
            .collect(),
        other => other,
    };
    serde_json::Deserializer::from_str(text)
        .into_iter::<Value>()
        .map(|value| strip(value.unwrap()))
        .collect()
}

#[track_caller]
fn assert_same_run(program: &Chainrule, a: &str, b: &str) {
    let read = |run: &str, file: &str| fs::read(program.path(run).join(file)).unwrap();
    assert!(
        read(a, "model.safetensors") == read(b, "model.safetensors"),
        "the models' bytes"
    );
    for file in ["metrics.jsonl", "summary.json"] {
        let [a, b] = [a, b].map(|run| lasting(&String::from_utf8(read(run, file)).unwrap()));
        assert_eq!(a, b, "{file}");
        assert!(!a.is_empty());
    }
}

#[test]
fn interrupted_and_killed_runs_resume_with_the_same_bits() {
    let program = program();
    program.stdout(&args("whole"));
    for signal in ["INT", "TERM"] {
        let run = format!("run-{signal}");
        let child = start(&program, &args(&run));
        wait_for_records(&program, &run, 3);
        let (code, stderr) = end(child, signal);
        assert_eq!(code, Some(130), "{stderr}");
        assert!(
            stderr.contains(&format!("train --resume {run}")),
            "{stderr}"
        );
        assert!(
            program.path(&run).join("model.safetensors").exists(),
            "the best weights so far"
        );

        // Killed without warning after resuming, with a half-written last line.
        let child = start(&program, &["train", "--resume", &run, "--quiet"]);
        let metrics = program.path(&run).join("metrics.jsonl");
        wait_for_records(&program, &run, lines(&metrics) + 4);
        let (code, _) = end(child, "KILL");
        assert_eq!(code, None, "ended by the signal");
        let torn = fs::read_to_string(&metrics).unwrap() + "{\"epoch\":9,\"tra";
        fs::write(&metrics, torn).unwrap();

        program.stdout(&["train", "--resume", &run, "--quiet"]);
        assert_same_run(&program, "whole", &run);
    }
}

#[test]
fn a_run_killed_before_its_first_checkpoint_starts_again() {
    let program = program();
    program.stdout(&args("whole"));
    let child = start(&program, &args("killed"));
    wait_for_records(&program, "killed", 2);
    end(child, "KILL");
    assert!(!program.path("killed/checkpoint.safetensors").exists());
    program.stdout(&["train", "--resume", "killed", "--quiet"]);
    assert_same_run(&program, "whole", "killed");
}

#[test]
fn more_epochs_continue_a_finished_run() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    train(&program, "set.npz", "long", &["--epochs", "5"]);
    train(&program, "set.npz", "short", &["--epochs", "2"]);
    let output = program.run(&["train", "--resume", "short"]);
    assert_eq!(output.code, 0);
    assert!(
        output.stderr.contains("nothing to resume") && output.stderr.contains("--epochs"),
        "{output:?}"
    );
    program.stdout(&["train", "--resume", "short", "--epochs", "5"]);
    assert_same_run(&program, "long", "short");
}

#[test]
fn settings_and_files_that_do_not_match_the_checkpoint_are_refused() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    train(&program, "set.npz", "run", &["--epochs", "2"]);
    train(
        &program,
        "set.npz",
        "cosine",
        &["--epochs", "2", "--schedule", "cosine"],
    );
    let checkpoint = program.path("run/checkpoint.safetensors");
    let before = fs::read(&checkpoint).unwrap();
    for (flags, words) in [
        (
            ["--resume", "run", "--width", "8"],
            ["model.width", "found 8"],
        ),
        (
            ["--resume", "run", "--seed", "1"],
            ["train.seed", "found 1"],
        ),
        (
            ["--resume", "run", "--lr", "0.5"],
            ["optimizer.lr", "found 0.5"],
        ),
        (
            ["--resume", "cosine", "--epochs", "9"],
            ["train.epochs", "spans the run"],
        ),
        (["--resume", "run", "--out", "other"], ["--resume", "--out"]),
    ] {
        program.refused(&[&["train"][..], &flags].concat(), &words);
    }
    let other = Pixels::new(203, 6, 4, 190, 9);
    write_npz(
        &program.path("other.npz"),
        &[("x", other.x(&[2, 3])), ("y", other.y())],
    );
    let resume = ["train", "--resume", "run", "--epochs", "4"];
    program.refused(
        &[&resume[..], &["--data", "other.npz"]].concat(),
        &["data set", "expected", "found"],
    );
    assert_eq!(fs::read(&checkpoint).unwrap(), before);

    fs::write(&checkpoint, &before[..before.len() / 2]).unwrap();
    program.refused(&resume, &["checkpoint.safetensors", "expected", "found"]);
    let at = before
        .windows(13)
        .position(|w| w == b"\\\"format\\\":1,")
        .unwrap();
    let mut newer = before.clone();
    newer[at + 11] = b'7';
    fs::write(&checkpoint, newer).unwrap();
    program.refused(&resume, &["checkpoint.safetensors", "format", "1", "7"]);
    fs::write(&checkpoint, before).unwrap();
    program.stdout(&resume);
}
