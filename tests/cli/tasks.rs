//! Numbers to predict and several labels, through the program.

use std::fs;

use serde_json::Value;

use crate::support::{Chainrule, number, numbers};
use crate::tables::description;

/// A small generator, so that the tables are the same on every machine.
fn uniform(state: &mut u64) -> f64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    (*state >> 40) as f64 / f64::from(1 << 24)
}

/// A table with the columns id, a, b, colour, y, z, hot, wet and w. y is about 1000 (2 a − b) and more for red, z is
/// a / 100; hot and wet are labels.
fn table(rows: usize) -> String {
    let mut state = 7;
    let mut text = String::from("id,a,b,colour,y,z,hot,wet,w\n");
    for row in 0..rows {
        let (a, b, noise) = (
            uniform(&mut state),
            uniform(&mut state),
            uniform(&mut state),
        );
        let is_red = uniform(&mut state) < 0.4;
        let y = 1000.0 * (2.0 * a - b) + 100.0 * noise + if is_red { 500.0 } else { 0.0 };
        let (hot, wet) = (u8::from(a > 0.5), if b > 0.6 { "yes" } else { "no" });
        let (colour, weight) = (if is_red { "red" } else { "blue" }, 1 + row % 3);
        text += &format!(
            "r{row},{a},{b},{colour},{y},{},{hot},{wet},{weight}\n",
            a / 100.0
        );
    }
    text
}

/// The program, with the table `t.csv` in its folder.
pub(crate) fn with_table() -> Chainrule {
    let program = Chainrule::new();
    program.write("t.csv", table(300));
    program
}

pub(crate) const Y: [&str; 4] = ["--label", "y", "--drop", "z,hot,wet,w"];
const BOTH: [&str; 4] = ["--label", "y,z", "--drop", "hot,wet,w"];
const LABELS: [&str; 4] = ["--label", "hot,wet", "--drop", "y,z,w"];

#[track_caller]
fn train(program: &Chainrule, out: &str, args: &[&str]) -> Value {
    let fixed = [
        "train", "--data", "t.csv", "--id", "id", "--out", out, "--json", "--quiet", "--widths",
        "24", "--seed", "3",
    ];
    program.json(&[&fixed[..], args].concat())
}

/// The lines of a run's metrics, without its times.
pub(crate) fn records(program: &Chainrule, run: &str) -> Vec<Value> {
    let text = fs::read_to_string(program.path(run).join("metrics.jsonl")).unwrap();
    let record = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        let fields = record.as_object_mut().unwrap();
        fields.remove("train_seconds");
        fields.remove("samples_per_second");
        record
    };
    text.lines().map(record).collect()
}

#[test]
fn fractional_numbers_are_predicted_in_their_own_units() {
    let program = with_table();
    let args = [&Y[..], &["--test-split", "0.2", "--epochs", "60"]].concat();
    let summary = train(&program, "r", &args);
    assert_eq!(summary["task"], "regression");
    assert!(number(&summary["test_r2"]) > 0.95, "{summary}");
    let (rmse, mae) = (number(&summary["test_rmse"]), number(&summary["test_mae"]));
    assert!(
        (20.0..200.0).contains(&rmse) && (15.0..rmse).contains(&mae),
        "{summary}"
    );
    assert!(summary["train_accuracy"].is_null() && summary["val_accuracy"].is_null());
    let model = description(&program, "r");
    assert_eq!(
        (&model["task"], &model["class_names"][0]),
        (&"regression".into(), &"y".into())
    );
    let mean = number(&model["target_scale"]["mean"][0]);
    assert!((500.0..1000.0).contains(&mean), "{model}");

    let found = program.json(&["eval", "--model", "r", "--json"]);
    let text = program.stdout(&["eval", "--model", "r"]);
    assert!(text.contains("RMSE") && text.contains("R²"), "{text}");
    assert!(
        found
            .to_string()
            .contains(&summary["test_rmse"].to_string()),
        "{found}"
    );

    program.stdout(&["predict", "--model", "r", "t.csv", "--out", "p.csv"]);
    let file = fs::read_to_string(program.path("p.csv")).unwrap();
    let mut lines = file.lines();
    assert_eq!(lines.next(), Some("id,input,row,predicted_y"));
    let truth = program.path("t.csv");
    let truth = fs::read_to_string(truth).unwrap();
    let mut errors = 0.0;
    for (line, truth) in lines.zip(truth.lines().skip(1)) {
        let (own, of_truth): (Vec<&str>, Vec<&str>) =
            (line.split(',').collect(), truth.split(',').collect());
        assert_eq!(own[0], of_truth[0]);
        errors += (own[3].parse::<f64>().unwrap() - of_truth[4].parse::<f64>().unwrap()).abs();
    }
    assert!(errors / 300.0 < 100.0, "{errors}");
    let rows = program.json(&["predict", "--model", "r", "t.csv", "--json"]);
    assert_eq!(rows["targets"][0], "y");
    assert_eq!(numbers(&rows["predictions"][0]["values"]).len(), 1);
}

