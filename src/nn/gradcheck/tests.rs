use super::*;
use crate::backend::Order;
use crate::backend::{Fused, ProductPrecision};
use crate::nn::FeatureEmbedding;
use crate::ops::activation::Activation;
use crate::ops::loss::binary_cross_entropy::BinaryCrossEntropy;
use crate::ops::loss::cross_entropy::CrossEntropy;
use crate::ops::loss::huber::Huber;

fn options() -> Options {
    Options {
        rows: 5,
        entries: None,
        seed: 1,
        limit: 1e-5,
        init: Init::default(),
        threads: 1,
        loss: Loss::CrossEntropy(CrossEntropy {
            label_smoothing: 0.1,
            class_weights: Some(vec![1.0, 0.5, 3.0]),
        }),
    }
}

fn spec(activation: Activation, batch_norm: bool, dropout: f64, order: Order) -> NetworkSpec {
    NetworkSpec {
        inputs: 7,
        hidden: vec![13, 1, 5],
        outputs: 3,
        batch_norm,
        activation,
        dropout,
        order,
        members: 1,
        embedding: None,
    }
}

#[test]
fn every_kind_of_network_passes() {
    for activation in Activation::ALL {
        for batch_norm in [false, true] {
            for (dropout, order) in [
                (0.0, Order::DropoutActivation),
                (0.4, Order::DropoutActivation),
                (0.4, Order::ActivationDropout),
            ] {
                let spec = spec(activation, batch_norm, dropout, order);
                let report = gradcheck(&spec, &options()).unwrap();
                assert!(report.passed(), "{}: {report:#?}", spec.describe());
            }
        }
    }
}

/// Odd sizes, features of one and several inputs, inputs of no feature in between and at both ends.
#[test]
fn embeddings_and_members_pass() {
    let embedding = |width: usize| FeatureEmbedding {
        spans: vec![1..2, 2..5, 6..7],
        width,
    };
    for (members, embedding) in [
        (1, Some(embedding(3))),
        (2, None),
        (3, Some(embedding(1))),
        (5, Some(embedding(2))),
    ] {
        for (activation, dropout, hidden, rows) in [
            (Activation::Gelu, 0.0, vec![13, 1, 5], 3),
            (Activation::LeakyRelu, 0.4, vec![11, 6], 5),
            (Activation::Relu, 0.0, Vec::new(), 1),
        ] {
            let spec = NetworkSpec {
                inputs: 8,
                hidden,
                members,
                embedding: embedding.clone(),
                ..spec(
                    activation,
                    members == 1 && rows > 1,
                    dropout,
                    Order::DropoutActivation,
                )
            };
            let options = Options { rows, ..options() };
            let report = gradcheck(&spec, &options).unwrap();
            assert!(report.passed(), "{}: {report:#?}", spec.describe());
            let stem = report
                .tensors
                .iter()
                .filter(|t| t.name.starts_with("stem."));
            let tensors = 6 * usize::from(spec.embedding.is_some()) + usize::from(members > 1);
            assert_eq!(stem.count(), tensors);
        }
    }
}

/// The backend in f32 has the same gradients.
#[test]
fn embeddings_and_members_pass_on_the_fused_backend() {
    let spec = NetworkSpec {
        inputs: 23,
        hidden: vec![37],
        members: 3,
        embedding: Some(FeatureEmbedding {
            spans: vec![0..17, 19..20],
            width: 5,
        }),
        ..spec(Activation::Tanh, false, 0.0, Order::DropoutActivation)
    };
    let options = Options {
        rows: 7,
        limit: 1e-3,
        ..options()
    };
    let fused = Fused::new(2, ProductPrecision::F32).unwrap();
    let report = gradcheck_on(fused, &spec, &options).unwrap();
    assert!(report.passed(), "{report:#?}");
}

#[test]
fn softmax_regression_passes() {
    let mut spec = spec(Activation::Relu, true, 0.5, Order::DropoutActivation);
    spec.hidden.clear();
    let report = gradcheck(
        &spec,
        &Options {
            rows: 1,
            ..options()
        },
    )
    .unwrap();
    assert!(report.passed(), "{report:#?}");
}

#[test]
fn every_loss_passes() {
    let weights = vec![0.5, 1.0, 3.0];
    for loss in [
        Loss::default(),
        Loss::BinaryCrossEntropy(BinaryCrossEntropy::default()),
        Loss::BinaryCrossEntropy(BinaryCrossEntropy {
            positive_weights: Some(weights),
        }),
        Loss::MeanSquaredError,
        Loss::Huber(Huber { delta: 0.5 }),
        Loss::MeanAbsoluteError,
    ] {
        let spec = NetworkSpec {
            members: 3,
            ..spec(Activation::Tanh, false, 0.0, Order::DropoutActivation)
        };
        let options = Options { loss, ..options() };
        let report = gradcheck(&spec, &options).unwrap();
        assert!(report.passed(), "{:?}: {report:#?}", options.loss);
        let names: Vec<&str> = report.tensors.iter().map(|t| t.name.as_str()).collect();
        assert!(
            names.ends_with(&["loss by logits", "weighted loss"]),
            "{names:?}"
        );
    }
}

/// The check can fail: a gradient that is off by one part in a thousand does not pass, nor does NaN.
#[test]
fn wrong_gradients_are_found() {
    let mut report = TensorReport::new("w", &[2, 3]);
    report.compare(1, 1.0, 1.0 + 1e-9, 1e-5);
    report.compare(5, 2.0, 2.002, 1e-5);
    report.compare(2, 1.0, 1.0, 1e-5);
    assert_eq!((report.at.as_slice(), report.checked), (&[1, 2][..], 3));
    let passed = |t: &TensorReport| {
        GradientReport {
            tensors: vec![t.clone()],
            limit: 1e-5,
        }
        .passed()
    };
    assert!(!passed(&report));
    let mut nan = TensorReport::new("w", &[2]);
    nan.compare(0, f64::NAN, 1.0, 1e-5);
    nan.compare(1, 1.0, 1.0, 1e-5);
    assert!(nan.worst.unwrap().is_nan() && !passed(&nan));
    assert!(!passed(&TensorReport::new("nothing compared", &[1])));
}

#[test]
fn one_row_under_batch_norm_is_refused() {
    let spec = spec(Activation::Relu, true, 0.0, Order::DropoutActivation);
    let error = gradcheck(
        &spec,
        &Options {
            rows: 1,
            ..options()
        },
    )
    .unwrap_err();
    assert_eq!(error.exit_code(), 2);
}
