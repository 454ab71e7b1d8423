//! `analyze`.

use crate::support::{Chainrule, npy, number, train, write_images};

fn doubles(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[test]
fn shows_the_matrices_of_two_models() {
    let program = Chainrule::new();
    let test = write_images(&program, "images.npz");
    train(&program, "images.npz", "run", &["--epochs", "2"]);
    // The other model is right except for class 3, which it classifies as class 0.
    let outputs: Vec<f64> = test
        .labels
        .iter()
        .flat_map(|&label| (0..4).map(move |c| f64::from(c == label % 3)))
        .collect();
    program.write("other.npy", npy("<f8", &[57, 4], &doubles(&outputs)));
    let flags = ["analyze", "--model", "run", "--predictions", "other.npy"];
    let report = program.json(&[&flags[..], &["--json"]].concat());
    let eval = program.json(&["eval", "--model", "run", "--json"]);
    let models = report["models"].as_array().unwrap();
    assert_eq!(
        (
            models.len(),
            &models[0]["confusion"],
            &models[0]["accuracy"]
        ),
        (2, &eval["confusion"], &eval["accuracy"])
    );
    for (a, row) in models[0]["correlation"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        for (b, r) in row.as_array().unwrap().iter().map(number).enumerate() {
            assert!((-1.0..=1.0).contains(&r) && (a != b || r == 1.0));
        }
    }
    for row in models[1]["correlation"].as_array().unwrap() {
        assert!(row[3].is_null(), "its fourth output never changes");
    }
    let threes = test.labels.iter().filter(|&&l| l == 3).count();
    assert_eq!(
        models[1]["confused"],
        serde_json::json!([{"classes": [0, 3], "counts": [0, threes]}])
    );

    let text = program.stdout(&flags);
    assert!(
        text.contains("correlation between the classes")
            && text.contains("other.npy")
            && text.contains("0 / 3"),
        "{text}"
    );
    let logits = program.json(&["analyze", "--model", "run", "--logits", "--json"]);
    assert_ne!(logits["models"][0]["correlation"], models[0]["correlation"]);
    assert_eq!(logits["models"][0]["confusion"], models[0]["confusion"]);
}

#[test]
fn predictions_of_another_shape_are_refused() {
    let program = Chainrule::new();
    write_images(&program, "images.npz");
    train(&program, "images.npz", "run", &["--epochs", "1"]);
    program.write("few.npy", npy("<f8", &[2, 4], &doubles(&[0.0; 8])));
    program.write("narrow.npy", npy("<f8", &[57, 3], &doubles(&[0.0; 171])));
    program.refused(
        &["analyze", "--model", "run", "--predictions", "few.npy"],
        &["few.npy", "57", "2"],
    );
    program.refused(
        &["analyze", "--model", "run", "--predictions", "narrow.npy"],
        &["narrow.npy", "4 values"],
    );
    program.refused(
        &["analyze", "--model", "run", "--predictions", "none.npy"],
        &["none.npy"],
    );
    program.refused(&["analyze", "--model", "nowhere"], &["nowhere"]);
}
