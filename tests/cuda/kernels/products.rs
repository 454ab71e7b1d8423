//! The three products in three tile sizes, their plain epilogues, and the ladder.

use ndarray::{ArrayView2, ArrayViewMut2};

use chainrule::ops::linear::{linear_backward_input, linear_backward_parameters, linear_forward};

use super::device::{Buffer, Device, NULL, in_every_order};
use super::{U, assert_same, assert_within, numbers, widen};

/// A tile: name, rows, columns, threads.
pub(super) type Tile = (&'static str, usize, usize, u32);
pub(super) const TILES: [Tile; 3] = [
    ("large", 128, 128, 256),
    ("medium", 64, 64, 128),
    ("small", 32, 32, 128),
];

/// Rows, columns and depth of the products.
pub(super) const SHAPES: [(usize, usize, usize); 8] = [
    (1, 1, 1),
    (7, 63, 65),
    (63, 7, 1),
    (65, 130, 7),
    (130, 65, 33),
    (64, 128, 32),
    (100, 50, 84),
    (5, 10, 500),
];

/// A grid of tiles over `[m, n]`.
pub(super) fn grid(m: usize, n: usize, rows: usize, columns: usize) -> [usize; 2] {
    [n.div_ceil(columns), m.div_ceil(rows)]
}

/// A product by its definition: element (i, p) of op(A) and (p, j) of op(B) by index.
pub(super) struct Product {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) a: Vec<f32>,
    pub(super) b: Vec<f32>,
    a_along_k: bool,
    b_along_k: bool,
}

impl Product {
    pub(super) fn new((m, n, k): (usize, usize, usize), a_along_k: bool, b_along_k: bool) -> Self {
        Product {
            m,
            n,
            k,
            a: numbers(m * k, 1),
            b: numbers(n * k, 2),
            a_along_k,
            b_along_k,
        }
    }

    fn factors(&self, i: usize, j: usize, p: usize) -> (f32, f32) {
        let Product { m, n, k, .. } = *self;
        let a = if self.a_along_k { i * k + p } else { p * m + i };
        let b = if self.b_along_k { j * k + p } else { p * n + j };
        (self.a[a], self.b[b])
    }

    /// One chain of fused multiply-adds in ascending k, which is the order of every product of this crate.
    pub(super) fn chain(&self) -> Vec<f32> {
        let cell = |e: usize| {
            (0..self.k).fold(0.0_f32, |sum, p| {
                let (a, b) = self.factors(e / self.n, e % self.n, p);
                a.mul_add(b, sum)
            })
        };
        (0..self.m * self.n).map(cell).collect()
    }

    /// The value in f64, and the sum of magnitudes, which bounds the error: `$|\hat c - c| \le k u \sum |a b|$` to
    /// first order (Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 3.1).
    pub(super) fn exact(&self, e: usize) -> (f64, f64) {
        (0..self.k).fold((0.0, 0.0), |(sum, magnitude), p| {
            let (a, b) = self.factors(e / self.n, e % self.n, p);
            let term = f64::from(a) * f64::from(b);
            (sum + term, magnitude + term.abs())
        })
    }

    #[track_caller]
    fn check(&self, what: &str, c: &[f32]) {
        assert_same(what, c, &self.chain());
        self.check_bound(what, c, None);
    }

    #[track_caller]
    fn check_bound(&self, what: &str, c: &[f32], bias: Option<&[f32]>) {
        let add = |e: usize| bias.map_or(0.0, |b| f64::from(b[e % self.n]));
        let roundings = (self.k + 2) as f64;
        assert_within(
            what,
            c,
            |e| self.exact(e).0 + add(e),
            |e| roundings * U * (self.exact(e).1 + add(e).abs()),
        );
    }
}

fn view(x: &[f32], rows: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, x.len() / rows), x).expect("whole rows")
}

fn view_mut(x: &mut [f32], rows: usize) -> ArrayViewMut2<'_, f32> {
    let columns = x.len() / rows;
    ArrayViewMut2::from_shape((rows, columns), x).expect("whole rows")
}

fn sizes(p: &Product) -> [u32; 3] {
    [p.m as u32, p.n as u32, p.k as u32]
}

