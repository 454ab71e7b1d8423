//! Blocks of the CUDA backend compared with those of the plain backend.

use chainrule::backend::{Backend, Block, Input, Mode, Order, Plain, State};
use chainrule::nn::init::{self, Init};
use chainrule::nn::{FeatureEmbedding, Layout, Mlp, NetworkSpec, Update};
use chainrule::ops::activation::Activation;
use chainrule::ops::loss::cross_entropy::CrossEntropy;
use chainrule::ops::loss::{Loss, Targets};
use chainrule::optim::{Adam, AdamW, Optimizer, RmsProp, Rprop, Sgd};

use crate::machine;

fn spec(batch_norm: bool, activation: Activation, dropout: f64, order: Order) -> NetworkSpec {
    NetworkSpec {
        inputs: 37,
        hidden: vec![67, 21],
        outputs: 5,
        batch_norm,
        activation,
        dropout,
        order,
        members: 1,
        embedding: None,
    }
}

fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i + salt) as f32 * 0.731).sin())
        .collect()
}

/// The output of a block in training. After a sigmoid the only zeros are those of the dropout mask.
fn masked<B: Backend<Real = f32>>(backend: &B, block: &Block, seed: u64, step: u64) -> Vec<bool> {
    let rows = 43;
    let buffer = |values: &[f32]| {
        let mut buf = backend.alloc(values.len()).unwrap();
        backend.upload(&mut buf, values).unwrap();
        buf
    };
    let params = block.parameters().end;
    let mut state = State {
        params: buffer(&numbers(params, 1)),
        grads: backend.alloc(params).unwrap(),
        m: backend.alloc(params).unwrap(),
        v: backend.alloc(params).unwrap(),
        running: backend.alloc(1000).unwrap(),
    };
    let mut saved = backend.saved(block, rows).unwrap();
    let buf = &buffer(&numbers(rows * block.inputs, 2));
    let mode = Mode::Train { seed, step };
    let input = Input::Values { buf, rows };
    backend
        .block_forward(block, input, &mut state, &mut saved, mode)
        .unwrap();
    let mut out = vec![f32::NAN; rows * block.outputs];
    backend.download(&mut out, backend.output(&saved)).unwrap();
    assert!(out.iter().all(|x| x.is_finite()));
    out.iter().map(|&x| x == 0.0).collect()
}

#[test]
fn dropout_drops_the_same_units() {
    let cuda = machine::backend();
    for batch_norm in [false, true] {
        let spec = spec(
            batch_norm,
            Activation::Sigmoid,
            0.3,
            Order::ActivationDropout,
        );
        let layout = Layout::new(&spec);
        for (block, seed, step) in [(0, 7, 0), (0, u64::MAX, 1 << 33), (1, 7, 12)] {
            let block = &layout.blocks[block];
            let found = masked(&cuda, block, seed, step);
            assert_eq!(found, masked(&Plain::new(1), block, seed, step));
            let share = found.iter().filter(|&&d| d).count() as f64 / found.len() as f64;
            assert!((0.2..0.4).contains(&share), "{share}");
        }
    }
}

/// The bits of parameters, moments and logits after some updates.
#[derive(Debug, PartialEq)]
struct Trace {
    params: Vec<u32>,
    m: Vec<u32>,
    v: Vec<u32>,
    logits: Vec<u32>,
}

fn bits(values: Vec<f32>) -> Vec<u32> {
    // Zeros of either sign count as equal.
    values.into_iter().map(|x| (x + 0.0).to_bits()).collect()
}

/// Losses and final state of some updates, on pixels from host memory.
fn train<B: Backend<Real = f32>>(
    backend: B,
    spec: &NetworkSpec,
    optimizer: &Optimizer,
    loss: &Loss,
    clip_norm: f64,
) -> (Vec<f64>, Vec<f32>, Trace) {
    let rows = 45;
    let (params, running) = init::draw(spec, Init::default(), 3);
    let mut mlp = Mlp::new(backend, spec.clone(), rows).unwrap();
    mlp.load(&params, &running).unwrap();
    let data: Vec<u8> = (0..200 * spec.inputs)
        .map(|i| (i * 7919 % 251) as u8)
        .collect();
    let (scale, shift) = (vec![1.0 / 255.0; spec.inputs], numbers(spec.inputs, 5));
    let mut losses = Vec::new();
    for number in 0..18 {
        // The last batch of an epoch is smaller.
        let count = if number % 6 == 5 { 14 } else { rows };
        let picked: Vec<u32> = (0..count)
            .map(|i| ((i * 17 + number * 31) % 200) as u32)
            .collect();
        let labels: Vec<u32> = picked.iter().map(|row| row % 5).collect();
        let x = Input::Pixels {
            data: &data,
            rows: &picked,
            next: &[],
            scale: &scale,
            shift: &shift,
        };
        let update = Update {
            number: number as u64,
            lr: 0.01,
            seed: 9,
            loss,
            optimizer,
            clip_norm,
        };
        losses.push(mlp.train_step(x, &labels, &update).unwrap().objective);
    }
    let params = mlp.read(|s| &s.params).unwrap();
    let trace = Trace {
        params: bits(params.clone()),
        m: bits(mlp.read(|s| &s.m).unwrap()),
        v: bits(mlp.read(|s| &s.v).unwrap()),
        logits: bits(mlp.logits(10).unwrap()),
    };
    (losses, params, trace)
}

