//! A model of a table with other files, and further test data.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Chainrule, number};
use crate::tables::{column, description, fit, info, predictions, with_cases};

/// A model of `base.csv`, the run "run".
fn with_model() -> Chainrule {
    let program = with_cases(&["base.csv"]);
    fit(&program, "base.csv", "run", &[]);
    program
}

#[test]
fn further_columns_are_told_and_not_used() {
    let program = with_model();
    program.write(
        "more.csv",
        "extra,wgt,len,wid,hgt,species\n9,4,1,2,3,ash\n8,4,1,2,3,birch\n",
    );
    program.write("plain.csv", "len,wid,hgt,wgt\n1,2,3,4\n1,2,3,4\n");
    let output = program.run(&["predict", "--model", "run", "more.csv"]);
    let notice = "columns that the model does not know are not used: extra";
    assert!(
        output.code == 0 && output.stderr.contains(notice),
        "{output:?}"
    );
    let plain = program.run(&["predict", "--model", "run", "plain.csv"]);
    assert_eq!(plain.stderr, "");
    assert_eq!(
        predictions(&program, "more.csv", &[]),
        predictions(&program, "plain.csv", &[])
    );
    let output = program.run(&["eval", "--model", "run", "--data", "more.csv"]);
    assert!(
        output.code == 0 && output.stderr.contains(notice),
        "{output:?}"
    );
}

#[test]
fn what_is_no_number_is_refused_by_its_place() {
    let program = with_model();
    for (cell, found) in [("oak", "\"oak\""), ("inf", "inf"), ("1.2.3", "\"1.2.3\"")] {
        program.write("t.csv", format!("hgt,wid,len,wgt\n1,2,3,4\n1,{cell},3,4\n"));
        let words = [
            "t.csv: line 3, column 2 (wid)",
            "a",
            "number",
            found,
            "--missing",
        ];
        program.refused(&["predict", "--model", "run", "t.csv"], &words);
    }
    let marked = ["predict", "--model", "run", "t.csv", "--missing", "1.2.3"];
    assert!(
        program
            .run(&marked)
            .stderr
            .contains("1 row without a value")
    );
}

#[test]
fn without_a_header_position_and_width_count() {
    let program = with_model();
    program.write("named.csv", "wgt,hgt,wid,len\n4,3,2,1\n8,7,6,5\n");
    program.write("bare.csv", "1,2,3,4\n5,6,7,8\n");
    program.write("labelled.csv", "1,2,3,4,ash\n5,6,7,8,cedar\n");
    let expected = predictions(&program, "named.csv", &[]);
    assert_eq!(predictions(&program, "bare.csv", &[]), expected);
    assert_eq!(predictions(&program, "labelled.csv", &[]), expected);
    program.write("narrow.csv", "1,2,3\n5,6,7\n");
    program.write("wide.csv", "1,5,3,4,9,6\n5,6,7,8,9,9\n");
    for (file, count) in [("narrow.csv", "found 3"), ("wide.csv", "found 6")] {
        let words = [file, "expected 4 columns", count];
        program.refused(&["predict", "--model", "run", file], &words);
    }
}

#[test]
fn a_model_without_names_says_which_column_it_leaves_out() {
    let program = with_cases(&["f16.npz", "pred_id_first.csv", "pred_reordered.csv"]);
    fit(&program, "f16.npz", "run", &[]);
    let predict = |file| program.run(&["predict", "--model", "run", file]);
    let output = predict("pred_id_first.csv");
    let notice = "the model knows no names; column \"wgt\" (4) is left out as the label";
    assert!(
        output.code == 0 && output.stderr.contains(notice),
        "{output:?}"
    );
    let named = program.run(&[
        "predict",
        "--model",
        "run",
        "pred_id_first.csv",
        "--id",
        "id",
    ]);
    assert_eq!((named.code, named.stderr.as_str()), (0, ""));
    assert_eq!(predict("pred_reordered.csv").stderr, "");
    // A column cannot be a feature and the label.
    let eval = ["eval", "--model", "run", "--data", "pred_reordered.csv"];
    program.refused(&eval, &["expected 4 columns, or 5 with a label", "found 4"]);
    // Nor does one of a file without a header.
    let base = with_cases(&["base.csv", "pred_id_first.csv"]);
    let text = fs::read_to_string(base.path("base.csv")).unwrap();
    base.write("bare.csv", text.split_once('\n').unwrap().1);
    fit(&base, "bare.csv", "run", &[]);
    let output = base.run(&["predict", "--model", "run", "pred_id_first.csv"]);
    assert!(
        output.code == 0 && output.stderr.contains(notice),
        "{output:?}"
    );
}

#[test]
fn columns_of_an_array_name_its_rows_too() {
    let program = with_cases(&["f16.npz"]);
    fit(&program, "f16.npz", "run", &["--id", "1,-1"]);
    let report = program.json(&["predict", "--model", "run", "f16.npz", "--json"]);
    let ids = &report["predictions"][0]["ids"];
    // The first row of the table, in float16.
    let value = |id: &str| ids[id].as_str().unwrap().parse::<f64>().unwrap();
    assert!(
        (value("1") - 1.6618).abs() < 1e-3 && (value("3") - 1.168).abs() < 1e-3,
        "{ids}"
    );
}

