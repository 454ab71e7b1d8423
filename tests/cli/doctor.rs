//! `doctor`: runs that have a disease, each made on purpose, and healthy runs.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::support::{Chainrule, Pixels, npy, number, write_npz};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file of the repository, copied next to the program.
fn copy(program: &Chainrule, from: &str, name: &str) {
    std::fs::copy(root(from), program.path(name)).unwrap();
}

fn unpacked(from: &str, bytes: usize) -> Vec<u8> {
    let mut values = Vec::new();
    let file = GzDecoder::new(File::open(root(from)).unwrap());
    file.take(bytes as u64).read_to_end(&mut values).unwrap();
    values
}

/// The first images of Fashion-MNIST.
fn write_fashion(program: &Chainrule, name: &str, count: usize) {
    let folder = "data/fashion-mnist/train";
    let pixels = unpacked(&format!("{folder}-images-idx3-ubyte.gz"), 16 + 784 * count);
    let labels = unpacked(&format!("{folder}-labels-idx1-ubyte.gz"), 8 + count);
    let arrays = [
        ("x", npy("|u1", &[count, 28, 28], &pixels[16..])),
        ("y", npy("|u1", &[count], &labels[8..])),
    ];
    write_npz(&program.path(name), &arrays);
}

/// The digits as images of 8×8 pixels.
fn write_digits(program: &Chainrule) {
    let text = unpacked("tests/cases/doctor/digits.csv.gz", 1 << 20);
    let text = String::from_utf8(text).unwrap();
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines().skip(1) {
        let cells = line.split(',').map(|cell| cell.parse::<u8>().unwrap());
        let mut cells: Vec<u8> = cells.collect();
        labels.push(cells.pop().unwrap());
        pixels.extend(cells.iter().map(|x| x * 15));
    }
    let arrays = [
        ("x", npy("|u1", &[labels.len(), 8, 8], &pixels)),
        ("y", npy("|u1", &[labels.len()], &labels)),
    ];
    write_npz(&program.path("digits.npz"), &arrays);
}

/// Trains as the words say, and examines the run.
#[track_caller]
fn diagnosis(program: &Chainrule, flags: &str) -> Value {
    let fixed = "train --quiet --out run --test false --threads 1";
    let train: Vec<&str> = fixed.split(' ').chain(flags.split(' ')).collect();
    program.stdout(&train);
    let found = program.json(&["doctor", "run", "--json"]);
    std::fs::remove_dir_all(program.path("run")).unwrap();
    found["runs"][0].clone()
}

fn names(diagnosis: &Value) -> Vec<&str> {
    let findings = diagnosis["findings"].as_array().unwrap();
    let mut names: Vec<&str> = findings
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    names.dedup();
    names
}

#[track_caller]
fn finds(program: &Chainrule, flags: &str, expected: &[&str]) {
    let found = diagnosis(program, flags);
    assert_eq!(names(&found), expected, "{flags}: {found:#}");
}

#[test]
fn each_disease_of_training_is_named() {
    let program = Chainrule::new();
    write_fashion(&program, "fashion.npz", 1500);
    let cases: [(&str, &[&str]); 10] = [
        ("--widths 32 --optimizer sgd --lr 1e30", &["diverged"]),
        (
            "--widths 32 --epochs 5 --lr 1",
            &["dead_units", "rate_too_high"],
        ),
        (
            "--widths 32 --epochs 5 --dropout 0.95",
            &["too_much_dropout"],
        ),
        (
            "--widths 32 --epochs 5 --dropout 0.8 --lr 1e-7",
            &["too_much_dropout", "rate_too_low"],
        ),
        ("--widths 32 --epochs 5 --lr 1e-7", &["rate_too_low"]),
        ("--widths 32 --epochs 8 --lr 3e-5", &["rate_too_low"]),
        (
            "--widths 32 --epochs 8 --optimizer sgd --lr 3e-4",
            &["rate_too_low"],
        ),
        (
            "--widths 64,64,64 --batch-norm false --epochs 4 --lr 0.1",
            &["dead_units", "rate_too_high"],
        ),
        (
            "--widths 64,64,64,64,64,64,64 --batch-norm false --activation sigmoid --epochs 4",
            &["vanishing_gradients"],
        ),
        (
            "--width 64 --depth 24 --taper false --batch-norm false --activation tanh --init xavier_normal=4 --epochs 2 --lr 1e-4",
            &["exploding_gradients"],
        ),
    ];
    for (flags, expected) in cases {
        finds(
            &program,
            &format!("--data fashion.npz --watch {flags}"),
            expected,
        );
    }
    // 160 training samples, which a large network learns by heart.
    write_fashion(&program, "few.npz", 200);
    finds(
        &program,
        "--data few.npz --width 256 --epochs 60",
        &["overfitting"],
    );
}

/// What a linear network cannot tell: whether two numbers have the same sign.
#[test]
fn a_network_that_is_too_small_underfits() {
    let program = Chainrule::new();
    let rows = (0..400).map(|i| {
        let (x, y) = (
            (i * 37 % 101) as f64 / 50.0 - 1.01,
            (i * 61 % 103) as f64 / 51.0 - 1.01,
        );
        format!("{x},{y},{}\n", if x * y > 0.0 { "same" } else { "other" })
    });
    program.write(
        "signs.csv",
        format!("x,y,label\n{}", rows.collect::<String>()),
    );
    finds(
        &program,
        "--data signs.csv --depth 1 --epochs 20",
        &["underfitting"],
    );
}

