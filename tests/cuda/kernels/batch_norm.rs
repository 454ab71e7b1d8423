//! Batch norm, compared with the CPU's operation in f64 on the same f32 numbers, and with the CPU's operation in f32.

use chainrule::ops::activation::Activation;
use chainrule::ops::batch_norm::{batch_norm_backward, batch_norm_evaluate, batch_norm_forward};

use super::blocks::{TAILS, mask, tail, tail_backward};
use super::device::{Device, Mask, in_every_order};
use super::{U, assert_same, assert_within, numbers, scaled, widen};

const SHAPES: [(usize, usize); 6] = [(2, 1), (7, 63), (63, 7), (65, 33), (100, 50), (130, 65)];
const RELU: u32 = 0;
const IDENTITY: u32 = 7;
const TILE_ROWS: usize = 32;
/// Rows of a block of threads, and those of a partial sum.
const CHUNK: usize = 16;
const SUM_CHUNK: usize = 64;

/// The numbers of a layer: Z, γ, β, running mean and variance.
struct Layer {
    rows: usize,
    features: usize,
    z: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    mean: Vec<f32>,
    var: Vec<f32>,
}

/// The results of the CPU's forward in one precision.
struct Reference<R> {
    y: Vec<R>,
    x_hat: Vec<R>,
    inv_std: Vec<R>,
    mean: Vec<R>,
    var: Vec<R>,
}

impl Layer {
    fn new((rows, features): (usize, usize)) -> Self {
        Layer {
            rows,
            features,
            // Columns with means that are not 0.
            z: numbers(rows * features, 1)
                .iter()
                .enumerate()
                .map(|(e, x)| x + (e % features) as f32 / 16.0)
                .collect(),
            gamma: numbers(features, 2),
            beta: numbers(features, 3),
            mean: numbers(features, 4),
            var: numbers(features, 5).iter().map(|x| x + 1.5).collect(),
        }
    }

    fn forward(&self) -> Reference<f64> {
        let nothing = || vec![f64::NAN; self.z.len()];
        let mut r = Reference {
            y: nothing(),
            x_hat: nothing(),
            inv_std: vec![f64::NAN; self.features],
            mean: widen(&self.mean),
            var: widen(&self.var),
        };
        let (z, gamma, beta) = (widen(&self.z), widen(&self.gamma), widen(&self.beta));
        batch_norm_forward(
            &mut r.y,
            &mut r.x_hat,
            &mut r.inv_std,
            &mut r.mean,
            &mut r.var,
            &z,
            &gamma,
            &beta,
        );
        r
    }

    /// Bound of the error of x̂ in a column. Mean and variance are sums of n terms, joined from tiles, with some n + 20
    /// roundings. Each rounding is off by U of the column's largest number, and so are the deviations. x̂ is a
    /// deviation times s.
    fn bound(&self, reference: &Reference<f64>, column: usize) -> f64 {
        let largest = self
            .z
            .iter()
            .skip(column)
            .step_by(self.features)
            .fold(0.0_f64, |l, &z| l.max(f64::from(z).abs()));
        let wrong = (self.rows + 20) as f64 * U * largest * reference.inv_std[column];
        let x_hat = (self.rows as f64).sqrt();
        wrong * (1.0 + x_hat) + (self.rows + 20) as f64 * U * x_hat
    }

    /// Statistics of tiles of 32 rows, as the product computes them.
    fn tiles(&self) -> (Vec<f32>, Vec<f32>) {
        let tiles = self.z.chunks(TILE_ROWS * self.features);
        let of = |tile: &[f32], j: usize| {
            let column: Vec<f64> = tile
                .iter()
                .skip(j)
                .step_by(self.features)
                .map(|&z| z.into())
                .collect();
            let mean = column.iter().sum::<f64>() / column.len() as f64;
            (
                mean as f32,
                column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() as f32,
            )
        };
        tiles
            .flat_map(|tile| (0..self.features).map(move |j| of(tile, j)))
            .unzip()
    }

    fn grid(&self, chunk: usize) -> [usize; 2] {
        [self.features.div_ceil(32), self.rows.div_ceil(chunk)]
    }
}

