//! One-weight examples from the documentation of two other libraries.

use chainrule::optim::{Adam, Optimizer, RmsProp, Sgd, Step, update};

/// The weights after each of `steps` steps, where each weight's gradient is `slope` times the weight.
fn descend(optimizer: Optimizer, lr: f64, slope: f64, start: &[f64], steps: u64) -> Vec<Vec<f64>> {
    let mut w = start.to_vec();
    let (mut m, mut v) = (vec![0.0; w.len()], vec![0.0; w.len()]);
    (1..=steps)
        .map(|t| {
            let g: Vec<f64> = w.iter().map(|w| slope * w).collect();
            let gradient_scale = 1.0;
            let step = Step {
                lr,
                t,
                gradient_scale,
            };
            update(&optimizer, &step, &mut w, &g, &mut m, &mut v);
            w.clone()
        })
        .collect()
}

/// Keras' documentation of `RMSprop`, `SGD` and (as TensorFlow 2.11 has it) `legacy.Adam`: L = w²/2, rate 0.1. Its ε is
/// 1e-7, and α of its RMSprop is 0.9.
#[test]
fn keras() {
    let last = |optimizer, start, steps| {
        let weights = descend(optimizer, 0.1, 1.0, &[start], steps);
        weights.last().unwrap()[0]
    };
    let adam = Adam {
        eps: 1e-7,
        ..Adam::default()
    };
    assert_eq!(
        format!("{:.6}", last(Optimizer::Adam(adam), 10.0, 1)),
        "9.900000"
    );
    let rmsprop = RmsProp {
        alpha: 0.9,
        eps: 1e-7,
        ..RmsProp::default()
    };
    assert_eq!(
        format!("{:.6}", last(Optimizer::RmsProp(rmsprop), 10.0, 1)),
        "9.683772"
    );
    let plain = Optimizer::Sgd(Sgd::default());
    assert_eq!(format!("{:.6}", last(plain, 1.0, 1)), "0.900000");
    let momentum = Optimizer::Sgd(Sgd {
        momentum: 0.9,
        ..Sgd::default()
    });
    let (first, second) = (last(momentum, 1.0, 1), last(momentum, 1.0, 2));
    assert_eq!(format!("{:.6}", 1.0 - first), "0.100000");
    assert_eq!(format!("{:.6}", first - second), "0.180000");
}

/// Optax's documentation of `adam`: L = Σ w² from (1, 2, 3), rate 0.003.
#[test]
fn optax() {
    let weights = descend(
        Optimizer::Adam(Adam::default()),
        0.003,
        2.0,
        &[1.0, 2.0, 3.0],
        5,
    );
    let losses = weights.iter().map(|w| w.iter().map(|w| w * w).sum::<f64>());
    let shown: Vec<String> = losses.map(|loss| format!("{loss:.1}")).collect();
    assert_eq!(shown, ["14.0", "13.9", "13.9", "13.9", "13.8"]);
}