#[test]
fn several_numbers_keep_their_units_apart() {
    let program = with_table();
    let summary = train(&program, "r", &[&BOTH[..], &["--epochs", "40"]].concat());
    assert!(number(&summary["val_r2"]) > 0.9, "{summary}");
    let rows = program.json(&["predict", "--model", "r", "t.csv", "--json"]);
    assert_eq!(rows["targets"].as_array().unwrap().len(), 2);
    for row in rows["predictions"].as_array().unwrap() {
        let values = numbers(&row["values"]);
        assert!(values[0].abs() < 4000.0 && values[1].abs() < 0.02, "{row}");
    }
    program.stdout(&["predict", "--model", "r", "t.csv", "--out", "p.csv"]);
    let file = fs::read_to_string(program.path("p.csv")).unwrap();
    assert!(
        file.starts_with("id,input,row,predicted_y,predicted_z\n"),
        "{file}"
    );
}

#[test]
fn several_labels_have_a_probability_each() {
    let program = with_table();
    let args = [&LABELS[..], &["--epochs", "40", "--test-split", "0.2"]].concat();
    let summary = train(&program, "r", &args);
    assert_eq!(summary["task"], "multilabel");
    for metric in [
        "val_f1_micro",
        "val_f1_macro",
        "val_accuracy",
        "test_f1_micro",
    ] {
        assert!(number(&summary[metric]) > 0.85, "{metric}: {summary}");
    }
    let text = program.stdout(&["eval", "--model", "r"]);
    assert!(
        text.contains("hot") && text.contains("wet") && text.contains("F1"),
        "{text}"
    );
    program.stdout(&["predict", "--model", "r", "t.csv", "--out", "p.csv"]);
    let file = fs::read_to_string(program.path("p.csv")).unwrap();
    assert!(file.starts_with("id,input,row,p_hot,p_wet\n"), "{file}");
    let rows = program.json(&["predict", "--model", "r", "t.csv", "--json"]);
    let row = &rows["predictions"][0];
    let sure = numbers(&row["probabilities"])
        .iter()
        .filter(|&&p| p > 0.5)
        .count();
    assert_eq!(row["labels"].as_array().unwrap().len(), sure);
}

/// The losses of each task, however they are computed.
#[test]
fn plain_and_fused_train_with_the_same_bits() {
    let program = with_table();
    let mut run = 0;
    for (task, losses) in [
        (&Y[..], &["mse", "huber", "mae"][..]),
        (&BOTH[..], &["mse"]),
        (&LABELS[..], &["bce"]),
    ] {
        for loss in losses {
            for more in [
                &["--weight", "w"][..],
                &[
                    "--embed",
                    "piecewise",
                    "--bins",
                    "8",
                    "--embed-width",
                    "3",
                    "--members",
                    "3",
                ],
                &["--dropout", "0.2", "--batch-norm", "--optimizer", "sgd"],
            ] {
                let drop = if more[0] == "--weight" {
                    "z,hot,wet,y"
                } else {
                    "z,hot,wet,y,w"
                };
                let label = task[1];
                let drop: Vec<&str> = drop
                    .split(',')
                    .filter(|d| !label.split(',').any(|l| l == *d))
                    .collect();
                let drop = drop.join(",");
                let fixed = [
                    "--label", label, "--drop", &drop, "--loss", loss, "--epochs", "3",
                ];
                let args = [&fixed[..], more].concat();
                let (fused, plain) = (format!("f{run}"), format!("p{run}"));
                train(&program, &fused, &[&args[..], &["--threads", "2"]].concat());
                train(&program, &plain, &[&args[..], &["--plain"]].concat());
                assert_eq!(
                    records(&program, &fused),
                    records(&program, &plain),
                    "{args:?}"
                );
                run += 1;
            }
        }
    }
}

