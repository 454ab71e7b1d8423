//! Each operation, forward and backward, on the default network's hidden layer: 100 rows of 500.

use chainrule::ops::activation::{Activation, activation_backward, activation_forward};
use chainrule::ops::batch_norm::{batch_norm_backward, batch_norm_evaluate, batch_norm_forward};
use chainrule::ops::dropout::Mask;
use chainrule::ops::linear::{linear_backward_input, linear_backward_parameters, linear_forward};
use chainrule::ops::loss::binary_cross_entropy::BinaryCrossEntropy;
use chainrule::ops::loss::cross_entropy::{CrossEntropy, softmax_cross_entropy};
use chainrule::ops::loss::huber::Huber;
use chainrule::ops::loss::{Loss, TargetKind, Targets};
use chainrule::optim::{Adam, AdamW, Optimizer, RmsProp, Rprop, Sgd, Step, clip, update};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;

const ROWS: usize = 100;
const INPUTS: usize = 784;
const UNITS: usize = 500;
const CLASSES: usize = 10;

fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 2_654_435_761) % 1009) as f32 / 504.5 - 1.0)
        .collect()
}

fn matrix(rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), numbers(rows * columns)).expect("as many numbers")
}

fn linear(c: &mut Criterion) {
    let mut group = c.benchmark_group("linear");
    let (x, w, b) = (matrix(ROWS, INPUTS), matrix(UNITS, INPUTS), numbers(UNITS));
    let (mut y, dy) = (matrix(ROWS, UNITS), matrix(ROWS, UNITS));
    let (mut dw, mut db, mut dx) = (w.clone(), b.clone(), x.clone());
    group.bench_function("forward", |bench| {
        bench.iter(|| linear_forward(y.view_mut(), x.view(), w.view(), &b, 1));
    });
    group.bench_function("backward_parameters", |bench| {
        bench.iter(|| linear_backward_parameters(dw.view_mut(), &mut db, dy.view(), x.view(), 1));
    });
    group.bench_function("backward_input", |bench| {
        bench.iter(|| linear_backward_input(dx.view_mut(), dy.view(), w.view(), 1));
    });
    group.finish();
}

fn elementwise(c: &mut Criterion) {
    let mut group = c.benchmark_group("activation");
    group.throughput(Throughput::Elements((ROWS * UNITS) as u64));
    let (x, mut y, mut dy) = (
        numbers(ROWS * UNITS),
        numbers(ROWS * UNITS),
        numbers(ROWS * UNITS),
    );
    for kind in Activation::ALL {
        group.bench_function(format!("{kind:?}/forward"), |bench| {
            bench.iter(|| activation_forward(kind, &mut y, &x));
        });
        group.bench_function(format!("{kind:?}/backward"), |bench| {
            bench.iter(|| activation_backward(kind, &mut dy, &x, &y));
        });
    }
    let mask = Mask {
        seed: 1,
        layer: 0,
        step: 0,
        p: 0.333,
    };
    group.bench_function("dropout", |bench| bench.iter(|| mask.apply(&mut dy)));
    group.finish();
}

fn batch_norm(c: &mut Criterion) {
    let mut group = c.benchmark_group("batch_norm");
    group.throughput(Throughput::Elements((ROWS * UNITS) as u64));
    let x = numbers(ROWS * UNITS);
    let (mut y, mut x_hat, mut dy) = (x.clone(), x.clone(), x.clone());
    let (gamma, beta) = (vec![1.0; UNITS], vec![0.0; UNITS]);
    let (mut mean, mut var, mut inv_std) = (beta.clone(), gamma.clone(), gamma.clone());
    let (mut dgamma, mut dbeta) = (gamma.clone(), beta.clone());
    group.bench_function("forward", |bench| {
        bench.iter(|| {
            batch_norm_forward(
                &mut y,
                &mut x_hat,
                &mut inv_std,
                &mut mean,
                &mut var,
                &x,
                &gamma,
                &beta,
            );
        });
    });
    group.bench_function("evaluate", |bench| {
        bench.iter(|| batch_norm_evaluate(&mut y, &x, &mean, &var, &gamma, &beta));
    });
    group.bench_function("backward", |bench| {
        bench.iter(|| {
            batch_norm_backward(&mut dy, &mut dgamma, &mut dbeta, &x_hat, &inv_std, &gamma)
        });
    });
    group.finish();
}

fn loss(c: &mut Criterion) {
    let logits = numbers(ROWS * CLASSES);
    let mut dlogits = logits.clone();
    let labels: Vec<u32> = (0..ROWS as u32).map(|i| i % CLASSES as u32).collect();
    let options = CrossEntropy::default();
    c.bench_function("softmax_cross_entropy", |bench| {
        bench.iter(|| softmax_cross_entropy(Some(&mut dlogits), &logits, &labels, None, &options));
    });
    let values: Vec<f64> = (0..logits.len()).map(|i| (i % 3 / 2) as f64).collect();
    for loss in [
        Loss::BinaryCrossEntropy(BinaryCrossEntropy::default()),
        Loss::MeanSquaredError,
        Loss::Huber(Huber::default()),
        Loss::MeanAbsoluteError,
    ] {
        let targets = Targets::from(TargetKind::Values {
            values: &values,
            columns: CLASSES,
        });
        c.bench_function(loss.name(), |bench| {
            bench.iter(|| loss.compute(Some(&mut dlogits), &logits, targets));
        });
    }
}

fn optimisers(c: &mut Criterion) {
    let mut group = c.benchmark_group("optimizer");
    let count = INPUTS * UNITS;
    group.throughput(Throughput::Elements(count as u64));
    let (mut w, g) = (numbers(count), numbers(count));
    let (mut m, mut v) = (vec![0.0; count], vec![0.0; count]);
    let step = Step {
        lr: 1e-3,
        t: 10,
        gradient_scale: 1.0,
    };
    for (name, optimizer) in [
        (
            "sgd",
            Optimizer::Sgd(Sgd {
                momentum: 0.9,
                ..Sgd::default()
            }),
        ),
        ("adam", Optimizer::Adam(Adam::default())),
        ("adamw", Optimizer::AdamW(AdamW::default())),
        ("rmsprop", Optimizer::RmsProp(RmsProp::default())),
        ("rprop", Optimizer::Rprop(Rprop::default())),
    ] {
        m.fill(0.0);
        v.fill(0.0);
        group.bench_function(name, |bench| {
            bench.iter(|| update(&optimizer, &step, &mut w, &g, &mut m, &mut v));
        });
    }
    // Pixels that were bright once and then stayed 0. After 2000 steps their updates must not be slower than others.
    let dark = vec![0.0; count];
    let adam = Optimizer::default();
    for (name, g, warm_up) in [("adam/lit", &g, 0), ("adam/dark", &dark, 2000)] {
        m.fill(1e-3);
        v.fill(1e-6);
        let mut step = step;
        let mut advance = |steps: u64| {
            for _ in 0..steps {
                step.t += 1;
                update(&adam, &step, &mut w, g, &mut m, &mut v);
            }
        };
        advance(warm_up);
        group.bench_function(name, |bench| bench.iter(|| advance(1)));
    }
    group.bench_function("gradient_norm", |bench| {
        bench.iter(|| {
            let mut sum = clip::SquareSum::default();
            sum.add_rows(&g, 784);
            sum.norm()
        })
    });
    group.finish();
}

criterion_group!(benches, linear, elementwise, batch_norm, loss, optimisers);
criterion_main!(benches);
