//! Tables as people bring them: the files of `tests/cases`, each with what it should do.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Chainrule, Output, number, numbers};

/// The folder of the files.
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");

/// The program, with these files in its folder.
pub(crate) fn with_cases(names: &[&str]) -> Chainrule {
    let program = Chainrule::new();
    for name in names {
        program.write(name, fs::read(format!("{CASES}/{name}")).unwrap());
    }
    program
}

/// A short training that must succeed. Its notices are on standard error.
#[track_caller]
pub(crate) fn fit(program: &Chainrule, data: &str, out: &str, args: &[&str]) -> Output {
    let fixed = ["train", "--data", data, "--out", out, "--json"];
    let small = ["--epochs", "2", "--widths", "8", "--threads", "1"];
    let output = program.run(&[&fixed[..], &small, args].concat());
    assert_eq!(output.code, 0, "{data} {args:?}: {output:?}");
    output
}

/// A training that is long enough to learn a table of the cases.
#[track_caller]
fn learn(program: &Chainrule, data: &str, args: &[&str]) -> Value {
    let fixed = ["train", "--data", data, "--out", "run", "--json", "--quiet"];
    let long = ["--epochs", "30", "--batch-size", "32", "--threads", "1"];
    program.json(&[&fixed[..], &long, args].concat())
}

/// What `data info` says of a table.
#[track_caller]
pub(crate) fn info(program: &Chainrule, data: &str, args: &[&str]) -> Value {
    program.json(&[&["data", "info", "--json", "--data", data], args].concat())
}

/// What a run's model says of itself.
pub(crate) fn description(program: &Chainrule, run: &str) -> Value {
    let file = fs::read(program.path(run).join("model.safetensors")).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let text = header["__metadata__"]["chainrule"].as_str().unwrap();
    serde_json::from_str(text).unwrap()
}

/// Class, name and probabilities of each row.
#[track_caller]
pub(crate) fn predictions(program: &Chainrule, file: &str, args: &[&str]) -> Vec<Value> {
    let fixed = ["predict", "--model", "run", "--json", file];
    let report = program.json(&[&fixed[..], args].concat());
    let rows = report["predictions"].as_array().unwrap();
    let kept = |row: &Value| json!([row["class"], row["name"], row["probabilities"]]);
    rows.iter().map(kept).collect()
}

/// The share of rows whose predicted name is the last cell of a labelled file.
fn share_right(program: &Chainrule, predictions: &[Value], labelled: &str) -> f64 {
    let text = fs::read_to_string(program.path(labelled)).unwrap();
    let labels = text.lines().skip(1).map(|line| line.rsplit(',').next());
    let right = predictions
        .iter()
        .zip(labels)
        .filter(|(row, label)| row[1].as_str() == *label);
    right.count() as f64 / predictions.len() as f64
}

#[test]
fn columns_are_taken_by_name_in_any_order() {
    let program = with_cases(&["base.csv", "pred_reordered.csv"]);
    learn(&program, "base.csv", &[]);
    let expected = predictions(&program, "base.csv", &[]);
    assert_eq!(expected.len(), 200);
    let right = share_right(&program, &expected, "base.csv");
    assert!(right > 0.9, "the model knows the classes: {right}");
    assert_eq!(predictions(&program, "pred_reordered.csv", &[]), expected);

    let text = fs::read_to_string(program.path("pred_reordered.csv")).unwrap();
    program.write("renamed.csv", text.replacen("hgt", "height", 1));
    let words = ["renamed.csv", "\"hgt\"", "wgt, height, wid, len"];
    program.refused(&["predict", "--model", "run", "renamed.csv"], &words);
    program.refused(&["eval", "--model", "run", "--data", "renamed.csv"], &words);
}