#[test]
fn other_precisions_learn_as_well() {
    let program = with_table();
    for precision in ["f64", "bf16"] {
        for args in [&Y[..], &LABELS] {
            let more = ["--epochs", "30", "--precision", precision];
            let out = format!("{precision}-{}", args[1]);
            let summary = train(&program, &out, &[args, &more].concat());
            let metric = if args == Y { "val_r2" } else { "val_f1_micro" };
            assert!(number(&summary[metric]) > 0.85, "{precision}: {summary}");
        }
    }
}

#[test]
fn a_run_of_values_resumes_with_the_same_numbers() {
    let program = with_table();
    let more = [
        "--embed",
        "piecewise",
        "--members",
        "2",
        "--weight",
        "w",
        "--drop",
        "z,hot,wet",
    ];
    let args = [&["--label", "y"][..], &more].concat();
    train(&program, "whole", &[&args[..], &["--epochs", "6"]].concat());
    train(&program, "half", &[&args[..], &["--epochs", "3"]].concat());
    let resumed = [
        "train", "--resume", "half", "--epochs", "6", "--json", "--quiet",
    ];
    program.json(&resumed);
    assert_eq!(records(&program, "whole"), records(&program, "half"));
}

/// Only what weights are to each other counts.
#[test]
fn equal_weights_change_nothing() {
    let program = with_table();
    let text = fs::read_to_string(program.path("t.csv")).unwrap();
    for (name, weight) in [("one.csv", 1), ("two.csv", 2)] {
        let mut lines = text.lines();
        let header = lines.next().unwrap();
        let line = |line: &str| format!("{},{weight}\n", line.rsplit_once(',').unwrap().0);
        program.write(
            name,
            format!("{header}\n{}", lines.map(line).collect::<String>()),
        );
    }
    let run = |out: &str, data: &str, args: &[&str]| {
        let fixed = [
            "train", "--data", data, "--id", "id", "--label", "y", "--out", out,
        ];
        let small = ["--json", "--quiet", "--widths", "8", "--epochs", "3"];
        program.json(&[&fixed[..], &small, args].concat());
        records(&program, out)
    };
    let weighted = ["--drop", "z,hot,wet", "--weight", "w"];
    let without = run("none", "t.csv", &["--drop", "z,hot,wet,w"]);
    assert_eq!(run("one", "one.csv", &weighted), without);
    assert_eq!(run("two", "two.csv", &weighted), without);
    assert_ne!(run("own", "t.csv", &weighted), without);
}

#[test]
fn columns_that_are_no_weights_are_refused() {
    let program = with_table();
    // The only row that counts validates with some seeds.
    let rows: String = (0..5)
        .map(|i| format!("{i},{i}.5,{}\n", u8::from(i == 0)))
        .collect();
    program.write("few.csv", format!("x,y,w\n{rows}"));
    let with_seed = |seed: u32| {
        let fixed = [
            "train", "--data", "few.csv", "--label", "y", "--weight", "w",
        ];
        let seed = seed.to_string();
        let more = ["--seed", &seed, "--epochs", "1", "--quiet", "--out", &seed];
        program.run(&[&fixed[..], &more].concat())
    };
    let outputs: Vec<_> = (0..12).map(with_seed).collect();
    let refused = outputs.iter().filter(|output| output.code == 2);
    assert!((1..12).contains(&refused.clone().count()));
    for output in refused {
        assert!(
            output
                .stderr
                .contains("weight above 0 in the training part"),
            "{output:?}"
        );
    }
    program.refused(
        &[
            "train", "--data", "t.csv", "--label", "y", "--weight", "nope",
        ],
        &["weight", "expected a column", "nope"],
    );
    program.write("bad.csv", "x,y,w\n1,2.5,-1\n2,1.5,1\n");
    program.refused(
        &[
            "train", "--data", "bad.csv", "--label", "y", "--weight", "w",
        ],
        &["line 2", "column \"w\" (2)", "from 0 on", "-1", "--weight"],
    );
    program.write("none.csv", "x,y,w\n1,2.5,0\n2,1.5,0\n");
    program.refused(
        &[
            "train", "--data", "none.csv", "--label", "y", "--weight", "w",
        ],
        &["weight above 0"],
    );
}

