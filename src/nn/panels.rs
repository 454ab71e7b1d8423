//! How a backend keeps the parameters: in panels of some output units.
//!
//! Files and formulas have the row-major order of [`Layout`].

use std::ops::Range;

use super::Layout;
use crate::backend::{BatchNormSlices, Block, BlockKind, Hidden, LinearSlices, Source, Stem};
use crate::real::Real;

/// The parameters and running statistics in panels of [`Backend::PANEL`](crate::backend::Backend::PANEL) output units.
///
/// Output unit o, input k of W lies at `$(\lfloor o/P \rfloor \cdot in + k)\, P + o \bmod P$`. With panels of 1 that is
/// the order of [`Layout`]. If its outputs fill at most half of a panel, the last layer's W lies transposed: o and k
/// change places, and outputs with inputs.
///
/// What fills up a last panel is 0 and stays 0, as its gradient is 0. Each head of an ensemble has panels of its own.
/// The stem's tensors stay row-major, and are filled up to whole panels together.
#[derive(Clone, Debug)]
pub struct Panels {
    /// What comes before the blocks, if anything.
    pub stem: Option<Stem>,
    /// The forward list, with the places of this order.
    pub blocks: Vec<Block>,
    /// The forward list of each member; a plain network is one member.
    pub members: Vec<Vec<Block>>,
    /// Numbers in a buffer of parameters.
    pub parameter_count: usize,
    /// Numbers in a buffer of running statistics.
    pub running_count: usize,
    width: usize,
}

/// The forward list of a member of an ensemble, as of a network of its own: its first block scales its inputs, its last
/// one is its head.
fn member_blocks(number: usize, blocks: &[Block], stem: &Stem) -> Vec<Block> {
    let (mut own, layers) = (blocks.to_vec(), blocks.len() as u32);
    for block in &mut own {
        // Every member draws dropout masks of its own.
        block.layer += number as u32 * layers;
        if let Some(head) = block.heads().nth(number).filter(|_| block.is_output()) {
            block.linear = head;
            block.kind = BlockKind::Output { heads: 1 };
        }
    }
    if number > 0 {
        own[0].source = Source::Kept;
    }
    let scale = (stem.scale.as_ref()).map(|scale| scale.start + number * stem.width);
    own[0].scale = scale.map(|start| start..start + stem.width);
    own
}

/// Hands out slices one after the other.
struct SliceAllocator(usize);

impl SliceAllocator {
    fn next(&mut self, len: usize) -> Range<usize> {
        let start = self.0;
        self.0 += len;
        start..self.0
    }
}

impl Panels {
    /// Panels of `width` output units.
    pub fn new(layout: &Layout, width: usize) -> Self {
        let (mut params, mut running) = (SliceAllocator(0), SliceAllocator(0));
        let stem = layout.stem.clone();
        params.next(stem_len(&stem).next_multiple_of(width));
        let blocks = layout.blocks.iter().map(|block| {
            let outputs = block.outputs.next_multiple_of(width);
            let heads = block.head_count();
            let transposed = has_few_outputs(block, width);
            let weight = match transposed {
                true => block.outputs * block.inputs.next_multiple_of(width),
                false => outputs * block.inputs,
            };
            let linear = LinearSlices {
                weight: params.next(heads * weight),
                bias: params.next(heads * outputs),
            };
            let kind = match &block.kind {
                BlockKind::Output { heads } => BlockKind::Output { heads: *heads },
                BlockKind::Hidden(hidden) => BlockKind::Hidden(Hidden {
                    batch_norm: hidden.batch_norm.as_ref().map(|_| BatchNormSlices {
                        gamma: params.next(outputs),
                        beta: params.next(outputs),
                        running_mean: running.next(outputs),
                        running_var: running.next(outputs),
                    }),
                    ..hidden.clone()
                }),
            };
            Block {
                linear,
                transposed,
                kind,
                ..block.clone()
            }
        });
        let blocks: Vec<Block> = blocks.collect();
        let members = match &stem {
            Some(stem) if stem.scale.is_some() => {
                let count = blocks[blocks.len() - 1].head_count();
                let member = |number| member_blocks(number, &blocks, stem);
                (0..count).map(member).collect()
            }
            _ => vec![blocks.clone()],
        };
        Panels {
            stem,
            blocks,
            members,
            parameter_count: params.0,
            running_count: running.0,
            width,
        }
    }

    /// Parameters in this order and in precision R, from `src` in [`Layout`]'s.
    pub fn pack<S: Real, R: Real>(&self, layout: &Layout, src: &[S]) -> Vec<R> {
        let mut packed = vec![R::ZERO; self.parameter_count];
        self.pairs(layout, |from, to| packed[to] = convert(src[from]));
        packed
    }

    /// The reverse of [`Panels::pack`].
    pub fn unpack<R: Real>(&self, layout: &Layout, packed: &[R]) -> Vec<R> {
        let mut rows = vec![R::ZERO; layout.parameter_count()];
        self.pairs(layout, |from, to| rows[from] = packed[to]);
        rows
    }

    /// Running statistics in this order, from `src` in [`Layout`]'s.
    pub fn pack_running<S: Real, R: Real>(&self, layout: &Layout, src: &[S]) -> Vec<R> {
        let mut packed = vec![R::ZERO; self.running_count];
        for (from, to) in self.running_pairs(layout) {
            for (to, &from) in packed[to].iter_mut().zip(&src[from]) {
                *to = convert(from);
            }
        }
        packed
    }

