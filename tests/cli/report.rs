//! `report`.

use std::fs;

use crate::support::{Chainrule, write_images};

#[test]
fn a_search_and_a_sweep_in_one_file_become_a_page() {
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
    assert_eq!(page, "all.report/report.html\n");
    let html = fs::read_to_string(program.path(page.trim())).unwrap();
    assert!(
        html.contains("sweep-dropout") && html.contains("4 trials complete"),
        "{html}"
    );
    assert_eq!(
        html.matches("<svg").count(),
        4,
        "history, two parameters, a series"
    );
    let csv =
        fs::read_to_string(program.path("all.report/figures/sweep-dropout-series.csv")).unwrap();
    assert_eq!(csv.lines().next(), Some("dropout,repeat,val_accuracy"));
    assert_eq!(csv.lines().count(), 1 + 4);
    program.refused(&["report", "none.journal"], &["none.journal"]);
    program.refused(&["report", "set.npz"], &["set.npz", "line 1"]);
}
