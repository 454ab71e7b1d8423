//! The parameters of a network as matrices of a tape, and where their numbers lie.

use std::ops::Range;

use super::expression::Index;
use super::operations::{UNITS, WEIGHTS};
use super::tape::of_member;
use crate::backend::{BatchNormSlices, Block, Stem};
use crate::nn::Layout;

/// A parameter tensor.
#[derive(Clone, Debug)]
pub(super) struct ParameterTensor {
    /// Its name on the tape: `W1`, `b1`, `gamma1`, `r_m2`.
    pub(super) name: String,
    /// Rows and columns.
    pub(super) shape: [usize; 2],
    /// What they are.
    pub(super) axes: [Index; 2],
    /// Where each cell lies in a buffer of parameters; `None` for one that is no parameter, and 0.
    places: Vec<Option<usize>>,
}

impl ParameterTensor {
    /// A tensor whose cells lie side by side.
    fn new(name: String, axes: [Index; 2], shape: [usize; 2], start: usize) -> Self {
        let places = (start..start + shape[0] * shape[1]).map(Some).collect();
        ParameterTensor {
            name,
            shape,
            axes,
            places,
        }
    }

    /// Its numbers in a buffer of parameters, gradients or moments.
    pub(super) fn of(&self, buffer: &[f64]) -> Vec<f64> {
        let number = |place: &Option<usize>| place.map_or(0.0, |at| buffer[at]);
        self.places.iter().map(number).collect()
    }

    /// 1 for a cell that is a parameter, 0 for one that is not.
    pub(super) fn is_parameter(&self) -> Vec<f64> {
        let is = |place: &Option<usize>| f64::from(u8::from(place.is_some()));
        self.places.iter().map(is).collect()
    }
}

/// Parameters that belong together.
pub(super) struct ParameterGroup {
    /// As "block 1".
    pub(super) title: String,
    /// In the order in which clipping adds their squares up.
    pub(super) tensors: Vec<ParameterTensor>,
    /// Names of running statistics, and where they lie in their buffer.
    pub(super) running: Vec<(String, Range<usize>)>,
}

/// All parameters of a network.
pub(super) fn parameter_groups(layout: &Layout) -> Vec<ParameterGroup> {
    let stem = layout.stem.iter().flat_map(|stem| {
        let features = (!stem.parts.is_empty()).then(|| ParameterGroup {
            title: "the features' embeddings".into(),
            tensors: embedding_tensors(stem).into(),
            running: Vec::new(),
        });
        let scale = stem.scale.iter().map(|range| {
            let starts = range.clone().step_by(stem.width).enumerate();
            let scale = |(member, start)| {
                let name = of_member("r", member + 1);
                ParameterTensor::new(name, [Index::Zero, Index::K], [1, stem.width], start)
            };
            ParameterGroup {
                title: "the members' scales".into(),
                tensors: starts.map(scale).collect(),
                running: Vec::new(),
            }
        });
        features.into_iter().chain(scale)
    });
    let blocks = layout.blocks.iter().enumerate();
    let blocks = blocks.map(|(i, block)| ParameterGroup {
        title: format!("block {}", i + 1),
        tensors: block_tensors(block, i + 1),
        running: running(block, i + 1),
    });
    stem.chain(blocks).collect()
}

/// W `[outputs, inputs]` of all features, each with its own rows and columns, and b.
pub(super) fn embedding_tensors(stem: &Stem) -> [ParameterTensor; 2] {
    let (inputs, outputs) = (stem.inputs, stem.width);
    let mut weights = vec![None; outputs * inputs];
    let mut biases = vec![None; outputs];
    for part in &stem.parts {
        let Some(linear) = &part.linear else { continue };
        let (mut weight, mut bias) = (linear.weight.clone(), linear.bias.clone());
        for row in part.outputs.clone() {
            biases[row] = bias.next();
            let cells = &mut weights[row * inputs..][part.inputs.clone()];
            cells.fill_with(|| weight.next());
        }
    }
    let tensor = |name: &str, axes, shape, places| ParameterTensor {
        name: name.into(),
        shape,
        axes,
        places,
    };
    [
        tensor("W0", WEIGHTS, [outputs, inputs], weights),
        tensor("b0", UNITS, [1, outputs], biases),
    ]
}

/// Those of a block with this number; each head of an ensemble has its own.
fn block_tensors(block: &Block, number: usize) -> Vec<ParameterTensor> {
    let (count, outputs) = (block.head_count(), block.outputs);
    let name = |letter: &str, head: usize| match count {
        1 => format!("{letter}{number}"),
        _ => of_member(&format!("{letter}{number}"), head + 1),
    };
    let heads = || block.heads().enumerate();
    let weights = heads().map(|(head, linear)| {
        let (name, shape) = (name("W", head), [outputs, block.inputs]);
        ParameterTensor::new(name, WEIGHTS, shape, linear.weight.start)
    });
    let units =
        |letter, head, start| ParameterTensor::new(name(letter, head), UNITS, [1, outputs], start);
    let biases = heads().map(|(head, linear)| units("b", head, linear.bias.start));
    let batch_norm = block.batch_norm().into_iter().flat_map(|bn| {
        [
            units("gamma", 0, bn.gamma.start),
            units("beta", 0, bn.beta.start),
        ]
    });
    weights.chain(biases).chain(batch_norm).collect()
}

fn running(block: &Block, number: usize) -> Vec<(String, Range<usize>)> {
    let statistics = |bn: &BatchNormSlices| {
        vec![
            (format!("rmean{number}"), bn.running_mean.clone()),
            (format!("rvar{number}"), bn.running_var.clone()),
        ]
    };
    block.batch_norm().map_or(Vec::new(), statistics)
}