#[test]
fn features_that_say_nothing_and_rare_classes_are_named() {
    let program = Chainrule::new();
    let pixels = Pixels::new(400, 4, 3, 100, 7);
    let mut text = "a,b,c,d,always,label\n".to_owned();
    for (row, label) in pixels.labels.iter().enumerate() {
        let cells: Vec<String> = pixels.row(row).iter().map(u8::to_string).collect();
        let label = if row % 80 == 0 {
            "rare".into()
        } else {
            format!("class{label}")
        };
        text += &format!("{},7,{label}\n", cells.join(","));
    }
    program.write("table.csv", text);
    let found = diagnosis(
        &program,
        "--data table.csv --epochs 40 --width 16 --lr 0.01",
    );
    assert_eq!(
        names(&found),
        ["constant_features", "rare_classes"],
        "{found:#}"
    );
    let findings = found["findings"].as_array().unwrap();
    assert_eq!(findings[0]["place"], "column always");
    assert_eq!(findings[1]["place"], "class rare");
    assert_eq!(
        (number(&findings[1]["value"]), number(&findings[1]["limit"])),
        (4.0, 10.0)
    );

    let mut blank = Pixels::new(200, 16, 4, 100, 7);
    let is_shown = |i: usize| i % 16 < 4;
    for (i, x) in blank.values.iter_mut().enumerate() {
        *x *= u8::from(is_shown(i));
    }
    let arrays = [("x", blank.x(&[4, 4])), ("y", blank.y())];
    write_npz(&program.path("blank.npz"), &arrays);
    finds(
        &program,
        "--data blank.npz --width 16 --epochs 20 --batch-size 20 --lr 0.01",
        &["constant_features"],
    );
}

/// The limits were set with these in view.
#[test]
fn healthy_runs_have_nothing() {
    let program = Chainrule::new();
    write_fashion(&program, "fashion.npz", 3000);
    write_digits(&program);
    for name in ["iris", "wine"] {
        copy(
            &program,
            &format!("tests/cases/doctor/{name}.csv.gz"),
            &format!("{name}.csv.gz"),
        );
    }
    copy(&program, "tests/cases/houses.csv", "houses.csv");
    for flags in [
        "--data fashion.npz --width 100 --epochs 5",
        "--data fashion.npz --width 64 --depth 3 --batch-norm false --activation tanh --epochs 5",
        "--data fashion.npz --width 100 --dropout 0.2 --optimizer adamw --activation silu --epochs 5",
        "--data digits.npz --width 64 --epochs 8",
        "--data digits.npz --width 64 --dropout 0.5 --epochs 8",
        "--data iris.csv.gz --width 64",
        "--data wine.csv.gz --width 64",
        "--data houses.csv --label price --task regression --width 32",
        "--data houses.csv --label driveway,recroom,fullbase,airco --width 32 --epochs 20",
    ] {
        finds(&program, &format!("--watch {flags}"), &[]);
    }
}

/// Held out: chosen before the limits were set, and run once they were.
#[test]
fn healthy_runs_that_were_held_out_have_nothing() {
    let program = Chainrule::new();
    write_fashion(&program, "fashion.npz", 3000);
    write_digits(&program);
    for name in ["breast_cancer", "diabetes"] {
        copy(
            &program,
            &format!("tests/cases/doctor/{name}.csv.gz"),
            &format!("{name}.csv.gz"),
        );
    }
    for flags in [
        "--data fashion.npz --width 100 --depth 4 --optimizer sgd --lr 0.05 --momentum 0.9 --epochs 5",
        "--data digits.npz --width 64 --activation elu --optimizer rmsprop --epochs 8",
        "--data breast_cancer.csv.gz --members 4 --width 32",
        "--data diabetes.csv.gz --task regression --width 32",
    ] {
        finds(&program, &format!("--watch {flags}"), &[]);
    }
}

#[test]
fn what_cannot_be_judged_is_said() {
    let program = Chainrule::new();
    write_fashion(&program, "few.npz", 300);
    program.stdout(&[
        "train",
        "--quiet",
        "--data",
        "few.npz",
        "--out",
        "run",
        "--width",
        "8",
        "--epochs",
        "2",
        "--validation",
        "0",
    ]);
    let text = program.stdout(&["doctor", "run"]);
    assert!(text.starts_with("run: nothing found\n"), "{text}");
    for words in [
        "run again with --watch",
        "no validation part",
        "show no course",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Without the data the run is judged by its records alone.
    std::fs::remove_file(program.path("few.npz")).unwrap();
    let found = program.json(&["doctor", "run", "--json"]);
    let not_judged = found["runs"][0]["not_judged"].as_array().unwrap();
    let whys = not_judged.iter().map(|rule| rule["why"].as_str().unwrap());
    assert_eq!(
        whys.filter(|why| why.contains("few.npz")).count(),
        4,
        "{found:#}"
    );
    write_fashion(&program, "few.npz", 301);
    let text = program.stdout(&["doctor", "run"]);
    assert!(text.contains("found other ones"), "{text}");

    program.refused(
        &["doctor", "none"],
        &["none/config.toml", "a run's folder holds"],
    );
    program.refused(&["doctor", "few.npz"], &["few.npz"]);
    program.refused(&["doctor"], &["<RUN>"]);
}
