//! `report`.

use std::fs;

use crate::support::{Chainrule, Pixels, number, write_images};

#[test]
fn one_page_shows_a_search_and_a_sweep_of_one_file() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let fixed = [
        "--data",
        "set.npz",
        "--epochs",
        "2",
        "--width",
        "7",
        "--batch-size",
        "11",
        "--quiet",
        "--study",
        "all.journal",
    ];
    program.stdout(
        &[
            &[
                "search",
                "--trials",
                "4",
                "--lr",
                "1e-3..1e-1:log",
                "--activation",
                "relu,tanh",
            ][..],
            &fixed,
        ]
        .concat(),
    );
    program.stdout(
        &[
            &["sweep", "dropout", "--values", "0,0.5", "--repeats", "2"][..],
            &fixed,
        ]
        .concat(),
    );
    let page = program.stdout(&["report", "all.journal"]);
    assert_eq!(page.replace('\\', "/"), "all.report/report.html\n");
    let html = fs::read_to_string(program.path(page.trim())).unwrap();
    assert!(html.contains("Trials of search: 4 complete."), "{html}");
    let charts = [
        "search-activation",
        "search-coordinates",
        "search-curves",
        "search-history",
        "search-importance",
        "search-lr",
        "sweep-dropout-accuracy",
        "sweep-dropout-loss",
    ];
    assert_eq!(html.matches("<svg").count(), charts.len());
    for chart in charts {
        for end in ["svg", "csv"] {
            let file = format!("figures/{chart}.{end}");
            assert!(html.contains(&file), "{file}");
            assert!(program.path("all.report").join(file).is_file());
        }
    }
    let csv =
        fs::read_to_string(program.path("all.report/figures/sweep-dropout-accuracy.csv")).unwrap();
    assert_eq!(csv.lines().next(), Some("dropout,repeat,val_accuracy,seed"));
    assert_eq!(csv.lines().count(), 1 + 4);
    program.refused(&["report", "none.journal"], &["none.journal"]);
    program.refused(&["report", "set.npz"], &["set.npz", "line 1"]);
    fs::create_dir(program.path("empty")).unwrap();
    program.refused(&["report", "empty"], &["study.journal"]);
}

/// A study's folder whose final model could not be tested.
#[test]
fn data_without_a_test_part_are_named_as_such() {
    let program = Chainrule::new();
    let data = Pixels::new(160, 6, 3, 190, 1);
    program.write("own.csv", data.csv());
    let fixed = ["--data", "own.csv", "--batch-size", "16", "--epochs", "1"];
    let sweep = ["sweep", "width", "--values", "5,7", "--repeats", "2"];
    let place = ["--study", "mine/study.journal"];
    fs::create_dir(program.path("mine")).unwrap();
    let text = program.stdout(&[&sweep[..], &fixed, &place].concat());
    assert!(
        text.contains("the standard deviation that the values have in common"),
        "{text}"
    );
    let report = || {
        let page = program.stdout(&["report", "mine"]);
        fs::read_to_string(program.path(page.trim())).unwrap()
    };
    program.stdout(&[&["train", "--out", "mine/final", "--quiet"][..], &fixed].concat());
    let html = report();
    assert!(html.contains("the data have no test part"), "{html}");
    assert!(!html.contains("tested yet"), "{html}");
    // Without its summary the model is not there yet.
    fs::remove_file(program.path("mine/final/summary.json")).unwrap();
    assert!(report().contains("has not been tested yet"));
}

/// No accuracy of few repeats has an interval that goes beyond 0 or 1, in a table or in a file.
#[test]
fn intervals_are_where_the_metric_can_be() {
    let program = Chainrule::new();
    let data = Pixels::new(60, 6, 3, 60, 1);
    program.write("own.csv", data.csv());
    let sweep = [
        "sweep",
        "lr",
        "--values",
        "0.0001,0.01,0.1",
        "--repeats",
        "2",
    ];
    let fixed = [
        "--data",
        "own.csv",
        "--batch-size",
        "8",
        "--epochs",
        "3",
        "--json",
    ];
    let json = program.json(&[&sweep[..], &fixed].concat());
    for cell in json["series"][0]["values"].as_array().unwrap() {
        let end = |end: &str| number(&cell["mean"]["interval"][end]);
        assert!(0.0 <= end("low") && end("high") <= 1.0, "{json}");
        assert_eq!(cell["mean"]["pooled"]["freedom"], 3);
    }
}