/// The results of the kernel's forward: y, the activation's input, x̂, s, running mean and variance.
fn forward(
    device: &Device,
    layer: &Layer,
    activation: u32,
    order: u32,
    mask: Mask,
    diverged: u32,
) -> [Vec<f32>; 6] {
    let (mean, var) = (device.upload(&layer.mean), device.upload(&layer.var));
    let (gamma, beta) = (device.upload(&layer.gamma), device.upload(&layer.beta));
    let (tile_mean, tile_m2) = layer.tiles();
    let (tile_mean, tile_m2) = (device.upload(&tile_mean), device.upload(&tile_m2));
    let out = device.upload(&layer.z);
    let (pre, x_hat) = (
        device.uninitialised::<f32>(layer.z.len()),
        device.uninitialised::<f32>(layer.z.len()),
    );
    let inv_std = device.uninitialised::<f32>(layer.features);
    let flag = device.upload(&[diverged]);
    let [rows, features] = [layer.rows as u32, layer.features as u32];
    device.launch(
        "batch_norm_forward",
        layer.grid(CHUNK),
        [32, 8],
        &[
            &out,
            &pre,
            &x_hat,
            &inv_std,
            &mean,
            &var,
            &gamma,
            &beta,
            &tile_mean,
            &tile_m2,
            &rows,
            &features,
            &(TILE_ROWS as u32),
            &activation,
            &order,
            &mask,
            &flag,
        ],
    );
    [&out, &pre, &x_hat, &inv_std, &mean, &var].map(|b| device.download(b))
}

#[test]
fn forward_against_f64() {
    in_every_order(|device| {
        for shape in SHAPES {
            let layer = Layer::new(shape);
            let reference = layer.forward();
            let [y, pre, x_hat, inv_std, mean, var] =
                forward(device, &layer, IDENTITY, 0, Mask::NONE, 0);
            let (n, bounds) = (
                layer.features,
                (0..layer.features)
                    .map(|j| layer.bound(&reference, j))
                    .collect::<Vec<_>>(),
            );
            assert_same("no activation", &y, &pre);
            assert_within("x̂", &x_hat, |e| reference.x_hat[e], |e| bounds[e % n]);
            assert_within(
                "y",
                &y,
                |e| reference.y[e],
                |e| {
                    f64::from(layer.gamma[e % n]).abs() * bounds[e % n]
                        + 4.0 * U * (reference.y[e].abs() + 1.0)
                },
            );
            assert_within(
                "s",
                &inv_std,
                |j| reference.inv_std[j],
                |j| bounds[j] * reference.inv_std[j],
            );
            assert_within(
                "running mean",
                &mean,
                |j| reference.mean[j],
                |j| {
                    0.1 * bounds[j] / reference.inv_std[j]
                        + 4.0 * U * (reference.mean[j].abs() + 1.0)
                },
            );
            assert_within(
                "running variance",
                &var,
                |j| reference.var[j],
                |j| {
                    0.4 * bounds[j] / reference.inv_std[j].powi(2)
                        + 4.0 * U * reference.var[j].abs()
                },
            );
        }
    });
}

/// After the normalisation the kernel gives the CPU's bits for the same numbers.
#[test]
fn tail_of_the_forward() {
    in_every_order(|device| {
        let layer = Layer::new((65, 33));
        let [normalised, ..] = forward(device, &layer, IDENTITY, 0, Mask::NONE, 0);
        for (index, kind) in Activation::ALL.into_iter().enumerate() {
            for (order, p) in TAILS {
                let [y, pre, ..] = forward(device, &layer, index as u32, order, mask(p), 0);
                let (expected_pre, expected) = tail(kind, order, p, &normalised);
                assert_same(
                    &format!("{kind:?}, order {order}, p {p}"),
                    &pre,
                    &expected_pre,
                );
                assert_same(&format!("{kind:?}, order {order}, p {p}"), &y, &expected);
            }
        }
    });
}

#[test]
fn evaluation_has_the_cpus_bits() {
    in_every_order(|device| {
        for shape in SHAPES {
            let layer = Layer::new(shape);
            let mut expected = vec![f32::NAN; layer.z.len()];
            batch_norm_evaluate(
                &mut expected,
                &layer.z,
                &layer.mean,
                &layer.var,
                &layer.gamma,
                &layer.beta,
            );
            let (out, pre) = (
                device.upload(&layer.z),
                device.uninitialised::<f32>(layer.z.len()),
            );
            let [mean, var, gamma, beta] =
                [&layer.mean, &layer.var, &layer.gamma, &layer.beta].map(|x| device.upload(x));
            let sizes = [layer.rows as u32, layer.features as u32];
            device.launch(
                "batch_norm_evaluate",
                layer.grid(CHUNK),
                [32, 8],
                &[
                    &out, &pre, &mean, &var, &gamma, &beta, &sizes[0], &sizes[1], &RELU,
                ],
            );
            assert_same("before the activation", &device.download(&pre), &expected);
            let relu: Vec<f32> = expected.iter().map(|x| x.max(0.0)).collect();
            assert_same("after it", &device.download(&out), &relu);
        }
    });
}

/// A diverged run keeps its running statistics; everything else is computed.
#[test]
fn a_diverged_run_keeps_its_running_statistics() {
    in_every_order(|device| {
        let layer = Layer::new((65, 33));
        let [y, _, _, _, mean, var] = forward(device, &layer, RELU, 0, Mask::NONE, 1);
        assert!(y.iter().all(|y| y.is_finite()));
        assert_same("running mean", &mean, &layer.mean);
        assert_same("running variance", &var, &layer.var);
    });
}

