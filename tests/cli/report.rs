//! `report`.

use std::fs;

use crate::support::{Chainrule, write_images};

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
    assert_eq!(page, "all.report/report.html\n");
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
