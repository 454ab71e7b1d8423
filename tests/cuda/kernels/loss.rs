//! Softmax cross-entropy, its total with the flag `diverged`, and argmax.

use chainrule::ops::loss::cross_entropy::{CrossEntropy, argmax, softmax_cross_entropy};

use super::device::{Argument, Device, Loss, NULL, in_every_order};
use super::{U, assert_same, assert_within, scaled};

/// Gradient, total and flag of the kernels.
fn loss(
    device: &Device,
    z: &[f32],
    labels: &[u32],
    options: &CrossEntropy,
    with_gradient: bool,
) -> (Vec<f32>, Loss, u32) {
    let (rows, classes) = (labels.len(), z.len() / labels.len());
    let weights = options.class_weights.as_deref();
    let weight = |c: usize| weights.map_or(1.0, |w| w[c]);
    let weight_sum: f64 = (0..classes).map(weight).sum();
    let label_weights: f64 = labels.iter().map(|&y| weight(y as usize)).sum();
    let inverse = if label_weights > 0.0 {
        1.0 / label_weights
    } else {
        0.0
    };
    let gradient = device.uninitialised::<f32>(z.len());
    let uploaded = weights.map(|w| device.upload(w));
    let class_weights: &dyn Argument = uploaded.as_ref().map_or(&NULL, |w| w);
    let dlogits: &dyn Argument = if with_gradient { &gradient } else { &NULL };
    let (row_losses, total) = (
        device.uninitialised::<Loss>(rows),
        device.uninitialised::<Loss>(1),
    );
    let (logits, labels, flag) = (
        device.upload(z),
        device.upload(labels),
        device.upload(&[0_u32]),
    );
    device.launch(
        "softmax_cross_entropy",
        [rows.div_ceil(8), 1],
        [128, 1],
        &[
            dlogits,
            &row_losses,
            &logits,
            &labels,
            class_weights,
            &(rows as u32),
            &(classes as u32),
            &options.label_smoothing,
            &weight_sum,
            &inverse,
        ],
    );
    device.launch(
        "loss_total",
        [1, 1],
        [256, 1],
        &[&total, &flag, &row_losses, &(rows as u32)],
    );
    let dlogits = if with_gradient {
        device.download(&gradient)
    } else {
        Vec::new()
    };
    (
        dlogits,
        device.download(&total)[0],
        device.download(&flag)[0],
    )
}

fn every_option(classes: usize) -> Vec<CrossEntropy> {
    let weights: Vec<f64> = (0..classes).map(|c| 0.5 + c as f64).collect();
    let mut all = Vec::new();
    for label_smoothing in [0.0, 0.1] {
        for class_weights in [None, Some(weights.clone())] {
            all.push(CrossEntropy {
                label_smoothing,
                class_weights,
            });
        }
    }
    all
}

/// Gradients have the CPU's bits. The total adds one f64 per row (or per row and class) in another order.
#[test]
fn against_the_cpu() {
    in_every_order(|device| {
        for (rows, classes) in [(1, 2), (7, 10), (63, 17), (100, 10), (65, 130), (300, 3)] {
            let z = scaled(rows * classes, 1, 6.0);
            let labels: Vec<u32> = (0..rows).map(|i| (i * 5 % classes) as u32).collect();
            for options in every_option(classes) {
                let mut expected_gradient = vec![f32::NAN; z.len()];
                let expected = softmax_cross_entropy(
                    Some(&mut expected_gradient),
                    &z,
                    &labels,
                    None,
                    &options,
                );
                let (gradient, total, diverged) = loss(device, &z, &labels, &options, true);
                let what = format!("{rows} x {classes}, {options:?}");
                assert_same(&what, &gradient, &expected_gradient);
                let bound = (rows * classes) as f64 * f64::EPSILON;
                let sums = [expected.objective, expected.plain_sum];
                assert_within(
                    &what,
                    &[total.objective, total.cross_entropy_sum],
                    |i| sums[i],
                    |i| bound * sums[i],
                );
                assert_eq!(
                    (total.correct, diverged),
                    (expected.correct as u64, 0),
                    "{what}"
                );
                // Without a gradient, as in evaluation.
                let (_, again, _) = loss(device, &z, &labels, &options, false);
                assert_eq!(
                    again.objective.to_bits(),
                    total.objective.to_bits(),
                    "{what}"
                );
            }
        }
    });
}

