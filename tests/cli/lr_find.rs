//! `lr-find`.

use std::fs;

use serde_json::Value;

use crate::support::{Chainrule, Pixels, number, write_images};

fn found(program: &Chainrule, flags: &str) -> Value {
    let flags: Vec<&str> = flags.split(' ').collect();
    program.json(
        &[
            &[
                "lr-find", "--json", "--quiet", "--data", "set.npz", "--width", "16",
            ][..],
            &flags,
        ]
        .concat(),
    )
}

#[test]
fn a_rate_is_suggested_and_repeats() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let first = found(&program, "--batch-size 20 --min-lr 1e-6 --max-lr 10");
    let lr = number(&first["suggestion"]);
    assert!((1e-4..1.0).contains(&lr), "{first:#}");
    let steps = first["steps"].as_array().unwrap();
    assert!(first["reason"].is_null() && steps.len() <= 100);
    assert!((number(&steps[0]["lr"]) - 1e-6).abs() <= 1e-15);
    let factor = number(&steps[1]["lr"]) / number(&steps[0]["lr"]);
    assert!(
        (factor - f64::powf(1e7, 1.0 / 99.0)).abs() <= 1e-9,
        "{factor}"
    );
    // The same bits on any number of threads; the network of train with the same seed.
    for flags in ["--threads 1", "--threads 2"] {
        let again = found(
            &program,
            &format!("--batch-size 20 --min-lr 1e-6 --max-lr 10 {flags}"),
        );
        assert_eq!(again["steps"], first["steps"]);
    }
    let other = found(
        &program,
        "--batch-size 20 --min-lr 1e-6 --max-lr 10 --seed 1",
    );
    assert_ne!(other["steps"], first["steps"]);
    // Only the data file is there.
    assert_eq!(fs::read_dir(program.path(".")).unwrap().count(), 1);

    let command = first["command"].as_str().unwrap();
    let expected =
        format!("chainrule train --data set.npz --width 16 --batch-size 20 --lr {lr:.1e}");
    assert_eq!(command, expected);
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    program.stdout(&[&words[..], &["--epochs", "1", "--quiet"]].concat());
}

#[test]
fn a_table_is_tested_and_a_page_written() {
    let program = Chainrule::new();
    program.write("table.csv", Pixels::new(300, 5, 3, 150, 3).csv());
    let text = program.stdout(&[
        "lr-find",
        "--data",
        "table.csv",
        "--max-lr",
        "10",
        "--out",
        "found",
        "--schedule",
        "cosine",
    ]);
    for words in [
        "smoothed loss from ",
        "suggestion: ",
        "try: chainrule train --data table.csv --schedule cosine --lr ",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        text.replace('\\', "/")
            .ends_with("page: found/report.html\n"),
        "{text}"
    );
    let html = fs::read_to_string(program.path("found/report.html")).unwrap();
    assert!(
        html.contains("the large dot is the suggestion") && html.contains("suggestion: "),
        "{html}"
    );
    let csv = fs::read_to_string(program.path("found/figures/lr-find.csv")).unwrap();
    assert_eq!(csv.lines().next(), Some("lr,loss,smoothed"));
    let svg = fs::read_to_string(program.path("found/figures/lr-find.svg")).unwrap();
    assert_eq!(svg.matches("class=\"best\"").count(), 1);
}

#[test]
fn where_no_rate_can_be_suggested_it_says_why() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    for (flags, reason) in [
        // Rates at which nothing moves, that end too early, and that begin too late.
        ("--max-lr 1e-6", "never fell by more than its noise"),
        (
            "--min-lr 1e-4 --max-lr 3e-3 --batch-size 150",
            "raise --max-lr",
        ),
        (
            "--optimizer sgd --min-lr 1e6 --max-lr 1e30 --batch-norm false",
            "--min-lr",
        ),
    ] {
        let found = found(&program, flags);
        let why = found["reason"].as_str().unwrap_or_default();
        assert!(
            found["suggestion"].is_null() && why.contains(reason),
            "{flags}: {found:#}"
        );
        assert!(found["command"].is_null());
    }
    let text = program.stdout(&[
        "lr-find", "--data", "set.npz", "--max-lr", "1e-6", "--quiet",
    ]);
    assert!(
        text.contains("no suggestion: the loss never fell"),
        "{text}"
    );
}

#[test]
fn wrong_rates_are_refused() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    for (flags, words) in [
        (["--min-lr", "0"], ["--min-lr", "above 0"]),
        (["--min-lr", "nan"], ["--min-lr", "above 0"]),
        (["--max-lr", "1e-9"], ["--max-lr", "above --min-lr"]),
        (["--max-lr", "inf"], ["--max-lr", "above --min-lr"]),
        (["--steps", "19"], ["--steps", "at least 20"]),
        (
            ["--early-stop-threshold", "1"],
            ["--early-stop-threshold", "above 1"],
        ),
        (["--smoothing", "1"], ["--smoothing", "[0, 1)"]),
        (
            ["--lr", "0.1"],
            ["optimizer.lr (--lr)", "lr-find looks for it"],
        ),
        (["--folds", "3"], ["data.folds", "--fold"]),
    ] {
        program.refused(
            &[&["lr-find", "--data", "set.npz"][..], &flags].concat(),
            &words,
        );
    }
}