#[test]
fn ids_are_carried_into_the_predictions() {
    let program = with_cases(&["base.csv", "pred_id_first.csv"]);
    learn(&program, "base.csv", &[]);
    let expected = predictions(&program, "base.csv", &[]);
    assert_eq!(
        predictions(&program, "pred_id_first.csv", &["--id", "id"]),
        expected
    );

    let predict = [
        "predict",
        "--model",
        "run",
        "pred_id_first.csv",
        "--out",
        "p.csv",
    ];
    let unnamed = program.run(&predict);
    assert!(unnamed.stderr.contains("not used: id"), "{unnamed:?}");
    let output = program.run(&[&predict[..], &["--id", "id"]].concat());
    assert!(!output.stderr.contains("not used"), "{output:?}");
    let text = fs::read_to_string(program.path("p.csv")).unwrap();
    let mut lines = text.lines();
    let header = "id,input,row,class,name,probability,p_ash,p_birch,p_cedar";
    assert_eq!(lines.next(), Some(header));
    for (id, (line, expected)) in lines.by_ref().zip(&expected).enumerate() {
        let name = expected[1].as_str().unwrap();
        let start = format!("{id},pred_id_first.csv,{},{},{name},", id + 1, expected[0]);
        assert!(line.starts_with(&start), "{line}");
    }
}

#[test]
fn labels_that_are_large_numbers_are_names() {
    let program = with_cases(&["label_zip.csv"]);
    let summary = learn(&program, "label_zip.csv", &["--widths", "16"]);
    assert_eq!(summary["network"], "4-16-3, relu");
    let report = program.json(&["eval", "--model", "run", "--json"]);
    assert!(number(&report["accuracy"]) > 0.9, "{report}");
    let classes = report["classes"].as_array().unwrap();
    let names: Vec<&Value> = classes.iter().map(|class| &class["name"]).collect();
    assert_eq!(names, ["10115", "20095", "50667"]);
    assert_eq!(report["confusion"].as_array().unwrap().len(), 3);
    let rows = predictions(&program, "label_zip.csv", &[]);
    assert!(share_right(&program, &rows, "label_zip.csv") > 0.9);
}

#[test]
fn labels_of_minus_one_and_one_are_two_classes() {
    let program = with_cases(&["label_pm1.csv"]);
    let summary = learn(&program, "label_pm1.csv", &["--widths", "16"]);
    assert_eq!(summary["network"], "4-16-2, relu");
    assert_eq!(
        info(&program, "label_pm1.csv", &[])["class_names"],
        json!(["-1", "1"])
    );
    let rows = predictions(&program, "label_pm1.csv", &[]);
    assert!(share_right(&program, &rows, "label_pm1.csv") > 0.9);
}

#[test]
fn a_header_of_numbers_is_recognised() {
    let program = with_cases(&["base.csv", "int_header.csv"]);
    let (base, found) = (
        info(&program, "base.csv", &[]),
        info(&program, "int_header.csv", &[]),
    );
    for key in ["hash", "parts", "class_names"] {
        assert_eq!(found[key], base[key], "{key}");
    }
    let columns = found["schema"]["columns"].as_array().unwrap();
    let names: Vec<&Value> = columns.iter().map(|column| &column["name"]).collect();
    assert_eq!(names, ["0", "1", "2", "3"]);
    let notices = found["notices"].to_string();
    assert!(
        notices.contains("taken for a header") && notices.contains("--header false"),
        "{notices}"
    );
    // Its user may say that it is none, or that it is one.
    let all = info(&program, "int_header.csv", &["--header", "false"]);
    assert_eq!(all["parts"][0]["samples"], 201);
    assert_eq!(
        all["class_names"],
        json!(["ash", "birch", "cedar", "species"])
    );
    let said = info(&program, "int_header.csv", &["--header", "true"]);
    assert_eq!(said["hash"], base["hash"]);
    assert!(!said["notices"].to_string().contains("taken for a header"));
}

#[test]
fn a_column_that_counts_the_rows_gets_a_notice() {
    let program = with_cases(&["index_leak.csv"]);
    let output = fit(&program, "index_leak.csv", "run", &[]);
    assert!(output.stderr.contains("counts the rows"), "{output:?}");
    assert!(output.stderr.contains("--drop 0"), "{output:?}");
    for (flag, out) in [("--drop", "dropped"), ("--id", "named")] {
        let output = fit(&program, "index_leak.csv", out, &[flag, "0"]);
        assert!(!output.stderr.contains("counts the rows"), "{output:?}");
        assert!(
            output.stdout.contains("\"network\":\"3-8-3, relu\""),
            "{output:?}"
        );
    }
}