#[test]
fn one_row_or_one_class_is_enough_to_evaluate() {
    let program = with_model();
    program.write("one.csv", "len,wid,hgt,wgt,species\n1,2,3,4,cedar\n");
    let report = program.json(&["eval", "--model", "run", "--data", "one.csv", "--json"]);
    assert_eq!(report["samples"], 1);
    program.write("other.csv", "len,wid,hgt,wgt,species\n1,2,3,4,oak\n");
    let output = program.run(&["eval", "--model", "run", "--data", "other.csv"]);
    assert!(
        output.code == 0 && output.stderr.contains("oak"),
        "{output:?}"
    );
    assert!(
        output.stdout.contains("loss      not defined"),
        "{output:?}"
    );
}

#[test]
fn a_renamed_column_is_refused_on_resume() {
    let program = with_model();
    let text = fs::read_to_string(program.path("base.csv")).unwrap();
    program.write("renamed.csv", text.replacen("wid", "width", 1));
    let resume = ["train", "--resume", "run", "--epochs", "3", "--data"];
    let words = ["column 2", "\"wid\"", "\"width\""];
    program.refused(&[&resume[..], &["renamed.csv"]].concat(), &words);
    program.write("target.csv", text.replacen("species", "kind", 1));
    let words = ["label column", "\"species\"", "\"kind\""];
    program.refused(&[&resume[..], &["target.csv"]].concat(), &words);
    program.stdout(&[&resume[..], &["base.csv", "--quiet"]].concat());
}

#[test]
fn a_share_is_set_aside_as_test_part() {
    let program = with_cases(&["base.csv"]);
    let summary = |out: &str, args: &[&str]| -> Value {
        let flags = [&["--test-split", "0.25"], args].concat();
        serde_json::from_str(&fit(&program, "base.csv", out, &flags).stdout).unwrap()
    };
    let run = summary("run", &[]);
    // A quarter of 55, 66 and 79 rows, and a fifth of the others for validation.
    assert_eq!(run["test_samples"], 50);
    assert_eq!(
        run["train_samples"].as_u64().unwrap() + run["val_samples"].as_u64().unwrap(),
        150
    );
    let report = program.json(&["eval", "--model", "run", "--json"]);
    assert_eq!(
        (&report["split"], &report["samples"]),
        (&json!("test"), &json!(50))
    );
    assert_eq!(report["accuracy"], run["test_accuracy"]);
    // The same rows for another seed, and no part of training without --test.
    let info = |args: &[&str]| info(&program, "base.csv", args)["hash"].clone();
    assert_eq!(summary("other", &["--seed", "7"])["test_samples"], 50);
    let hash = |run: &str| description(&program, run)["data_hash"].clone();
    assert_eq!(hash("run"), hash("other"));
    assert_ne!(hash("run"), info(&[]));
    let without = summary("without", &["--test", "false"]);
    assert_eq!(
        (&without["test_samples"], &without["train_samples"]),
        (&json!(0), &run["train_samples"])
    );
    assert_eq!(hash("run"), hash("without"));
}

#[test]
fn test_data_may_have_other_columns_classes_and_categories() {
    let program = with_cases(&["base.csv"]);
    let text = fs::read_to_string(program.path("base.csv")).unwrap();
    let rows: String = text
        .lines()
        .skip(1)
        .take(20)
        .map(|line| format!("x,{line}\n"))
        .collect();
    let test = format!("note,len,wid,hgt,wgt,species\n{rows}x,1,2,3,4,oak\nx,1,,3,4,ash\n");
    program.write("test.csv", test);
    let output = fit(&program, "base.csv", "run", &["--test-data", "test.csv"]);
    for words in [
        "test.csv: columns that the model does not know are not used: note",
        "not in the loss: oak",
        "test part: column \"wid\": 1 row without a value",
    ] {
        assert!(output.stderr.contains(words), "{words}: {output:?}");
    }
    let summary: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (&summary["network"], &summary["test_samples"]),
        (&json!("4-8-3, relu"), &json!(22))
    );
    let report = program.json(&["eval", "--model", "run", "--json"]);
    assert_eq!(
        (&report["samples"], &report["accuracy"]),
        (&json!(22), &summary["test_accuracy"])
    );
    assert_eq!(report["classes"][3]["name"], "oak");
    assert_eq!(
        report["confusion"][3]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .sum::<f64>(),
        1.0
    );

    program.write(
        "lacking.csv",
        "len,wid,wgt,species\n1,2,3,ash\n1,2,3,birch\n",
    );
    let train = ["train", "--data", "base.csv", "--test-data", "lacking.csv"];
    program.refused(&train, &["lacking.csv", "\"hgt\""]);
    let both = [&train[..], &["--test-split", "0.2"]].concat();
    program.refused(&both, &["--test-split", "either a share or a file"]);
}

