//! `train` from start to end on small data.

use std::fs;

use chainrule::simd::InstructionSet;
use serde_json::Value;

use crate::support::{Chainrule, Pixels, number, numbers, train, write_images, write_npz};

/// A data set that is wide enough for products to be split over threads.
fn wide(program: &Chainrule) {
    let data = Pixels::new(640, 200, 10, 200, 4);
    write_npz(
        &program.path("wide.npz"),
        &[("x", data.x(&[200])), ("y", data.y())],
    );
}

fn weights(program: &Chainrule, out: &str, flags: &[&str]) -> Vec<u8> {
    let fixed = [
        "train",
        "--data",
        "wide.npz",
        "--batch-size",
        "128",
        "--widths",
        "300,150",
        "--epochs",
        "2",
    ];
    let save = format!("{out}.safetensors");
    let place = ["--dropout", "0.3", "--out", out, "--save", &save, "--quiet"];
    program.stdout(&[&fixed[..], &place, flags].concat());
    fs::read(program.path(&save)).unwrap()
}

#[test]
fn same_seed_same_bits_on_any_number_of_threads() {
    let program = Chainrule::new();
    wide(&program);
    let one = weights(&program, "one", &["--threads", "1"]);
    for threads in ["2", "3", "8"] {
        assert!(
            weights(&program, threads, &["--threads", threads]) == one,
            "{threads} threads"
        );
    }
    for flags in [&["--plain"][..], &["--plain", "--threads", "1"]] {
        let out = format!("plain{}", flags.len());
        assert!(weights(&program, &out, flags) == one, "{flags:?}");
    }
    assert!(
        weights(&program, "other", &["--seed", "1"]) != one,
        "another seed"
    );
    let double = weights(
        &program,
        "double",
        &["--precision", "f64", "--threads", "1"],
    );
    assert!(
        weights(
            &program,
            "double3",
            &["--precision", "f64", "--threads", "3"]
        ) == double
    );
}

/// Only where the fast engine runs; elsewhere bf16 is refused.
#[test]
fn bf16_trains_repeats_and_evaluates() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let refused = program.run(&[
        "train",
        "--data",
        "set.npz",
        "--precision",
        "bf16",
        "--plain",
    ]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("--plain"), "{refused:?}");
    let weights = |out: &str, precision: &str, threads: &str| {
        let save = format!("{out}.safetensors");
        let flags = ["--precision", precision, "--threads", threads, "--out", out];
        let fixed = [
            "train", "--data", "set.npz", "--epochs", "3", "--json", "-q",
        ];
        let output = program.run(&[&fixed[..], &flags, &["--save", &save]].concat());
        assert_eq!(output.code, 0, "{output:?}");
        let summary: Value = serde_json::from_str(&output.stdout).unwrap();
        (summary, fs::read(program.path(&save)).unwrap())
    };
    let (summary, one) = weights("one", "bf16", "1");
    assert!(weights("three", "bf16", "3").1 == one);
    let (exact, other) = weights("exact", "f32", "1");
    assert!(other != one, "nothing was rounded");
    let off = number(&summary["train_loss"]) / number(&exact["train_loss"]) - 1.0;
    assert!(off.abs() <= 0.05, "{off}");
    let report = program.json(&["eval", "--model", "one", "--json"]);
    assert_eq!(report["accuracy"], summary["test_accuracy"]);
    assert_eq!(report["loss"], summary["test_loss"]);
}

