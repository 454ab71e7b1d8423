//! Every mode of the engine on few numbers, for tools that take from 10 to 1000 times as long.

use chainrule::backend::{Fused, Order, ProductPrecision};
use chainrule::nn::{FeatureEmbedding, NetworkSpec};
use chainrule::ops::activation::Activation;
use chainrule::ops::loss::Loss;
use chainrule::optim::{Optimizer, Sgd};

use super::Case;

/// Sizes around a panel of 16, and fewer and more rows than the backward keeps its columns for.
fn cases() -> Vec<Case> {
    let case = |hidden: &[usize], outputs, batch| Case {
        steps: 3,
        ..Case::new(19, hidden, outputs, batch)
    };
    let mut dropped = case(&[18, 35], 10, 5);
    dropped.spec.dropout = 0.3;
    let mut clipped = case(&[3], 9, 35);
    clipped.clip_norm = 0.05;
    // A head of one output lies transposed.
    let mut numbers = case(&[17, 3], 1, 5);
    numbers.spec = NetworkSpec {
        batch_norm: false,
        dropout: 0.3,
        order: Order::ActivationDropout,
        activation: Activation::Tanh,
        ..numbers.spec
    };
    (numbers.pixels, numbers.weighted) = (false, true);
    numbers.loss = Loss::MeanSquaredError;
    numbers.optimizer = Optimizer::Sgd(Sgd::default());
    let mut members = case(&[17], 3, 5);
    members.spec = NetworkSpec {
        batch_norm: false,
        members: 2,
        embedding: Some(FeatureEmbedding {
            spans: vec![0..1, 3..7],
            width: 2,
        }),
        ..members.spec
    };
    vec![dropped, clipped, numbers, members]
}

#[test]
fn every_mode_has_the_bits_of_the_plain_engine() {
    for case in cases() {
        case.check_on(&case.spec.describe(), &[1, 2, 3]);
    }
}

#[test]
fn every_mode_has_the_same_bits_in_bf16_on_any_number_of_threads() {
    for case in cases() {
        let on = |threads| case.run(Fused::new(threads, ProductPrecision::Bf16).unwrap());
        let one = on(1);
        for threads in [2, 3] {
            assert!(on(threads) == one, "{}: {threads}", case.spec.describe());
        }
    }
}
