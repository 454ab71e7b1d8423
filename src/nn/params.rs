//! The layout of the flat buffers: which slice holds which tensor.
//!
//! Tensors of the blocks have the names that PyTorch's `nn.Sequential` would give them. What comes before the first
//! block, if anything, is called `stem`: `stem.embedding.0.weight` is W of the first feature, `stem.scale` the members'
//! scales. The last Linear of an ensemble has a dimension in front, for its members.

use std::fmt::Display;
use std::ops::Range;

use super::NetworkSpec;
use crate::backend::{
    BatchNormSlices, Block, BlockKind, Hidden, LinearSlices, RowPart, Source, Stem,
};

/// One named slice of a flat buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// "0.weight", "1.running_mean", …: position in the sequence, then PyTorch's name.
    pub name: String,
    /// `[out, in]` for weights, `[out]` for most others.
    pub shape: Vec<usize>,
    /// Where it lies.
    pub range: Range<usize>,
}

/// All tensors of a network: the trained ones, the running statistics, and the blocks that use them.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Slices of the parameter buffer, in order and without gaps.
    pub params: Vec<Tensor>,
    /// Slices of the running buffer, in order and without gaps.
    pub running: Vec<Tensor>,
    /// What comes before the blocks, if anything.
    pub stem: Option<Stem>,
    /// The forward list.
    pub blocks: Vec<Block>,
    /// Positions of the batch norms, which PyTorch gives a `num_batches_tracked`.
    pub batch_norms: Vec<usize>,
}

/// Tensors of a flat buffer, one after the other.
#[derive(Default)]
struct TensorList(Vec<Tensor>);

impl TensorList {
    fn push(&mut self, module: impl Display, name: &str, shape: &[usize]) -> Range<usize> {
        let start = self.len();
        let range = start..start + shape.iter().product::<usize>();
        self.0.push(Tensor {
            name: format!("{module}.{name}"),
            shape: shape.to_vec(),
            range: range.clone(),
        });
        range
    }

    fn len(&self) -> usize {
        self.0.last().map_or(0, |t| t.range.end)
    }
}

/// What comes before the first block, its tensors in the order in which it uses them.
fn stem(spec: &NetworkSpec, params: &mut TensorList) -> Option<Stem> {
    if spec.members == 1 && spec.embedding.is_none() {
        return None;
    }
    let mut parts = Vec::new();
    if let Some(embedding) = &spec.embedding {
        let (mut from, mut to) = (0, 0);
        let mut next = |inputs: usize, outputs: usize, linear: Option<LinearSlices>| {
            let part = RowPart {
                inputs: from..from + inputs,
                outputs: to..to + outputs,
                linear,
            };
            (from, to) = (part.inputs.end, part.outputs.end);
            parts.extend((inputs > 0).then_some(part));
            from
        };
        let mut end = 0;
        for (feature, span) in embedding.spans.iter().enumerate() {
            let (module, d) = (format!("stem.embedding.{feature}"), embedding.width);
            next(span.start - end, span.start - end, None);
            let linear = LinearSlices {
                weight: params.push(&module, "weight", &[d, span.len()]),
                bias: params.push(&module, "bias", &[d]),
            };
            end = next(span.len(), d, Some(linear));
        }
        next(spec.inputs - end, spec.inputs - end, None);
    }
    let (members, width) = (spec.members, spec.first_width());
    let scale = (members > 1).then(|| params.push("stem", "scale", &[members, width]));
    Some(Stem {
        inputs: spec.inputs,
        width,
        parts,
        scale,
        parameters: 0..params.len(),
    })
}

impl Layout {
    /// The layout of a network.
    pub fn new(spec: &NetworkSpec) -> Self {
        let (mut params, mut running) = (TensorList::default(), TensorList::default());
        let (mut blocks, mut batch_norms) = (Vec::new(), Vec::new());
        let stem = stem(spec, &mut params);
        let layers = spec.layers();
        let mut position = 0;
        for (layer, &(inputs, outputs)) in layers.iter().enumerate() {
            let is_output = layer + 1 == layers.len();
            let (weight, bias) = match spec.members {
                members if is_output && members > 1 => {
                    (vec![members, outputs, inputs], vec![members, outputs])
                }
                _ => (vec![outputs, inputs], vec![outputs]),
            };
            let linear = LinearSlices {
                weight: params.push(position, "weight", &weight),
                bias: params.push(position, "bias", &bias),
            };
            position += 1;
            let kind = if is_output {
                BlockKind::Output {
                    heads: spec.members,
                }
            } else {
                let batch_norm = spec.batch_norm.then(|| {
                    batch_norms.push(position);
                    let slices = BatchNormSlices {
                        gamma: params.push(position, "weight", &[outputs]),
                        beta: params.push(position, "bias", &[outputs]),
                        running_mean: running.push(position, "running_mean", &[outputs]),
                        running_var: running.push(position, "running_var", &[outputs]),
                    };
                    position += 1;
                    slices
                });
                position += usize::from(spec.dropout > 0.0) + 1;
                BlockKind::Hidden(Hidden {
                    batch_norm,
                    dropout: spec.dropout,
                    activation: spec.activation,
                    order: spec.order,
                })
            };
            blocks.push(Block {
                layer: layer as u32,
                source: match layer {
                    0 => Source::Batch,
                    _ => Source::Previous,
                },
                inputs,
                outputs,
                linear,
                transposed: false,
                scale: None,
                kind,
            });
        }
        Layout {
            params: params.0,
            running: running.0,
            stem,
            blocks,
            batch_norms,
        }
    }

