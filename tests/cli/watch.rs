//! `train --watch`, and the page of a run.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Chainrule, number, train, write_images};

/// The records of a run.
fn records(program: &Chainrule, run: &str) -> Vec<Value> {
    let text = fs::read_to_string(program.path(run).join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn model(program: &Chainrule, run: &str) -> Vec<u8> {
    fs::read(program.path(run).join("model.safetensors")).unwrap()
}

#[test]
fn a_watched_run_has_the_same_model() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    for (i, flags) in [
        "--dropout 0.3 --epochs 4 --depth 3",
        "--batch-norm false --activation tanh --optimizer sgd --momentum 0.9 --clip-norm 0.5 --epochs 4",
        "--batch-norm false --members 3 --epochs 4",
        "--precision f64 --epochs 4",
        "--precision bf16 --epochs 4 --schedule cosine",
    ]
    .into_iter()
    .enumerate()
    {
        let flags: Vec<&str> = flags.split(' ').collect();
        let [plain, watched, resumed] = ["plain", "watched", "resumed"].map(|name| format!("{name}{i}"));
        train(&program, "set.npz", &plain, &flags);
        let watch = [&flags[..], &["--watch"]].concat();
        train(&program, "set.npz", &watched, &watch);
        assert!(model(&program, &plain) == model(&program, &watched), "{flags:?}");
        assert!(records(&program, &plain).iter().all(|r| r.get("layers").is_none()));
        let seen = records(&program, &watched);
        let layers = if flags.contains(&"3") && flags.contains(&"--depth") { 3 } else { 2 };
        for record in &seen {
            let found = record["layers"].as_array().unwrap();
            assert_eq!(found.len(), layers, "{flags:?}");
            for (place, layer) in (1..).zip(found) {
                assert_eq!(layer["layer"], place);
                let [activations, gradients, updates, weights, ratio] =
                    ["activations", "gradients", "updates", "weights", "update_ratio"].map(|name| number(&layer[name]));
                assert!(activations > 0.0 && gradients > 0.0 && weights > 0.0, "{layer}");
                assert!((updates / weights - ratio).abs() <= 1e-9 * ratio, "{layer}");
            }
        }
        if flags.contains(&"cosine") {
            continue;
        }
        // A run that begins unwatched and goes on watched.
        let fewer: Vec<&str> = flags.iter().map(|flag| if *flag == "4" { "2" } else { flag }).collect();
        train(&program, "set.npz", &resumed, &fewer);
        program.stdout(&["train", "--quiet", "--resume", &resumed, "--epochs", "4", "--watch"]);
        assert!(model(&program, &plain) == model(&program, &resumed), "{flags:?}");
        let again = records(&program, &resumed);
        assert!(again[1].get("layers").is_none());
        assert_eq!(again[3]["layers"], seen[3]["layers"], "{flags:?}");
    }
    program.stdout(&["verify", "--quiet", "watched0"]);
}

/// What stands before the first layer is no layer: embeddings, the members' scales.
#[test]
fn runs_of_tables_are_watched_whatever_they_are_made_of() {
    let program = Chainrule::new();
    for (from, name) in [
        ("tests/cases/doctor/wine.csv.gz", "wine.csv.gz"),
        ("tests/cases/houses.csv", "houses.csv"),
    ] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(from);
        fs::copy(from, program.path(name)).unwrap();
    }
    let wine = "--data wine.csv.gz --epochs 2 --width 9";
    let houses = "--data houses.csv --epochs 2 --width 9";
    let price = &format!("{houses} --label price --task regression");
    let labels = &format!("{houses} --label driveway,recroom,airco");
    for (i, (data, flags, layers)) in [
        (wine, "--embed piecewise", 2),
        (wine, "--embed piecewise --embed-width 3 --precision f64", 2),
        (wine, "--embed piecewise --bins 5 --members 3 --depth 3", 3),
        (wine, "--embed piecewise --members 2 --depth 1", 1),
        (wine, "--precision bf16 --members 3", 2),
        (wine, "--plain --batch-size 1000 --label-smoothing 0.1", 2),
        (price, "--embed piecewise --loss huber --plain", 2),
        (
            price,
            "--depth 4 --dropout 0.5 --optimizer rprop --clip-norm 1",
            4,
        ),
        (labels, "--embed piecewise --embed-width 3 --members 2", 2),
    ]
    .into_iter()
    .enumerate()
    {
        let [plain, watched] = ["plain", "watched"].map(|name| format!("{name}{i}"));
        for (run, watch) in [(&plain, "false"), (&watched, "true")] {
            let words = format!("train --quiet {data} {flags} --watch {watch} --out {run}");
            program.stdout(&words.split(' ').collect::<Vec<_>>());
        }
        assert!(
            model(&program, &plain) == model(&program, &watched),
            "{flags}"
        );
        for record in records(&program, &watched) {
            let found = record["layers"].as_array().unwrap();
            assert_eq!(found.len(), layers, "{flags}");
            for (layer, place) in found.iter().zip(1..) {
                assert_eq!(layer["layer"], place);
                for name in [
                    "activations",
                    "gradients",
                    "updates",
                    "weights",
                    "update_ratio",
                ] {
                    assert!(number(&layer[name]) > 0.0, "{flags}: {name} of {layer}");
                }
                assert_eq!(
                    layer["dead_units"].is_null(),
                    place == layers,
                    "{flags}: {layer}"
                );
            }
        }
        program.stdout(&["verify", "--quiet", &watched]);
        program.stdout(&["report", &watched]);
        let doctor = program.json(&["doctor", &watched, "--json"]);
        let said = doctor["runs"][0]["not_judged"].to_string();
        assert!(!said.contains("--watch"), "{flags}: {said}");
    }
}

