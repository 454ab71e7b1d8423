//! Dropout and activation, in the epilogue of the forward product and in the backward: the CPU's bits in f32, masks
//! included.

use chainrule::ops::activation::{Activation, activation_backward, activation_forward};
use chainrule::ops::dropout::Mask as CpuMask;

use super::device::{Mask, in_every_order};
use super::products::{Product, TILES, grid};
use super::{assert_same, numbers, scaled};

/// Dropout that uses every word of the counter.
pub(super) fn dropout(p: f64) -> CpuMask {
    CpuMask {
        seed: 0x1234_5678_9abc_def0,
        layer: 3,
        step: (7 << 32) | 11,
        p,
    }
}

/// Both orders of a block's tail, with and without dropout: (order, dropout probability).
pub(super) const TAILS: [(u32, f64); 4] = [(0, 0.0), (0, 0.3), (1, 0.3), (1, 0.8)];

/// The tail on the CPU: the activation's input and the block's output, from z.
pub(super) fn tail(kind: Activation, order: u32, p: f64, z: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut pre = z.to_vec();
    let mut out = vec![f32::NAN; z.len()];
    if p > 0.0 && order == 0 {
        dropout(p).apply(&mut pre);
    }
    activation_forward(kind, &mut out, &pre);
    if p > 0.0 && order == 1 {
        dropout(p).apply(&mut out);
    }
    (pre, out)
}

/// The backward of [`tail`] on the CPU.
pub(super) fn tail_backward(
    kind: Activation,
    order: u32,
    p: f64,
    pre: &[f32],
    dy: &[f32],
) -> Vec<f32> {
    let mut dz = dy.to_vec();
    let mut y = vec![f32::NAN; pre.len()];
    activation_forward(kind, &mut y, pre);
    if p > 0.0 && order == 1 {
        dropout(p).apply(&mut dz);
    }
    activation_backward(kind, &mut dz, pre, &y);
    if p > 0.0 && order == 0 {
        dropout(p).apply(&mut dz);
    }
    dz
}

pub(super) fn mask(p: f64) -> Mask {
    if p > 0.0 {
        Mask::of(&dropout(p))
    } else {
        Mask::NONE
    }
}

#[test]
fn forward_in_the_epilogue() {
    in_every_order(|device| {
        for shape in [(1, 1, 1), (7, 63, 65), (65, 33, 7), (100, 50, 84)] {
            let product = Product::new(shape, true, true);
            let (m, n, k) = shape;
            let bias = scaled(n, 3, 4.0);
            let z: Vec<f32> = product
                .chain()
                .iter()
                .enumerate()
                .map(|(e, z)| z + bias[e % n])
                .collect();
            let (a, b, bias) = (
                device.upload(&product.a),
                device.upload(&product.b),
                device.upload(&bias),
            );
            for (index, kind) in Activation::ALL.into_iter().enumerate() {
                for (order, p) in TAILS {
                    let (name, rows, columns, threads) = TILES[(index + order as usize) % 3];
                    let (out, pre) = (
                        device.uninitialised::<f32>(m * n),
                        device.uninitialised::<f32>(m * n),
                    );
                    let sizes = [m as u32, n as u32, k as u32];
                    device.launch(
                        &format!("sgemm_nt_block_{name}"),
                        grid(m, n, rows, columns),
                        [threads, 1],
                        &[
                            &out,
                            &pre,
                            &a,
                            &b,
                            &bias,
                            &sizes[0],
                            &sizes[1],
                            &sizes[2],
                            &(index as u32),
                            &order,
                            &mask(p),
                        ],
                    );
                    let (expected_pre, expected) = tail(kind, order, p, &z);
                    let what = format!("{kind:?}, order {order}, p {p}, {name} {shape:?}");
                    assert_same(&what, &device.download(&pre), &expected_pre);
                    assert_same(&what, &device.download(&out), &expected);
                }
            }
        }
    });
}

#[test]
fn backward() {
    in_every_order(|device| {
        for count in [1, 3, 4, 7, 1023, 4100] {
            // From the flat parts of the activations to the steep parts and the kink.
            let mut pre = scaled(count, 1, 12.0);
            pre[count / 2] = 0.0;
            let dy = numbers(count, 2);
            for (index, kind) in Activation::ALL.into_iter().enumerate() {
                for (order, p) in TAILS {
                    let (gradient, input) = (device.upload(&dy), device.upload(&pre));
                    device.launch(
                        "activation_backward",
                        [count.div_ceil(1024), 1],
                        [256, 1],
                        &[
                            &gradient,
                            &input,
                            &(count as u32),
                            &(index as u32),
                            &order,
                            &mask(p),
                        ],
                    );
                    let expected = tail_backward(kind, order, p, &pre, &dy);
                    assert_same(
                        &format!("{kind:?}, order {order}, p {p}"),
                        &device.download(&gradient),
                        &expected,
                    );
                }
            }
        }
    });
}

/// The mask alone: with zero weights, a bias of 1 and no activation the output is the dropout factor.
#[test]
fn masks_have_the_cpus_bits() {
    in_every_order(|device| {
        for (m, n) in [(1, 1), (3, 5), (65, 63), (100, 500)] {
            for p in [1e-3, 0.5, 0.999] {
                let (zeros, ones) = (
                    device.upload(&vec![0.0_f32; m.max(n)]),
                    device.upload(&vec![1.0_f32; n]),
                );
                let (out, pre) = (
                    device.uninitialised::<f32>(m * n),
                    device.uninitialised::<f32>(m * n),
                );
                let identity = Activation::ALL
                    .iter()
                    .position(|&a| a == Activation::Identity)
                    .unwrap() as u32;
                device.launch(
                    "sgemm_nt_block_small",
                    grid(m, n, 32, 32),
                    [128, 1],
                    &[
                        &out,
                        &pre,
                        &zeros,
                        &zeros,
                        &ones,
                        &(m as u32),
                        &(n as u32),
                        &1_u32,
                        &identity,
                        &0_u32,
                        &mask(p),
                    ],
                );
                let mut expected = vec![1.0_f32; m * n];
                dropout(p).apply(&mut expected);
                assert_same(
                    &format!("{m} x {n}, p {p}"),
                    &device.download(&out),
                    &expected,
                );
            }
        }
    });
}
