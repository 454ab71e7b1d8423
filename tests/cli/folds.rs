//! Cross-validation through the program.

use std::fs;

use serde_json::Value;

use crate::support::{number, numbers};
use crate::tasks::{Y, records, with_table};

#[test]
fn folds_are_runs_under_one_folder() {
    let program = with_table();
    let fixed = [
        "train", "--data", "t.csv", "--id", "id", "--out", "cv", "--folds", "3", "--widths", "8",
        "--epochs", "4",
    ];
    let args = [&fixed[..], &Y].concat();
    let summary = program.json(&[&args[..], &["--json", "--quiet"]].concat());
    let folds = summary["folds"].as_array().unwrap();
    assert_eq!(folds.len(), 3);
    let values: Vec<f64> = folds.iter().map(|fold| number(&fold["val_rmse"])).collect();
    let mean = number(&summary["metrics"]["val_rmse"]["mean"]);
    assert!(
        (values.iter().sum::<f64>() / 3.0 - mean).abs() < 1e-9 * mean,
        "{summary}"
    );
    assert!(folds.iter().all(|fold| fold["test_rmse"].is_null()));
    let samples: f64 = folds.iter().map(|fold| number(&fold["val_samples"])).sum();
    assert_eq!(samples, 300.0);
    // Nothing is left to do, and the result is the same.
    let again = program.json(&["train", "--resume", "cv", "--json", "--quiet"]);
    assert_eq!(again["metrics"], summary["metrics"]);
    // A fold that is gone is trained again, with the same numbers.
    let before = records(&program, "cv/fold-2");
    fs::remove_dir_all(program.path("cv/fold-2")).unwrap();
    program.json(&["train", "--resume", "cv", "--json", "--quiet"]);
    assert_eq!(records(&program, "cv/fold-2"), before);

    let all = program.json(&["predict", "--model", "cv", "t.csv", "--json"]);
    let each: Vec<Value> = (1..=3)
        .map(|fold| {
            program.json(&[
                "predict",
                "--model",
                &format!("cv/fold-{fold}"),
                "t.csv",
                "--json",
            ])
        })
        .collect();
    for row in [0, 7, 299] {
        let value = |found: &Value| numbers(&found["predictions"][row]["values"])[0];
        let mean = each.iter().map(value).sum::<f64>() / 3.0;
        assert!((value(&all) - mean).abs() < 1e-9 * mean.abs(), "{row}");
    }
    program.refused(&["eval", "--model", "cv"], &["fold-1", "predict"]);
    program.refused(&args, &["in use", "--resume"]);
    program.refused(&["train", "--resume", "cv", "--folds", "4"], &["folds"]);
    let search = [
        "search", "--data", "t.csv", "--folds", "3", "--width", "4..8", "--trials", "1",
    ];
    program.refused(&search, &["data.folds (--folds)", "only train"]);
    let both = [
        "train",
        "--data",
        "t.csv",
        "--folds",
        "3",
        "--validation",
        "0.2",
    ];
    program.refused(&both, &["either folds or a validation share"]);
}
