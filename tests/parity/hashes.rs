//! The same seed gives the same bits: SHA-256 of networks after 100 training steps in f32.
//!
//! The data are 2,000 rows of 784 bytes, see [`pixel`]. The class of row i is i mod 10. Bytes enter as x / 255.
//! Batch t takes the rows t·n, t·n + 1, … modulo 2,000, where n is the network's batch size.
//! Initial weights and dropout masks have seed 0; the optimiser is Adam.
//! The hashes are those of every instruction set, on any number of threads.
//! The hash covers all parameters and then all running statistics, in layout order, as little-endian f32.

use chainrule::backend::{Backend, Fused, Input, ProductPrecision};
use chainrule::nn::init::{self, Init, Scheme};
use chainrule::nn::spec::hidden_widths;
use chainrule::nn::{Mlp, NetworkSpec, Update};
use chainrule::ops::loss::Loss;
use chainrule::optim::Optimizer;
use chainrule::simd::{self, InstructionSet};
use chainrule::text::hex;
use sha2::{Digest, Sha256};

use crate::{Case, output_with};

const ROWS: usize = 2000;
const STEPS: u64 = 100;

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

struct Network {
    spec: NetworkSpec,
    batch_size: usize,
    lr: f64,
}

impl Network {
    /// 784-`hidden`-10 with batch norm and ReLU.
    fn new(hidden: &[usize], batch_size: usize) -> Network {
        Network {
            spec: Case::new(784, hidden, 10, batch_size).spec,
            batch_size,
            lr: 1e-3,
        }
    }
}

fn hash<B: Backend<Real = f32>>(network: &Network, init: Init, backend: B) -> String {
    let spec = &network.spec;
    let data: Vec<u8> = (0..ROWS * spec.inputs)
        .map(|at| pixel(at / spec.inputs, at % spec.inputs))
        .collect();
    let (scale, shift) = (vec![1.0 / 255.0; spec.inputs], vec![0.0; spec.inputs]);
    let (params, running) = init::draw(spec, init, 0);
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
    hex(sha.finalize())
}

#[track_caller]
fn check(network: &Network, init: Init, expected: &str) {
    for threads in [1, 2] {
        let fused = Fused::new(threads, ProductPrecision::F32).unwrap();
        assert_eq!(hash(network, init, fused), expected, "on {threads} threads");
    }
}

#[test]
fn baseline() {
    let expected = "ccf847ef54b3ac992e8af9b367a66c8f88f8bb09ed0b8757501b8dc1c515cca1";
    check(&Network::new(&[500], 100), Init::default(), expected);
}

/// The study's final model.
#[test]
fn final_network() {
    let mut network = Network::new(&hidden_widths(569, 8, true), 122);
    network.spec.dropout = 0.333;
    network.lr = 2e-3;
    let expected = "61a8d17ffc8cbbea9e6165529e42fefc95d8a3b1a5e96f6e640aae1cdfcd9f71";
    check(&network, Init::default(), expected);
}

#[test]
fn big() {
    let mut network = Network::new(&[1000; 3], 128);
    network.spec.dropout = 0.2;
    network.spec.batch_norm = false;
    let expected = "3f0ab2d178ff8ca8ca72b69dc4b4b7fa6c44c7ee982e63850c441fa0b8298ef1";
    check(&network, Init::default(), expected);
}

#[test]
fn small16() {
    let expected = "5b6534de3a6b4a273e9f675d536c46362d00a05181af5a9d4ad05915f3a4efe8";
    check(&Network::new(&[500], 16), Init::default(), expected);
}

#[test]
fn w50() {
    let expected = "fc1fb2ff9eb8c45732c7d7717b6355e6d1d812969321e266a937f712479cd9cd";
    check(&Network::new(&[50], 100), Init::default(), expected);
}

/// Normal initial weights take logarithms.
#[test]
fn w50_from_a_normal_distribution() {
    let init = Init {
        scheme: Scheme::KaimingNormal,
        ..Init::default()
    };
    let expected = "56b1dd88649166f15b4c44b1c9c778ecb0150cbdf320349faaebf54bf248952f";
    check(&Network::new(&[50], 100), init, expected);
}

/// The other sets, in processes of their own, because a process has one set. Without an instruction for fused
/// multiply-adds the larger networks take minutes.
#[test]
fn every_instruction_set_has_the_hashes() {
    let small = ["small16", "w50", "w50_from_a_normal_distribution"];
    let large = ["baseline", "final_network", "big"];
    for set in InstructionSet::available().filter(|set| *set != simd::set()) {
        let large = large.iter().filter(|_| set.has_mul_add());
        let names = small.iter().chain(large);
        let tests: Vec<String> = names.map(|name| format!("hashes::{name}")).collect();
        output_with(set, &tests.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