/// Launches a product and returns C.
fn multiply(
    device: &Device,
    (tile, rows, columns, threads): Tile,
    kind: &str,
    p: &Product,
    third: &Buffer<f32>,
) -> Vec<f32> {
    let (a, b) = (device.upload(&p.a), device.upload(&p.b));
    let c = device.uninitialised::<f32>(p.m * p.n);
    let [m, n, k] = sizes(p);
    let (grid, block) = (grid(p.m, p.n, rows, columns), [threads, 1]);
    let name = format!("sgemm_{kind}_{tile}");
    match kind {
        "nt_bias" => device.launch(&name, grid, block, &[&c, &a, &b, third, &m, &n, &k]),
        "tn" => device.launch(&name, grid, block, &[&c, third, &a, &b, &m, &n, &k]),
        _ => device.launch(&name, grid, block, &[&c, &a, &b, &m, &n, &k]),
    }
    device.download(&c)
}

#[test]
fn forward_with_bias() {
    in_every_order(|device| {
        for shape in SHAPES {
            let p = Product::new(shape, true, true);
            let bias = numbers(p.n, 3);
            let mut expected = p.chain();
            for (e, y) in expected.iter_mut().enumerate() {
                *y += bias[e % p.n];
            }
            let mut cpu = vec![f32::NAN; p.m * p.n];
            linear_forward(
                view_mut(&mut cpu, p.m),
                view(&p.a, p.m),
                view(&p.b, p.n),
                &bias,
                1,
            );
            for tile in TILES {
                let what = format!("nt {} {shape:?}", tile.0);
                let c = multiply(device, tile, "nt_bias", &p, &device.upload(&bias));
                assert_same(&what, &c, &expected);
                p.check_bound(&what, &c, Some(&bias));
            }
            // The CPU's operation keeps the same bound, with any kernel.
            p.check_bound("the CPU's nt", &cpu, Some(&bias));
        }
    });
}

#[test]
fn to_the_inputs() {
    in_every_order(|device| {
        for shape in SHAPES {
            let p = Product::new(shape, true, false);
            let mut cpu = vec![f32::NAN; p.m * p.n];
            linear_backward_input(view_mut(&mut cpu, p.m), view(&p.a, p.m), view(&p.b, p.k), 1);
            p.check_bound("the CPU's nn", &cpu, None);
            for tile in TILES {
                let none = device.uninitialised(1);
                let c = multiply(device, tile, "nn", &p, &none);
                p.check(&format!("nn {} {shape:?}", tile.0), &c);
            }
        }
    });
}

#[test]
fn to_the_weights_and_biases() {
    in_every_order(|device| {
        for shape in SHAPES {
            let p = Product::new(shape, false, false);
            let mut cpu = vec![f32::NAN; p.m * p.n];
            let mut db = vec![f32::NAN; p.m];
            linear_backward_parameters(
                view_mut(&mut cpu, p.m),
                &mut db,
                view(&p.a, p.k),
                view(&p.b, p.k),
                1,
            );
            p.check_bound("the CPU's tn", &cpu, None);
            for tile in TILES {
                let what = format!("tn {} {shape:?}", tile.0);
                let sums = device.uninitialised(p.m);
                let c = multiply(device, tile, "tn", &p, &sums);
                p.check(&what, &c);
                // The rows are added in order, as on the CPU, so the bits are equal.
                assert_same(&what, &device.download(&sums), &db);
            }
        }
    });
}

/// Matrices in the middle of a buffer, as weights are among the parameters. The length of their rows allows 128-bit
/// loads, but their start does not.
#[test]
fn operands_may_start_at_any_element() {
    in_every_order(|device| {
        for (name, rows, columns, threads) in TILES {
            let p = Product::new((68, 72, 40), true, true);
            let shifted = |x: &[f32]| [&[f32::NAN], x].concat();
            let (a, b) = (device.upload(&shifted(&p.a)), device.upload(&shifted(&p.b)));
            let c = device.upload(&vec![f32::NAN; p.m * p.n + 1]);
            let [m, n, k] = sizes(&p);
            let grid = grid(p.m, p.n, rows, columns);
            let arguments = (c.from(1), a.from(1), b.from(1));
            device.launch(
                &format!("sgemm_nt_bias_{name}"),
                grid,
                [threads, 1],
                &[&arguments.0, &arguments.1, &arguments.2, &NULL, &m, &n, &k],
            );
            let c = device.download(&c);
            assert!(c[0].is_nan(), "{name} wrote before its result");
            p.check(name, &c[1..]);
        }
    });
}