#[test]
fn labels_of_the_other_kind_are_matched_by_number_with_a_notice() {
    let program = with_model();
    program.write(
        "numbers.csv",
        "len,wid,hgt,wgt,species\n1,2,3,4,-1\n1,2,3,4,1\n1,2,3,4,2\n",
    );
    let output = program.run(&["eval", "--model", "run", "--data", "numbers.csv", "--json"]);
    assert!(
        output.stderr.contains("matched by number")
            && output.stderr.contains("1 is birch, 2 is cedar"),
        "{output:?}"
    );
    assert!(
        output.stderr.contains("no class of the model") && output.stderr.contains(": -1 ("),
        "{output:?}"
    );
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["classes"][3]["name"], "-1");
    program.write("twice.csv", "len,wid,len,hgt,wgt\n1,2,3,4,5\n");
    program.write("moved.csv", "wid,len,len,hgt,wgt\n1,2,3,4,5\n");
    let words = ["moved.csv: line 1", "one column \"len\""];
    program.refused(&["predict", "--model", "run", "moved.csv"], &words);
    // One of them is where it was.
    assert_eq!(predictions(&program, "twice.csv", &[]).len(), 1);
}

#[test]
fn a_table_is_analysed_by_itself_or_by_its_test_part() {
    let program = with_cases(&["base.csv", "ymissing_test.npz"]);
    fit(&program, "base.csv", "run", &[]);
    let analyze = ["analyze", "--model", "run", "--json"];
    program.refused(&analyze, &["data", "base.csv", "--test-split"]);
    assert_eq!(
        program.json(&[&analyze[..], &["--data", "base.csv"]].concat())["samples"],
        200
    );
    fit(&program, "base.csv", "split", &["--test-split", "0.25"]);
    assert_eq!(
        program.json(&["analyze", "--model", "split", "--json"])["samples"],
        50
    );
    fit(&program, "ymissing_test.npz", "unseen", &[]);
    program.refused(
        &["analyze", "--model", "unseen"],
        &["none of them: 3, 4, 5"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn tables_are_read_through_a_pipe() {
    let program = with_model();
    let pipe = "/dev/stdin";
    let trained = [
        "train",
        "--data",
        pipe,
        "--out",
        "piped",
        "--json",
        "--epochs",
        "2",
        "--widths",
        "8",
        "--threads",
        "1",
    ];
    program.piped("base.csv", &trained);
    let weights = |run: &str| description(&program, run)["normalizer"].clone();
    assert_eq!(weights("piped"), weights("run"));
    for args in [
        &["data", "info", "--data"][..],
        &["eval", "--model", "run", "--data"],
        &["predict", "--model", "run"],
    ] {
        let strip = |text: &str| {
            text.replace("/dev/stdin", "base.csv")
                .replace("\"stdin\"", "\"base.csv\"")
        };
        let expected = program.stdout(&[args, &["base.csv", "--json"]].concat());
        let output = program.piped("base.csv", &[args, &[pipe, "--json"]].concat());
        assert_eq!(strip(&output.stdout), expected, "{args:?}");
    }
}

/// A table with a category of its own in every row, so that a schema names the rows that it was fitted on.
fn tagged(change: impl Fn(usize, &str) -> Option<String>) -> String {
    let text =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/cat.csv")).unwrap();
    let mut lines = text.lines();
    let mut table = format!("tag,{}\n", lines.next().unwrap());
    for (row, line) in lines.enumerate() {
        let label = line.rsplit(',').next().unwrap();
        let line = change(row, label).unwrap_or(line.to_owned());
        table += &format!("r{row},{line}\n");
    }
    table
}

#[test]
fn no_statistic_sees_rows_of_validation_or_test() {
    let program = Chainrule::new();
    program.write("t.csv", tagged(|_, _| None));
    let args = ["--test-split", "0.2", "--seed", "5"];
    fit(&program, "t.csv", "run", &args);
    let before = description(&program, "run");
    let tags = column(&before["schema"], "tag")["categories"].clone();
    let is_training = |row: usize| tags.as_array().unwrap().contains(&json!(format!("r{row}")));
    let training = (0..200).filter(|&row| is_training(row)).count();
    assert!((120..=136).contains(&training), "80 % of 80 %: {training}");

    let other = |row: usize, label: &str| {
        let cells = ["1e6,mauve,,-5e9", "-1e9,,7e7,1e5"][row % 2];
        (!is_training(row)).then(|| format!("{cells},{label}"))
    };
    program.write("t.csv", tagged(other));
    fit(&program, "t.csv", "changed", &args);
    let after = description(&program, "changed");
    assert_ne!(after["data_hash"], before["data_hash"], "other data");
    for key in ["schema", "normalizer", "spec", "class_names"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    // The same for a change in a training row.
    let row = (0..200).find(|&row| is_training(row)).unwrap();
    program.write(
        "t.csv",
        tagged(|r, label| (r == row).then(|| format!("1e6,mauve,,-5e9,{label}"))),
    );
    fit(&program, "t.csv", "seen", &args);
    assert_ne!(description(&program, "seen")["schema"], before["schema"]);
    assert_ne!(
        description(&program, "seen")["normalizer"],
        before["normalizer"]
    );
}
