//! What numbers and several labels are judged by, in every command that shows or chooses a model.

use std::fs;

use serde_json::Value;

use crate::support::{Chainrule, number};

/// Two numbers of very different size, and two labels, that follow from three features.
fn write_tables(program: &Chainrule) {
    let mut numbers = "a,b,c,metres,euros\n".to_owned();
    let mut labels = "a,b,c,warm,wet\n".to_owned();
    for i in 0..150_u32 {
        let draw = |factor: u32| f64::from(i * factor % 101) / 101.0;
        let (a, b, c) = (draw(37), draw(59), draw(83));
        let row = format!("{a:.4},{b:.4},{c:.4}");
        numbers += &format!("{row},{:.8},{:.2}\n", 1e-4 * (a - b), 1e6 * (a + b * c));
        labels += &format!("{row},{},{}\n", u8::from(a > b), u8::from(c > 0.7));
    }
    program.write("numbers.csv", numbers);
    program.write("labels.csv", labels);
}

fn train(program: &Chainrule, data: &str, label: &str) -> Value {
    let flags = ["--test-split", "0.2", "--epochs", "3", "--width", "16"];
    let mut args = vec![
        "train", "--data", data, "--label", label, "--out", "run", "--json",
    ];
    args.extend(flags);
    program.json(&args)
}

#[test]
fn numbers_are_judged_in_their_own_units() {
    let program = Chainrule::new();
    write_tables(&program);
    let summary = train(&program, "numbers.csv", "metres,euros");
    assert_eq!(summary["task"], "regression");
    assert!(summary["train_accuracy"].is_null() && summary["test_accuracy"].is_null());
    let report = program.json(&["eval", "--model", "run", "--json"]);
    for metric in ["rmse", "mae", "r2", "loss"] {
        assert_eq!(
            report[metric],
            summary[format!("test_{metric}")],
            "{metric}"
        );
    }
    let names = [&report["targets"][0]["name"], &report["targets"][1]["name"]];
    assert_eq!(names, ["metres", "euros"]);
    let [small, large] = [0, 1].map(|target| number(&report["targets"][target]["rmse"]));
    assert!(small < 1e-3 && large > 1e3, "{report}");
    assert!((number(&report["rmse"]) - (small + large) / 2.0).abs() <= 1e-6 * large);
    assert!(report["accuracy"].is_null() && report["confusion"].is_null());
    let text = program.stdout(&["eval", "--model", "run"]);
    assert!(
        text.contains("RMSE") && text.contains("metres  ") && text.contains("  mean  "),
        "{text}"
    );

    let list = program.json(&["runs", "run", "--json"]);
    assert_eq!(list["runs"][0]["val_rmse"], summary["val_rmse"]);
    assert!(list["runs"][0].get("val_accuracy").is_none(), "{list}");
    program.refused(
        &["analyze", "--model", "run"],
        &["expected a model of classes"],
    );
}

#[test]
fn several_labels_are_judged_by_their_decisions() {
    let program = Chainrule::new();
    write_tables(&program);
    let summary = train(&program, "labels.csv", "warm,wet");
    assert_eq!(summary["task"], "multilabel");
    let report = program.json(&["eval", "--model", "run", "--json"]);
    for metric in ["f1_micro", "f1_macro", "accuracy", "loss"] {
        assert_eq!(
            report[metric],
            summary[format!("test_{metric}")],
            "{metric}"
        );
    }
    for metric in ["roc_auc", "average_precision"] {
        assert!((0.0..=1.0).contains(&number(&report[metric])), "{report}");
    }
    let f1 = [0, 1].map(|label| number(&report["labels"][label]["f1"]));
    assert!(
        (number(&report["f1_macro"]) - (f1[0] + f1[1]) / 2.0).abs() <= 1e-12,
        "{report}"
    );
    let text = program.stdout(&["eval", "--model", "run"]);
    assert!(
        text.contains("micro average") && text.contains(" wet  "),
        "{text}"
    );
}

/// The smaller RMSE is the better one, and the larger F1.
#[test]
fn a_search_goes_by_the_main_metric() {
    for (data, label, objective, direction) in [
        ("numbers.csv", "metres,euros", "val_rmse", 1.0),
        ("labels.csv", "warm,wet", "val_f1_micro", -1.0),
    ] {
        let program = Chainrule::new();
        write_tables(&program);
        let flags = [
            "--data", data, "--label", label, "--epochs", "2", "--width", "8",
        ];
        let mut args = vec!["search", "--lr", "1e-5..1e-2:log", "--trials", "2"];
        args.extend(["--keep", "2", "--study", "s.journal", "--json"]);
        args.extend(flags);
        let report = program.json(&args);
        assert_eq!(report["objective"], objective);
        let best = report["best"].as_array().unwrap();
        let values: Vec<f64> = best.iter().map(|trial| number(&trial["value"])).collect();
        assert!(direction * values[0] <= direction * values[1], "{report}");
        program.stdout(&["report", "s.journal"]);
        let csv = fs::read_to_string(program.path("s.report/figures/search-history.csv")).unwrap();
        assert!(
            csv.starts_with(&format!("trial,{objective},best\n")),
            "{csv}"
        );
        args.extend(["--objective", "val_balanced_accuracy"]);
        let study = args.iter().position(|arg| *arg == "s.journal").unwrap();
        args[study] = "t.journal";
        let expected = format!("expected {objective},");
        program.refused(&args, &["--objective", &expected]);
    }
}