/// dz, dγ, dβ of the kernels, from the CPU's x̂ and s.
fn backward(
    device: &Device,
    layer: &Layer,
    x_hat: &[f32],
    inv_std: &[f32],
    pre: &[f32],
    dy: &[f32],
    (activation, order, mask): (u32, u32, Mask),
) -> [Vec<f32>; 3] {
    let [dy, pre, x_hat, inv_std, gamma] =
        [dy, pre, x_hat, inv_std, &layer.gamma].map(|x| device.upload(x));
    let chunks = layer.rows.div_ceil(SUM_CHUNK) * layer.features;
    let [partial_gamma, partial_beta] = [(); 2].map(|()| device.uninitialised::<f32>(chunks));
    let [dgamma, dbeta] = [(); 2].map(|()| device.uninitialised::<f32>(layer.features));
    let [rows, features] = [layer.rows as u32, layer.features as u32];
    let block = [32, 8];
    device.launch(
        "batch_norm_backward_sums",
        layer.grid(SUM_CHUNK),
        block,
        &[
            &dy,
            &partial_gamma,
            &partial_beta,
            &pre,
            &x_hat,
            &rows,
            &features,
            &activation,
            &order,
            &mask,
        ],
    );
    device.launch(
        "batch_norm_backward",
        layer.grid(CHUNK),
        block,
        &[
            &dy,
            &dgamma,
            &dbeta,
            &partial_gamma,
            &partial_beta,
            &x_hat,
            &inv_std,
            &gamma,
            &rows,
            &features,
        ],
    );
    [&dy, &dgamma, &dbeta].map(|b| device.download(b))
}

#[test]
fn backward_against_f64() {
    in_every_order(|device| {
        for shape in SHAPES {
            let layer = Layer::new(shape);
            let reference = layer.forward();
            let single = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<_>>();
            let (x_hat, inv_std) = (single(&reference.x_hat), single(&reference.inv_std));
            let pre = scaled(layer.z.len(), 6, 3.0);
            let upstream = numbers(layer.z.len(), 7);
            for (index, kind) in Activation::ALL.into_iter().enumerate() {
                let (order, p) = TAILS[index % TAILS.len()];
                let found = backward(
                    device,
                    &layer,
                    &x_hat,
                    &inv_std,
                    &pre,
                    &upstream,
                    (index as u32, order, mask(p)),
                );
                check_backward(
                    &layer,
                    &x_hat,
                    &inv_std,
                    &tail_backward(kind, order, p, &pre, &upstream),
                    &found,
                );
            }
        }
    });
}

/// Compares with the operation in f64 on the same f32 numbers. A sum of n products has n + 3 roundings of its
/// magnitudes. dz is a difference of three terms; each is off by the errors of the sums and a few roundings of its own.
#[track_caller]
fn check_backward(
    layer: &Layer,
    x_hat: &[f32],
    inv_std: &[f32],
    dy: &[f32],
    [dz, dgamma, dbeta]: &[Vec<f32>; 3],
) {
    let (n, features) = (layer.rows as f64, layer.features);
    let mut exact = widen(dy);
    let (mut exact_gamma, mut exact_beta) = (vec![f64::NAN; features], vec![f64::NAN; features]);
    batch_norm_backward(
        &mut exact,
        &mut exact_gamma,
        &mut exact_beta,
        &widen(x_hat),
        &widen(inv_std),
        &widen(&layer.gamma),
    );
    let magnitude = |j: usize, f: &dyn Fn(usize) -> f64| {
        (0..layer.rows)
            .map(|i| f(i * features + j).abs())
            .sum::<f64>()
    };
    let gamma_error: Vec<f64> = (0..features)
        .map(|j| (n + 3.0) * U * magnitude(j, &|e| f64::from(dy[e]) * f64::from(x_hat[e])))
        .collect();
    let beta_error: Vec<f64> = (0..features)
        .map(|j| (n + 3.0) * U * magnitude(j, &|e| dy[e].into()))
        .collect();
    assert_within("dγ", dgamma, |j| exact_gamma[j], |j| gamma_error[j]);
    assert_within("dβ", dbeta, |j| exact_beta[j], |j| beta_error[j]);
    assert_within(
        "dz",
        dz,
        |e| exact[e],
        |e| {
            let (j, x_hat) = (e % features, f64::from(x_hat[e]).abs());
            let factor = (f64::from(layer.gamma[j]) * f64::from(inv_std[j])).abs() / n;
            let terms =
                n * f64::from(dy[e]).abs() + exact_beta[j].abs() + x_hat * exact_gamma[j].abs();
            factor * (8.0 * U * terms + beta_error[j] + x_hat * gamma_error[j])
        },
    );
}