#[test]
fn the_instruction_set_changes_no_bit() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let run = |set: InstructionSet, activation: &str| -> Vec<u8> {
        let out = format!("run-{}-{activation}", set.name());
        let mut args = vec!["train", "--data", "set.npz", "--epochs", "3", "--quiet"];
        args.extend(["--batch-size", "20", "--dropout", "0.2"]);
        let output = program
            .command(&[&args[..], &["--activation", activation, "--out", &out]].concat())
            .env("CHAINRULE_KERNEL", set.name())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        fs::read(program.path(&out).join("model.safetensors")).unwrap()
    };
    for activation in ["gelu", "tanh", "sigmoid", "silu", "elu"] {
        let all: Vec<_> = InstructionSet::available().collect();
        let weights = all.iter().map(|&set| run(set, activation));
        let weights: Vec<Vec<u8>> = weights.collect();
        let equal = weights.windows(2).all(|pair| pair[0] == pair[1]);
        assert!(equal, "{activation}, {all:?}");
    }
    let output = program
        .command(&["runs"])
        .env("CHAINRULE_KERNEL", "sse9")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_summary_has_every_key() {
    let program = Chainrule::new();
    let test = write_images(&program, "set.npz");
    let summary = train(&program, "set.npz", "run", &["--epochs", "3"]);
    assert_eq!(summary["run_dir"], "run");
    // 6·7 + 7, γ and β, 7·4 + 4
    assert_eq!(summary["parameters"], 6 * 7 + 7 + 14 + 7 * 4 + 4);
    assert_eq!(summary["epochs_run"], 3);
    assert_eq!(numbers(&summary["epoch_seconds"]).len(), 3);
    assert!((1.0..=3.0).contains(&number(&summary["best_epoch"])));
    assert_eq!(summary["diverged"], false);
    for key in ["val_accuracy", "val_loss", "test_accuracy", "test_loss"] {
        assert!(number(&summary[key]) >= 0.0, "{key}");
    }
    let right = number(&summary["test_accuracy"]) * test.labels.len() as f64;
    assert!(
        (right - right.round()).abs() <= 1e-9,
        "a share of {} samples",
        test.labels.len()
    );
    let written: Value =
        serde_json::from_slice(&fs::read(program.path("run/summary.json")).unwrap()).unwrap();
    assert_eq!(written, summary);

    let untested = train(
        &program,
        "set.npz",
        "untested",
        &["--epochs", "3", "--test", "false"],
    );
    assert_eq!(untested["test_accuracy"], Value::Null);
    assert_eq!(untested["val_loss"], summary["val_loss"]);
}

#[test]
fn flags_override_the_file_and_saved_settings_repeat_the_run() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    program.write("my.toml", "[data]\npath = \"set.npz\"\n[train]\nepochs = 9\nbatch_size = 20\nseed = 4\n[model]\nwidth = 9\n");
    let first = program.json(&[
        "train", "--config", "my.toml", "--epochs", "2", "--json", "--out", "first",
    ]);
    assert_eq!(
        (&first["epochs_run"], &first["seed"]),
        (&2.into(), &4.into())
    );
    program.json(&[
        "train",
        "--config",
        "first/config.toml",
        "--json",
        "--out",
        "second",
    ]);
    let read = |run: &str| fs::read(program.path(run).join("model.safetensors")).unwrap();
    assert!(read("first") == read("second"));
}

#[test]
fn without_validation_the_last_epoch_is_the_model() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let summary = train(
        &program,
        "set.npz",
        "run",
        &["--epochs", "3", "--validation", "0"],
    );
    assert_eq!(summary["best_epoch"], 3);
    assert_eq!(
        (&summary["val_accuracy"], &summary["val_samples"]),
        (&Value::Null, &0.into())
    );
    assert!(number(&summary["test_accuracy"]) > 0.0);
}

#[test]
fn patience_stops_a_run() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    // At rate 0 only the running statistics change after the first epoch, and min-delta asks for more improvement.
    let flags = [
        "--epochs",
        "50",
        "--lr",
        "0",
        "--patience",
        "4",
        "--min-delta",
        "0.9",
    ];
    let program_args = [
        "train",
        "--json",
        "--data",
        "set.npz",
        "--batch-size",
        "20",
        "--out",
        "run",
    ];
    let summary = program.json(&[&program_args[..], &flags].concat());
    assert_eq!(
        (&summary["epochs_run"], &summary["stopped_early"]),
        (&5.into(), &true.into())
    );
}

