//! Losses have the same bits in both engines, and with every instruction set.

use chainrule::ops::loss::binary_cross_entropy::BinaryCrossEntropy;
use chainrule::ops::loss::cross_entropy::CrossEntropy;
use chainrule::ops::loss::huber::Huber;
use chainrule::ops::loss::{Loss, TargetKind, Targets};
use chainrule::real::Real;
use chainrule::simd::InstructionSet;

use crate::{Case, output_with};

/// Every loss for this number of outputs, with its options.
fn every_loss(outputs: usize) -> Vec<Loss> {
    let weights: Vec<f64> = (0..outputs).map(|c| 0.3 + 1.7 * c as f64).collect();
    vec![
        Loss::CrossEntropy(CrossEntropy {
            label_smoothing: 0.1,
            class_weights: Some(weights.clone()),
        }),
        Loss::BinaryCrossEntropy(BinaryCrossEntropy {
            positive_weights: Some(weights),
        }),
        Loss::MeanSquaredError,
        Loss::Huber(Huber { delta: 0.3 }),
        Loss::MeanAbsoluteError,
    ]
}

#[test]
fn losses_and_sample_weights() {
    for (outputs, batch_norm, weighted) in [(1, true, false), (3, false, true), (17, true, true)] {
        for loss in every_loss(outputs) {
            let mut case = Case::new(19, &[21, 12], outputs, 14);
            case.spec.batch_norm = batch_norm;
            case.loss = loss;
            case.weighted = weighted;
            case.check(&format!("{:?}, {outputs} outputs", case.loss));
        }
    }
}

/// The bits of each loss and its gradient over small and large outputs, one text a loss.
fn bits<R: Real>(rows: usize, columns: usize) -> Vec<String> {
    let count = rows * columns;
    let wave = |i: usize| (i as f64 * 0.37).sin() * [1.0, 1e-3, 12.0, 1e4][i % 4];
    let outputs: Vec<R> = (0..count).map(|i| R::from_f64(wave(i))).collect();
    let values: Vec<f64> = (0..count).map(|i| (i % 3 / 2) as f64).collect();
    let classes: Vec<u32> = (0..rows).map(|i| (i % columns) as u32).collect();
    let weights: Vec<f64> = (0..rows).map(|i| ((i + 3) % 5) as f64 / 3.0).collect();
    let of_loss = |loss: Loss| {
        let kind = match loss {
            Loss::CrossEntropy(_) => TargetKind::Classes(&classes),
            _ => TargetKind::Values {
                values: &values,
                columns,
            },
        };
        let weights = Some(&weights[..]);
        let mut gradient = vec![R::ZERO; count];
        let found = loss.compute(Some(&mut gradient), &outputs, Targets { kind, weights });
        assert!(gradient.iter().all(|d| d.is_finite()) && found.objective.is_finite());
        // The softmax of one class is 1.
        assert!(found.objective > 0.0 || (loss.name() == "cross_entropy" && columns == 1));
        let sums = [found.objective, found.plain_sum].map(f64::to_bits);
        let gradient: Vec<u64> = gradient.iter().map(|d| d.to_f64().to_bits()).collect();
        let name = (loss.name(), R::NAME, rows, columns);
        format!("bits of {name:?}: {sums:?} {} {gradient:?}", found.correct)
    };
    every_loss(columns).into_iter().map(of_loss).collect()
}

/// Prints what [`every_instruction_set_gives_the_same_losses`] reads from a process of its own.
#[test]
fn bits_of_every_loss() {
    for (rows, columns) in [(37, 1), (1, 16), (11, 7), (5, 33)] {
        for line in [bits::<f32>(rows, columns), bits::<f64>(rows, columns)].concat() {
            println!("{line}");
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_losses() {
    let lines = |set: InstructionSet| -> Vec<String> {
        let text = output_with(set, &["losses::bits_of_every_loss"]);
        let bits = text.lines().filter(|line| line.contains("bits of "));
        bits.map(str::to_owned).collect()
    };
    let expected = lines(InstructionSet::Portable);
    assert_eq!(expected.len(), 5 * 2 * 4);
    for set in InstructionSet::available() {
        for (found, expected) in lines(set).iter().zip(&expected) {
            assert!(found == expected, "{}:\n{found}\n{expected}", set.name());
        }
    }
}
