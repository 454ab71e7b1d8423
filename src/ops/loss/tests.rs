//! What holds for every loss.

use super::*;
use crate::ops::gradient::{check, numbers};

/// Rows and outputs of the batches that are tried.
const SIZES: [(usize, usize); 5] = [(1, 1), (5, 1), (1, 3), (7, 5), (31, 2)];

fn with_classes(label_smoothing: f64, weights: &[f64]) -> Loss {
    Loss::CrossEntropy(CrossEntropy {
        label_smoothing,
        class_weights: Some(weights.to_vec()),
    })
}

fn with_positives(weights: &[f64]) -> Loss {
    let positive_weights = Some(weights.to_vec());
    Loss::BinaryCrossEntropy(BinaryCrossEntropy { positive_weights })
}

/// Every loss for this number of outputs, with and without options.
fn every_loss(outputs: usize) -> Vec<Loss> {
    let weights: Vec<f64> = (0..outputs).map(|c| 0.5 + 1.5 * c as f64).collect();
    vec![
        Loss::default(),
        with_classes(0.1, &weights),
        Loss::BinaryCrossEntropy(BinaryCrossEntropy::default()),
        with_positives(&weights),
        Loss::MeanSquaredError,
        Loss::Huber(Huber { delta: 0.4 }),
        Loss::Huber(Huber::default()),
        Loss::MeanAbsoluteError,
    ]
}

/// Targets of any kind for a batch, and weights.
struct Batch {
    outputs: Vec<f64>,
    columns: usize,
    classes: Vec<u32>,
    numbers: Vec<f64>,
    labels: Vec<f64>,
    weights: Vec<f64>,
}

impl Batch {
    fn new(rows: usize, columns: usize) -> Self {
        let count = rows * columns;
        Batch {
            outputs: numbers(count, 1).iter().map(|z| 1.5 * z).collect(),
            columns,
            classes: (0..rows).map(|i| ((i * 5 + 1) % columns) as u32).collect(),
            numbers: numbers(count, 2),
            labels: numbers(count, 3)
                .iter()
                .map(|&y| f64::from(y > 0.0))
                .collect(),
            weights: (0..rows).map(|i| [2.0, 0.0, 0.7][i % 3]).collect(),
        }
    }

    fn targets(&self, loss: &Loss, weighted: bool) -> Targets<'_> {
        let columns = self.columns;
        let values = |values| TargetKind::Values { values, columns };
        let kind = match loss.task() {
            Task::Classification => TargetKind::Classes(&self.classes),
            Task::Regression => values(&self.numbers),
            Task::Multilabel => values(&self.labels),
        };
        let weights = weighted.then_some(&self.weights[..]);
        Targets { kind, weights }
    }
}

fn with_gradient(loss: &Loss, outputs: &[f64], targets: Targets<'_>) -> (BatchLoss, Vec<f64>) {
    let mut gradient = vec![f64::NAN; outputs.len()];
    let found = loss.compute(Some(&mut gradient), outputs, targets);
    (found, gradient)
}

#[test]
fn gradients_against_central_differences() {
    for (rows, columns) in SIZES {
        let mut batch = Batch::new(rows, columns);
        // No residual lies where a loss has a kink, or a slope has one.
        for (z, y) in batch.outputs.iter_mut().zip(&batch.numbers) {
            let r = (*z - y).abs();
            if [0.0, 0.4, 1.0].iter().any(|kink| (r - kink).abs() < 1e-3) {
                *z += 0.01;
            }
        }
        for loss in every_loss(columns) {
            for weighted in [false, true] {
                let targets = batch.targets(&loss, weighted);
                loss.check(columns, targets).unwrap();
                let (_, gradient) = with_gradient(&loss, &batch.outputs, targets);
                let name = format!("{loss:?} {rows} by {columns}, weighted: {weighted}");
                check(&name, &batch.outputs, &gradient, |z| {
                    loss.compute(None, z, targets).objective
                });
            }
        }
    }
}

/// A row of weight 2 counts twice and one of weight 0 not at all; the scale of the weights says nothing.
#[test]
fn weights_count_rows() {
    let (columns, few) = (3, Batch::new(3, 3));
    for loss in every_loss(columns) {
        let weighted = |weights| Targets {
            weights: Some(weights),
            ..few.targets(&loss, false)
        };
        let (found, gradient) = with_gradient(&loss, &few.outputs, weighted(&[2.0, 0.0, 1.0]));
        let rows = [0, 0, 2].map(|row| (row, row * columns..(row + 1) * columns));
        let pick = |all: &[f64]| -> Vec<f64> {
            rows.iter()
                .flat_map(|(_, r)| all[r.clone()].to_vec())
                .collect()
        };
        let repeated = Batch {
            outputs: pick(&few.outputs),
            classes: rows.iter().map(|&(row, _)| few.classes[row]).collect(),
            numbers: pick(&few.numbers),
            labels: pick(&few.labels),
            ..Batch::new(3, 3)
        };
        let targets = repeated.targets(&loss, false);
        let (expected, parts) = with_gradient(&loss, &repeated.outputs, targets);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-15;
        assert!(close(found.objective, expected.objective), "{loss:?}");
        for j in 0..columns {
            assert!(
                close(gradient[j], parts[j] + parts[columns + j]),
                "{loss:?}"
            );
            assert_eq!(gradient[columns + j], 0.0, "{loss:?}");
            assert!(
                close(gradient[2 * columns + j], parts[2 * columns + j]),
                "{loss:?}"
            );
        }
        let (scaled, same) = with_gradient(&loss, &few.outputs, weighted(&[16.0, 0.0, 8.0]));
        assert_eq!(
            (scaled.objective, same),
            (found.objective, gradient),
            "{loss:?}"
        );
        let plain = loss
            .plain()
            .compute(None, &few.outputs, few.targets(&loss, false));
        assert!(
            close(found.plain_sum, 3.0 * plain.objective),
            "{loss:?}: every row once"
        );
        assert_eq!(found.correct, plain.correct);
    }
}