#[test]
fn other_dialects_have_the_same_numbers() {
    let program = with_cases(&["base.csv", "semi_decimal_comma.csv", "sep_line.csv"]);
    let base = info(&program, "base.csv", &[]);
    for (file, flags) in [
        (
            "semi_decimal_comma.csv",
            &["--delimiter", ";", "--decimal", ","][..],
        ),
        ("semi_decimal_comma.csv", &[]),
        ("sep_line.csv", &["--delimiter", ";"]),
        ("sep_line.csv", &[]),
    ] {
        let found = info(&program, file, flags);
        for key in ["hash", "schema", "class_names"] {
            assert_eq!(found[key], base[key], "{file} {flags:?}: {key}");
        }
    }
    fit(&program, "base.csv", "run", &[]);
    let expected = predictions(&program, "base.csv", &[]);
    for file in ["semi_decimal_comma.csv", "sep_line.csv"] {
        assert_eq!(predictions(&program, file, &[]), expected, "{file}");
    }
}

/// The column of a schema with this name.
pub(crate) fn column(schema: &Value, name: &str) -> Value {
    let columns = schema["columns"].as_array().unwrap();
    let found = columns.iter().find(|column| column["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {schema}")).clone()
}

/// The middle one of the numbers in a column of a file; the mean of two.
fn median(program: &Chainrule, file: &str, column: usize) -> f64 {
    let text = fs::read_to_string(program.path(file)).unwrap();
    let cells = text.lines().skip(1).map(|line| line.split(',').nth(column));
    let mut numbers: Vec<f64> = cells.filter_map(|cell| cell?.parse().ok()).collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() % 2 {
        0 => (numbers[middle - 1] + numbers[middle]) / 2.0,
        _ => numbers[middle],
    }
}

