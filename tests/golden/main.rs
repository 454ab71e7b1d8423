//! PyTorch's runs, compared number by number.

mod library;
#[path = "../reference/mod.rs"]
mod reference;

use chainrule::backend::Plain;
use library::follow;
use reference::{CASES, assert_close};

/// The cases of losses for values, and of sample weights.
const LOSS_CASES: [&str; 15] = [
    "mse_relu_sgd",
    "mse_bn_three_targets_adam",
    "mse_weighted_rmsprop",
    "huber_tanh_momentum",
    "huber_bn_weighted_adamw",
    "huber_clip_nesterov_wd",
    "mae_leaky_adam",
    "mae_bn_weighted_rmsprop_momentum",
    "mae_sigmoid_plateau",
    "bce_relu_adam",
    "bce_bn_positive_weights_adam_l2",
    "bce_weighted_positive_weights_momentum",
    "bce_one_label_rprop",
    "cross_entropy_weighted_adam",
    "cross_entropy_bn_weighted_class_weights_adamw",
];

/// What `make_members.py` wrote: ensembles and embedded features.
const MEMBER_CASES: [&str; 5] = [
    "members_relu_adam",
    "members_embedding_silu_adam",
    "embedding_gelu_nesterov_clip",
    "embedding_tanh_adamw",
    "members_embedding_linear_momentum",
];

#[test]
fn members_and_embeddings_in_both_precisions() {
    for name in MEMBER_CASES {
        follow(Plain::<f64>::new(1), name);
        follow(Plain::<f32>::new(1), name);
    }
}

#[test]
fn every_case_in_f64() {
    CASES
        .iter()
        .for_each(|name| follow(Plain::<f64>::new(1), name));
}

#[test]
fn every_case_in_f32() {
    CASES
        .iter()
        .for_each(|name| follow(Plain::<f32>::new(1), name));
}

#[test]
fn every_loss_in_f64() {
    LOSS_CASES
        .iter()
        .for_each(|name| follow(Plain::<f64>::new(1), name));
}

#[test]
fn every_loss_in_f32() {
    LOSS_CASES
        .iter()
        .for_each(|name| follow(Plain::<f32>::new(1), name));
}

/// The comparison must notice differences.
#[test]
fn the_comparison_finds_differences() {
    let fails = |found: &[f64], expected: &[f64]| {
        std::panic::catch_unwind(|| assert_close("x", found, expected, 1e-11)).is_err()
    };
    assert!(!fails(&[1.0, -2.0], &[1.0, -2.0]));
    assert!(fails(&[1.0, -2.0], &[1.0, -2.0 - 1e-10]));
    assert!(fails(&[1.0, f64::NAN], &[1.0, -2.0]));
    assert!(fails(&[f64::INFINITY], &[f64::INFINITY]));
    assert!(fails(&[1.0], &[1.0, 2.0]));
}
