//! In evaluation a row's outputs are the same bits in every batch, wherever in it the row stands.

use std::sync::Arc;

use chainrule::backend::select::Device;
use chainrule::backend::{Backend, Fused, Input, Mode, Plain, ProductPrecision};
use chainrule::data::{Dataset, Samples};
use chainrule::nn::Mlp;
use chainrule::nn::init::{self, Init};
use chainrule::ops::activation::Activation;
use chainrule::settings::{Config, Settings};
use chainrule::train;
use ndarray::{Array2, ArrayView2, s};

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

/// Probabilities come in batches of at most 250 rows, whatever is asked for at once.
#[test]
fn a_batch_changes_no_bit_of_probabilities() {
    const INPUTS: usize = 13;
    let number = |(row, column): (usize, usize)| ((row % ROWS * INPUTS + column) as f64).sin();
    let x = Array2::from_shape_fn((ROWS + 251, INPUTS), number);
    let labels: Vec<u32> = (0..x.nrows() as u32).map(|row| row % 5).collect();
    let data = Arc::new(Dataset::from_arrays(x.view(), &labels).unwrap());
    for activation in Activation::ALL {
        let mut settings = Settings::default();
        settings.model.widths = Some(vec![19, 7]);
        settings.model.activation = Some(activation);
        settings.model.batch_norm = Some(true);
        settings.train.epochs = Some(1);
        let config = Config::new(&settings).unwrap();
        let trained = train::run(config, data.clone(), None, &mut ()).unwrap();
        let model = trained.model.unwrap();
        for threads in [1, 2] {
            let mut predictor = model.predictor(Device::Cpu, threads).unwrap();
            let mut predict = |x: ArrayView2<'_, f64>| -> Vec<u64> {
                let found = predictor.predict(&Samples::from_array(x).unwrap()).unwrap();
                found.outputs.iter().map(|p| p.to_bits()).collect()
            };
            let alone: Vec<Vec<u64>> = (0..ROWS)
                .map(|row| predict(x.slice(s![row..=row, ..])))
                .collect();
            for (rows, first) in batches() {
                let found = predict(x.slice(s![first..first + rows, ..]));
                for (i, found) in found.chunks_exact(5).enumerate() {
                    let expected = &alone[(first + i) % ROWS];
                    assert!(found == expected, "{activation:?}: row {i} of {rows}");
                }
            }
        }
    }
}