#[test]
fn a_diverged_run_is_recorded() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let args = [
        "train",
        "--data",
        "set.npz",
        "--batch-size",
        "20",
        "--out",
        "run",
        "--json",
    ];
    let wild = [
        "--optimizer",
        "sgd",
        "--lr",
        "1e30",
        "--batch-norm",
        "false",
    ];
    let summary = program.json(&[&args[..], &wild].concat());
    assert_eq!(
        (&summary["diverged"], &summary["epochs_run"]),
        (&true.into(), &0.into())
    );
    assert_eq!(
        (&summary["train_loss"], &summary["test_loss"]),
        (&Value::Null, &Value::Null)
    );
    let metrics = fs::read_to_string(program.path("run/metrics.jsonl")).unwrap();
    let record: Value = serde_json::from_str(metrics.trim()).unwrap();
    assert_eq!(
        (&record["epoch"], &record["train_loss"]),
        (&1.into(), &Value::Null)
    );
    let output = program.run(&["train", "--resume", "run"]);
    assert!(
        output.code == 0 && output.stderr.contains("diverged"),
        "{output:?}"
    );
    // A rate of 1 is poor, but the run does not diverge.
    let poor = program.json(&[
        "train",
        "--data",
        "set.npz",
        "--batch-size",
        "20",
        "--lr",
        "1",
        "--json",
    ]);
    assert_eq!(poor["epochs_run"], 10);
}

#[test]
fn csv_variants() {
    let program = Chainrule::new();
    let data = Pixels::new(300, 6, 3, 30, 8);
    let csv = data.csv();
    program.write("named.csv", &csv);
    program.write("bare.csv", csv.split_once('\n').unwrap().1);
    let words = ["ant", "bee", "cat"];
    let mut text = String::from("kind;a;b;c;d;e;f\n");
    for (row, &label) in data.labels.iter().enumerate() {
        let cells: Vec<String> = data.row(row).iter().map(u8::to_string).collect();
        text += &format!("{};{}\n", words[usize::from(label)], cells.join(";"));
    }
    program.write("words.csv", text.replace(';', ","));
    let train = |name: &str, label: &[&str]| {
        let args = [
            "train",
            "--data",
            name,
            "--normalize",
            "standard",
            "--batch-size",
            "30",
            "--epochs",
            "15",
            "--lr",
            "0.01",
            "--json",
            "--quiet",
        ];
        let summary = program.json(&[&args[..], label].concat());
        assert!(number(&summary["val_accuracy"]) > 0.95, "{name}: {summary}");
        number(&summary["val_loss"])
    };
    let named = train("named.csv", &["--label", "label"]);
    for (name, label) in [
        ("named.csv", &[][..]),
        ("named.csv", &["--label", "6"]),
        ("named.csv", &["--label", "-1"]),
        ("bare.csv", &["--label", "6"]),
        ("bare.csv", &[]),
    ] {
        assert_eq!(train(name, label), named, "{name} {label:?}");
    }
    assert_eq!(train("words.csv", &["--label", "kind"]), named);
}

/// At rate 0 the loaded weights do not change. So validation gives the bits of the first run's last epoch.
#[test]
fn saved_weights_start_another_run() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let base = [
        "train",
        "--data",
        "set.npz",
        "--batch-size",
        "20",
        "--batch-norm",
        "false",
        "--json",
    ];
    let first = ["--epochs", "4", "--save", "w.safetensors", "--out", "first"];
    program.json(&[&base[..], &first].concat());
    let records = fs::read_to_string(program.path("first/metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
    let flags = ["--init-from", "w.safetensors", "--epochs", "1", "--lr", "0"];
    let again = program.json(&[&base[..], &flags].concat());
    assert_eq!(number(&again["val_loss"]), number(&last["val_loss"]));
    assert_eq!(
        number(&again["val_accuracy"]),
        number(&last["val_accuracy"])
    );
}
