//! Pages of final models whose test samples have numbers, or several labels.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::hostile_tests::{HOSTILE, float, journal};
use super::well_formed_tests::check_report;
use super::*;
use crate::data::{Features, Labels, Samples, Task};
use crate::metrics::{Evaluation, Metric};
use crate::model::Predictions;
use crate::train::{OtherMetrics, Summary};

/// Numbers that look drawn by chance, from 0 to 1.
fn draws(count: usize, mut state: u64) -> Vec<f64> {
    let mut next = || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        (state >> 16) as f64 / 32_768.0
    };
    (0..count).map(|_| next()).collect()
}

/// The folder of a study with one trial, and a final model with these records.
fn study(folder: &Path, summary: &Summary, records: &[String]) {
    let trials = [(json!({"x": 0.5}), json!(1.0))];
    let text = journal("search", &json!({"x": float(0.0, 1.0, false)}), &trials);
    fs::write(folder.join(JOURNAL), text).unwrap();
    let run = folder.join(FINAL);
    fs::create_dir(&run).unwrap();
    let task = summary.task.name();
    fs::write(
        run.join("config.toml"),
        format!("[data]\ntask = \"{task}\"\n"),
    )
    .unwrap();
    fs::write(run.join("summary.json"), json!(summary).to_string()).unwrap();
    fs::write(run.join("metrics.jsonl"), records.concat()).unwrap();
}

fn summary(task: Task, test: &[(Metric, f64)]) -> Summary {
    Summary {
        task,
        best_epoch: Some(2),
        epochs_run: 3,
        test_samples: 1234,
        test_loss: Some(0.25),
        test_others: OtherMetrics::of(Some(Evaluation::new(test.iter().copied()))),
        ..Summary::default()
    }
}

/// A line of `metrics.jsonl` with these metrics of the validation part.
fn record(epoch: u32, metrics: serde_json::Value) -> String {
    let mut line = json!({"epoch": epoch, "train_loss": 1.0 / f64::from(epoch), "train_loss_sum": 1.0,
        "train_accuracy": null, "val_loss": 1.5 / f64::from(epoch), "val_accuracy": null});
    let more = json!({"lr": 0.1, "train_seconds": 0.5, "samples_per_second": 10.0});
    for fields in [metrics, more] {
        let fields = fields.as_object().unwrap().clone();
        line.as_object_mut().unwrap().extend(fields);
    }
    line.to_string() + "\n"
}

fn result(task: Task, names: &[&str], truth: Vec<f64>, outputs: Vec<f64>) -> TestResult {
    let columns = names.len();
    TestResult {
        class_names: names.iter().map(|&name| name.to_owned()).collect(),
        samples: Samples {
            features: Features::U8(vec![0; truth.len() / columns]),
            width: 1,
            labels: Labels::Values {
                values: truth,
                columns,
            },
            weights: None,
        },
        image: None,
        predictions: Predictions {
            task,
            outputs,
            ..Predictions::default()
        },
    }
}

/// The page of a study, and the text of a figure's file.
fn page(folder: &Path, tested: TestResult) -> (String, impl Fn(&str) -> String) {
    let out = folder.join(REPORT);
    write(folder, &out, Some(Ok(tested))).unwrap();
    let page = check_report(&out);
    assert!(!page.contains("NaN"), "{page}");
    let figures = out.join("figures");
    (page, move |name| {
        fs::read_to_string(figures.join(name)).unwrap()
    })
}

#[test]
fn numbers_are_drawn_beside_the_true_ones() {
    let dir = tempfile::tempdir().unwrap();
    let test = [
        (Metric::Rmse, 54_321.0),
        (Metric::Mae, 43_210.0),
        (Metric::R2, 0.9),
    ];
    let epochs = [(1, 9e4, -0.5), (2, 6e4, 0.8), (3, 7e4, 0.7)];
    let records = epochs.map(|(epoch, rmse, r2)| {
        record(
            epoch,
            json!({"val_rmse": rmse, "val_mae": rmse / 2.0, "val_r2": r2}),
        )
    });
    study(dir.path(), &summary(Task::Regression, &test), &records);
    let n = 2500;
    let (base, noise) = (draws(n, 1), draws(n, 2));
    let truth = base.iter().flat_map(|x| [1e5 + 4e5 * x, 5.0]).collect();
    let predicted = base.iter().zip(&noise);
    let predicted = predicted.flat_map(|(x, e)| [1e5 + 4e5 * x + 1e5 * (e - 0.5), 5.0]);
    let names = ["price", "constant"];
    let tested = result(Task::Regression, &names, truth, predicted.collect());
    let (page, figure) = page(dir.path(), tested);
    assert!(
        page.contains("<strong>RMSE 54321</strong> on the 1234 test samples"),
        "{page}"
    );
    let others = "(MAE 43210, R² 0.9000, loss 0.2500; in the target's own units";
    assert!(page.contains(others), "{page}");
    assert!(
        page.contains("<td>constant</td><td>0</td><td>0</td><td>1.0000</td>"),
        "{page}"
    );
    assert!(page.contains("<td>mean</td>"), "{page}");
    // Four curves, and two charts a target beside the search's.
    for name in ["final-rmse", "final-mae", "final-r2", "final-loss"] {
        assert_eq!(
            figure(&format!("{name}.csv")).lines().count(),
            1 + 3,
            "{name}"
        );
    }
    assert!(!page.contains("final-accuracy"));
    let scatter = figure("final-predicted-price.svg");
    assert_eq!(scatter.matches("<circle").count(), 1000, "not all 2500");
    assert!(
        page.contains("1000 of 2500 samples are drawn, evenly spread"),
        "{page}"
    );
    let csv = figure("final-predicted-price.csv");
    assert_eq!(csv.lines().count(), 1 + 1000);
    let last = csv.lines().last().unwrap().split(',').next();
    assert_eq!(last, Some("2497"), "every 2.5th sample");
    let residuals = figure("final-residuals-price.csv");
    for (a, b) in csv.lines().zip(residuals.lines()).skip(1) {
        let numbers = |line: &str| -> Vec<f64> {
            line.split(',').map(|cell| cell.parse().unwrap()).collect()
        };
        let (a, b) = (numbers(a), numbers(b));
        assert_eq!((a[2], a[1] - a[2]), (b[1], b[2]));
    }
    assert_eq!(
        figure("final-residuals-constant.svg")
            .matches("<circle")
            .count(),
        1000
    );
}

