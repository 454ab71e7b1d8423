//! The matrix products of one step of the default network, compared with `matrixmultiply` on the same memory.

use chainrule::gemm::yardstick::matrixmultiply;
use chainrule::gemm::{Beta, gemm};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;

/// (m, n, k): forward, weight gradient and input gradient of 784-500-10 with batch 100, and a square.
const SHAPES: [(usize, usize, usize); 5] = [
    (100, 500, 784),
    (500, 784, 100),
    (100, 10, 500),
    (10, 500, 100),
    (512, 512, 512),
];

fn operands(m: usize, n: usize, k: usize) -> (Array2<f32>, Array2<f32>, Array2<f32>) {
    let value = |i: usize, j: usize| ((i * 31 + j * 7) % 17) as f32 / 17.0 - 0.5;
    let a = Array2::from_shape_fn((m, k), |(i, j)| value(i, j));
    let b = Array2::from_shape_fn((k, n), |(i, j)| value(j, i));
    (a, b, Array2::zeros((m, n)))
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("gemm");
    for (m, n, k) in SHAPES {
        let (a, b, mut out) = operands(m, n, k);
        let transposed = b.t().as_standard_layout().to_owned();
        group.throughput(Throughput::Elements((2 * m * n * k) as u64));
        let name = format!("{m}x{n}x{k}");
        for (layout, b) in [("B", b.view()), ("Bt", transposed.t())] {
            group.bench_function(BenchmarkId::new(format!("ours/{layout}"), &name), |bench| {
                bench.iter(|| gemm(a.view(), b, Beta::Overwrite, out.view_mut(), 1));
            });
            group.bench_function(
                BenchmarkId::new(format!("matrixmultiply/{layout}"), &name),
                |bench| {
                    bench.iter(|| matrixmultiply(a.view(), b, out.view_mut()));
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
