//! `eval`.

use serde_json::{Value, json};

use crate::support::{Chainrule, Pixels, number, numbers, train, write_images, write_npz};

/// Confusion matrix and mean cross-entropy, computed from the output of `predict` for the same samples.
fn recomputed(predictions: &Value, labels: &[u8], classes: usize) -> (Vec<Vec<u64>>, f64) {
    let rows = predictions["predictions"].as_array().unwrap();
    assert_eq!(rows.len(), labels.len());
    let mut confusion = vec![vec![0; classes]; classes];
    let mut loss = 0.0;
    for (row, &label) in rows.iter().zip(labels) {
        let class = row["class"].as_u64().unwrap() as usize;
        confusion[usize::from(label)][class] += 1;
        loss -= number(&row["probabilities"][usize::from(label)]).ln();
    }
    (confusion, loss / labels.len() as f64)
}

#[track_caller]
fn assert_near(found: &Value, expected: f64, tolerance: f64) {
    let found = number(found);
    assert!(
        expected.is_finite() && (found - expected).abs() <= tolerance,
        "{found}, {expected}"
    );
}

#[test]
fn agrees_with_train_and_with_predict() {
    for precision in ["f32", "f64"] {
        let program = Chainrule::new();
        let test = write_images(&program, "images.npz");
        let flags = ["--epochs", "2", "--precision", precision];
        let summary = train(&program, "images.npz", "run", &flags);
        let report = program.json(&["eval", "--model", "run", "--json"]);
        assert_eq!(report["split"], "test");
        assert_eq!(report["data"], "images.npz");
        assert_eq!(report["samples"], 57);
        assert_eq!(report["accuracy"], summary["test_accuracy"]);
        assert_eq!(report["loss"], summary["test_loss"]);

        program.write("test.npy", test.x(&[6]));
        let predictions = program.json(&["predict", "--model", "run", "test.npy", "--json"]);
        let (confusion, loss) = recomputed(&predictions, &test.labels, 4);
        assert_eq!(report["confusion"], json!(confusion));
        assert_near(&report["loss"], loss, 1e-6);
        // Otherwise the comparison would say little.
        let wrong: u64 = (0..4)
            .map(|c| confusion[c].iter().sum::<u64>() - confusion[c][c])
            .sum();
        assert!((1..50).contains(&wrong), "{confusion:?}");
        check_scores(&report, &confusion);
    }
}

/// Checks precision, recall, F1, averages and Wilson's interval against their definitions.
fn check_scores(report: &Value, confusion: &[Vec<u64>]) {
    let samples: u64 = confusion.iter().flatten().sum();
    let (mut correct, mut macro_f1, mut weighted_precision) = (0, 0.0, 0.0);
    for (class, row) in confusion.iter().enumerate() {
        let score = &report["classes"][class];
        let found = row[class] as f64;
        let support: u64 = row.iter().sum();
        let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
        let precision = if predicted == 0 {
            0.0
        } else {
            found / predicted as f64
        };
        let recall = found / support as f64;
        let f1 = if found == 0.0 {
            0.0
        } else {
            2.0 * precision * recall / (precision + recall)
        };
        assert_eq!(score["name"], class.to_string());
        assert_eq!(score["support"], support);
        assert_near(&score["precision"], precision, 1e-12);
        assert_near(&score["recall"], recall, 1e-12);
        assert_near(&score["f1"], f1, 1e-12);
        correct += row[class];
        macro_f1 += f1 / confusion.len() as f64;
        weighted_precision += precision * support as f64 / samples as f64;
    }
    assert_near(&report["accuracy"], correct as f64 / samples as f64, 1e-15);
    assert_near(&report["macro_average"]["f1"], macro_f1, 1e-12);
    assert_near(
        &report["weighted_average"]["precision"],
        weighted_precision,
        1e-12,
    );
    // The ends p of Wilson's interval are where (p̂ − p)² = z² p (1 − p)/n.
    let (n, z, share) = (
        samples as f64,
        1.959_963_984_540_054_f64,
        correct as f64 / samples as f64,
    );
    for end in ["low", "high"] {
        let p = number(&report["accuracy_interval"][end]);
        assert!(((share - p).powi(2) - z * z * p * (1.0 - p) / n).abs() <= 1e-12);
    }
}

