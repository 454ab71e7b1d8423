//! Settings that say how a table is read and trained on.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Chainrule, Output, number};
use crate::tables::{column, description, fit, info, predictions, with_cases};

#[test]
fn a_batch_larger_than_the_training_part_is_shortened() {
    let program = with_cases(&["base.csv"]);
    let output = fit(&program, "base.csv", "run", &["--batch-size", "5000"]);
    assert!(
        output
            .stderr
            .contains("batches of 160, all training samples, in place of 5000"),
        "{output:?}"
    );
    let config = fs::read_to_string(program.path("run/config.toml")).unwrap();
    assert!(config.contains("batch_size = 160"), "{config}");
    let same = fit(&program, "base.csv", "same", &["--batch-size", "160"]);
    let loss = |output: &Output| {
        serde_json::from_str::<Value>(&output.stdout).unwrap()["val_loss"].clone()
    };
    assert_eq!(loss(&output), loss(&same));
    let sweep = [
        "sweep",
        "--data",
        "base.csv",
        "--epochs",
        "1",
        "--widths",
        "8",
        "batch_size",
        "--values",
        "16,5000",
    ];
    let output = program.run(&sweep);
    assert!(
        output.code == 0
            && output
                .stdout
                .contains("the whole training part, 160 samples"),
        "{output:?}"
    );
}

#[test]
fn columns_left_out_by_their_index_stay_left_out() {
    let program = Chainrule::new();
    let table = |header: &str| {
        let rows = (0..40).map(|i| format!("{i},{},{},{}\n", i % 7, i % 5, ["a", "b"][i % 2]));
        format!("{header}\n{}", rows.collect::<String>())
    };
    program.write("twice.csv", table("x,x,z,kind"));
    let words = ["line 1", "\"x\" twice", "--drop 0 or --drop 1"];
    program.refused(&["train", "--data", "twice.csv"], &words);
    fit(&program, "twice.csv", "run", &["--drop", "0"]);
    assert_eq!(predictions(&program, "twice.csv", &[]).len(), 40);
    program.stdout(&["eval", "--model", "run", "--split", "validation"]);

    program.write("nameless.csv", table(",x,z,kind"));
    fit(&program, "nameless.csv", "named", &["--id", "0"]);
    let output = program.run(&["predict", "--model", "named", "nameless.csv", "--json"]);
    assert_eq!(output.stderr, "");
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["predictions"][7]["ids"], json!({"0": "7"}));

    program.write("trailing.csv", table("i,x,z,kind").replace('\n', ",\n"));
    let output = fit(&program, "trailing.csv", "trailing", &["--drop", "i"]);
    assert!(
        output.stderr.contains("label: column \"kind\" (3)"),
        "{output:?}"
    );
}

/// A table for which every setting matters.
const ODD: &str = "7|2|1,5|low|x|0|a\n8|-|2,5|high|y|1|b\n9|3|0,5|none|z|0|a\n10|4|1,5|low|x|1|b\n\
                   11|3|2,0|low|y|0|a\n12|5|1,0|high|x|1|b\n13|1|2,25|low|z|0|a\n14|2|1,75|high|x|1|b\n";

#[test]
fn flags_and_settings_files_say_how_a_table_is_read() {
    let program = Chainrule::new();
    program.write("odd.csv", ODD);
    let flags = [
        "--delimiter",
        "|",
        "--decimal",
        ",",
        "--header",
        "false",
        "--missing",
        "-,none",
        "--drop",
        "0",
        "--id",
        "4",
        "--categorical",
        "5",
        "--numeric",
        "1",
        "--label",
        "6",
    ];
    let file = "[data]\ndelimiter = \"|\"\ndecimal = \",\"\nheader = false\nmissing = [\"-\", \"none\"]\ndrop = [0]\n\
                id = [4]\ncategorical = [\"5\"]\nnumeric = [1]\nlabel = 6\n";
    program.write("table.toml", file);
    // All classes have few rows, so all rows are for training.
    let all = ["--validation", "0"];
    fit(&program, "odd.csv", "flags", &[&flags[..], &all].concat());
    fit(
        &program,
        "odd.csv",
        "file",
        &[&["--config", "table.toml"], &all[..]].concat(),
    );
    let schema = description(&program, "flags")["schema"].clone();
    assert_eq!(schema, description(&program, "file")["schema"]);
    assert_eq!(schema, info(&program, "odd.csv", &flags)["schema"]);
    let treatment = |name: &str| column(&schema, name);
    assert_eq!(schema["columns"].as_array().unwrap().len(), 4);
    assert_eq!(
        treatment("1"),
        json!({"name": "1", "position": 1, "kind": "number", "median": 3.0, "missing": true})
    );
    assert_eq!(
        treatment("2"),
        json!({"name": "2", "position": 2, "kind": "number", "median": 1.625, "missing": false})
    );
    let words = json!({"name": "3", "position": 3, "kind": "category", "categories": ["high", "low"], "missing": true});
    assert_eq!(treatment("3"), words);
    let digits = json!({"name": "5", "position": 5, "kind": "category", "categories": ["0", "1"], "missing": false});
    assert_eq!(treatment("5"), digits);
    // The model's run knows all of it.
    let report = program.json(&["eval", "--model", "flags", "--json"]);
    assert_eq!(report["samples"], 8);
    let predict = ["predict", "--model", "flags", "odd.csv", "--json"];
    let rows = program.json(&predict)["predictions"].clone();
    assert_eq!(
        (rows.as_array().unwrap().len(), &rows[2]["ids"]),
        (8, &json!({"4": "z"}))
    );
}