/// Compared with f64 from the same logits, which are less than 12 apart. Their difference is off by 12 U, and so is an
/// exponential. A sum of C exponentials is off by C U more. With the errors of the functions themselves (1 ulp), a
/// probability is off by some (C + 22) U, and the logarithm of the sum minus a logit by some (C + 40) U. The bound is
/// this times the largest factor of a row's weights.
#[test]
fn against_f64() {
    in_every_order(|device| {
        let (rows, classes) = (65, 10);
        let z = scaled(rows * classes, 2, 6.0);
        let labels: Vec<u32> = (0..rows).map(|i| (i * 7 % classes) as u32).collect();
        let wide: Vec<f64> = z.iter().map(|&z| z.into()).collect();
        for options in every_option(classes) {
            let mut exact = vec![f64::NAN; z.len()];
            let expected = softmax_cross_entropy(Some(&mut exact), &wide, &labels, None, &options);
            let (gradient, total, _) = loss(device, &z, &labels, &options, true);
            let weight = |c: usize| options.class_weights.as_ref().map_or(1.0, |w| w[c]);
            let heaviest = (0..classes).map(weight).fold(0.0, f64::max);
            let share = heaviest / labels.iter().map(|&y| weight(y as usize)).sum::<f64>();
            let bound = (classes + 22) as f64 * U * share;
            assert_within("dz", &gradient, |e| exact[e], |_| bound);
            let bound = (classes + 40) as f64 * U * share * rows as f64;
            assert_within(
                "objective",
                &[total.objective],
                |_| expected.objective,
                |_| bound,
            );
        }
    });
}

#[test]
fn a_non_finite_loss_sets_the_flag() {
    in_every_order(|device| {
        for wrong in [f32::NAN, f32::INFINITY] {
            let mut z = scaled(9 * 10, 1, 2.0);
            z[47] = wrong;
            let (_, total, diverged) = loss(device, &z, &[3; 9], &CrossEntropy::default(), true);
            assert!(!total.objective.is_finite());
            assert_eq!(diverged, 1);
        }
    });
}

#[test]
fn weightless_batch_gives_zero() {
    in_every_order(|device| {
        let options = CrossEntropy {
            label_smoothing: 0.0,
            class_weights: Some(vec![0.0, 1.0]),
        };
        let (gradient, total, diverged) = loss(device, &[1.0, 2.0], &[0], &options, true);
        assert_eq!(
            (gradient, total.objective, diverged),
            (vec![0.0, 0.0], 0.0, 0)
        );
    });
}

/// The most probable classes, and the number of correct ones. The first class wins ties. NaN never wins and is never
/// correct.
#[test]
fn winners() {
    in_every_order(|device| {
        for (rows, classes) in [(1, 2), (7, 10), (65, 17), (100, 130)] {
            let mut z = scaled(rows * classes, 3, 2.0);
            // Ties, NaN at the start and everywhere, infinities.
            for (i, row) in z.chunks_exact_mut(classes).enumerate() {
                match i % 6 {
                    1 => row.fill(0.25),
                    2 => row[0] = f32::NAN,
                    3 => row.fill(f32::NAN),
                    4 => row[classes - 1] = f32::INFINITY,
                    5 => row.fill(f32::NEG_INFINITY),
                    _ => {}
                }
            }
            let (winners, logits) = (device.uninitialised::<u32>(rows), device.upload(&z));
            device.launch(
                "argmax",
                [rows.div_ceil(8), 1],
                [128, 1],
                &[&winners, &logits, &(rows as u32), &(classes as u32)],
            );
            let expected: Vec<u32> = z
                .chunks_exact(classes)
                .map(|row| argmax(row) as u32)
                .collect();
            assert_eq!(device.download(&winners), expected, "{rows} x {classes}");

            let labels = expected;
            let options = CrossEntropy::default();
            let (_, total, _) = loss(device, &z, &labels, &options, false);
            let correct = softmax_cross_entropy(None, &z, &labels, None, &options).correct;
            assert_eq!(total.correct, correct as u64, "{rows} x {classes}");
        }
    });
}