#[test]
fn parts_of_the_run_are_reproduced() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    let flags = ["--epochs", "3", "--validation", "0.3", "--seed", "5"];
    let summary = train(&program, "images.npz", "run", &flags);
    let eval = |split| program.json(&["eval", "--model", "run", "--split", split, "--json"]);

    let validation = eval("validation");
    assert_eq!(validation["samples"], 61); // round(0.3 · 203)
    assert_eq!(validation["accuracy"], summary["val_accuracy"]);
    assert_eq!(validation["loss"], summary["val_loss"]);
    let (training, test, all) = (eval("train"), eval("test"), eval("all"));
    assert_eq!(training["samples"], 142);
    assert_eq!(all["samples"], 260);
    let correct = |report: &Value| number(&report["accuracy"]) * number(&report["samples"]);
    let parts = correct(&validation) + correct(&training) + correct(&test);
    assert!((correct(&all) - parts).abs() <= 1e-9);

    // The same split of other data would give other samples.
    let other = Pixels::new(203, 6, 4, 190, 9);
    write_npz(
        &program.path("other.npz"),
        &[("x", other.x(&[2, 3])), ("y", other.y())],
    );
    for split in ["validation", "train"] {
        let args = [
            "eval",
            "--model",
            "run",
            "--data",
            "other.npz",
            "--split",
            split,
        ];
        program.refused(&args, &["split", "trained on", "images.npz", "other.npz"]);
    }
    let args = ["eval", "--model", "run", "--data", "other.npz"];
    program.refused(
        &[&args[..], &["--split", "test"]].concat(),
        &["split", "test part", "other.npz"],
    );
    let report = program.json(&[&args[..], &["--json"]].concat());
    assert_eq!(
        (&report["split"], &report["samples"]),
        (&json!("all"), &json!(203))
    );
}

#[test]
fn validation_data_of_its_own() {
    let program = Chainrule::new();
    let (x, x_val) = (
        Pixels::new(120, 5, 3, 200, 3),
        Pixels::new(31, 5, 3, 200, 4),
    );
    let arrays = [
        ("x", x.x(&[5])),
        ("y", x.y()),
        ("x_val", x_val.x(&[5])),
        ("y_val", x_val.y()),
    ];
    write_npz(&program.path("own.npz"), &arrays);
    let summary = train(&program, "own.npz", "run", &["--epochs", "2"]);
    let report = program.json(&["eval", "--model", "run", "--split", "validation", "--json"]);
    assert_eq!(report["samples"], 31);
    assert_eq!(report["accuracy"], summary["val_accuracy"]);
    let report = program.json(&["eval", "--model", "run", "--split", "train", "--json"]);
    assert_eq!(report["samples"], 120);
}

