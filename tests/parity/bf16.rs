//! Products in bf16: they differ from f32 by at most the rounding, and have the same bits on any number of threads.

use chainrule::backend::{Backend, Fused, Input, Plain, ProductPrecision};
use chainrule::nn::init::{self, Init};
use chainrule::nn::{Mlp, NetworkSpec, Update};
use chainrule::ops::activation::Activation;
use chainrule::ops::loss::Loss;
use chainrule::optim::Optimizer;

use super::Case;

/// The unit roundoff of bf16: half a unit in the last of 8 significant bits, `2⁻⁷ / 2`.
const UNIT: f64 = 1.0 / 256.0;

fn fused(threads: usize) -> Fused {
    Fused::new(threads, ProductPrecision::Bf16).unwrap()
}

/// An input that bf16 represents exactly.
fn value(i: usize) -> f32 {
    (i * 7919 % 31) as f32 / 16.0 - 1.0
}

/// Logits and gradients of one batch.
fn gradients<B: Backend<Real = f32>>(
    backend: B,
    spec: &NetworkSpec,
    rows: usize,
) -> (Vec<f32>, Vec<f32>) {
    let (params, running) = init::draw(spec, Init::default(), 3);
    let mut mlp = Mlp::new(backend, spec.clone(), rows + 2).unwrap();
    mlp.load(&params, &running).unwrap();
    let values: Vec<f32> = (0..rows * spec.inputs).map(value).collect();
    let mut buf = mlp.backend().alloc(values.len()).unwrap();
    mlp.backend().upload(&mut buf, &values).unwrap();
    let labels: Vec<u32> = (0..rows as u32).map(|i| i % spec.outputs as u32).collect();
    let update = Update {
        number: 0,
        lr: 0.0,
        seed: 0,
        loss: &Loss::default(),
        optimizer: &Optimizer::default(),
        // Clipping needs every gradient, so the engine stores them.
        clip_norm: 1e30,
    };
    let input = Input::Values { buf: &buf, rows };
    mlp.train_step(input, &labels, &update).unwrap();
    (mlp.logits(rows).unwrap(), mlp.read(|s| &s.grads).unwrap())
}

fn spec(inputs: usize, hidden: &[usize], classes: usize) -> NetworkSpec {
    NetworkSpec {
        batch_norm: false,
        activation: Activation::Tanh,
        ..Case::new(inputs, hidden, classes, 2).spec
    }
}

/// One layer. X is exact, so the logits are off only by the rounding of W, and the gradient of W only by that of dY.
/// Both are bounded term by term.
#[test]
fn errors_of_a_layer_are_within_the_rounding() {
    for (inputs, classes, rows) in [
        (1, 2, 1),
        (2, 3, 2),
        (7, 17, 5),
        (16, 16, 16),
        (801, 33, 61),
    ] {
        let fused = fused(2);
        let spec = spec(inputs, &[], classes);
        let (logits, grads) = gradients(fused, &spec, rows);
        let (exact_logits, exact_grads) = gradients(Plain::<f32>::new(1), &spec, rows);
        let (params, _) = init::draw::<f32>(&spec, Init::default(), 3);
        let x = |i: usize, j: usize| f64::from(value(i * inputs + j));
        for i in 0..rows {
            for o in 0..classes {
                let terms = (0..inputs).map(|j| x(i, j) * f64::from(params[o * inputs + j]));
                let size: f64 = terms.map(f64::abs).sum();
                let (found, exact) = (logits[i * classes + o], exact_logits[i * classes + o]);
                let off = f64::from(found - exact).abs();
                assert!(
                    off <= 1.01 * UNIT * size + 1e-6,
                    "{inputs}, ({i}, {o}): {off}"
                );
            }
        }
        // dY is a difference of probabilities, which change with their logits.
        let moved = logits
            .iter()
            .zip(&exact_logits)
            .map(|(a, b)| f64::from(a - b).abs());
        let moved = moved.fold(0.0, f64::max);
        for (at, (found, exact)) in grads.iter().zip(&exact_grads).enumerate() {
            let off = f64::from(found - exact).abs();
            // |x| ≤ 1 and |dY| ≤ 1 / rows. A probability changes by at most half of the change of its logits, twice.
            assert!(
                off <= 1.01 * UNIT + moved + 1e-6,
                "{inputs}, gradient {at}: {off}"
            );
        }
        assert!(rows < 61 || logits != exact_logits, "nothing was rounded");
    }
}

/// Deep networks: every tensor of the gradient has the direction of that in f32.
#[test]
fn deep_gradients_are_near_those_of_f32() {
    for (inputs, hidden, classes, rows) in [
        (7, &[5, 3][..], 3, 11),
        (16, &[16], 16, 16),
        (17, &[33, 15], 17, 13),
        (784, &[100], 10, 31),
        (401, &[37, 801, 63], 19, 173),
    ] {
        let fused = fused(2);
        let spec = spec(inputs, hidden, classes);
        let (_, grads) = gradients(fused, &spec, rows);
        let (_, exact) = gradients(Plain::<f32>::new(1), &spec, rows);
        let mut start = 0;
        for (inputs, outputs) in spec.layers() {
            let end = start + inputs * outputs;
            let (mut off, mut size) = (0.0, 0.0);
            for (&found, &exact) in grads[start..end].iter().zip(&exact[start..end]) {
                off += f64::from(found - exact).powi(2);
                size += f64::from(exact).powi(2);
            }
            let off = (off / size).sqrt();
            assert!(off <= 0.02, "{inputs} to {outputs} of {hidden:?}: {off}");
            assert!(off > 0.0, "nothing was rounded");
            start = end + outputs;
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (inputs, hidden, classes, batch) in [
        (7, &[5, 3][..], 3, 11),
        (784, &[100], 10, 31),
        (401, &[37, 801], 19, 173),
    ] {
        let case = Case::new(inputs, hidden, classes, batch);
        let one = fused(1);
        let one = case.run(one);
        for threads in [2, 3, 8] {
            let fused = fused(threads);
            assert!(case.run(fused) == one, "{hidden:?} on {threads}");
        }
    }
}
