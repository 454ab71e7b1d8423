//! Ensembles and embedded features: the same bits on both backends, and near them in bf16.

use chainrule::backend::{Backend, Fused, Input, Mode, Plain, ProductPrecision};
use chainrule::data::Task;
use chainrule::nn::init::{self, Init};
use chainrule::nn::{FeatureEmbedding, Mlp, NetworkSpec};
use chainrule::ops::activation::Activation;
use chainrule::ops::loss::Loss;
use chainrule::optim::{AdamW, Optimizer, Rprop, Sgd};

use super::Case;

/// Odd sizes. The features are of one and several inputs, with others between them, and with or without members.
fn specs() -> Vec<(NetworkSpec, usize)> {
    let embedding = |width| {
        Some(FeatureEmbedding {
            spans: vec![0..1, 1..14, 20..37],
            width,
        })
    };
    let spec = |members, embedding, hidden: &[usize], outputs| NetworkSpec {
        members,
        embedding,
        batch_norm: false,
        ..Case::new(41, hidden, outputs, 2).spec
    };
    vec![
        (spec(1, embedding(5), &[17], 3), 11),
        (spec(2, None, &[], 2), 2),
        (spec(3, None, &[33, 15], 17), 13),
        (spec(5, embedding(16), &[20], 2), 7),
        (spec(8, embedding(1), &[129, 16], 33), 64),
    ]
}

#[test]
fn members_and_embeddings_have_the_same_bits() {
    for (spec, batch) in specs() {
        for (batch_norm, dropout, clip_norm, pixels) in [
            (false, 0.0, 0.0, true),
            (false, 0.3, 0.05, false),
            (true, 0.0, 0.05, true),
            (true, 0.3, 0.0, false),
        ] {
            let mut case = Case::new(1, &[], 2, batch);
            case.spec = NetworkSpec {
                batch_norm: batch_norm && spec.members == 1,
                dropout,
                ..spec.clone()
            };
            (case.clip_norm, case.pixels) = (clip_norm, pixels);
            case.check(&format!("{}, clip {clip_norm}", case.spec.describe()));
        }
    }
}

#[test]
fn every_optimiser_moves_the_stem_and_the_heads() {
    for optimizer in [
        Optimizer::Sgd(Sgd {
            momentum: 0.9,
            nesterov: true,
            weight_decay: 1e-2,
        }),
        Optimizer::AdamW(AdamW::default()),
        Optimizer::Rprop(Rprop::default()),
    ] {
        let (spec, batch) = specs().swap_remove(3);
        let mut case = Case::new(1, &[], 2, batch);
        (case.spec, case.optimizer) = (spec, optimizer);
        case.check(&format!("{optimizer:?}"));
        let trace = case.run(Plain::<f32>::new(1));
        let (start, _) = init::draw::<f32>(&case.spec, Init::default(), 11);
        let moved = start.iter().zip(&trace.params);
        let still = moved.filter(|(a, b)| a.to_bits() == **b).count();
        assert!(still < start.len() / 20, "{optimizer:?}: {still} are still");
    }
}

/// Training in another precision of products: near the same numbers, and the same bits on any number of threads.
#[test]
fn members_in_bf16_are_near() {
    for (spec, batch) in specs() {
        let mut case = Case::new(1, &[], 2, batch);
        case.spec = NetworkSpec {
            batch_norm: false,
            activation: Activation::Tanh,
            ..spec
        };
        (case.optimizer, case.steps) = (Optimizer::Sgd(Sgd::default()), 3);
        let fused = |threads| {
            let fused = Fused::new(threads, ProductPrecision::Bf16).unwrap();
            case.run(fused)
        };
        let found = fused(1);
        let what = case.spec.describe();
        assert!(fused(3) == found, "{what}: bits depend on threads");
        let exact = case.run(Plain::<f32>::new(1));
        let number = |bits: &u32| f64::from(f32::from_bits(*bits));
        for (name, found, exact) in [
            ("logits", &found.logits, &exact.logits),
            ("parameters", &found.params, &exact.params),
        ] {
            let largest = exact.iter().fold(0.0_f64, |m, x| m.max(number(x).abs()));
            for (i, (a, b)) in found.iter().zip(exact).enumerate() {
                let (a, b) = (number(a), number(b));
                assert!(
                    (a - b).abs() <= 0.02 * largest,
                    "{what}: {name}[{i}] {a} and {b}"
                );
            }
        }
    }
}

/// Predictions averaged over members on both backends.
#[test]
fn averages_have_the_same_bits() {
    fn averages<B: Backend<Real = f32>>(backend: B, spec: &NetworkSpec) -> Vec<u32> {
        let (params, running) = init::draw(spec, Init::default(), 3);
        let mut mlp = Mlp::new(backend, spec.clone(), 9).unwrap();
        mlp.load(&params, &running).unwrap();
        let x: Vec<f32> = (0..9 * spec.inputs)
            .map(|i| (i as f32 * 0.7).sin())
            .collect();
        let mut buf = mlp.backend().alloc(x.len()).unwrap();
        mlp.backend().upload(&mut buf, &x).unwrap();
        let input = Input::Values { buf: &buf, rows: 9 };
        let mut all = Vec::new();
        for task in [Task::Classification, Task::Multilabel, Task::Regression] {
            mlp.evaluate(input, task).unwrap();
            all.extend(mlp.logits(9).unwrap());
        }
        let labels: Vec<u32> = (0..9).map(|i| i % spec.outputs as u32).collect();
        mlp.evaluate(input, Task::Classification).unwrap();
        let averaged = mlp.loss(&labels, &Loss::default()).unwrap();
        mlp.forward(input, Mode::Eval).unwrap();
        let mean = mlp.loss(&labels, &Loss::default()).unwrap();
        assert!(averaged.objective <= mean.objective, "Jensen's inequality");
        all.push(averaged.objective as f32);
        all.into_iter().map(f32::to_bits).collect()
    }

    for (spec, _) in specs() {
        let fused = Fused::new(2, ProductPrecision::F32).unwrap();
        let plain = averages(Plain::new(1), &spec);
        assert!(plain == averages(fused, &spec), "{}", spec.describe());
    }
}
