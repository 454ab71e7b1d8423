//! In evaluation a row's outputs are the same bits in every batch, wherever in it the row stands.

use chainrule::backend::{Backend, Fused, Input, Mode, Plain, ProductPrecision};
use chainrule::nn::Mlp;
use chainrule::nn::init::{self, Init};
use chainrule::ops::activation::Activation;

use super::Case;

/// Different rows. A batch of n begins at any of them and goes on with the first after the last.
const ROWS: usize = 64;

/// The logits of batches, one after the other: each batch is its number of rows and the row that it begins with.
fn logits<B: Backend<Real = f32>>(
    backend: B,
    case: &Case,
    batches: impl IntoIterator<Item = (usize, usize)>,
) -> Vec<Vec<u32>> {
    let spec = &case.spec;
    let (params, running) = init::draw(spec, Init::default(), 3);
    let mut mlp = Mlp::new(backend, spec.clone(), 251).unwrap();
    mlp.load(&params, &running).unwrap();
    let mut buf = mlp.backend().alloc(251 * spec.inputs).unwrap();
    let batches = batches.into_iter().map(|(rows, first)| {
        let number = |i: usize| {
            let (row, column) = ((first + i / spec.inputs) % ROWS, i % spec.inputs);
            ((row * spec.inputs + column) as f32 * 0.7).sin()
        };
        let x: Vec<f32> = (0..rows * spec.inputs).map(number).collect();
        mlp.backend().upload(&mut buf, &x).unwrap();
        let input = Input::Values { buf: &buf, rows };
        mlp.forward(input, Mode::Eval).unwrap();
        mlp.logits(rows)
            .unwrap()
            .into_iter()
            .map(f32::to_bits)
            .collect()
    });
    batches.collect()
}

/// Each row at each place of batches of 1 to 33 rows, and at places all over batches of about 250.
fn batches() -> Vec<(usize, usize)> {
    let small = (1..=33).flat_map(|rows| (0..ROWS).map(move |first| (rows, first)));
    let large = (249..=251).flat_map(|rows| (0..ROWS).step_by(5).map(move |first| (rows, first)));
    small.chain(large).collect()
}

#[test]
fn a_batch_changes_no_bit_of_its_rows() {
    for (outputs, activation) in [10, 1, 3, 8, 19, 2, 17]
        .into_iter()
        .cycle()
        .zip(Activation::ALL)
    {
        let mut case = Case::new(23, &[37, 18], outputs, 2);
        case.spec.activation = activation;
        let alone = logits(Plain::<f32>::new(1), &case, (0..ROWS).map(|row| (1, row)));
        for threads in [1, 2, 3] {
            let fused = Fused::new(threads, ProductPrecision::F32).unwrap();
            let batches = batches();
            let found = logits(fused, &case, batches.iter().copied());
            for (&(rows, first), found) in batches.iter().zip(&found) {
                for (i, found) in found.chunks_exact(outputs).enumerate() {
                    let expected = &alone[(first + i) % ROWS];
                    assert!(
                        found == expected,
                        "{activation:?}, {outputs} outputs, {threads} threads: row {i} of {rows}"
                    );
                }
            }
        }
    }
}
