//! Whole training steps: pixels to updated weights.

use chainrule::backend::{Backend, Input, Order, Plain};
#[cfg(target_arch = "x86_64")]
use chainrule::backend::{Fused, ProductPrecision};
use chainrule::nn::init::{self, Init};
use chainrule::nn::spec::hidden_widths;
use chainrule::nn::{Mlp, NetworkSpec, Update};
use chainrule::ops::activation::Activation;
use chainrule::ops::loss::Loss;
use chainrule::optim::Optimizer;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

struct Case {
    name: &'static str,
    hidden: Vec<usize>,
    dropout: f64,
    batch: usize,
    batch_norm: bool,
}

fn cases() -> [Case; 5] {
    [
        Case {
            name: "baseline",
            hidden: vec![500],
            dropout: 0.0,
            batch: 100,
            batch_norm: true,
        },
        Case {
            name: "final",
            hidden: hidden_widths(569, 8, true),
            dropout: 0.333,
            batch: 122,
            batch_norm: true,
        },
        Case {
            name: "big",
            hidden: vec![1000; 3],
            dropout: 0.2,
            batch: 128,
            batch_norm: false,
        },
        Case {
            name: "small16",
            hidden: vec![500],
            dropout: 0.0,
            batch: 16,
            batch_norm: true,
        },
        Case {
            name: "w50",
            hidden: vec![50],
            dropout: 0.0,
            batch: 100,
            batch_norm: true,
        },
    ]
}

/// Times the steps of one backend. `backend` makes a new one for each network.
fn steps<B: Backend<Real = f32>>(c: &mut Criterion, name: &str, backend: impl Fn() -> B) {
    let mut group = c.benchmark_group(name);
    for case in cases() {
        let spec = NetworkSpec {
            inputs: 784,
            hidden: case.hidden,
            outputs: 10,
            batch_norm: case.batch_norm,
            activation: Activation::Relu,
            dropout: case.dropout,
            order: Order::DropoutActivation,
            members: 1,
            embedding: None,
        };
        let (params, running) = init::draw::<f32>(&spec, Init::default(), 0);
        let mut mlp = Mlp::new(backend(), spec, case.batch).expect("a valid network");
        mlp.load(&params, &running).expect("as many numbers");
        let data: Vec<u8> = (0..case.batch * 784)
            .map(|i| (i * 37 % 251) as u8)
            .collect();
        let rows: Vec<u32> = (0..case.batch as u32).collect();
        let labels: Vec<u32> = rows.iter().map(|i| i % 10).collect();
        let (scale, shift) = (vec![1.0 / 255.0; 784], vec![0.0; 784]);
        let (optimizer, options) = (Optimizer::default(), Loss::default());
        let mut number = 0;
        group.throughput(Throughput::Elements(case.batch as u64));
        group.bench_function(case.name, |bench| {
            bench.iter(|| {
                let x = Input::Pixels {
                    next: &[],
                    data: &data,
                    rows: &rows,
                    scale: &scale,
                    shift: &shift,
                };
                let update = Update {
                    number,
                    lr: 1e-3,
                    seed: 0,
                    loss: &options,
                    optimizer: &optimizer,
                    clip_norm: 0.0,
                };
                number += 1;
                mlp.train_step(x, &labels, &update)
            });
        });
    }
    group.finish();
}

fn bench(c: &mut Criterion) {
    steps(c, "step/plain", || Plain::<f32>::new(1));
    #[cfg(target_arch = "x86_64")]
    if let Ok(Some(_)) = Fused::new(1, ProductPrecision::F32) {
        for threads in [1, 2] {
            let fused = || {
                Fused::new(threads, ProductPrecision::F32)
                    .ok()
                    .flatten()
                    .expect("as before")
            };
            steps(c, &format!("step/fused on {threads}"), fused);
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