fn optimizers() -> [Optimizer; 5] {
    [
        Optimizer::Sgd(Sgd {
            momentum: 0.9,
            nesterov: true,
            weight_decay: 1e-3,
        }),
        Optimizer::Adam(Adam {
            weight_decay: 1e-3,
            ..Adam::default()
        }),
        Optimizer::AdamW(AdamW::default()),
        Optimizer::RmsProp(RmsProp {
            momentum: 0.5,
            ..RmsProp::default()
        }),
        Optimizer::Rprop(Rprop {}),
    ]
}

/// Without batch norm and clipping every number is computed in the CPU's order. So all bits agree for every
/// activation and optimiser.
#[test]
fn without_batch_norm_all_bits_equal_the_cpus() {
    let loss = Loss::CrossEntropy(CrossEntropy {
        label_smoothing: 0.1,
        class_weights: Some(vec![1.0, 2.0, 0.5, 3.0, 1.5]),
    });
    let mut optimizers = optimizers().into_iter().cycle();
    for order in [Order::DropoutActivation, Order::ActivationDropout] {
        for activation in Activation::ALL {
            let spec = spec(false, activation, 0.2, order);
            let optimizer = optimizers.next().unwrap();
            let run = format!("{} with {optimizer:?}", spec.describe());
            let (losses, _, cpu) = train(Plain::new(1), &spec, &optimizer, &loss, 0.0);
            let (found, _, own) = train(machine::backend(), &spec, &optimizer, &loss, 0.0);
            for (found, expected) in found.iter().zip(&losses) {
                let error = (found - expected).abs() / expected.abs();
                assert!(error <= 1e-12, "{run}: {found} against {expected}");
            }
            assert!(own == cpu, "{run}");
        }
    }
}

/// With batch norm or clipping, sums are added in another order.
#[test]
fn with_batch_norm_losses_agree() {
    let mut worst = 0.0_f64;
    for (optimizer, clip_norm) in optimizers().into_iter().zip([0.0, 0.5, 0.0, 0.1, 0.0]) {
        // The gradient of a bias before a batch norm is only rounding. Rprop uses its sign and Adam divides it by its
        // own size, so weights differ. The losses do not depend on this bias.
        let spec = spec(true, Activation::Silu, 0.2, Order::DropoutActivation);
        let loss = Loss::default();
        let (losses, ..) = train(Plain::new(1), &spec, &optimizer, &loss, clip_norm);
        let (found, ..) = train(machine::backend(), &spec, &optimizer, &loss, clip_norm);
        for (found, expected) in found.iter().zip(&losses) {
            let error = (found - expected).abs() / expected.abs();
            assert!(error <= 2e-4, "{optimizer:?}: {found} against {expected}");
            worst = worst.max(error);
        }
    }
    println!("largest relative difference of a loss: {worst:.1e}");
}

/// There are no kernels for what comes before the first block.
#[test]
fn members_and_embeddings_are_refused() {
    let plain = spec(false, Activation::Relu, 0.0, Order::DropoutActivation);
    let refused = |spec: NetworkSpec, words: [&str; 2]| {
        let error = Mlp::new(machine::backend(), spec, 8).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        let named = words.iter().all(|word| message.contains(word));
        assert!(named && message.contains("--device cpu"), "{message}");
    };
    let members = NetworkSpec {
        members: 2,
        ..plain.clone()
    };
    refused(members, ["model.members", "2 members"]);
    let embedding = Some(FeatureEmbedding {
        spans: vec![0..3],
        width: 2,
    });
    let embedded = NetworkSpec { embedding, ..plain };
    refused(embedded, ["model.embed", "embedding"]);
}

#[test]
fn a_run_repeats_exactly() {
    let spec = spec(true, Activation::Gelu, 0.2, Order::DropoutActivation);
    let run = || {
        train(
            machine::backend(),
            &spec,
            &Optimizer::default(),
            &Loss::default(),
            0.3,
        )
    };
    let (first, second) = (run(), run());
    assert_eq!(first.0, second.0);
    assert!(first.2 == second.2);
}

/// As on the CPU, a step whose loss is not finite changes only the running statistics, and the next step continues.
#[test]
fn a_non_finite_loss_changes_no_weight() {
    let spec = spec(true, Activation::Relu, 0.0, Order::DropoutActivation);
    let (params, running) = init::draw(&spec, Init::default(), 3);
    let mut mlp = Mlp::new(machine::backend(), spec, 8).unwrap();
    mlp.load(&params, &running).unwrap();
    let update = Update {
        number: 0,
        lr: 0.1,
        seed: 0,
        loss: &Loss::default(),
        optimizer: &Optimizer::default(),
        clip_norm: 0.0,
    };
    let labels = [0, 1, 2, 3, 4, 0, 1, 2];
    let mut x = numbers(8 * 37, 4);
    let (mut good, mut bad) = (
        mlp.backend().alloc(x.len()).unwrap(),
        mlp.backend().alloc(x.len()).unwrap(),
    );
    mlp.backend().upload(&mut good, &x).unwrap();
    x[40] = f32::NAN;
    mlp.backend().upload(&mut bad, &x).unwrap();
    let mut losses = Vec::new();
    for buf in [&bad, &good, &good] {
        let x = Input::Values { buf, rows: 8 };
        let targets = Targets::from(&labels).into();
        mlp.start_step(x, targets, &update).unwrap();
    }
    mlp.finish_losses(&mut losses).unwrap();
    assert_eq!(losses.len(), 3);
    assert!(losses[0].objective.is_nan());
    assert_eq!(bits(mlp.read(|s| &s.params).unwrap()), bits(params.clone()));
    let x = Input::Values {
        buf: &good,
        rows: 8,
    };
    let loss = mlp.train_step(x, &labels, &update).unwrap();
    assert!(loss.objective.is_finite());
    assert_ne!(bits(mlp.read(|s| &s.params).unwrap()), bits(params));
}
