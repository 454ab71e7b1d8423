//! The library by itself, with whatever features it is built: without any it reads, trains, saves and predicts.

#[path = "../wasm/src/ten_steps.rs"]
mod ten_steps;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use chainrule::data::{self, ImageShape, LoadOptions, Schema, TableOptions, read_input};
use chainrule::model::Model;
use chainrule::settings::{Config, Settings};
use chainrule::train;
use ndarray::array;

#[test]
fn files_of_readers_that_are_left_out_are_refused_by_the_name_of_the_feature() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let image = ImageShape {
        height: 2,
        width: 2,
    };
    for (is_built_in, start, feature) in [
        (cfg!(feature = "gzip"), &b"\x1f\x8b\x08"[..], "gzip"),
        (cfg!(feature = "png"), b"\x89PNG\r\n\x1a\n", "png"),
        (cfg!(feature = "zip"), b"PK\x03\x04", "zip"),
    ] {
        fs::write(&path, start).unwrap();
        let schema = Schema::by_position(4, None);
        let read = read_input(&path, &schema, Some(image), &TableOptions::default());
        let error = read.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        let names_it = error.to_string().contains(&format!("feature `{feature}`"));
        assert_eq!(names_it, !is_built_in, "{error}");
    }
}

/// Is x in the middle third of [0, 1)?
#[test]
fn a_table_is_read_learnt_and_saved() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("thirds.csv");
    let rows = (0..300).map(|i| format!("{},{}\n", f64::from(i) / 300.0, i / 100 == 1));
    fs::write(&table, format!("x,label\n{}", rows.collect::<String>())).unwrap();

    let mut settings = Settings::default();
    settings.data.path = Some(table.clone());
    settings.model.widths = Some(vec![32, 16]);
    settings.train.epochs = Some(60);
    settings.optimizer.lr = Some(0.01);
    settings.train.batch_size = Some(20);
    let options = LoadOptions {
        path: Some(table),
        ..LoadOptions::default()
    };
    let data = Arc::new(data::load(&options).unwrap());
    let run = dir.path().join("run");
    let config = Config::new(&settings).unwrap();
    let outcome = train::run(config, data, Some(&run), &mut ()).unwrap();
    assert!(outcome.summary.val_accuracy > Some(0.9));

    let model = Model::read(&run).unwrap();
    assert_eq!(model.description.class_names, ["false", "true"]);
    let probabilities = model.predict_proba(array![[0.1], [0.5]].view()).unwrap();
    assert!(probabilities[(0, 0)] > 0.5 && probabilities[(1, 1)] > 0.5);
}

/// Their numbers are left in the target folder, where `tests/wasm/run.mjs` compares them with those of WebAssembly.
#[test]
fn ten_steps_lower_the_loss() {
    let numbers = ten_steps::ten_steps().unwrap();
    assert!(numbers.iter().all(|x| x.is_finite()));
    let losses = &numbers[..ten_steps::STEPS as usize];
    assert!(losses[losses.len() - 1] < 0.5 * losses[0], "{losses:?}");
    let lines: String = numbers.iter().map(|x| format!("{x:e}\n")).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ten-steps.txt");
    fs::write(path, lines).unwrap();
}
