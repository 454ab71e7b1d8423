//! Single steps: forward, loss, backward and update.

use chainrule::backend::{Backend, Fused, Mode, Plain, ProductPrecision};
use chainrule::nn::init::{self, Init};
use chainrule::nn::{NetworkSpec, Update};
use chainrule::ops::dropout::Mask;
use chainrule::ops::loss::binary_cross_entropy::{BinaryCrossEntropy, sigmoid};
use chainrule::ops::loss::cross_entropy::softmax;
use chainrule::ops::loss::{Loss, TargetKind, Targets};
use chainrule::optim::{self, Adam, AdamW, Optimizer, RmsProp, Rprop, Schedule, Sgd, Step, clip};
use chainrule::real::Real;

use super::{Trial, all_finite, linear, on_each_backend, sgd, update};

/// The logits are the biases: two rows of (a, b), one for each class.
fn two_logits<B: Backend>(backend: B, a: f64, b: f64) -> Trial<B> {
    Trial::new(backend, linear(1, &[], 2), &[0.0, 0.0, a, b], &[1.0, 1.0])
}

#[test]
fn logits_of_10_000_have_a_finite_loss_and_gradient() {
    fn classes<B: Backend>(backend: B) {
        let mut trial = two_logits(backend, 1e4, -1e4);
        // Right: 0. Wrong: 20 000.
        let loss = trial.step(&[0, 1], &update(&Loss::default(), &sgd(), 0.0));
        assert_eq!(loss.objective, 1e4);
        // dz is 0 for the right row, (1, −1)/2 for the wrong one.
        assert_eq!(trial.params()[2..], [9999.5, -9999.5]);
    }
    fn labels<B: Backend>(backend: B) {
        let mut trial = two_logits(backend, 1e4, -1e4);
        let loss = Loss::BinaryCrossEntropy(BinaryCrossEntropy::default());
        let targets = Targets::from(TargetKind::Values {
            values: &[1.0, 0.0, 0.0, 1.0],
            columns: 2,
        });
        // Two of four labels are right: 0. Two are wrong: 10 000.
        let found = trial.step(targets, &update(&loss, &sgd(), 0.0));
        assert_eq!(found.objective, 5e3);
        assert_eq!(trial.params()[2..], [9999.75, -9999.75]);
    }
    on_each_backend!(classes);
    on_each_backend!(labels);
    fn probabilities<R: Real + std::fmt::Debug + PartialEq>() {
        let logits = [1e4, -1e4].map(R::from_f64);
        for function in [softmax, sigmoid] {
            let mut row = logits;
            function(&mut row);
            assert_eq!(row, [R::ONE, R::ZERO]);
        }
    }
    probabilities::<f32>();
    probabilities::<f64>();
}

/// Whether a step leaves every weight as it was, and its loss is no finite number.
fn is_refused<B: Backend>(trial: &mut Trial<B>, labels: &[u32], clip_norm: f64) -> bool {
    let before = trial.bits();
    let loss = trial.step(labels, &update(&Loss::default(), &sgd(), clip_norm));
    !loss.objective.is_finite() && trial.bits() == before
}

#[test]
fn infinite_logits_change_no_weight() {
    fn check<B: Backend>(backend: impl Fn() -> B) {
        for clip_norm in [0.0, 1.0] {
            for (a, labels) in [
                (f64::INFINITY, [0, 0]),
                (f64::INFINITY, [1, 1]),
                (f64::NEG_INFINITY, [0, 1]),
                (f64::NAN, [0, 1]),
            ] {
                let mut trial = two_logits(backend(), a, 0.0);
                let weights = trial.params()[..2].to_vec();
                let loss = trial.step(&labels, &update(&Loss::default(), &sgd(), clip_norm));
                assert!(!loss.objective.is_finite(), "{a} {labels:?}");
                assert_eq!(trial.params()[..2], weights, "{a} {labels:?}");
                assert_eq!(trial.params()[3], 0.0, "{a} {labels:?}");
            }
        }
    }
    check(|| Plain::<f32>::new(1));
    check(|| Plain::<f64>::new(1));
    check(|| Fused::new(2, ProductPrecision::F32).unwrap());
    check(|| Fused::new(2, ProductPrecision::Bf16).unwrap());
}