#[test]
fn classes_with_names_are_matched_by_name() {
    let program = Chainrule::new();
    let named = |pixels: &Pixels, keep: &[u8]| {
        let mut text = String::from("species,a,b,c\n");
        for (row, &label) in pixels.labels.iter().enumerate() {
            if keep.contains(&label) {
                let name = ["ant", "bee", "cat"][usize::from(label)];
                let cells: Vec<String> = pixels.row(row).iter().map(u8::to_string).collect();
                text += &format!("{name},{}\n", cells.join(","));
            }
        }
        text
    };
    program.write(
        "train.csv",
        named(&Pixels::new(200, 3, 3, 20, 5), &[0, 1, 2]),
    );
    let fresh = Pixels::new(60, 3, 3, 20, 6);
    program.write("fresh.csv", named(&fresh, &[1, 2]));
    let flags = [
        "--label",
        "species",
        "--epochs",
        "40",
        "--normalize",
        "standard",
    ];
    let summary = train(&program, "train.csv", "run", &flags);
    assert_eq!(summary["val_accuracy"], 1.0);

    // The label column of the run is used for other tables, too.
    let report = program.json(&["eval", "--model", "run", "--data", "fresh.csv", "--json"]);
    assert_eq!(report["accuracy"], 1.0);
    let supports: Vec<u64> = (0..3)
        .map(|c| report["classes"][c]["support"].as_u64().unwrap())
        .collect();
    let count = |class| fresh.labels.iter().filter(|&&l| l == class).count() as u64;
    assert_eq!(supports, [0, count(1), count(2)]);
    assert_eq!(report["classes"][0]["name"], "ant");

    program.write("strange.csv", "species,a,b,c\ncat,1,2,3\ndog,4,5,6\n");
    let args = ["eval", "--model", "run", "--data", "strange.csv"];
    let output = program.run(&args);
    assert_eq!(output.code, 0, "{output:?}");
    let notice = "count as errors, and not in the loss: dog (its classes: ant, bee, cat)";
    assert!(output.stderr.contains(notice), "{output:?}");
}

#[test]
fn text_names_model_part_and_samples() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    train(&program, "images.npz", "run", &["--epochs", "1"]);
    let report = program.json(&["eval", "--model", "run/model.safetensors", "--json"]);
    let text = program.stdout(&["eval", "--model", "run/model.safetensors"]);
    let accuracy = format!("{:.4} (95 % interval ", number(&report["accuracy"]));
    for part in [
        "run/model.safetensors (epoch 1)",
        "test part: 57 samples",
        &accuracy,
        "weighted average",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let last: Vec<f64> = text
        .lines()
        .last()
        .unwrap()
        .split_whitespace()
        .map(|cell| cell.parse().unwrap())
        .collect();
    // Name and number of the class, then its row of the confusion matrix.
    assert_eq!(last[2..], numbers(&report["confusion"][3])[..]);
}

#[test]
fn bad_input_is_refused() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    train(&program, "images.npz", "run", &["--epochs", "1"]);
    let narrow = Pixels::new(20, 5, 4, 100, 1);
    write_npz(
        &program.path("narrow.npz"),
        &[("x", narrow.x(&[5])), ("y", narrow.y())],
    );
    let many = Pixels::new(90, 6, 6, 100, 1);
    write_npz(
        &program.path("many.npz"),
        &[("x", many.x(&[6])), ("y", many.y())],
    );
    let eval = |data| ["eval", "--model", "run", "--data", data];
    program.refused(&eval("narrow.npz"), &["narrow.npz", "6 values", "found 5"]);
    let output = program.run(&eval("many.npz"));
    assert!(
        output.stderr.contains("4, 5 (its classes: 0, 1, 2, 3)"),
        "{output:?}"
    );
    program.refused(&eval("absent.npz"), &["absent.npz"]);
    program.refused(&["eval", "--model", "absent"], &["absent"]);
    program.write("empty/readme", "no run");
    program.refused(
        &["eval", "--model", "empty"],
        &["empty/model.safetensors", "checkpoint"],
    );
    program.refused(
        &["eval", "--model", "images.npz"],
        &["images.npz", "safetensors"],
    );
    program.refused(&["eval"], &["--model"]);

    let model = std::fs::read(program.path("run/model.safetensors")).unwrap();
    program.write("torn.safetensors", &model[..model.len() - 1]);
    program.refused(
        &["eval", "--model", "torn.safetensors"],
        &["torn.safetensors"],
    );
    std::fs::remove_file(program.path("images.npz")).unwrap();
    program.refused(&["eval", "--model", "run"], &["images.npz", "--data"]);
}
