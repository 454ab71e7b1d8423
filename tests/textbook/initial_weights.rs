//! The table of the course's chapter on initial weights: sizes of numbers through deep networks.

use chainrule::backend::Order;
use chainrule::nn::init::{Init, draw};
use chainrule::nn::{Layout, NetworkSpec};
use chainrule::ops::activation::{Activation, activation_backward, activation_forward};
use chainrule::ops::linear::{linear_backward_input, linear_forward};
use chainrule::rng::{Purpose, standard_normal, stream};
use ndarray::{Array2, ArrayView2};

const ROWS: usize = 100;
const BLOCKS: usize = 30;
/// Units of the input, and of block k: 300 − 7k.
const INPUTS: usize = 300;
const NARROWER: usize = 7;
const SEEDS: u64 = 10;

fn mean_square(x: &Array2<f32>) -> f64 {
    x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / x.len() as f64
}

fn normal(columns: usize, seed: u64, salt: u32) -> Array2<f32> {
    let mut rng = stream(seed, Purpose::Shuffle { epoch: salt });
    Array2::from_shape_fn((ROWS, columns), |_| standard_normal(&mut rng) as f32)
}

/// Mean squares of H₁, H₁₀, H₃₀, dH₂₀ and dX, where X and dH₃₀ have mean square 1.
fn measure(activation: Activation, init: Init, seed: u64) -> [f64; 5] {
    let spec = NetworkSpec {
        inputs: INPUTS,
        hidden: (1..=BLOCKS).map(|k| INPUTS - NARROWER * k).collect(),
        outputs: 1,
        batch_norm: false,
        activation,
        dropout: 0.0,
        order: Order::DropoutActivation,
        members: 1,
        embedding: None,
    };
    let (params, _) = draw::<f32>(&spec, init, seed);
    let tensors = Layout::new(&spec).params;
    let numbers = |tensor: usize| &params[tensors[tensor].range.clone()];
    let layers = spec.layers();
    let weight = |block: usize| {
        let (inputs, outputs) = layers[block];
        ArrayView2::from_shape((outputs, inputs), numbers(2 * block)).unwrap()
    };

    let (mut h, mut y) = (vec![normal(INPUTS, seed, 0)], Vec::new());
    for block in 0..BLOCKS {
        let shape = (ROWS, layers[block].1);
        let (mut pre, mut post) = (Array2::zeros(shape), Array2::zeros(shape));
        let (x, bias) = (h[block].view(), numbers(2 * block + 1));
        linear_forward(pre.view_mut(), x, weight(block), bias, 1);
        let (from, to) = (pre.as_slice().unwrap(), post.as_slice_mut().unwrap());
        activation_forward(activation, to, from);
        y.push(pre);
        h.push(post);
    }

    let mut gradients = vec![normal(layers[BLOCKS].0, seed, 1)];
    for block in (0..BLOCKS).rev() {
        let mut dy = gradients.last().unwrap().clone();
        let (pre, post) = (&y[block], &h[block + 1]);
        let slices = (pre.as_slice().unwrap(), post.as_slice().unwrap());
        activation_backward(activation, dy.as_slice_mut().unwrap(), slices.0, slices.1);
        let mut dx = Array2::zeros((ROWS, layers[block].0));
        linear_backward_input(dx.view_mut(), dy.view(), weight(block), 1);
        gradients.push(dx);
    }
    [&h[1], &h[10], &h[30], &gradients[10], &gradients[30]].map(mean_square)
}

/// A row of the table: root mean squares over several seeds.
fn row(name: &str, activation: Activation, init: &str) -> String {
    let mut sums = [0.0; 5];
    for seed in 0..SEEDS {
        let found = measure(activation, init.parse().unwrap(), seed);
        sums.iter_mut().zip(found).for_each(|(sum, x)| *sum += x);
    }
    let cells = sums.map(|sum| {
        let rms = (sum / SEEDS as f64).sqrt();
        match rms {
            0.01.. => format!("{rms:.2}"),
            _ => format!("{rms:.0e}"),
        }
    });
    format!("| {name} | {init} | {} |", cells.join(" | "))
}

#[test]
fn the_table_of_the_course() {
    let page = include_str!("../../src/course/init.rs");
    let mut missing = Vec::new();
    let activations = [
        ("relu", Activation::Relu),
        ("tanh", Activation::Tanh),
        ("sigmoid", Activation::Sigmoid),
    ];
    for (name, activation) in activations {
        for init in ["default", "kaiming_uniform", "xavier_uniform"] {
            let row = row(name, activation, init);
            if !page.contains(&row) {
                missing.push(row);
            }
        }
    }
    assert!(
        missing.is_empty(),
        "not in the table:\n{}",
        missing.join("\n")
    );
}