    /// The reverse of [`Panels::pack_running`].
    pub fn unpack_running<R: Real>(&self, layout: &Layout, packed: &[R]) -> Vec<R> {
        let mut rows = vec![R::ZERO; layout.running_count()];
        for (from, to) in self.running_pairs(layout) {
            rows[from].copy_from_slice(&packed[to]);
        }
        rows
    }

    /// Calls `pair` with the two places of every parameter.
    fn pairs(&self, layout: &Layout, mut pair: impl FnMut(usize, usize)) {
        (0..stem_len(&self.stem)).for_each(|place| pair(place, place));
        for (logical, block) in layout.blocks.iter().zip(&self.blocks) {
            for (logical, head) in logical.heads().zip(block.heads()) {
                let (rows, panels) = (logical.weight.start, head.weight.start);
                for o in 0..block.outputs {
                    for k in 0..block.inputs {
                        let ([unit, other], others) = match block.transposed {
                            true => ([k, o], block.outputs),
                            false => ([o, k], block.inputs),
                        };
                        let row = unit / self.width * others + other;
                        let to = panels + row * self.width + unit % self.width;
                        pair(rows + o * block.inputs + k, to);
                    }
                }
            }
            for (from, to) in logical.vectors().zip(block.vectors()) {
                for o in 0..block.outputs {
                    pair(from.start + o, to.start + o);
                }
            }
        }
    }

    /// The two places of every running statistic.
    fn running_pairs<'a>(
        &'a self,
        layout: &'a Layout,
    ) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + 'a {
        let pairs = layout.blocks.iter().zip(&self.blocks);
        pairs.flat_map(|(logical, block)| {
            let both = logical.batch_norm().into_iter().zip(block.batch_norm());
            both.flat_map(|(logical, own)| {
                let cut = |to: &Range<usize>| to.start..to.start + block.outputs;
                [
                    (logical.running_mean.clone(), cut(&own.running_mean)),
                    (logical.running_var.clone(), cut(&own.running_var)),
                ]
            })
        })
    }
}

/// Whether a block's W lies transposed, which takes less room.
///
/// That of a first block does not: members scale its inputs, and pixels are read panel by panel.
fn has_few_outputs(block: &Block, width: usize) -> bool {
    block.is_output() && !block.is_first() && 2 * block.outputs <= width
}

fn stem_len(stem: &Option<Stem>) -> usize {
    stem.as_ref().map_or(0, |stem| stem.parameters.len())
}

/// The same number in another precision.
fn convert<S: Real, R: Real>(x: S) -> R {
    R::from_f64(x.to_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Order;
    use crate::nn::NetworkSpec;
    use crate::ops::activation::Activation;

    fn layout() -> Layout {
        Layout::new(&NetworkSpec {
            inputs: 3,
            hidden: vec![5],
            outputs: 2,
            batch_norm: true,
            activation: Activation::Relu,
            dropout: 0.0,
            order: Order::DropoutActivation,
            members: 1,
            embedding: None,
        })
    }

    #[test]
    fn panels_of_one_are_the_row_major_order() {
        let layout = layout();
        let panels = Panels::new(&layout, 1);
        assert_eq!(panels.blocks, layout.blocks);
        let src: Vec<f32> = (0..layout.parameter_count()).map(|i| i as f32).collect();
        assert_eq!(panels.pack::<_, f32>(&layout, &src), src);
    }

    /// W `[5, 3]` in panels of 4: input by input, the first four units side by side, then the fifth with three zeros.
    #[test]
    fn panels_of_four_by_hand() {
        let layout = layout();
        let panels = Panels::new(&layout, 4);
        let src: Vec<f64> = (0..layout.parameter_count())
            .map(|i| (i + 1) as f64)
            .collect();
        let packed: Vec<f64> = panels.pack(&layout, &src);
        assert_eq!(packed[..8], [1.0, 4.0, 7.0, 10.0, 2.0, 5.0, 8.0, 11.0]);
        assert_eq!(packed[12..16], [13.0, 0.0, 0.0, 0.0]);
        assert_eq!(
            packed[24..32],
            [16.0, 17.0, 18.0, 19.0, 20.0, 0.0, 0.0, 0.0]
        );
        // W [2, 5] of the last layer fills half of a panel, so it lies in panels of 4 inputs.
        assert_eq!(
            packed[48..56],
            [31.0, 32.0, 33.0, 34.0, 36.0, 37.0, 38.0, 39.0]
        );
        assert_eq!(packed[56..64], [35.0, 0.0, 0.0, 0.0, 40.0, 0.0, 0.0, 0.0]);
        assert_eq!(panels.unpack(&layout, &packed), src);
        let running: Vec<f64> = (0..layout.running_count())
            .map(|i| (i + 1) as f64)
            .collect();
        let packed: Vec<f64> = panels.pack_running(&layout, &running);
        assert_eq!(packed[..8], [1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0, 0.0]);
        assert_eq!(panels.unpack_running(&layout, &packed), running);
    }

    #[test]
    fn packing_rounds_to_the_precision_that_is_asked_for() {
        let layout = layout();
        let panels = Panels::new(&layout, 1);
        let src = vec![0.1_f64; layout.parameter_count()];
        let packed: Vec<f32> = panels.pack(&layout, &src);
        assert!(packed.iter().all(|&x| x == 0.1_f32));
        let running = vec![0.1_f64; layout.running_count()];
        let packed: Vec<f32> = panels.pack_running(&layout, &running);
        assert!(packed.iter().all(|&x| x == 0.1_f32));
    }
}