#[test]
fn settings_that_fit_no_column_are_refused() {
    let program = with_cases(&["base.csv", "cat.csv", "f16.npz"]);
    for (file, args, words) in [
        (
            "base.csv",
            &["--drop", "wide"][..],
            &["drop", "\"wide\"", "len, wid, hgt, wgt, species"][..],
        ),
        (
            "base.csv",
            &["--numeric", "species"],
            &["numeric", "\"species\"", "the label"],
        ),
        (
            "base.csv",
            &["--numeric", "len", "--categorical", "len"],
            &["categorical", "two"],
        ),
        (
            "base.csv",
            &["--drop", "species", "--label", "species"],
            &["drop", "\"species\""],
        ),
        (
            "cat.csv",
            &["--numeric", "colour"],
            &["cat.csv: line ", "column 2 (colour)", "\"green\""],
        ),
        ("base.csv", &["--delimiter", "ab"], &["delimiter", "\"ab\""]),
        (
            "base.csv",
            &["--decimal", ","],
            &["column 1 (len)", "--decimal"],
        ),
        ("f16.npz", &["--missing", "9"], &["missing", "CSV", "NaN"]),
    ] {
        program.refused(&[&["data", "info", "--data", file], args].concat(), words);
    }
}

#[test]
fn a_number_that_stands_for_a_missing_value_counts_in_any_spelling() {
    let program = Chainrule::new();
    let cells = ["-999", "1.5", "-999.0", "2.5", "-9.99e2", "3.5"];
    let rows = (0..60).map(|i| format!("{},00999,{}\n", cells[i % 6], ["a", "b"][i % 2]));
    program.write(
        "t.csv",
        format!("x,code,kind\n{}", rows.collect::<String>()),
    );
    for word in ["--missing=-999", "--missing=-999.0"] {
        let schema = info(&program, "t.csv", &[word])["schema"].clone();
        assert_eq!(column(&schema, "x")["missing"], true);
        assert!(number(&column(&schema, "x")["median"]) > 0.0);
    }
    let schema = info(&program, "t.csv", &["--missing=999"])["schema"].clone();
    assert_eq!(column(&schema, "code")["categories"], json!(["00999"]));
}

/// Numbers that are written as no program reads them.
#[test]
fn numbers_with_signs_and_separators_are_refused_with_advice() {
    let program = Chainrule::new();
    for sample in ["\"1,2##\"", "4.##%", "$1##", "1 2##", "\u{2212}1.##"] {
        let rows = (10..80).map(|i| {
            format!(
                "{},{}\n",
                sample.replace("##", &i.to_string()),
                ["a", "b"][i % 2]
            )
        });
        program.write("t.csv", format!("x,kind\n{}", rows.collect::<String>()));
        let words = [
            "t.csv: line ",
            "column 1 (x)",
            "without signs and separators",
            "--drop x",
        ];
        program.refused(&["data", "info", "--data", "t.csv"], &words);
    }
    let rows = (10..80).map(|i| format!("1.2{i},50;0,{i};{}\n", ["a", "b"][i % 2]));
    program.write("t.csv", format!("x;z;kind\n{}", rows.collect::<String>()));
    program.refused(
        &["data", "info", "--data", "t.csv"],
        &["column 1 (x)", "\"1.2", ",50\""],
    );
}

#[test]
fn a_study_of_a_small_table_without_a_test_part() {
    let program = with_cases(&["base.csv"]);
    let text = fs::read_to_string(program.path("base.csv")).unwrap();
    let head: Vec<&str> = text.lines().take(41).collect();
    program.write("small.csv", head.join("\n"));
    let study = [
        "study",
        "--data",
        "small.csv",
        "--preset",
        "quick",
        "--out",
        "study",
    ];
    let output = program.run(&study);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(
        output
            .stderr
            .contains("batches of 32, all training samples, in place of"),
        "{output:?}"
    );
    let page = fs::read_to_string(program.path("study/report/report.html")).unwrap();
    assert!(!page.contains("not tested yet"));
}

/// 1/σ of `tiny` is beyond f64. A sweep or a search tells it before its first trial, and makes no study file.
#[test]
fn a_column_that_cannot_be_standardised_is_refused_by_its_name() {
    let program = Chainrule::new();
    let rows = (0..60).map(|i| format!("{}e-321,{i},{}\n", i % 7, ["u", "v"][i % 2]));
    let table = format!("tiny,b,y\n{}", rows.collect::<String>());
    fs::write(program.path("tiny.csv"), table).unwrap();
    let table = ["--data", "tiny.csv", "--label", "y"];
    for command in [
        ["train", "--precision", "f32"].as_slice(),
        &["train", "--precision", "f64"],
        &["search", "--lr", "0.001..0.01", "--study", "study.journal"],
        &[
            "sweep",
            "lr",
            "--values",
            "0.01,0.1",
            "--study",
            "study.journal",
        ],
    ] {
        let output = program.run(&[command, &table].concat());
        assert!(
            output.code == 2
                && output
                    .stderr
                    .contains("found column tiny; --drop leaves a column out"),
            "{output:?}"
        );
        // f64 holds no more than f64.
        let offered = output.stderr.contains("--precision f64 holds more");
        assert_eq!(offered, !command.contains(&"f64"), "{output:?}");
    }
    assert!(!program.path("study.journal").exists());
}
