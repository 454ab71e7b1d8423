//! Whole training steps: pixels to updated weights.

use chainrule::backend::{Fused, Input, Order};
use chainrule::nn::init::{self, Init};
use chainrule::nn::spec::hidden_widths;
use chainrule::nn::{Mlp, NetworkSpec, Update};
use chainrule::ops::activation::Activation;
use chainrule::ops::softmax_cross_entropy::LossOptions;
use chainrule::optim::Optimizer;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

struct Case {
    name: &'static str,
    hidden: Vec<usize>,
    dropout: f64,
    batch: usize,
}

fn cases() -> [Case; 4] {
    [
        Case {
            name: "baseline",
            hidden: vec![500],
            dropout: 0.0,
            batch: 100,
        },
        Case {
            name: "final",
            hidden: hidden_widths(569, 8, true),
            dropout: 0.333,
            batch: 122,
        },
        Case {
            name: "small16",
            hidden: vec![500],
            dropout: 0.0,
            batch: 16,
        },
        Case {
            name: "w50",
            hidden: vec![50],
            dropout: 0.0,
            batch: 100,
        },
    ]
}

fn backend() -> Fused {
    let t = std::env::var("RAYON_NUM_THREADS").map_or(1, |t| t.parse().unwrap());
    Fused::new(t).unwrap().unwrap()
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    for case in cases() {
        let spec = NetworkSpec {
            inputs: 784,
            hidden: case.hidden,
            classes: 10,
            batch_norm: true,
            activation: Activation::Relu,
            dropout: case.dropout,
            order: Order::DropoutActivation,
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
        let (optimizer, options) = (Optimizer::default(), LossOptions::default());
        let mut number = 0;
        group.throughput(Throughput::Elements(case.batch as u64));
        group.bench_function(case.name, |bench| {
            bench.iter(|| {
                let x = Input::Pixels {
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

criterion_group!(benches, bench);
criterion_main!(benches);
