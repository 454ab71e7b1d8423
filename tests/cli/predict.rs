//! `predict`.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{
    Chainrule, Pixels, idx, npy, number, numbers, png, train, write_images, write_npz,
};

fn trained() -> (Chainrule, Pixels) {
    let program = Chainrule::new();
    let test = write_images(&program, "images.npz");
    train(&program, "images.npz", "run", &["--epochs", "2"]);
    (program, test)
}

fn predictions(program: &Chainrule, inputs: &[&str]) -> Vec<Value> {
    let args = [&["predict", "--model", "run", "--json"], inputs].concat();
    program.json(&args)["predictions"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn every_file_format_gives_the_same_predictions() {
    let (program, test) = trained();
    program.write("rows.npy", test.x(&[6]));
    program.write("labelled.csv", test.csv());
    let bare: Vec<String> = (0..57)
        .map(|row| {
            test.row(row)
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join(";")
        })
        .collect();
    program.write("bare.txt", bare.join("\n"));
    program.write("images.idx", idx(&[57, 2, 3], &test.values));
    write_npz(&program.path("rows.npz"), &[("x", test.x(&[3, 2]))]);
    // The format is recognised by content, not by name.
    program.write("wrong-name.csv", test.x(&[2, 3]));

    let expected = predictions(&program, &["rows.npy"]);
    assert_eq!(expected.len(), 57);
    for (i, row) in expected.iter().enumerate() {
        assert_eq!(
            (&row["input"], &row["row"]),
            (&"rows.npy".into(), &(i + 1).into())
        );
        let probabilities = numbers(&row["probabilities"]);
        assert_eq!(probabilities.len(), 4);
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() <= 1e-6);
        let class = row["class"].as_u64().unwrap() as usize;
        assert!(
            probabilities
                .iter()
                .all(|&p| (0.0..=probabilities[class]).contains(&p))
        );
        assert_eq!(number(&row["probability"]), probabilities[class]);
        assert_eq!(row["name"], class.to_string());
    }
    for file in [
        "labelled.csv",
        "bare.txt",
        "images.idx",
        "rows.npz",
        "wrong-name.csv",
    ] {
        let found = predictions(&program, &[file]);
        assert_eq!(found.len(), expected.len(), "{file}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found["class"], expected["class"], "{file}");
            let pairs = numbers(&found["probabilities"])
                .into_iter()
                .zip(numbers(&expected["probabilities"]));
            for (found, expected) in pairs {
                assert!((found - expected).abs() <= 1e-6, "{file}");
            }
        }
    }
}

#[test]
fn images_and_rows_together() {
    let (program, test) = trained();
    program.write("rows.npy", test.x(&[6]));
    program.write("third.png", png(3, 2, test.row(2)));
    program.write("fifth", png(3, 2, test.row(4)));
    let found = predictions(&program, &["third.png", "rows.npy", "fifth"]);
    assert_eq!(found.len(), 59);
    assert_eq!(found[0]["input"], "third.png");
    assert_eq!(found[0]["probabilities"], found[3]["probabilities"]);
    assert_eq!(found[58]["probabilities"], found[5]["probabilities"]);

    let text = program.stdout(&["predict", "--model", "run", "third.png", "rows.npy"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 58);
    let cells: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(
        cells.len(),
        7,
        "where, then class and probability three times"
    );
    assert_eq!(
        (cells[0], Value::from(cells[1])),
        ("rows.npy:3", found[3]["name"].clone())
    );
    assert_eq!(cells[2], format!("{:.3}", number(&found[3]["probability"])));
    assert_eq!(lines[0].split_whitespace().next(), Some("third.png"));
    let shown: Vec<f64> = [2, 4, 6].map(|i| cells[i].parse().unwrap()).to_vec();
    assert!(shown.is_sorted_by(|a, b| a >= b), "{shown:?}");

    let line = |top| program.stdout(&["predict", "--model", "run", "third.png", "--top", top]);
    assert_eq!(line("1").split_whitespace().count(), 3);
    assert_eq!(
        line("99").split_whitespace().count(),
        9,
        "no more than there are"
    );
}

#[test]
fn a_csv_file_of_predictions() {
    let (program, test) = trained();
    program.write("a, b.csv", test.csv());
    let found = predictions(&program, &["a, b.csv"]);
    let output = program.run(&["predict", "--model", "run", "a, b.csv", "--out", "out.csv"]);
    assert_eq!((output.code, output.stdout.as_str()), (0, ""));
    let text = fs::read_to_string(program.path("out.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("input,row,class,name,probability,p_0,p_1,p_2,p_3")
    );
    for (line, row) in lines.by_ref().zip(&found) {
        let rest = line.strip_prefix("\"a, b.csv\",").unwrap();
        let cells: Vec<&str> = rest.split(',').collect();
        assert_eq!(
            (cells[0], cells[1]),
            (
                row["row"].to_string().as_str(),
                row["class"].to_string().as_str()
            )
        );
        let written: Vec<f64> = cells[4..].iter().map(|c| c.parse().unwrap()).collect();
        assert_eq!(written, numbers(&row["probabilities"]));
    }
    assert_eq!(text.lines().count(), 58);

    // With --out and --json the JSON is the same as without --out.
    let both = [
        "predict",
        "--model",
        "run",
        "a, b.csv",
        "--json",
        "--out",
        "again.csv",
    ];
    assert_eq!(
        program.json(&both)["predictions"].as_array().unwrap(),
        &found
    );
    assert_eq!(fs::read_to_string(program.path("again.csv")).unwrap(), text);
}

#[test]
fn bad_input_is_refused_and_nothing_written() {
    let (program, test) = trained();
    program.write("rows.npy", test.x(&[6]));
    program.write("narrow.csv", "1,2,3\n4,5,6\n");
    program.write("word.csv", "1,2,3,4,5,6\n1,2,x,4,5,6\n");
    program.write("transposed.png", png(2, 3, test.row(0)));
    program.write("torn.png", &png(3, 2, test.row(0))[..40]);
    program.write(
        "nan.npy",
        npy(
            "<f4",
            &[1, 6],
            &[f32::NAN; 6].map(f32::to_le_bytes).concat(),
        ),
    );
    program.write("folder/file", "");
    for (input, words) in [
        ("narrow.csv", &["6 columns", "found 3"][..]),
        ("word.csv", &["line 2, column 3", "\"x\""]),
        ("transposed.png", &["2×3", "3×2"]),
        ("torn.png", &["PNG"]),
        ("nan.npy", &["nan.npy"]),
        ("folder", &["a folder"]),
        ("absent.csv", &["no such file"]),
    ] {
        let words = [&[input], words].concat();
        let args = ["predict", "--model", "run", "rows.npy", input];
        program.refused(&args, &words);
        program.refused(&[&args[..], &["--json"]].concat(), &words);
        program.refused(&[&args[..], &["--out", "out.csv"]].concat(), &words);
        assert!(!program.path("out.csv").exists());
    }
    let elsewhere = [
        "predict",
        "--model",
        "run",
        "rows.npy",
        "--out",
        "absent/out.csv",
    ];
    program.refused(&elsewhere, &["absent"]);
    program.refused(&["predict", "--model", "run"], &["INPUT"]);
    program.refused(
        &["predict", "--model", "run", "rows.npy", "--top", "0"],
        &["--top"],
    );
}

#[test]
fn images_need_a_model_of_images() {
    let program = Chainrule::new();
    program.write("table.csv", Pixels::new(80, 6, 3, 100, 7).csv());
    train(&program, "table.csv", "run", &["--epochs", "1"]);
    program.write("a.png", png(3, 2, &[0; 6]));
    program.refused(
        &["predict", "--model", "run", "a.png"],
        &["a.png", "6 values", "PNG"],
    );
}

#[test]
fn pixels_are_not_scaled_for_a_model_of_numbers() {
    let program = Chainrule::new();
    // Images of 4×4 floats, which are not scaled.
    let pixels = Pixels::new(120, 16, 3, 100, 8);
    let floats: Vec<u8> = pixels
        .values
        .iter()
        .flat_map(|&x| f32::from(x).to_le_bytes())
        .collect();
    let x = npy("<f4", &[120, 4, 4], &floats);
    write_npz(&program.path("floats.npz"), &[("x", x), ("y", pixels.y())]);
    train(&program, "floats.npz", "run", &["--epochs", "2"]);
    program.write("second.png", png(4, 4, pixels.row(1)));
    let found = predictions(&program, &["second.png", "floats.npz"]);
    assert_eq!(found.len(), 121);
    let pairs = numbers(&found[0]["probabilities"]).into_iter();
    for (image, row) in pairs.zip(numbers(&found[2]["probabilities"])) {
        assert!((image - row).abs() <= 1e-6, "{image} {row}");
    }
    let output = program.run(&["predict", "--model", "run", "second.png"]);
    assert!(output.stderr.contains("0..255"), "{output:?}");
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let (program, _) = trained();
    let many = Pixels::new(20_000, 6, 4, 190, 3);
    program.write("many.npy", many.x(&[6]));
    let mut child = program
        .command(&["predict", "--model", "run", "many.npy"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