/// A class of probability 0 that no row has: −log 1 = 0 for the other.
#[test]
fn an_impossible_class_that_no_row_has_does_no_harm() {
    fn check<R: Real + std::fmt::Debug + PartialEq>() {
        let logits = [f64::NEG_INFINITY, 0.0].map(R::from_f64);
        let mut dlogits = [R::ONE; 2];
        let found = Loss::default().compute(Some(&mut dlogits), &logits, Targets::from(&[1]));
        assert_eq!((found.objective, dlogits), (0.0, [R::ZERO; 2]));
    }
    check::<f32>();
    check::<f64>();
}

/// f32 ends at 3.4e38. f64 holds the square of 1e30.
#[test]
fn weights_of_1e30_change_nothing_in_f32_and_train_in_f64() {
    let spec = || linear(1, &[1], 2);
    let params = [1e30, 0.0, 1e30, -1e30, 0.0, 0.0];
    for clip_norm in [0.0, 1.0] {
        let mut plain = Trial::new(Plain::<f32>::new(1), spec(), &params, &[1.0]);
        assert!(is_refused(&mut plain, &[0], clip_norm));
        for precision in [ProductPrecision::F32, ProductPrecision::Bf16] {
            let fused = Fused::new(2, precision).unwrap();
            let mut fused = Trial::new(fused, spec(), &params, &[1.0]);
            assert!(is_refused(&mut fused, &[0], clip_norm));
        }
        let mut double = Trial::new(Plain::<f64>::new(1), spec(), &params, &[1.0]);
        let loss = double.step(&[1], &update(&Loss::default(), &sgd(), clip_norm));
        assert!((loss.objective / 2e60 - 1.0).abs() < 1e-12);
        assert!(all_finite(&double.params()));
    }
}

fn batch_normalised(inputs: usize) -> NetworkSpec {
    NetworkSpec {
        batch_norm: true,
        ..linear(inputs, &[2], 2)
    }
}

/// The deviation from the mean is 0, or what rounding leaves of it, and ε is below it: nothing is divided by 0.
#[test]
fn a_batch_norm_of_a_constant_gives_its_beta() {
    fn check<B: Backend>(backend: B) {
        // W, b, γ, β of the hidden block, W, b of the output.
        let params = [
            3.0, -7.0, 0.1, 0.2, 1.0, 1.0, 0.5, 0.25, 1.0, 2.0, -1.0, 4.0, 0.0, 0.0,
        ];
        let mut trial = Trial::new(backend, batch_normalised(1), &params, &[7.25; 4]);
        let mode = Mode::Train { seed: 1, step: 0 };
        trial.forward(mode).unwrap();
        let logits = super::widened(&trial.mlp.logits(4).unwrap());
        // β = (0.5, 0.25)
        for row in logits.chunks(2) {
            assert!((row[0] - 1.0).abs() < 2e-2, "{row:?}");
            assert!((row[1] - 0.5).abs() < 2e-2, "{row:?}");
        }
        let loss = trial.step(&[0, 1, 0, 1], &update(&Loss::default(), &sgd(), 0.0));
        assert!(loss.objective.is_finite() && all_finite(&trial.params()));
        assert!(all_finite(&trial.logits()));
    }
    on_each_backend!(check);
}

fn optimizers() -> [Optimizer; 6] {
    let momentum = Sgd {
        momentum: 0.9,
        weight_decay: 0.1,
        ..Sgd::default()
    };
    [
        sgd(),
        Optimizer::Sgd(momentum),
        Optimizer::Adam(Adam::default()),
        Optimizer::AdamW(AdamW::default()),
        Optimizer::RmsProp(RmsProp::default()),
        Optimizer::Rprop(Rprop::default()),
    ]
}

#[test]
fn a_rate_of_0_changes_no_bit_of_a_weight() {
    fn check<B: Backend>(backend: impl Fn() -> B) {
        let loss = Loss::default();
        for optimizer in optimizers() {
            for clip_norm in [0.0, 0.01] {
                let spec = linear(3, &[5], 2);
                let (params, _) = init::draw::<f64>(&spec, Init::default(), 3);
                let x: Vec<f64> = (0..12).map(|i| f64::from(i).sin()).collect();
                let mut trial = Trial::new(backend(), spec, &params, &x);
                let before = trial.bits();
                // Further than a flush of tiny numbers.
                for number in 0..20 {
                    let update = Update {
                        number,
                        lr: 0.0,
                        ..update(&loss, &optimizer, clip_norm)
                    };
                    let loss = trial.step(&[0, 1, 1, 0], &update);
                    assert!(loss.objective.is_finite());
                }
                // Rprop's rate is its first step, and no step is smaller than 1e-6.
                let moves = matches!(optimizer, Optimizer::Rprop(_));
                assert_eq!(trial.bits() != before, moves, "{optimizer:?} {clip_norm}");
            }
        }
    }
    check(|| Plain::<f32>::new(1));
    check(|| Plain::<f64>::new(1));
    check(|| Fused::new(2, ProductPrecision::F32).unwrap());
}