    /// Trained numbers.
    pub fn parameter_count(&self) -> usize {
        self.params.last().map_or(0, |t| t.range.end)
    }

    /// Running statistics.
    pub fn running_count(&self) -> usize {
        self.running.last().map_or(0, |t| t.range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Order;
    use crate::nn::{FeatureEmbedding, Panels};
    use crate::ops::activation::Activation;

    fn names(batch_norm: bool, dropout: f64) -> Vec<String> {
        let spec = NetworkSpec {
            inputs: 7,
            hidden: vec![5, 3],
            outputs: 2,
            batch_norm,
            activation: Activation::Relu,
            dropout,
            order: Order::DropoutActivation,
            members: 1,
            embedding: None,
        };
        let layout = Layout::new(&spec);
        let mut end = 0;
        for tensor in &layout.params {
            assert_eq!(tensor.range.start, end, "no gaps");
            assert_eq!(tensor.range.len(), tensor.shape.iter().product::<usize>());
            end = tensor.range.end;
        }
        let all = layout.params.iter().chain(&layout.running);
        all.map(|t| t.name.clone()).collect()
    }

    /// Positions counted in `nn.Sequential(Linear, [BatchNorm1d], [Dropout], ReLU, …, Linear)`.
    #[test]
    fn names_are_those_of_a_sequential() {
        let plain = [
            "0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias",
        ];
        assert_eq!(names(false, 0.0), plain);
        let with_both = [
            "0.weight",
            "0.bias",
            "1.weight",
            "1.bias",
            "4.weight",
            "4.bias",
            "5.weight",
            "5.bias",
            "8.weight",
            "8.bias",
            "1.running_mean",
            "1.running_var",
            "5.running_mean",
            "5.running_var",
        ];
        assert_eq!(names(true, 0.5), with_both);
        assert_eq!(names(true, 0.0)[4], "3.weight");
        assert_eq!(names(false, 0.1)[2], "3.weight");
    }

    /// Features with inputs of none between them, and members.
    #[test]
    fn what_comes_before_the_blocks_comes_first() {
        let spec = NetworkSpec {
            inputs: 7,
            hidden: vec![5],
            outputs: 2,
            batch_norm: false,
            activation: Activation::Relu,
            dropout: 0.0,
            order: Order::DropoutActivation,
            members: 3,
            embedding: Some(FeatureEmbedding {
                spans: vec![0..1, 3..6],
                width: 4,
            }),
        };
        let layout = Layout::new(&spec);
        let tensors = (layout.params.iter()).map(|t| (t.name.as_str(), t.shape.as_slice()));
        let expected = [
            ("stem.embedding.0.weight", &[4, 1][..]),
            ("stem.embedding.0.bias", &[4]),
            ("stem.embedding.1.weight", &[4, 3]),
            ("stem.embedding.1.bias", &[4]),
            ("stem.scale", &[3, 11]),
            ("0.weight", &[5, 11]),
            ("0.bias", &[5]),
            ("2.weight", &[3, 2, 5]),
            ("2.bias", &[3, 2]),
        ];
        assert_eq!(tensors.collect::<Vec<_>>(), expected);
        let stem = layout.stem.as_ref().unwrap();
        let places = stem.parts.iter().map(|part| {
            let (inputs, outputs) = (part.inputs.clone(), part.outputs.clone());
            (inputs, outputs, part.linear.is_some())
        });
        let expected = [
            (0..1, 0..4, true),
            (1..3, 4..6, false),
            (3..6, 6..10, true),
            (6..7, 10..11, false),
        ];
        assert_eq!(places.collect::<Vec<_>>(), expected);
        assert_eq!(stem.parameters.end, layout.blocks[0].linear.weight.start);
        assert_eq!(layout.blocks[1].heads().last().unwrap().bias, 151..153);
        // In panels of 16 each head begins a panel, and the blocks begin on one.
        let params: Vec<f64> = (1..=layout.parameter_count()).map(|i| i as f64).collect();
        let panels = Panels::new(&layout, 16);
        assert_eq!(panels.blocks[0].linear.weight.start, 64);
        let packed: Vec<f64> = panels.pack(&layout, &params);
        assert_eq!(panels.unpack(&layout, &packed), params);
        let head = panels.blocks[1].heads().nth(1).unwrap().weight;
        let second = layout.blocks[1].heads().nth(1).unwrap().weight;
        // A head of 2 outputs lies transposed: the 5 inputs of its first output are side by side.
        assert_eq!(packed[head.start..][..5], params[second.start..][..5]);
        assert_eq!(packed[head.start + 5], 0.0);
    }

    #[test]
    fn counts_of_the_default_network() {
        let spec = NetworkSpec {
            inputs: 784,
            hidden: vec![500],
            outputs: 10,
            batch_norm: true,
            activation: Activation::Relu,
            dropout: 0.0,
            order: Order::DropoutActivation,
            members: 1,
            embedding: None,
        };
        let layout = Layout::new(&spec);
        assert_eq!(
            layout.parameter_count(),
            784 * 500 + 500 + 500 + 500 + 500 * 10 + 10
        );
        assert_eq!(layout.running_count(), 1000);
        let block = &layout.blocks[0];
        assert!(block.is_first() && !block.is_output());
        assert!(layout.blocks[1].is_output() && !layout.blocks[1].is_first());
        assert_eq!(block.parameters(), 0..784 * 500 + 3 * 500);
        assert_eq!(layout.blocks[1].parameters().end, layout.parameter_count());
    }
}
