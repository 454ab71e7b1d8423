//! Study files that other programs have written to: queued trials, trials left running, and names that mean harm.

use std::fs;

use crate::support::{Chainrule, Pixels};

const SEARCH: [&str; 16] = [
    "search",
    "--data",
    "table.csv",
    "--epochs",
    "1",
    "--lr",
    "1e-3..1e-1:log",
    "--batch-size",
    "16",
    "--activation",
    "relu,tanh",
    "--width",
    "4",
    "--threads",
    "1",
    "--json",
];

/// A search of two trials in `search.journal`.
fn program() -> Chainrule {
    let program = Chainrule::new();
    program.write("table.csv", Pixels::new(60, 4, 2, 100, 1).csv());
    program.stdout(&search(&["--trials", "2", "--quiet"]));
    program
}

fn search<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SEARCH[..], more].concat()
}

/// Appends lines of another program to the study file.
fn append(program: &Chainrule, lines: &[&str]) {
    let before = fs::read_to_string(program.path("search.journal")).unwrap();
    program.write("search.journal", format!("{before}{}\n", lines.join("\n")));
}

/// A trial of this worker that runs in the study.
fn running(worker: &str) -> String {
    format!(
        r#"{{"op_code":4,"worker_id":"{worker}","study_id":0,"datetime_start":"2026-01-02T03:04:05.000000+00:00"}}"#
    )
}

#[test]
fn a_trial_that_another_program_left_running_is_named_and_passed_over() {
    let program = program();
    append(&program, &[&running("f1af3dd8-140498")]);
    let output = program.run(&search(&["--trials", "3", "--foreign-timeout", "1s"]));
    assert_eq!(output.code, 0, "{output:?}");
    let expected = "waiting for trial 2, which another program runs since 2026-01-02T03:04:05";
    assert_eq!(output.stderr.matches(expected).count(), 1, "{output:?}");
    for words in [
        "f1af3dd8-140498",
        "--foreign-timeout",
        "after 1s without news",
    ] {
        assert!(output.stderr.contains(words), "{words}: {output:?}");
    }
}

#[test]
fn a_queued_trial_that_cannot_run_is_reported_and_the_others_go_on() {
    let program = program();
    let queued = r#"{"op_code":4,"worker_id":"f1af","study_id":0,"datetime_start":null,"state":4,"system_attrs":{"fixed_params":{"activation":"rely"}}}"#;
    let range = queued.replace(r#""activation":"rely""#, r#""lr":-1"#);
    append(&program, &[queued, &range]);
    let output = program.run(&search(&["--trials", "3"]));
    assert_eq!(output.code, 0, "{output:?}");
    let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (&report["complete"], &report["failed"]),
        (&3.into(), &2.into())
    );
    assert!(output.stderr.contains("rely") && output.stderr.contains("optimizer.lr"));
}

/// If trial after trial fails, the search does not try for ever.
#[test]
fn so_many_failures_in_a_row_end_the_search() {
    let program = program();
    let queued = r#"{"op_code":4,"worker_id":"f1af","study_id":0,"datetime_start":null,"state":4,"system_attrs":{"fixed_params":{"lr":-1}}}"#;
    append(&program, &[queued; 9]);
    program.stdout(&search(&["--trials", "3", "--quiet"]));
    append(&program, &[queued; 10]);
    program.refused(
        &search(&["--trials", "4", "--quiet"]),
        &["10 trials failed one after the other", "optimizer.lr"],
    );
}

/// A worker's name in a study file is never a path.
#[test]
fn a_worker_whose_name_is_a_path_removes_nothing() {
    let program = program();
    program.write("thesis.txt", "years of work");
    fs::create_dir(program.path("search.journal.alive")).unwrap();
    let names = [
        "chainrule-/../../thesis.txt",
        "chainrule-x/../../thesis.txt",
    ];
    append(&program, &names.map(running).each_ref().map(String::as_str));
    program.stdout(&search(&[
        "--trials",
        "4",
        "--quiet",
        "--foreign-timeout",
        "1s",
    ]));
    assert!(program.path("thesis.txt").exists());
}