/// The second step sees the weights of the first one: it changes nothing, or its loss is a number.
#[test]
fn a_rate_of_1e308_is_never_hidden() {
    fn check<B: Backend>(backend: impl Fn() -> B) {
        let loss = Loss::default();
        for optimizer in optimizers() {
            for clip_norm in [0.0, 1.0] {
                let spec = linear(3, &[5], 2);
                let (params, _) = init::draw::<f64>(&spec, Init::default(), 3);
                let mut trial = Trial::new(backend(), spec, &params, &[1.0, -2.0, 3.0]);
                let mut huge = Update {
                    lr: 1e308,
                    ..update(&loss, &optimizer, clip_norm)
                };
                assert!(trial.step(&[0], &huge).objective.is_finite());
                let weights = trial.params();
                huge.number = 1;
                let second = trial.step(&[1], &huge).objective;
                // Rprop's first step is 50 at most.
                let moderate = matches!(optimizer, Optimizer::Rprop(_));
                assert_eq!(second.is_finite(), moderate, "{optimizer:?} {clip_norm}");
                if !moderate {
                    let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || a.is_nan();
                    assert!(weights.iter().zip(&trial.params()).all(same));
                }
            }
        }
    }
    check(|| Plain::<f32>::new(1));
    check(|| Plain::<f64>::new(1));
    check(|| Fused::new(2, ProductPrecision::F32).unwrap());
}

/// W of the first layer is 0, so that the loss is log 2. dW of the first layer is 1e30·1e30/2 and more, which no f32
/// holds. No f64 holds 1e300·1e300.
#[test]
fn gradients_that_are_no_numbers_show_with_and_without_clipping() {
    fn check<B: Backend>(backend: impl Fn() -> B, size: f64) {
        let plain_loss = Loss::default();
        for rows in [vec![size], vec![size, -size], vec![size, size]] {
            for clip_norm in [0.0, 1.0, 1e30] {
                for optimizer in optimizers() {
                    let params = [0.0, 0.0, size, -size, 0.0, 0.0];
                    let mut trial = Trial::new(backend(), linear(1, &[1], 2), &params, &rows);
                    let mut first = update(&plain_loss, &optimizer, clip_norm);
                    let labels = &[0, 0][..rows.len()];
                    let loss = trial.step(labels, &first);
                    assert!((loss.objective - std::f64::consts::LN_2).abs() < 1e-6);
                    // Rprop takes the sign of an infinite gradient alone. Clipped to nothing it is NaN.
                    if matches!(optimizer, Optimizer::Rprop(_)) && clip_norm == 0.0 {
                        continue;
                    }
                    let what = format!("{optimizer:?}, clip {clip_norm}, {rows:?}");
                    assert!(!all_finite(&trial.params()), "{what}");
                    first.number = 1;
                    let second = trial.step(labels, &first);
                    assert!(!second.objective.is_finite(), "{what}");
                }
            }
        }
    }
    check(|| Plain::<f32>::new(1), 1e30);
    check(|| Plain::<f64>::new(1), 1e300);
    check(|| Fused::new(2, ProductPrecision::F32).unwrap(), 1e30);
    check(|| Fused::new(2, ProductPrecision::Bf16).unwrap(), 1e30);
}

