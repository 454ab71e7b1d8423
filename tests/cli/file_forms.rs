//! The same table in each form in which files are found is the same data set.

use serde_json::Value;

use crate::support::{Chainrule, idx, npy, write_npz};

const SAMPLES: usize = 40;
const KINDS: [&str; 3] = ["ash", "birch", "cedar"];

/// Two numbers of each sample.
fn numbers(sample: usize) -> [f64; 2] {
    let part = (sample * 7 % 11) as f64;
    [part - 2.5, (sample % 3) as f64 + part / 8.0]
}

/// The table with this delimiter, decimal separator and line end, below a first line.
fn table(first: &str, delimiter: char, decimal: char, end: &str) -> String {
    let mut text = first.to_owned();
    for sample in 0..SAMPLES {
        for number in numbers(sample) {
            let number = format!("{number:.3}").replace('.', &decimal.to_string());
            text.push_str(&format!("{number}{delimiter}"));
        }
        text.push_str(&format!("{}{end}", KINDS[sample % 3]));
    }
    text
}

fn info(program: &Chainrule, path: &str) -> Value {
    program.json(&["data", "info", "--data", path, "--json"])
}

#[test]
fn tables_in_each_form() {
    let program = Chainrule::new();
    program.write("plain.csv", table("len,wid,kind\n", ',', '.', "\n"));
    let plain = info(&program, "plain.csv");
    assert_eq!(plain["class_names"], serde_json::json!(KINDS));
    assert_eq!(plain["parts"][0]["samples"], SAMPLES);
    for text in [
        table("len;wid;kind\n", ';', ',', "\n"),
        table("sep=;\nlen;wid;kind\n", ';', '.', "\n"),
        table("\u{feff}\"sep=;\"\r\nlen;wid;kind\r\n", ';', ',', "\r\n"),
        table("len\twid\tkind\r", '\t', ',', "\r"),
        table("len|wid|kind\r", '|', '.', "\r"),
        table("0,1,kind\n", ',', '.', "\n"),
        table("", ',', '.', "\n"),
        table("", ';', ',', "\r\n"),
    ] {
        program.write("other.csv", &text);
        let other = info(&program, "other.csv");
        assert_eq!(other["hash"], plain["hash"], "{}", &text[..40]);
        assert_eq!(other["class_names"], plain["class_names"]);
    }
}

#[test]
fn arrays_of_each_type() {
    let program = Chainrule::new();
    let bytes = |number: fn(usize) -> Vec<u8>| (0..SAMPLES).flat_map(number).collect::<Vec<u8>>();
    let floats = bytes(|i| numbers(i).iter().flat_map(|x| x.to_le_bytes()).collect());
    let x = npy("<f8", &[SAMPLES, 2], &floats);
    let truth = npy(
        "|b1",
        &[SAMPLES, 2],
        &bytes(|i| vec![(i % 2) as u8, (i % 3 == 0) as u8]),
    );
    let integers = npy(
        "<i8",
        &[SAMPLES, 2],
        &bytes(|i| {
            [i as i64, -3]
                .iter()
                .flat_map(|x| x.to_le_bytes())
                .collect()
        }),
    );
    let halves = npy(
        "<f2",
        &[SAMPLES, 2],
        &bytes(|i| vec![i as u8, 0x3c, 0, 0xc0]),
    );
    let words = npy(
        "|S5",
        &[SAMPLES],
        &bytes(|i| format!("{:\0<5}", KINDS[i % 3]).into_bytes()),
    );
    let letters = npy(
        "<U1",
        &[SAMPLES, 1],
        &bytes(|i| vec![b'a' + (i % 3) as u8, 0, 0, 0]),
    );
    let one_hot = npy(
        "|u1",
        &[SAMPLES, 3],
        &bytes(|i| (0..3).map(|k| (i % 3 == k) as u8).collect()),
    );
    let whole = npy(
        "<f4",
        &[SAMPLES],
        &bytes(|i| ((i % 3) as f32 - 1.0).to_le_bytes().to_vec()),
    );
    let yes = npy("|b1", &[SAMPLES], &bytes(|i| vec![(i % 2) as u8]));
    for (names, x, y, classes) in [
        (["x", "y"], &x, &words, &KINDS[..]),
        (["x_train", "y_train"], &truth, &letters, &["a", "b", "c"]),
        (["X", "Y"], &integers, &one_hot, &["0", "1", "2"]),
        (["X_train", "y_train"], &halves, &whole, &["-1", "0", "1"]),
        (["X", "y"], &x, &yes, &["False", "True"]),
    ] {
        write_npz(
            &program.path("a.npz"),
            &[(names[0], x.clone()), (names[1], y.clone())],
        );
        let found = info(&program, "a.npz");
        assert_eq!(
            found["class_names"],
            serde_json::json!(classes),
            "{names:?}"
        );
        assert_eq!(
            (&found["width"], &found["image"]),
            (&2.into(), &Value::Null)
        );
    }
    let fraction = npy("<f4", &[2], &[0.5_f32, 1.0].map(f32::to_le_bytes).concat());
    let two = npy("<f8", &[2, 2], &floats[..32]);
    write_npz(&program.path("a.npz"), &[("x", two), ("y", fraction)]);
    assert_eq!(info(&program, "a.npz")["task"], "regression");
    let infinite = npy(
        "<f8",
        &[1, 2],
        &[1.0, f64::INFINITY].map(f64::to_le_bytes).concat(),
    );
    write_npz(
        &program.path("a.npz"),
        &[("x", infinite), ("y", npy("|u1", &[1], &[0]))],
    );
    program.refused(
        &["train", "--data", "a.npz"],
        &["sample 0, feature 1", "inf"],
    );
}

#[test]
fn a_folder_of_letters() {
    let program = Chainrule::new();
    std::fs::create_dir(program.path("letters")).unwrap();
    let labels: Vec<u8> = (0..52).map(|i| i % 26 + 1).collect();
    let set = "letters/emnist-letters-train";
    program.write(
        &format!("{set}-images-idx3-ubyte"),
        idx(&[52, 1, 1], &labels),
    );
    program.write(&format!("{set}-labels-idx1-ubyte"), idx(&[52], &labels));
    let found = info(&program, "letters");
    let names: Vec<String> = (1..=26).map(|label: u8| label.to_string()).collect();
    assert_eq!(found["class_names"], serde_json::json!(names));
    program.write("letters/emnist-digits-train-images-idx3-ubyte", "");
    let words = [
        "emnist-digits-train",
        "emnist-letters-train",
        "one data set",
    ];
    program.refused(&["data", "info", "--data", "letters"], &words);
}

/// A pipe gives its bytes when they come.
#[cfg(any(target_os = "linux", windows))]
#[test]
fn a_table_comes_through_a_pipe_in_pieces() {
    use std::io::Write;
    use std::process::Stdio;

    let program = Chainrule::new();
    let text = table("len;wid;kind\n", ';', ',', "\n");
    program.write("a.csv", &text);
    crate::support::train(&program, "a.csv", "run", &["--epochs", "1"]);
    for args in [
        &["data", "info", "--data", "/dev/stdin"][..],
        &["data", "verify", "--data", "/dev/stdin"],
        &["train", "--data", "/dev/stdin", "--epochs", "1", "--quiet"],
        &["eval", "--model", "run", "--data", "/dev/stdin"],
        &["predict", "--model", "run", "/dev/stdin"],
    ] {
        let mut command = program.command(args);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        for piece in [&text[..1], &text[1..20], &text[20..]] {
            pipe.write_all(piece.as_bytes()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
}