#[test]
fn column_statistics_of_tiles() {
    in_every_order(|device| {
        for shape in SHAPES {
            let p = Product::new(shape, true, true);
            let bias = numbers(p.n, 3);
            let (a, b, bias) = (
                device.upload(&p.a),
                device.upload(&p.b),
                device.upload(&bias),
            );
            for (name, rows, columns, threads) in TILES {
                let tiles = p.m.div_ceil(rows);
                let c = device.uninitialised::<f32>(p.m * p.n);
                let (mean, m2) = (
                    device.uninitialised::<f32>(tiles * p.n),
                    device.uninitialised::<f32>(tiles * p.n),
                );
                let [m, n, k] = sizes(&p);
                device.launch(
                    &format!("sgemm_nt_statistics_{name}"),
                    grid(p.m, p.n, rows, columns),
                    [threads, 1],
                    &[&c, &mean, &m2, &a, &b, &bias, &m, &n, &k],
                );
                let c = device.download(&c);
                p.check_bound(name, &c, Some(&device.download(&bias)));
                let column = |e: usize| {
                    let (first, j) = (e / p.n * rows, e % p.n);
                    let column: Vec<f64> = (first..p.m.min(first + rows))
                        .map(|i| c[i * p.n + j].into())
                        .collect();
                    column
                };
                let average = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
                let largest = |x: &[f64]| x.iter().fold(0.0_f64, |l, x| l.max(x.abs()));
                let deviations =
                    |x: &[f64]| x.iter().map(|v| (v - average(x)).powi(2)).sum::<f64>();
                // The mean is a sum of n terms and the joins: some n + 20 roundings, each off by at most U of the
                // largest value.
                let roundings = |x: &[f64]| (x.len() + 20) as f64 * U;
                assert_within(
                    "means",
                    &device.download(&mean),
                    |e| average(&column(e)),
                    |e| roundings(&column(e)) * largest(&column(e)),
                );
                // Deviations are off by as much as the means, once for each factor of a square.
                assert_within(
                    "M2",
                    &device.download(&m2),
                    |e| deviations(&column(e)),
                    |e| {
                        let x = column(e);
                        let wrong = roundings(&x) * largest(&x);
                        roundings(&x) * deviations(&x)
                            + 2.0 * wrong * (x.len() as f64 * deviations(&x)).sqrt()
                            + x.len() as f64 * wrong * wrong
                    },
                );
            }
        }
    });
}

#[test]
fn every_step_of_the_ladder() {
    in_every_order(|device| {
        for shape in SHAPES {
            let p = Product::new(shape, true, false);
            let (a, b) = (device.upload(&p.a), device.upload(&p.b));
            let [m, n, k] = sizes(&p);
            for (name, tile, block) in [
                ("sgemm_1_naive", 16, [16, 16]),
                ("sgemm_2_tiled", 32, [32, 32]),
                ("sgemm_3_register_tile", 64, [256, 1]),
                ("sgemm_4_vectorised", 128, [256, 1]),
            ] {
                let c = device.uninitialised::<f32>(p.m * p.n);
                device.launch(
                    name,
                    grid(p.m, p.n, tile, tile),
                    block,
                    &[&c, &a, &b, &m, &n, &k],
                );
                p.check(name, &device.download(&c));
            }
        }
    });
}

/// The bound would notice a product that misses a term.
#[test]
fn the_bound_is_tight_enough_to_notice_a_missing_term() {
    let p = Product::new((4, 4, 100), true, true);
    let c = p.chain();
    let without_last = Product {
        k: 99,
        a: p.a
            .chunks(100)
            .flat_map(|row| &row[..99])
            .copied()
            .collect(),
        b: p.b
            .chunks(100)
            .flat_map(|row| &row[..99])
            .copied()
            .collect(),
        ..Product::new((4, 4, 100), true, true)
    };
    let wrong = widen(&without_last.chain());
    let noticed = (0..16).filter(|&e| (wrong[e] - p.exact(e).0).abs() > 102.0 * U * p.exact(e).1);
    assert_eq!(noticed.count(), c.len());
}
