//! A small study, as one command.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Chainrule, Pixels, end, number, numbers, start, write_images, write_npz};

const FLAGS: [&str; 9] = [
    "study",
    "--preset",
    "quick",
    "--data",
    "set.npz",
    "--json",
    "--quiet",
    "--seed=3",
    "--validation=0.25",
];

/// Few samples, so that a whole study takes some seconds, but enough for the largest batch size.
fn program() -> Chainrule {
    let program = Chainrule::new();
    let (train, test) = (
        Pixels::new(400, 6, 4, 190, 1),
        Pixels::new(57, 6, 4, 190, 2),
    );
    let arrays = [
        ("x", train.x(&[2, 3])),
        ("y", train.y()),
        ("x_test", test.x(&[2, 3])),
        ("y_test", test.y()),
    ];
    write_npz(&program.path("set.npz"), &arrays);
    program
}

/// The results of the study, without what depends on time and place.
fn figures(outcome: &Value) -> (Vec<(Value, Vec<f64>)>, [Value; 4]) {
    let cells = outcome["series"].as_array().unwrap().iter();
    let cells = cells.flat_map(|series| series["values"].as_array().unwrap());
    let model = &outcome["final_model"];
    let keys = ["network", "best_epoch", "val_loss", "test_loss"];
    (
        cells
            .map(|c| (c["value"].clone(), numbers(&c["repeats"])))
            .collect(),
        keys.map(|key| model[key].clone()),
    )
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

#[test]
fn a_killed_study_resumes_to_the_same_result_and_a_complete_page() {
    let program = program();
    let calm = program.json(&[&FLAGS[..], &["--out", "calm", "--threads", "2"]].concat());
    let cells = figures(&calm).0;
    assert_eq!(
        (cells.len(), cells.iter().map(|c| c.1.len()).sum::<usize>()),
        (28, 56)
    );
    let model = &calm["final_model"];
    assert_eq!(
        (model["epochs_run"].as_u64(), model["test_samples"].as_u64()),
        (Some(4), Some(57))
    );
    let interval = &calm["test_interval"];
    assert!(number(&interval["low"]) <= number(&model["test_accuracy"]));
    page(&program, &calm);

    // Killed at three moments, stopped once, and finally shared by two processes.
    let killed = [&FLAGS[..], &["--out", "killed", "--threads", "1"]].concat();
    let (journal, whole) = (
        program.path("killed/study.journal"),
        size(&program.path("calm/study.journal")),
    );
    for (moment, signal) in [(1, "KILL"), (3, "INT"), (5, "KILL"), (7, "KILL")] {
        let (child, begun) = (start(&program, &killed), Instant::now());
        while size(&journal) < whole * moment / 9 {
            assert!(begun.elapsed() < Duration::from_secs(120));
            sleep(Duration::from_millis(2));
        }
        let (code, said) = end(child, signal);
        if signal == "INT" {
            assert_eq!(code, Some(130), "{said}");
            assert!(said.contains("the same command continues it"), "{said}");
        }
    }
    let other = start(&program, &killed);
    let outcome = program.json(&killed);
    assert!(other.wait_with_output().unwrap().status.success());
    assert_eq!(figures(&outcome), figures(&calm));
    let model =
        |study: &str| fs::read(program.path(study).join("final/model.safetensors")).unwrap();
    assert!(
        model("killed") == model("calm"),
        "the final model's weights"
    );

    // Other settings make another study.
    let other = [&killed[..], &["--width", "9"]].concat();
    program.refused(&other, &["sweep-lr", "model.width", "--out"]);

    // A second call has nothing left to do.
    let before = fs::read(&journal).unwrap();
    assert_eq!(figures(&program.json(&killed)), figures(&calm));
    assert_eq!(fs::read(&journal).unwrap(), before);
}

/// Checks the report of the study `calm`, its files, and its text when something is missing.
fn page(program: &Chainrule, outcome: &Value) {
    let path = program.path(outcome["report"].as_str().unwrap());
    let html = fs::read_to_string(&path).unwrap();
    let parts = [
        "Which settings train the best network on",
        "Best configuration: <strong>lr ",
        "95 % Wilson interval",
        "What each setting did by itself",
        "All settings at once: search",
        "Classes taken for each other most often",
        "chainrule sweep lr --values 0.00001,0.0001,0.001,0.01,0.1,1 --repeats 2 --seed 3 --validation 0.25 --epochs 1",
        "chainrule search --trials 6 --lr 0.0005..0.005 --width 500..1000",
    ];
    for part in parts {
        assert!(html.contains(part), "{part}: {html}");
    }
    let accuracy = 100.0 * number(&outcome["final_model"]["test_accuracy"]);
    assert!(
        html.contains(&format!(
            "<strong>{accuracy:.2} %</strong> of the 57 test samples"
        )),
        "{html}"
    );
    for figure in ["loss", "accuracy", "confusion", "correlation", "wrong"] {
        for end in ["svg", "csv"] {
            let file = format!("figures/final-{figure}.{end}");
            assert!(
                html.contains(&file) && path.with_file_name(&file).is_file(),
                "{file}"
            );
        }
    }
    let confusion = fs::read_to_string(path.with_file_name("figures/final-confusion.csv")).unwrap();
    let counts = confusion.lines().skip(1).flat_map(|l| l.split(',').skip(1));
    assert_eq!(counts.map(|c| c.parse::<u64>().unwrap()).sum::<u64>(), 57);
    // The report is made again: from all files, without the data, and with other data in its place. In the last two
    // cases it leaves the matrices out and says why.
    assert_eq!(
        program.stdout(&["report", "calm"]),
        "calm/report/report.html\n"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), html);
    let data = fs::read(program.path("set.npz")).unwrap();
    fs::remove_file(program.path("set.npz")).unwrap();
    let without = |why: &str| {
        program.stdout(&["report", "calm", "--out", "without"]);
        let html = fs::read_to_string(program.path("without/report.html")).unwrap();
        assert!(
            html.contains("cannot be shown")
                && html.contains(why)
                && !html.contains("final-confusion"),
            "{html}"
        );
    };
    without("set.npz");
    let other = Pixels::new(90, 6, 4, 190, 9);
    write_npz(
        &program.path("set.npz"),
        &[("x", other.x(&[2, 3])), ("y", other.y())],
    );
    without("another one");
    program.write("set.npz", data);
}

#[test]
fn bad_input_is_refused() {
    let program = program();
    write_images(&program, "few.npz");
    let cases: &[(&[&str], &[&str])] = &[
        (&["--preset", "small"], &["--preset"]),
        (&["--lr", "0.1..0.2"], &["lr", "single value"]),
        (&["--data", "none.npz"], &["none.npz"]),
        (&["--dropout", "2"], &["dropout"]),
        (&["--validation", "0"], &["validation"]),
    ];
    let flags = ["study", "--quiet", "--out", "new"];
    for (more, words) in cases {
        let data: &[&str] = if more.contains(&"--data") {
            &[]
        } else {
            &["--data", "set.npz"]
        };
        program.refused(&[&flags[..], data, more].concat(), words);
    }
    assert!(
        !program.path("new/study.journal").exists(),
        "nothing was begun"
    );
}
