//! `sweep`: one setting at a time.

use std::fs;

use serde_json::Value;

use crate::support::{Chainrule, number, numbers, write_images};

fn flags(program: &Chainrule) -> Vec<&'static str> {
    write_images(program, "set.npz");
    vec![
        "sweep",
        "--data",
        "set.npz",
        "--epochs",
        "2",
        "--batch-size",
        "11",
        "--threads",
        "2",
        "--quiet",
        "--repeats",
        "2",
    ]
}

/// The values of a setting and their repeats.
type Cells = Vec<(String, Vec<f64>)>;

/// The figures of the series, without what depends on time and place.
fn figures(report: &Value) -> Vec<(String, Cells)> {
    let series = report["series"].as_array().unwrap().iter();
    let cells = |series: &Value| {
        series["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["value"].to_string(), numbers(&c["repeats"])))
            .collect()
    };
    series
        .map(|s| (s["parameter"].to_string(), cells(s)))
        .collect()
}

#[test]
fn several_settings_each_with_repeats() {
    let program = Chainrule::new();
    let flags = flags(&program);
    let more = [
        "--json",
        "width",
        "--values",
        "5,9",
        "activation",
        "--values",
        "relu,tanh,elu",
    ];
    let report = program.json(&[&flags[..], &more].concat());
    let found = figures(&report);
    assert_eq!(
        found
            .iter()
            .map(|(p, c)| (p.as_str(), c.len()))
            .collect::<Vec<_>>(),
        [("\"width\"", 2), ("\"activation\"", 3)]
    );
    for series in report["series"].as_array().unwrap() {
        for cell in series["values"].as_array().unwrap() {
            let repeats = numbers(&cell["repeats"]);
            assert_eq!(repeats.len(), 2);
            assert!(
                (number(&cell["mean"]["mean"]) - (repeats[0] + repeats[1]) / 2.0).abs() <= 1e-15
            );
            assert!(number(&cell["mean"]["interval"]["low"]) <= number(&cell["mean"]["mean"]));
        }
    }
    // A second call has nothing left to do, and the figures stay the same.
    let before = fs::read(program.path("sweep.journal")).unwrap();
    assert_eq!(figures(&program.json(&[&flags[..], &more].concat())), found);
    assert_eq!(fs::read(program.path("sweep.journal")).unwrap(), before);
    // With other values in another order, in another file, the figures of a value stay the same.
    let other = [
        "--json",
        "--study",
        "other",
        "activation",
        "--values",
        "silu,tanh,relu",
    ];
    let other = figures(&program.json(&[&flags[..], &other].concat()));
    let cell = |figures: &[(String, Cells)], value: &str| {
        figures
            .iter()
            .flat_map(|(_, cells)| cells)
            .find(|(v, _)| v == value)
            .unwrap()
            .1
            .clone()
    };
    for value in ["\"tanh\"", "\"relu\""] {
        assert_eq!(cell(&other, value), cell(&found, value));
    }
    let table = program.stdout(&[
        "sweep",
        "--data",
        "set.npz",
        "--epochs",
        "2",
        "--batch-size",
        "11",
        "--repeats",
        "2",
        "width",
        "--values",
        "5,9",
    ]);
    assert!(
        table.contains("95 % interval") && table.contains("width"),
        "{table}"
    );
}

#[test]
fn bad_input_is_refused() {
    let program = Chainrule::new();
    let flags = flags(&program);
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["sweep", "0 settings"]),
        (&["width"], &["1 settings and 0 lists"]),
        (&["speed", "--values", "1,2"], &["speed", "lr"]),
        (&["width", "--values", "1,many"], &["width", "many"]),
        (
            &["width", "--values", "1,2", "width", "--values", "3"],
            &["twice"],
        ),
        (
            &["width", "--values", "1,2", "--lr", "0.1..0.2"],
            &["lr", "single value"],
        ),
        (&["--preset", "seven"], &["--preset"]),
        (&["--preset", "six", "width"], &["--preset"]),
    ];
    for (more, words) in cases {
        program.refused(&[&flags[..], more].concat(), words);
    }
    assert!(!program.path("sweep.journal").exists());
}
