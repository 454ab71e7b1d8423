//! The fused backend compared with the plain one: the same bits for every network, batch size and number of threads.

mod batches;
mod bf16;
mod hashes;
mod losses;
mod matrix;
mod members;
mod tiny;

use std::process::Command;

use chainrule::backend::{Backend, Fused, Input, Mode, Order, Plain, ProductPrecision};
use chainrule::nn::init::{self, Init};
use chainrule::nn::spec::hidden_widths;
use chainrule::nn::{Mlp, NetworkSpec, Update};
use chainrule::ops::activation::Activation;
use chainrule::ops::loss::{Loss, TargetKind, Targets};
use chainrule::optim::{Adam, AdamW, Optimizer, RmsProp, Rprop, Sgd};
use chainrule::simd::{InstructionSet, VARIABLE};

/// Runs tests of this program in a process of its own, with one instruction set. Gives what they print.
fn output_with(set: InstructionSet, tests: &[&str]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(tests)
        .args(["--exact", "--nocapture"])
        .env(VARIABLE, set.name())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}{errors}", set.name());
    let passed = format!("{} passed", tests.len());
    assert!(text.contains(&passed), "{}: {text}", set.name());
    text
}

/// The bits of losses, weights, moments, statistics and logits after a few updates.
#[derive(PartialEq)]
struct Trace {
    losses: Vec<u64>,
    params: Vec<u32>,
    m: Vec<u32>,
    v: Vec<u32>,
    running: Vec<u32>,
    logits: Vec<u32>,
}

struct Case {
    spec: NetworkSpec,
    batch: usize,
    steps: u64,
    optimizer: Optimizer,
    clip_norm: f64,
    pixels: bool,
    loss: Loss,
    weighted: bool,
}

/// Targets of every kind for some rows.
struct Answers {
    classes: Vec<u32>,
    values: Vec<f64>,
    weights: Vec<f64>,
}

impl Answers {
    fn new(rows: &[u32], outputs: usize) -> Self {
        let labels = |&row: &u32| (0..outputs as u32).map(move |j| f64::from((row + j) % 3 / 2));
        Answers {
            classes: rows.iter().map(|r| r % outputs as u32).collect(),
            values: rows.iter().flat_map(labels).collect(),
            weights: rows.iter().map(|row| f64::from(row % 4) / 3.0).collect(),
        }
    }

    fn targets(&self, case: &Case) -> Targets<'_> {
        let kind = match case.loss {
            Loss::CrossEntropy(_) => TargetKind::Classes(&self.classes),
            _ => TargetKind::Values {
                values: &self.values,
                columns: case.spec.outputs,
            },
        };
        let weights = case.weighted.then_some(&self.weights[..]);
        Targets { kind, weights }
    }
}

impl Case {
    fn new(inputs: usize, hidden: &[usize], classes: usize, batch: usize) -> Self {
        Case {
            spec: NetworkSpec {
                inputs,
                hidden: hidden.to_vec(),
                outputs: classes,
                batch_norm: true,
                activation: Activation::Relu,
                dropout: 0.0,
                order: Order::DropoutActivation,
                members: 1,
                embedding: None,
            },
            batch,
            steps: 4,
            optimizer: Optimizer::Adam(Adam::default()),
            clip_norm: 0.0,
            pixels: true,
            loss: Loss::default(),
            weighted: false,
        }
    }

    fn run<B: Backend<Real = f32>>(&self, backend: B) -> Trace {
        let Case { spec, batch, .. } = self;
        let batch = *batch;
        let (params, running) = init::draw(spec, Init::default(), 11);
        let mut mlp = Mlp::new(backend, spec.clone(), batch + 3).unwrap();
        mlp.load(&params, &running).unwrap();
        let samples = 3 * batch;
        let data: Vec<u8> = (0..samples * spec.inputs)
            .map(|i| (i * 7919 % 263).saturating_sub(7) as u8)
            .collect();
        let scale: Vec<f32> = (0..spec.inputs)
            .map(|j| 1.0 / (j % 9 + 250) as f32)
            .collect();
        let shift: Vec<f32> = (0..spec.inputs).map(|j| j as f32 / 1e4).collect();
        let mut losses = Vec::new();
        for number in 0..self.steps {
            // The third batch is smaller, like the last one of an epoch.
            let n = if number == 2 {
                batch.div_ceil(2).max(2)
            } else {
                batch
            };
            let rows: Vec<u32> = (0..n)
                .map(|i| ((i * 5 + number as usize) % samples) as u32)
                .collect();
            let answers = Answers::new(&rows, spec.outputs);
            let update = Update {
                number,
                lr: 0.01,
                seed: 5,
                loss: &self.loss,
                optimizer: &self.optimizer,
                clip_norm: self.clip_norm,
            };
            let mut buf = mlp.backend().alloc(n * spec.inputs).unwrap();
            let values: Vec<f32> = (0..n * spec.inputs)
                .map(|i| (i as f32 * 0.37).sin())
                .collect();
            mlp.backend().upload(&mut buf, &values).unwrap();
            let input = match self.pixels {
                true => Input::Pixels {
                    next: &rows[..n / 2],
                    data: &data,
                    rows: &rows,
                    scale: &scale,
                    shift: &shift,
                },
                false => Input::Values { buf: &buf, rows: n },
            };
            let loss = mlp
                .train_step(input, answers.targets(self), &update)
                .unwrap();
            assert!(loss.objective.is_finite());
            losses.push(loss.objective.to_bits());
        }
        let rows: Vec<u32> = (0..batch as u32 + 3).collect();
        let input = Input::Pixels {
            next: &[],
            data: &data,
            rows: &rows,
            scale: &scale,
            shift: &shift,
        };
        mlp.forward(input, Mode::Eval).unwrap();
        let bits = |values: Vec<f32>| {
            assert!(values.iter().all(|x| x.is_finite()));
            values.into_iter().map(f32::to_bits).collect()
        };
        Trace {
            losses,
            params: bits(mlp.read(|s| &s.params).unwrap()),
            m: bits(mlp.read(|s| &s.m).unwrap()),
            v: bits(mlp.read(|s| &s.v).unwrap()),
            running: bits(mlp.read_running().unwrap()),
            logits: bits(mlp.logits(spec.members * (batch + 3)).unwrap()),
        }
    }