/// A diagonal goes from the lower left to the upper right, whatever the numbers are.
#[test]
fn extreme_numbers_and_names_stay_in_their_frames() {
    let numbers = [
        (
            vec![1.7e308, -1.7e308, 0.0],
            vec![-1.7e308, 1.7e308, 1e-300],
        ),
        (vec![5e-324, 0.0, 1e-320], vec![0.0, 0.0, 0.0]),
        (vec![1.0, 2.0, 3.0], vec![f64::NAN, f64::INFINITY, 2.0]),
        (vec![1e15, 1e15 + 2.0, 1e15], vec![1e15, 1e15, 1e15]),
        (vec![-0.0; 3], vec![0.0; 3]),
        (vec![7.0], vec![8.0]),
    ];
    for (truth, predicted) in numbers {
        for name in [HOSTILE, "../../x", "=1+1", ""] {
            let dir = tempfile::tempdir().unwrap();
            let records = [record(
                1,
                json!({"val_rmse": 1e300, "val_mae": 1e-300, "val_r2": -1e300}),
            )];
            study(
                dir.path(),
                &summary(Task::Regression, &[(Metric::Rmse, 1e300)]),
                &records,
            );
            let tested = result(Task::Regression, &[name], truth.clone(), predicted.clone());
            let (page, _) = page(dir.path(), tested);
            assert!(page.contains("<strong>RMSE 1.0000e300</strong>"), "{page}");
            assert!(!page.contains("<script>"));
        }
    }
}

#[test]
fn only_the_first_targets_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    study(
        dir.path(),
        &summary(Task::Regression, &[(Metric::Rmse, 1.0)]),
        &[],
    );
    let names: Vec<String> = (0..11).map(|i| format!("target {i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let tested = result(Task::Regression, &names, draws(55, 3), draws(55, 4));
    let (page, _) = page(dir.path(), tested);
    assert!(
        page.contains("Charts show the first 8 of 11 targets."),
        "{page}"
    );
    assert_eq!(page.matches("residuals of target").count() / 2, 8);
    assert!(page.contains("<td>target 10</td>"), "the table has all");
}

#[test]
fn labels_have_curves_and_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let test = [(Metric::F1Micro, 0.8), (Metric::F1Macro, 0.7)];
    let records = [1, 2, 3].map(|epoch| {
        record(
            epoch,
            json!({"val_f1_micro": 0.25 * f64::from(epoch), "val_f1_macro": 0.2}),
        )
    });
    study(dir.path(), &summary(Task::Multilabel, &test), &records);
    let n = 900;
    let (kind, noise) = (draws(n * 4, 5), draws(n * 4, 6));
    // Nobody has the last label.
    let shares = [0.5, 0.2, 0.05, 0.0];
    let truth: Vec<f64> = kind
        .iter()
        .enumerate()
        .map(|(i, x)| f64::from(*x < shares[i % 4]))
        .collect();
    let outputs: Vec<f64> = truth
        .iter()
        .zip(&noise)
        .map(|(y, e)| 0.35 * y + 0.65 * e)
        .collect();
    let names = ["red", "green", HOSTILE, "none"];
    let (page, figure) = page(dir.path(), result(Task::Multilabel, &names, truth, outputs));
    assert!(
        page.contains("<strong>micro F1 0.8000</strong>")
            && page.contains("(macro F1 0.7000, loss 0.2500)"),
        "{page}"
    );
    assert!(
        page.contains("<td>none</td><td>0</td><td>0.0000</td>"),
        "{page}"
    );
    assert!(page.contains("<td>micro average</td>") && page.contains("<td>macro average</td>"));
    assert_eq!(figure("final-f1.csv").lines().count(), 1 + 4);
    let curves = figure("final-precision-recall.svg");
    assert_eq!(
        curves.matches("<polyline").count(),
        3 + 1,
        "one a label that differs, and all"
    );
    assert_eq!(curves.matches("<circle").count(), 3);
    let csv = figure("final-precision-recall.csv");
    assert!(csv.lines().count() < 4 * 500, "{}", csv.lines().count());
    let mut ends = csv.lines().filter(|line| line.starts_with("red,"));
    let last = ends.next_back().unwrap().split(',').nth(2);
    assert_eq!(last, Some("1"), "the last sample has been taken");
    for name in ["final-f1_micro.csv", "final-f1_macro.csv", "final-loss.csv"] {
        assert_eq!(figure(name).lines().count(), 1 + 3);
    }
}

#[test]
fn predictions_of_another_size_are_told() {
    let dir = tempfile::tempdir().unwrap();
    study(
        dir.path(),
        &summary(Task::Regression, &[(Metric::Rmse, 1.0)]),
        &[],
    );
    let tested = result(Task::Regression, &["y"], draws(5, 1), draws(4, 1));
    let (page, _) = page(dir.path(), tested);
    let why = "What it says of the test set cannot be shown: predictions: expected 5, found 4.";
    assert!(page.contains(why), "{page}");
}