#[test]
fn what_does_not_fit_the_task_is_refused() {
    let program = with_table();
    let refused = |args: &[&str], words: &[&str]| {
        let fixed = ["train", "--data", "t.csv", "--out", "no", "--epochs", "1"];
        program.refused(&[&fixed[..], args].concat(), words);
        assert!(!program.path("no").exists(), "{args:?}");
    };
    let with = |more: &[&'static str]| [&Y[..], more].concat();
    refused(
        &with(&["--loss", "cross_entropy"]),
        &["cross_entropy", "regression", "train.loss (--loss)"],
    );
    refused(
        &with(&["--task", "classification", "--loss", "mse"]),
        &["mse", "classification"],
    );
    refused(
        &with(&["--monitor", "val_accuracy"]),
        &["val_rmse", "regression", "val_accuracy"],
    );
    refused(
        &with(&["--label-smoothing", "0.1"]),
        &["label_smoothing", "mse"],
    );
    refused(
        &with(&["--class-weights", "balanced"]),
        &["class_weights", "mse"],
    );
    refused(&with(&["--delta", "2"]), &["delta", "mse"]);
    refused(
        &["--label", "colour", "--task", "regression"],
        &["\"blue\"", "line 2", "regression"],
    );
    refused(
        &["--label", "y", "--task", "multilabel"],
        &["0 or 1", "multilabel"],
    );
    refused(&["--label", "hot,hot"], &["twice"]);
    refused(
        &["--label", "hot", "--weight", "hot"],
        &["weight", "another column"],
    );
    refused(
        &[&LABELS[..], &["--positive-weights", "2"]].concat(),
        &["2 weights, one per label, found 1"],
    );
    refused(
        &["--label", "colour", "--bins", "8"],
        &["bins", "--embed piecewise"],
    );
    program.write(
        "whole.csv",
        format!(
            "x,y\n{}",
            (0..50).map(|i| format!("{i},{i}\n")).collect::<String>()
        ),
    );
    program.refused(
        &["train", "--data", "whole.csv"],
        &["50 different", "--task regression", "--label"],
    );
}

/// The test part's labels are read as those of the training part, though they suggest another task.
#[test]
fn a_test_file_has_the_task_of_the_training_file() {
    let program = with_table();
    let text = fs::read_to_string(program.path("t.csv")).unwrap();
    let head: Vec<&str> = text.lines().take(1).collect();
    let whole: String = (0..30)
        .map(|i| format!("r{i},0.5,0.{i},red,{},0,0,no,1\n", 700 + i % 3))
        .collect();
    program.write("whole.csv", format!("{}\n{whole}", head[0]));
    let args = [&Y[..], &["--test-data", "whole.csv", "--epochs", "5"]].concat();
    let summary = train(&program, "r", &args);
    assert_eq!(number(&summary["test_samples"]), 30.0);
    assert!(number(&summary["test_rmse"]) > 0.0, "{summary}");
    let found = program.json(&["eval", "--model", "r", "--json", "--data", "whole.csv"]);
    assert!(found.to_string().contains("rmse"), "{found}");
}

#[test]
fn a_constant_target_is_learnt() {
    let program = Chainrule::new();
    let rows: String = (0..40).map(|i| format!("{i},0.1\n")).collect();
    program.write("t.csv", format!("x,y\n{rows}"));
    let fixed = [
        "train", "--data", "t.csv", "--out", "r", "--json", "--quiet", "--epochs", "60",
    ];
    let summary = program.json(&fixed);
    assert!(number(&summary["val_rmse"]) < 0.05, "{summary}");
    let info = program.stdout(&["data", "info", "--data", "t.csv"]);
    assert!(info.contains("\"y\" is the same in all rows"), "{info}");
    assert_eq!(
        number(&description(&program, "r")["target_scale"]["scale"][0]),
        1.0
    );
}

#[test]
fn arrays_hold_values_too() {
    use crate::support::npy;
    let program = Chainrule::new();
    let x: Vec<u8> = (0..80)
        .flat_map(|i: u32| ((i * 7 % 40) as f32).to_le_bytes())
        .collect();
    let y: Vec<u8> = (0..40)
        .flat_map(|i: u32| f64::from(i % 7).mul_add(0.5, 0.25).to_le_bytes())
        .collect();
    let labels: Vec<u8> = (0..120)
        .map(|i| u8::from(i % 2 == 0 || i % 5 == 0))
        .collect();
    for (folder, target) in [
        ("v", npy("<f8", &[40], &y)),
        ("l", npy("|u1", &[40, 3], &labels)),
    ] {
        program.write(&format!("{folder}/x.npy"), npy("<f4", &[40, 2], &x));
        program.write(
            &format!("{folder}/._x.npy"),
            "attributes, as macOS keeps them",
        );
        program.write(&format!("{folder}/y.npy"), target);
        let out = format!("run-{folder}");
        let args = [
            "train", "--data", folder, "--out", &out, "--epochs", "2", "--json", "--quiet",
        ];
        let summary = program.json(&args);
        let expected = if folder == "v" {
            "regression"
        } else {
            "multilabel"
        };
        assert_eq!(summary["task"], expected);
        let rows = program.json(&[
            "predict",
            "--model",
            &out,
            &format!("{folder}/x.npy"),
            "--json",
        ]);
        let key = if folder == "v" {
            "values"
        } else {
            "probabilities"
        };
        let width = if folder == "v" { 1 } else { 3 };
        assert_eq!(numbers(&rows["predictions"][39][key]).len(), width);
    }
}

/// A label that is wrong is named by its own array.
#[test]
fn labels_of_other_parts_are_named() {
    use crate::support::npy;
    let program = Chainrule::new();
    let x: Vec<u8> = (0..8)
        .flat_map(|i: u8| f32::from(i).to_le_bytes())
        .collect();
    let numbers = |values: &[f64]| -> Vec<u8> {
        let bytes: Vec<u8> = values.iter().flat_map(|y| y.to_le_bytes()).collect();
        npy("<f8", &[values.len() / 2, 2], &bytes)
    };
    program.write("d/x.npy", npy("<f4", &[4, 2], &x));
    program.write("d/x_val.npy", npy("<f4", &[2, 2], &x[..16]));
    program.write(
        "d/y.npy",
        numbers(&[0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]),
    );
    program.write("d/y_val.npy", numbers(&[0.0, 1.0, 1.0, 3.0]));
    program.refused(
        &["train", "--data", "d"],
        &["array y_val, position 1", "0 or 1", "found 3"],
    );
}

#[test]
fn searches_and_sweeps_go_by_the_metric_of_the_task() {
    let program = with_table();
    let small = [
        "--data", "t.csv", "--id", "id", "--epochs", "2", "--json", "--quiet",
    ];
    for (args, metric) in [(&Y[..], "val_rmse"), (&LABELS, "val_f1_micro")] {
        let study = format!("{metric}.jsonl");
        let search = [
            "search",
            "--trials",
            "4",
            "--study",
            &study,
            "--width",
            "4..32",
            "--lr",
            "0.0001..0.1:log",
        ];
        let found = program.json(&[&search[..], &small, args].concat());
        assert!(found.to_string().contains(metric), "{found}");
        let sweep = ["sweep", "width", "--values", "4,32", "--repeats", "2"];
        let study = format!("sweep-{metric}.jsonl");
        let found = program.json(&[&sweep[..], &["--study", &study], &small, args].concat());
        assert!(found.to_string().contains(metric), "{found}");
    }
}

#[test]
fn gradients_of_embeddings_and_members_agree() {
    let program = with_table();
    let fixed = [
        "gradcheck",
        "--data",
        "t.csv",
        "--id",
        "id",
        "--widths",
        "5",
        "--json",
    ];
    let more = [
        "--embed",
        "piecewise",
        "--bins",
        "6",
        "--embed-width",
        "3",
        "--members",
        "2",
    ];
    for args in [&Y[..], &BOTH, &LABELS] {
        let report = program.json(&[&fixed[..], &more, args].concat());
        let names = report.to_string();
        assert!(names.contains("stem.embedding.0.weight") && names.contains("stem.scale"));
    }
    program.refused(
        &["gradcheck", "--embed", "piecewise"],
        &["model.embed (--embed)", "--data"],
    );
}
