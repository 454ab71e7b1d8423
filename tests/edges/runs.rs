//! Whole runs through the library.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use chainrule::backend::select::Precision;
use chainrule::data::{self, Dataset, LoadOptions, Normalize};
use chainrule::model::Model;
use chainrule::settings::{Config, OptimizerName, Settings};
use chainrule::train::{self, Outcome, Progress};
use ndarray::Array2;

use super::all_finite;

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::F64, Precision::Bf16];

/// Two classes by the sign of the first feature; the other features have this value in all rows.
fn samples(constant: f64) -> Array2<f64> {
    Array2::from_shape_fn((60, 3), |(i, j)| match j {
        0 => (i as f64 - 29.5) / 10.0,
        _ => constant,
    })
}

fn labels() -> Vec<u32> {
    (0..60).map(|i| u32::from(i >= 30)).collect()
}

fn settings(precision: Precision) -> Settings {
    let mut settings = Settings::default();
    settings.model.widths = Some(vec![8]);
    settings.model.batch_norm = Some(false);
    settings.train.epochs = Some(3);
    settings.train.batch_size = Some(16);
    settings.train.threads = Some(1);
    settings.train.precision = Some(precision);
    settings
}

fn run(settings: &Settings, x: &Array2<f64>, folder: Option<&Path>) -> chainrule::Result<Outcome> {
    let data = Arc::new(Dataset::from_arrays(x.view(), &labels())?);
    train::run(Config::new(settings)?, data, folder, &mut ())
}

#[test]
fn one_class_is_refused() {
    let x = samples(1.0);
    let refused = |labels: &[u32]| {
        let data = Dataset::from_arrays(x.view(), labels);
        let run = |data| {
            let config = Config::new(&settings(Precision::F32))?;
            train::run(config, Arc::new(data), None, &mut ())
        };
        let error = data.and_then(run).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error.to_string().contains("at least two classes"),
            "{error}"
        );
    };
    refused(&[0; 60]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    fs::write(&path, "a,label\n1,cat\n2,cat\n3,cat\n").unwrap();
    let options = LoadOptions {
        path: Some(path),
        ..LoadOptions::default()
    };
    let error = data::load(&options).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("only class cat"), "{error}");
}

#[test]
fn constant_features_change_nothing() {
    for precision in PRECISIONS {
        for batch_norm in [false, true] {
            let mut settings = settings(precision);
            settings.data.normalize = Some(Normalize::Standard);
            settings.model.batch_norm = Some(batch_norm);
            let losses = |constant| {
                let outcome = run(&settings, &samples(constant), None).unwrap();
                assert!(!outcome.summary.diverged);
                let losses: Vec<f64> = outcome.records.iter().map(|r| r.train_loss).collect();
                assert!(losses.len() == 3 && all_finite(&losses));
                losses
            };
            let expected = losses(0.0);
            for constant in [7.3, -1e12, 1e30] {
                assert_eq!(losses(constant), expected, "{precision} {constant}");
            }
        }
    }
}

#[test]
fn features_whose_spread_the_precision_does_not_hold_are_refused() {
    let mut single = settings(Precision::F32);
    single.data.normalize = Some(Normalize::Standard);
    let error = run(&single, &samples(1e60), None).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_code(), 2);
    assert!(text.contains("column 1") && text.contains("f32"), "{text}");
    let mut double = settings(Precision::F64);
    double.data.normalize = Some(Normalize::Standard);
    assert!(!run(&double, &samples(1e60), None).unwrap().summary.diverged);
}

/// Where 1e308 is added to each weight, the loss is gone a step later. If no step follows in the epoch, the weights say
/// so themselves.
#[test]
fn a_rate_of_1e308_diverges_and_leaves_no_model() {
    for precision in PRECISIONS {
        for (optimizer, batch_size, epochs) in [
            (OptimizerName::Sgd, 16, 3),
            (OptimizerName::Adam, 16, 3),
            (OptimizerName::Sgd, 48, 1),
            (OptimizerName::Adam, 48, 1),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run");
            let mut settings = settings(precision);
            settings.optimizer.name = Some(optimizer);
            settings.optimizer.lr = Some(1e308);
            settings.train.batch_size = Some(batch_size);
            settings.train.epochs = Some(epochs);
            let outcome = run(&settings, &samples(100.0), Some(&path)).unwrap();
            let what = format!("{optimizer:?} {precision} {batch_size}");
            let finite = outcome.model.is_some();
            // In f64 a step of SGD leads to weights that are numbers. What the network computes with them is none.
            let one_step_is_a_number =
                (precision, optimizer, epochs) == (Precision::F64, OptimizerName::Sgd, 1);
            assert_eq!(finite, one_step_is_a_number, "{what}");
            assert_eq!(outcome.summary.diverged, !finite, "{what}");
            assert_eq!(outcome.summary.val_loss, None, "{what}");
            assert_eq!(path.join("model.safetensors").exists(), finite, "{what}");
            if finite {
                Model::read(&path).unwrap();
            } else {
                assert!(outcome.records.last().unwrap().train_loss.is_nan());
                let again = run(&settings, &samples(100.0), Some(&path)).unwrap();
                assert!(again.was_over && again.summary.diverged, "{what}");
            }
        }
    }
}

/// (x − μ)/√∞ is 0, so that the loss is finite. The variance stays infinite.
#[test]
fn a_running_variance_that_overflows_diverges() {
    let x = samples(1.0) * 1e25;
    for (precision, diverges) in [(Precision::F32, true), (Precision::F64, false)] {
        let mut settings = settings(precision);
        settings.model.batch_norm = Some(true);
        settings.data.normalize = Some(Normalize::Auto);
        let outcome = run(&settings, &x, None).unwrap();
        assert_eq!(outcome.summary.diverged, diverges, "{precision}");
        assert_eq!(outcome.model.is_some(), !diverges, "{precision}");
    }
}

#[test]
fn a_batch_of_one_with_batch_norm_is_refused_before_a_run() {
    let mut settings = settings(Precision::F32);
    settings.train.batch_size = Some(1);
    assert!(
        !run(&settings, &samples(1.0), None)
            .unwrap()
            .summary
            .diverged
    );
    settings.model.batch_norm = Some(true);
    let error = run(&settings, &samples(1.0), None).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--batch-size"), "{error}");
    // A single row that is left over is dropped.
    settings.train.batch_size = Some(47);
    settings.train.epochs = Some(1);
    let outcome = run(&settings, &samples(1.0), None).unwrap();
    assert_eq!(outcome.summary.train_samples, 48);
    assert!(outcome.records[0].train_loss.is_finite());
}

#[test]
fn the_number_of_updates_is_kept_beyond_32_bits() {
    let mut progress = Progress::default();
    progress.update = (1 << 32) + 5;
    let text = serde_json::to_string(&progress).unwrap();
    assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
}