    fn check(&self, name: &str) {
        self.check_on(name, &[1, 2, 3, 8]);
    }

    fn check_on(&self, name: &str, threads: &[usize]) {
        let plain = self.run(Plain::<f32>::new(1));
        for &threads in threads {
            let fused = self.run(Fused::new(threads, ProductPrecision::F32).unwrap());
            let differing = |a: &[u32], b: &[u32]| a.iter().zip(b).filter(|(a, b)| a != b).count();
            assert!(
                plain == fused,
                "{name} on {threads}: losses {:?} {:?}; {} of {} parameters, {} m, {} v, {} running, {} logits differ",
                plain.losses,
                fused.losses,
                differing(&plain.params, &fused.params),
                plain.params.len(),
                differing(&plain.m, &fused.m),
                differing(&plain.v, &fused.v),
                differing(&plain.running, &fused.running),
                differing(&plain.logits, &fused.logits),
            );
        }
    }
}

#[test]
fn sizes() {
    for (inputs, hidden, classes, batch) in [
        (1, &[1][..], 2, 2),
        (7, &[5, 3], 3, 11),
        (16, &[16], 16, 16),
        (17, &[33, 15], 17, 13),
        (784, &[100], 10, 31),
        (401, &[37, 801], 19, 173),
        // The last layer lies transposed with up to 8 outputs.
        (401, &[37, 801], 1, 173),
        (5, &[450], 7, 33),
        (23, &[33], 8, 171),
        (23, &[33], 9, 20),
        (63, &[], 10, 25),
    ] {
        Case::new(inputs, hidden, classes, batch)
            .check(&format!("{inputs} {hidden:?} {classes}, batch {batch}"));
    }
}

#[test]
fn activations_orders_dropout_and_batch_norm() {
    for activation in Activation::ALL {
        for (order, dropout, batch_norm) in [
            (Order::DropoutActivation, 0.0, true),
            (Order::DropoutActivation, 0.3, true),
            (Order::ActivationDropout, 0.3, false),
            (Order::ActivationDropout, 0.0, false),
        ] {
            let mut case = Case::new(23, &[37, 18], 5, 19);
            case.spec = NetworkSpec {
                activation,
                order,
                dropout,
                batch_norm,
                ..case.spec
            };
            case.pixels = batch_norm;
            case.check(&format!("{activation:?} {order:?} {dropout} {batch_norm}"));
        }
    }
}

#[test]
fn optimisers_and_clipping() {
    for optimizer in [
        Optimizer::Sgd(Sgd {
            momentum: 0.9,
            nesterov: true,
            ..Sgd::default()
        }),
        Optimizer::AdamW(AdamW::default()),
        Optimizer::RmsProp(RmsProp::default()),
        Optimizer::Rprop(Rprop::default()),
        Optimizer::default(),
    ] {
        // Beside the last unit of a layer a sigmoid is ½, which must not reach the norm.
        for (clip_norm, activation) in [
            (0.0, Activation::Relu),
            (0.05, Activation::Relu),
            (0.05, Activation::Sigmoid),
        ] {
            let mut case = Case::new(29, &[20, 50], 3, 21);
            case.optimizer = optimizer;
            case.clip_norm = clip_norm;
            case.spec.activation = activation;
            case.check(&format!("{optimizer:?}, clip {clip_norm}, {activation:?}"));
        }
    }
}

/// The networks of the benchmarks, for 100 steps.
#[test]
fn the_five_networks_after_100_steps() {
    for (name, hidden, dropout, batch, batch_norm) in [
        ("baseline", vec![500], 0.0, 100, true),
        ("final", hidden_widths(569, 8, true), 0.333, 122, true),
        ("big", vec![1000; 3], 0.2, 128, false),
        ("small16", vec![500], 0.0, 16, true),
        ("w50", vec![50], 0.0, 100, true),
    ] {
        let mut case = Case::new(784, &hidden, 10, batch);
        case.spec.dropout = dropout;
        case.spec.batch_norm = batch_norm;
        case.steps = 100;
        case.check_on(name, if name == "big" { &[3] } else { &[1, 2, 3, 8] });
    }
}