#[test]
fn a_watched_run_goes_on_unwatched() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    train(&program, "set.npz", "run", &["--epochs", "1", "--watch"]);
    for flags in [&["2"][..], &["3", "--watch", "false"]] {
        let resume = ["train", "--quiet", "--resume", "run", "--epochs"];
        program.stdout(&[&resume[..], flags].concat());
    }
    train(&program, "set.npz", "plain", &["--epochs", "3"]);
    assert!(model(&program, "run") == model(&program, "plain"));
    let records = records(&program, "run");
    let watched: Vec<bool> = records.iter().map(|r| r.get("layers").is_some()).collect();
    assert_eq!(watched, [true, true, false]);
    program.stdout(&["doctor", "run"]);
    program.stdout(&["report", "run"]);
}

#[test]
fn a_search_watches_what_it_keeps() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    program.write("watch.toml", "[train]\nwatch = true\n");
    let line = |words: &str| format!("{words} --quiet --data set.npz --epochs 1 --width 7");
    let run = |words: &str| program.stdout(&line(words).split(' ').collect::<Vec<_>>());
    run("search --lr 0.01..0.1 --trials 1 --watch");
    let kept = "search.journal.trials/search/0000-0";
    assert!(records(&program, kept)[0]["layers"].is_array());
    // It is the same search, whether it is watched or not.
    run("search --lr 0.01..0.1 --trials 2");
    for words in [
        "search --lr 0.01..0.1 --trials 1 --watch --keep 0",
        "sweep lr --values 0.1,0.01 --watch",
        "sweep lr --values 0.1,0.01 --config watch.toml",
    ] {
        let line = line(words);
        let args: Vec<&str> = line.split(' ').collect();
        program.refused(&args, &["--watch", "no run is kept"]);
    }
    run("sweep lr --values 0.1 --repeats 1 --watch false --config watch.toml");
}

/// The update of plain SGD is the gradient times the rate, and clipping makes it shorter.
#[test]
fn updates_are_those_of_the_optimiser() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let flags = "--optimizer sgd --epochs 2 --watch --precision f64 --batch-norm false";
    let flags: Vec<&str> = flags.split(' ').collect();
    train(&program, "set.npz", "sgd", &flags);
    train(
        &program,
        "set.npz",
        "clipped",
        &[&flags[..], &["--clip-norm", "1e-6"]].concat(),
    );
    for (run, is_rate) in [("sgd", true), ("clipped", false)] {
        let layer = &records(&program, run)[1]["layers"][0];
        let rate = number(&layer["updates"]) / number(&layer["gradients"]);
        assert_eq!((rate - 0.01).abs() <= 1e-9, is_rate, "{run}: {rate}");
        assert!(rate > 0.0 && rate <= 0.01 + 1e-9);
    }
}

#[test]
fn units_that_never_answer_are_dead() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let dead = |out: &str, flags: &str| {
        let fixed = "train --quiet --data set.npz --width 7 --batch-size 11 --watch --out";
        let flags = fixed.split(' ').chain([out]).chain(flags.split(' '));
        program.stdout(&flags.collect::<Vec<_>>());
        records(&program, out).last().unwrap()["layers"].clone()
    };
    // A rate at which the first updates push every unit below 0, or into saturation.
    let relu = dead("relu", "--batch-norm false --epochs 3 --lr 30");
    let tanh = dead(
        "tanh",
        "--batch-norm false --epochs 3 --lr 30 --activation tanh",
    );
    let silu = dead("silu", "--epochs 1 --activation silu");
    assert!(number(&relu[0]["dead_units"]) > 0.5, "{relu}");
    assert!(number(&tanh[0]["dead_units"]) > 0.5, "{tanh}");
    assert!(silu[0]["dead_units"].is_null() && relu[1]["dead_units"].is_null());
}

#[test]
fn the_page_of_a_run_shows_its_layers() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    train(&program, "set.npz", "plain", &["--epochs", "2"]);
    train(
        &program,
        "set.npz",
        "run",
        &["--epochs", "3", "--depth", "3", "--watch"],
    );
    let page = |run: &str| {
        let page = program.stdout(&["report", run]);
        assert_eq!(
            page.replace('\\', "/"),
            format!("{run}/report/report.html\n")
        );
        fs::read_to_string(program.path(page.trim())).unwrap()
    };
    let html = page("run");
    assert!(
        html.contains("<h1>Run run</h1>") && html.contains("of the 57 test samples"),
        "{html}"
    );
    assert!(!html.contains("Which settings train the best network"));
    for chart in [
        "activations",
        "gradients",
        "weights",
        "updates",
        "update-ratio",
        "dead-units",
    ] {
        let csv = format!("run/report/figures/layers-{chart}.csv");
        let csv = fs::read_to_string(program.path(&csv)).unwrap();
        assert_eq!(csv.lines().next(), Some("epoch,layer 1,layer 2,layer 3"));
        assert_eq!(csv.lines().count(), 4, "{csv}");
        assert!(html.contains(&format!("figures/layers-{chart}.svg")));
    }
    assert!(!page("plain").contains("layers-"));
    // Each fold is a run of its own.
    program.stdout(&[
        "train", "--quiet", "--data", "set.npz", "--out", "folds", "--folds", "2", "--watch",
        "--width", "7", "--epochs", "1",
    ]);
    assert!(records(&program, "folds/fold-1")[0]["layers"].is_array());
}
