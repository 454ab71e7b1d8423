//! Whole training steps: pixels to updated weights.

use chainrule::backend::{Backend, Input, Order, Plain};
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
    spec: NetworkSpec,
    batch: usize,
}

/// A network for pictures.
fn pictures(hidden: Vec<usize>, dropout: f64, batch_norm: bool) -> NetworkSpec {
    NetworkSpec {
        inputs: 784,
        hidden,
        outputs: 10,
        batch_norm,
        activation: Activation::Relu,
        dropout,
        order: Order::DropoutActivation,
        members: 1,
        embedding: None,
    }
}

/// One or more members for a table.
fn table(members: usize) -> NetworkSpec {
    NetworkSpec {
        inputs: 60,
        outputs: 2,
        members,
        ..pictures(vec![500; 2], 0.0, false)
    }
}

fn cases() -> [Case; 7] {
    [
        ("baseline", pictures(vec![500], 0.0, true), 100),
        (
            "final",
            pictures(hidden_widths(569, 8, true), 0.333, true),
            122,
        ),
        ("big", pictures(vec![1000; 3], 0.2, false), 128),
        ("small16", pictures(vec![500], 0.0, true), 16),
        ("w50", pictures(vec![50], 0.0, true), 100),
        ("table", table(1), 256),
        ("table of 8 members", table(8), 256),
    ]
    .map(|(name, spec, batch)| Case { name, spec, batch })
}

/// Times the steps of one backend. `backend` makes a new one for each network.
fn steps<B: Backend<Real = f32>>(c: &mut Criterion, name: &str, backend: impl Fn() -> B) {
    let mut group = c.benchmark_group(name);
    for case in cases() {
        let spec = case.spec;
        let (inputs, outputs) = (spec.inputs, spec.outputs as u32);
        let (params, running) = init::draw::<f32>(&spec, Init::default(), 0);
        let mut mlp = Mlp::new(backend(), spec, case.batch).expect("a valid network");
        mlp.load(&params, &running).expect("as many numbers");
        let data: Vec<u8> = (0..case.batch * inputs)
            .map(|i| (i * 37 % 251) as u8)
            .collect();
        let rows: Vec<u32> = (0..case.batch as u32).collect();
        let labels: Vec<u32> = rows.iter().map(|i| i % outputs).collect();
        let (scale, shift) = (vec![1.0 / 255.0; inputs], vec![0.0; inputs]);
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
    for threads in [1, 2] {
        let fused = || Fused::new(threads, ProductPrecision::F32).expect("threads");
        steps(c, &format!("step/fused on {threads}"), fused);
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