#[test]
fn every_optimiser_keeps_a_gradient_of_nan() {
    fn check<R: Real>() {
        for optimizer in optimizers() {
            // Scaled by itself, and by a norm that is NaN.
            for (gradient, gradient_scale) in [(f64::NAN, 1.0), (0.5, clip::scale(f64::NAN, 1.0))] {
                let step = Step {
                    lr: 0.1,
                    t: 1,
                    gradient_scale,
                };
                let (mut w, mut m, mut v) = ([R::ONE], [R::ZERO], [R::ZERO]);
                let g = [R::from_f64(gradient)];
                optim::update(&optimizer, &step, &mut w, &g, &mut m, &mut v);
                assert!(w[0].to_f64().is_nan(), "{optimizer:?} {gradient_scale}");
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

const FAR: u64 = 1 << 32;

/// Two updates with dropout, the first of this number.
fn bits_from<B: Backend>(backend: B, number: u64) -> Vec<u64> {
    let spec = NetworkSpec {
        dropout: 0.5,
        ..linear(3, &[40], 2)
    };
    let (params, _) = init::draw::<f64>(&spec, Init::default(), 3);
    let x: Vec<f64> = (0..12).map(|i| f64::from(i).sin()).collect();
    let mut trial = Trial::new(backend, spec, &params, &x);
    let (loss, optimizer) = (Loss::default(), sgd());
    for number in [number, number + 1] {
        let update = Update {
            number,
            ..update(&loss, &optimizer, 0.0)
        };
        assert!(trial.step(&[0, 1, 1, 0], &update).objective.is_finite());
    }
    trial.bits()
}

#[test]
fn counters_of_steps_go_on_beyond_32_bits() {
    // The mask of step 2³² + 5 is not that of step 5.
    let mask = |step| {
        let mut kept = [1.0_f64; 256];
        let (seed, layer, p) = (1, 0, 0.5);
        let mask = Mask {
            seed,
            layer,
            step,
            p,
        };
        mask.apply(&mut kept);
        kept
    };
    assert_ne!(mask(5), mask(FAR + 5));
    for number in [FAR, FAR + 5, u64::from(u32::MAX) * 1000] {
        let plain = bits_from(Plain::<f32>::new(1), number);
        for threads in [1, 2] {
            let fused = Fused::new(threads, ProductPrecision::F32).unwrap();
            assert_eq!(bits_from(fused, number), plain);
        }
        assert!(plain != bits_from(Plain::<f32>::new(1), number % FAR));
    }
    // Adam's means need no correction any more.
    let step = Step {
        lr: 0.25,
        t: FAR + 1,
        gradient_scale: 1.0,
    };
    let adam = Adam::default().at::<f64>(&step);
    assert_eq!((adam.step_size, adam.root_correction), (0.25, 1.0));
    // Half of the way of each schedule, and one step before a milestone.
    let rate = |schedule: &Schedule, t| schedule.rate(1.0, 0, t, 2 * FAR);
    assert!((rate(&Schedule::Cosine, FAR) - 0.5).abs() < 1e-12);
    let (step_size, gamma) = (FAR, 0.5);
    let step = Schedule::Step { step_size, gamma };
    assert_eq!([FAR - 1, FAR].map(|t| rate(&step, t)), [1.0, 0.5]);
    let milestones = vec![FAR + 1];
    let multi = Schedule::MultiStep { milestones, gamma };
    assert_eq!([FAR, FAR + 1].map(|t| rate(&multi, t)), [1.0, 0.5]);
    let gamma = 1.0 - 1e-9;
    let found = rate(&Schedule::Exponential { gamma }, FAR);
    assert!((found.ln() / (FAR as f64 * gamma.ln()) - 1.0).abs() < 1e-9);
    let pct_start = 0.5;
    let cycle = Schedule::OneCycle { pct_start };
    assert!((rate(&cycle, FAR) - 1.0).abs() < 1e-12);
    // Warm-up: half of it.
    assert_eq!(Schedule::Constant.rate(1.0, 2 * FAR, FAR - 1, 4 * FAR), 0.5);
}

#[test]
fn a_batch_of_one_trains_without_batch_norm_and_is_refused_with_it() {
    fn trains<B: Backend>(backend: B) {
        let spec = linear(1, &[], 2);
        let mut trial = Trial::new(backend, spec, &[0.0, 0.0, 0.0, 0.0], &[1.0]);
        let loss = trial.step(&[0], &update(&Loss::default(), &sgd(), 0.0));
        assert!((loss.objective - std::f64::consts::LN_2).abs() < 1e-6);
        // dW = (p − y)·x
        assert_eq!(trial.params(), [0.5, -0.5, 0.5, -0.5]);
    }
    fn is_refused<B: Backend>(backend: B) {
        let params = [
            3.0, -7.0, 0.1, 0.2, 1.0, 1.0, 0.5, 0.25, 1.0, 2.0, -1.0, 4.0, 0.0, 0.0,
        ];
        let mut trial = Trial::new(backend, batch_normalised(1), &params, &[1.0]);
        let before = trial.bits();
        let error = trial
            .try_step(&[0], &update(&Loss::default(), &sgd(), 0.0))
            .unwrap_err();
        assert!(error.to_string().contains("rows"), "{error}");
        assert_eq!(trial.bits(), before);
        // Evaluation takes the running statistics.
        assert!(all_finite(&trial.logits()));
    }
    on_each_backend!(trains);
    on_each_backend!(is_refused);
}