#[test]
fn weights_that_sum_to_zero_move_nothing() {
    let batch = Batch::new(2, 3);
    for loss in every_loss(3) {
        let targets = Targets {
            weights: Some(&[0.0, 0.0]),
            ..batch.targets(&loss, false)
        };
        let (found, gradient) = with_gradient(&loss, &batch.outputs, targets);
        assert_eq!((found.objective, gradient), (0.0, vec![0.0; 6]), "{loss:?}");
        assert!(found.plain_sum > 0.0, "{loss:?}: still reported");
    }
}

#[test]
fn nan_is_never_hidden_and_never_right() {
    for loss in every_loss(2) {
        for weights in [[1.0, 1.0], [0.0, 1.0]] {
            let mut batch = Batch::new(2, 2);
            batch.outputs[1] = f64::NAN;
            batch.weights = weights.to_vec();
            let (found, gradient) =
                with_gradient(&loss, &batch.outputs, batch.targets(&loss, true));
            assert!(
                found.objective.is_nan() && found.plain_sum.is_nan(),
                "{loss:?}"
            );
            assert!(gradient[1].is_nan(), "{loss:?}: {gradient:?}");
            assert!(found.correct < 2, "{loss:?}");
        }
    }
}

#[test]
fn large_outputs_stay_finite() {
    for loss in every_loss(2) {
        let batch = Batch::new(4, 2);
        let outputs: Vec<f32> = [1e4, -1e4, -1e4, 1e4, 1e4, 1e4, -1e4, -1e4].to_vec();
        let mut gradient = [f32::NAN; 8];
        let targets = batch.targets(&loss, false);
        let found = loss.compute(Some(&mut gradient), &outputs, targets);
        assert!(
            found.objective.is_finite() && found.objective > 0.0,
            "{loss:?}"
        );
        assert!(gradient.iter().all(|d| d.is_finite()), "{loss:?}");
        assert!(gradient.iter().any(|&d| d != 0.0), "{loss:?}");
    }
}

/// The loss that is reported has no options.
#[test]
fn names_tasks_and_plain_losses() {
    let names: Vec<&str> = every_loss(2).iter().map(Loss::name).collect();
    let expected = [
        "cross_entropy",
        "cross_entropy",
        "bce",
        "bce",
        "mse",
        "huber",
        "huber",
        "mae",
    ];
    assert_eq!(names, expected);
    assert_eq!(with_classes(0.1, &[1.0, 2.0]).plain(), Loss::default());
    assert_eq!(
        with_positives(&[3.0]).plain(),
        Loss::BinaryCrossEntropy(BinaryCrossEntropy::default())
    );
    let huber = Loss::Huber(Huber { delta: 3.0 });
    assert_eq!(huber.plain(), huber);
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |loss: &Loss, outputs, targets| {
        let error = loss.check(outputs, targets).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let classes = Targets::from(&[0, 1, 2]);
    assert!(Loss::default().check(3, classes).is_ok());
    let expected = "targets: expected classes below 2, the network's outputs, found 2 in row 2";
    assert_eq!(refused(&Loss::default(), 2, classes), expected);
    let two_weights = with_classes(0.0, &[1.0, 2.0]);
    assert!(two_weights.check(2, Targets::from(&[0, 1])).is_ok());
    refused(&two_weights, 3, classes);
    refused(&with_positives(&[1.0]), 2, classes);
    for delta in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-31, 1e31] {
        refused(&Loss::Huber(Huber { delta }), 3, classes);
    }

    let values = |values, columns| Targets::from(TargetKind::Values { values, columns });
    let expected = "targets: expected values for the loss mse, found classes";
    assert_eq!(refused(&Loss::MeanSquaredError, 3, classes), expected);
    let expected = "targets: expected classes for the loss cross_entropy, found values";
    assert_eq!(refused(&Loss::default(), 1, values(&[0.0], 1)), expected);
    let mse = Loss::MeanSquaredError;
    assert!(mse.check(1, values(&[0.5, -3.0], 1)).is_ok());
    refused(&mse, 2, values(&[0.5, -3.0], 1));
    refused(&mse, 2, values(&[0.5, -3.0, 1.0], 2));
    refused(&mse, 1, values(&[f64::NAN], 1));
    let bce = Loss::BinaryCrossEntropy(BinaryCrossEntropy::default());
    assert!(bce.check(2, values(&[0.0, 1.0], 2)).is_ok());
    let expected = "targets: expected numbers in 0..=1 for the loss bce, found 2";
    assert_eq!(refused(&bce, 2, values(&[0.0, 2.0], 2)), expected);
}

#[test]
fn wrong_weights_are_refused() {
    for (weights, found) in [
        (&[1.0][..], "expected 2, one a row, found 1"),
        (&[1.0, -1.0], "found -1"),
        (&[f64::NAN, 1.0], "found NaN"),
        (&[1.0, f64::INFINITY], "found inf"),
        (&[1e308, 1e308], "found a sum of inf"),
    ] {
        let targets = Targets {
            weights: Some(weights),
            ..Targets::from(&[0, 1])
        };
        let error = Loss::default().check(2, targets).unwrap_err().to_string();
        assert!(
            error.starts_with("sample weights: ") && error.ends_with(found),
            "{error}"
        );
    }
}