#[test]
fn missing_numbers_become_the_median_and_a_further_input() {
    let program = with_cases(&["missing_na.csv"]);
    let found = info(&program, "missing_na.csv", &[]);
    let hgt = column(&found["schema"], "hgt");
    assert_eq!(
        (&hgt["kind"], &hgt["missing"]),
        (&json!("number"), &json!(true))
    );
    fit(&program, "missing_na.csv", "all", &["--validation", "0"]);
    let of_all = column(&description(&program, "all")["schema"], "hgt");
    let expected = median(&program, "missing_na.csv", 2);
    assert!((number(&of_all["median"]) - expected).abs() < 1e-12);
    assert_ne!(hgt, of_all, "a fifth of the rows is for validation");
    assert_eq!(column(&found["schema"], "wid")["missing"], false);
    let summary = learn(&program, "missing_na.csv", &["--widths", "16"]);
    assert_eq!(summary["network"], "5-16-3, relu");
    // A missing value is known in one column, and new in the other.
    program.write(
        "rows.csv",
        "len,wid,hgt,wgt\n1,2,,4\n1,2,?,4\n1,2,null,4\n1,,3,4\n",
    );
    let output = program.run(&["predict", "--model", "run", "rows.csv"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(
        output
            .stderr
            .contains("column \"wid\": 1 row without a value"),
        "{output:?}"
    );
    assert!(!output.stderr.contains("hgt"), "{output:?}");
    let rows = predictions(&program, "rows.csv", &[]);
    assert!(rows[0] == rows[1] && rows[1] == rows[2]);
    let wid = column(&description(&program, "run")["schema"], "wid")["median"].clone();
    program.write("filled.csv", format!("len,wid,hgt,wgt\n1,{wid},3,4\n"));
    assert_eq!(
        predictions(&program, "filled.csv", &[])[0],
        rows[3],
        "imputed by the median"
    );
}

#[test]
fn booleans_become_zero_and_one() {
    let program = with_cases(&["bool.csv"]);
    let smoker = column(&info(&program, "bool.csv", &[])["schema"], "smoker");
    assert_eq!(
        (&smoker["kind"], &smoker["missing"]),
        (&json!("boolean"), &json!(false))
    );
    let output = fit(&program, "bool.csv", "run", &[]);
    assert!(
        output.stdout.contains("\"network\":\"4-8-3, relu\""),
        "{output:?}"
    );
    program.write(
        "rows.csv",
        "len,wid,smoker,wgt\n1,2,TRUE,4\n1,2,yes,4\n1,2,1,4\n1,2,False,4\n1,2,,4\n",
    );
    let rows = predictions(&program, "rows.csv", &[]);
    assert!(rows[0] == rows[1] && rows[1] == rows[2]);
    assert!(rows[0] != rows[3]);
    let output = program.run(&["predict", "--model", "run", "rows.csv"]);
    assert!(
        output
            .stderr
            .contains("column \"smoker\": 1 row without a value"),
        "{output:?}"
    );
    program.write(
        "wrong.csv",
        "len,wid,smoker,wgt\n1,2,True,4\n1,2,sometimes,4\n",
    );
    let words = ["line 3, column 3 (smoker)", "\"sometimes\"", "true, false"];
    program.refused(&["predict", "--model", "run", "wrong.csv"], &words);
}

#[test]
fn categories_become_one_input_each() {
    let program = with_cases(&["cat.csv"]);
    let colour = column(&info(&program, "cat.csv", &[])["schema"], "colour");
    assert_eq!(colour["kind"], "category");
    assert_eq!(colour["categories"], json!(["blue", "green", "red"]));
    let output = fit(&program, "cat.csv", "run", &[]);
    assert!(
        output.stdout.contains("\"network\":\"6-8-3, relu\""),
        "{output:?}"
    );
    program.write(
        "rows.csv",
        "len,colour,hgt,wgt\n1,red,3,4\n1,blue,3,4\n1,mauve,3,4\n1,,3,4\n",
    );
    let output = program.run(&["predict", "--model", "run", "rows.csv"]);
    assert_eq!(output.code, 0, "{output:?}");
    for words in [
        "column \"colour\": 1 row of categories",
        "(\"mauve\")",
        "column \"colour\": 1 row without a value",
    ] {
        assert!(output.stderr.contains(words), "{output:?}");
    }
    let rows = predictions(&program, "rows.csv", &[]);
    assert!(rows[0] != rows[1] && rows[1] != rows[2]);
    assert_eq!(rows[2], rows[3], "all zeros for both");
}

#[test]
fn arrays_of_other_types_are_read() {
    let names = ["booly.npz", "f16.npz", "onehot.npz", "stry.npz"];
    let program = with_cases(&[&names[..], &["base.csv"]].concat());
    let base = info(&program, "base.csv", &[]);
    let numbered = json!(["0", "1", "2"]);
    for (name, classes, counts) in [
        ("booly.npz", json!(["False", "True"]), json!([55, 145])),
        ("f16.npz", numbered.clone(), json!([55, 66, 79])),
        ("onehot.npz", numbered, json!([55, 66, 79])),
        (
            "stry.npz",
            json!(["ash", "birch", "cedar"]),
            json!([55, 66, 79]),
        ),
    ] {
        let found = info(&program, name, &[]);
        assert_eq!(found["class_names"], classes, "{name}");
        assert_eq!(found["parts"][0]["class_counts"], counts, "{name}");
        // Two have the numbers and labels of the CSV file, in f64.
        if ["onehot.npz", "stry.npz"].contains(&name) {
            assert_eq!(found["hash"], base["hash"], "{name}");
        }
        fit(&program, name, name.trim_end_matches(".npz"), &[]);
    }
    // float16 is read to the nearest number that it has.
    let part = &info(&program, "f16.npz", &[])["parts"][0];
    assert_eq!(
        (number(&part["min"]), number(&part["max"])),
        (-7.34375, 4.30078125)
    );
}

#[test]
fn classes_come_from_the_training_labels() {
    let program = with_cases(&["ymissing_test.npz"]);
    let output = fit(&program, "ymissing_test.npz", "run", &[]);
    let notice = "labels that no training row has count as errors, and not in the loss";
    assert!(output.stderr.contains(notice), "{output:?}");
    let summary: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(summary["network"], "4-8-3, relu");
    assert_eq!(
        (&summary["test_samples"], &summary["test_accuracy"]),
        (&json!(30), &json!(0.0))
    );
    // The same network without the test part.
    let without = fit(
        &program,
        "ymissing_test.npz",
        "without",
        &["--test", "false"],
    );
    assert!(
        without.stdout.contains("\"network\":\"4-8-3, relu\""),
        "{without:?}"
    );
    assert!(!without.stderr.contains(notice), "{without:?}");
    let report = program.json(&["eval", "--model", "run", "--json"]);
    assert_eq!(
        (&report["samples"], &report["accuracy"]),
        (&json!(30), &json!(0.0))
    );
    let seen: f64 = report["confusion"].as_array().unwrap()[3..]
        .iter()
        .flat_map(numbers)
        .sum();
    assert_eq!(seen, 30.0, "three rows of labels that are no class");
}
