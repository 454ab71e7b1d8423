//! The same seed gives the same bits: SHA-256 of five networks after 100 training steps in f32.
//!
//! The data are 2,000 rows of 784 bytes, see [`pixel`]. The class of row i is i mod 10. Bytes enter as x / 255.
//! Batch t takes the rows t·n, t·n + 1, … modulo 2,000, where n is the network's batch size.
//! Initial weights and dropout masks have seed 0; the optimiser is Adam.
//! The hash covers all parameters and then all running statistics, in layout order, as little-endian f32.

use chainrule::backend::{Backend, Fused, Input, ProductPrecision};
use chainrule::bench::steps::BenchNetwork;
use chainrule::nn::init::{self, Init};
use chainrule::nn::{Mlp, Update};
use chainrule::ops::loss::Loss;
use chainrule::optim::Optimizer;
use sha2::{Digest, Sha256};

const ROWS: usize = 2000;
const STEPS: u64 = 100;

const HASHES: [(&str, &str); 5] = [
    (
        "baseline",
        "ccf847ef54b3ac992e8af9b367a66c8f88f8bb09ed0b8757501b8dc1c515cca1",
    ),
    (
        "final",
        "61a8d17ffc8cbbea9e6165529e42fefc95d8a3b1a5e96f6e640aae1cdfcd9f71",
    ),
    (
        "big",
        "3f0ab2d178ff8ca8ca72b69dc4b4b7fa6c44c7ee982e63850c441fa0b8298ef1",
    ),
    (
        "small16",
        "5b6534de3a6b4a273e9f675d536c46362d00a05181af5a9d4ad05915f3a4efe8",
    ),
    (
        "w50",
        "fc1fb2ff9eb8c45732c7d7717b6355e6d1d812969321e266a937f712479cd9cd",
    ),
];

/// Byte `j` of row `i`: about half of them dark, the others of every brightness, brighter where the class is.
fn pixel(i: usize, j: usize) -> u8 {
    let mixed = (i * 784 + j).wrapping_mul(2_654_435_761) >> 7;
    let noise = mixed % 256;
    let class = if j % 10 == i % 10 { 60 } else { 0 };
    if (mixed / 256).is_multiple_of(2) {
        class as u8
    } else {
        (noise * 3 / 4 + class) as u8
    }
}

fn hash<B: Backend<Real = f32>>(network: &BenchNetwork, backend: B) -> String {
    let spec = &network.spec;
    let data: Vec<u8> = (0..ROWS * spec.inputs)
        .map(|at| pixel(at / spec.inputs, at % spec.inputs))
        .collect();
    let (scale, shift) = (vec![1.0 / 255.0; spec.inputs], vec![0.0; spec.inputs]);
    let (params, running) = init::draw(spec, Init::default(), 0);
    let mut mlp = Mlp::new(backend, spec.clone(), network.batch_size).unwrap();
    mlp.load(&params, &running).unwrap();
    let rows_of = |step: u64| -> Vec<u32> {
        let first = step as usize * network.batch_size;
        (first..first + network.batch_size)
            .map(|row| (row % ROWS) as u32)
            .collect()
    };
    for number in 0..STEPS {
        let (rows, next) = (rows_of(number), rows_of(number + 1));
        let labels: Vec<u32> = rows.iter().map(|row| row % 10).collect();
        let input = Input::Pixels {
            data: &data,
            rows: &rows,
            next: &next,
            scale: &scale,
            shift: &shift,
        };
        let update = Update {
            number,
            lr: network.lr,
            seed: 0,
            loss: &Loss::default(),
            optimizer: &Optimizer::default(),
            clip_norm: 0.0,
        };
        let loss = mlp.train_step(input, &labels, &update).unwrap();
        assert!(loss.objective.is_finite());
    }
    let mut sha = Sha256::new();
    for values in [
        mlp.read(|s| &s.params).unwrap(),
        mlp.read_running().unwrap(),
    ] {
        for value in values {
            assert!(value.is_finite());
            sha.update(value.to_le_bytes());
        }
    }
    sha.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn five_networks_have_their_hashes() {
    for (network, (name, expected)) in BenchNetwork::all().iter().zip(HASHES) {
        assert_eq!(network.name, name);
        for threads in [1, 2] {
            let Some(fused) = Fused::new(threads, ProductPrecision::F32).unwrap() else {
                eprintln!(
                    "skipped: this processor has no kernels, or CHAINRULE_KERNEL forbids them"
                );
                return;
            };
            assert_eq!(
                hash(network, fused),
                expected,
                "{name} on {threads} threads"
            );
        }
    }
}
