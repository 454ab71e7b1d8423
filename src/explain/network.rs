//! A step of a network on a tape: its operations in order, and reversed.

use std::ops::Range;

use super::expression::Id;
use super::expression::Index::{I, J, K, Zero};
use super::operations::batch_norm::{BatchNormStep, Normalised};
use super::operations::linear::Linear;
use super::operations::loss::Objective;
use super::operations::optimizer::{ParameterUpdate, put_clip};
use super::operations::{activation, dropout};
use super::tape::{Grain, Part, Tape};
use crate::backend::{Block, Hidden, Mode, Order};
use crate::nn::Layout;
use crate::optim::{Optimizer, Step};
use crate::train::NextStep;

/// The numbers that a step starts with, laid out as a [`Layout`] says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    pub(super) params: Vec<f64>,
    pub(super) m: Vec<f64>,
    pub(super) v: Vec<f64>,
    pub(super) running: Vec<f64>,
}

/// All that a step is made of.
pub(super) struct Setting<'a> {
    pub(super) layout: &'a Layout,
    pub(super) numbers: &'a Numbers,
    pub(super) next: &'a NextStep,
    pub(super) objective: Objective<'a>,
    pub(super) optimizer: &'a Optimizer,
    pub(super) clip_norm: f64,
    pub(super) seed: u64,
}

/// What a hidden block's forward leaves for its backward.
struct Saved {
    linear: Linear,
    normalised: Option<(BatchNormStep, Normalised)>,
    mask: Option<Id>,
    /// What goes into the activation, and what comes out.
    activated: [Id; 2],
}

impl Setting<'_> {
    /// The step, taken apart.
    pub(super) fn tape(&self, grain: Grain) -> Tape {
        let mut tape = Tape::new(grain);
        let (x, parameters) = self.given(&mut tape);
        let (blocks, output) = self.layout.blocks.split_at(self.layout.blocks.len() - 1);
        let mut x = x;
        let mut saved = Vec::new();
        for block in blocks {
            let hidden = block
                .hidden()
                .expect("a block before the last one is hidden");
            let (block, out) = self.forward(&mut tape, block, hidden, x);
            saved.push(block);
            x = out;
        }
        let last = linear(&tape, &output[0], x);
        let z = last.forward(&mut tape, "Z");
        let dz = self.objective.put(&mut tape, z);
        let mut dy = last.backward(&mut tape, dz);
        for (block, saved) in blocks.iter().zip(&saved).rev() {
            let hidden = block
                .hidden()
                .expect("a block before the last one is hidden");
            dy = backward(&mut tape, hidden, saved, dy);
        }
        self.update(&mut tape, &parameters);
        tape
    }

    /// The batch and the parameters.
    fn given(&self, tape: &mut Tape) -> (Id, Vec<(Id, usize)>) {
        let inputs = self.layout.blocks[0].inputs;
        let n = self.next.samples.len();
        tape.begin(
            Part::Given,
            "The batch",
            "X has a sample in each row, as the network reads it: after normalisation.",
        );
        let x = tape.given("X", [I, K], [n, inputs], self.next.x.clone());
        let mut parameters = Vec::new();
        for block in &self.layout.blocks {
            let number = block.layer as usize + 1;
            tape.begin(
                Part::Given,
                format!("Parameters of block {number}"),
                "What the step starts with, and changes in the end.",
            );
            let mut put = |name: &str, axes, shape, range: Range<usize>| {
                let values = self.numbers.params[range.clone()].to_vec();
                parameters.push((
                    tape.given(format!("{name}{number}"), axes, shape, values),
                    range.start,
                ));
            };
            let [outputs, inputs] = [block.outputs, block.inputs];
            put("W", [J, K], [outputs, inputs], block.linear.weight.clone());
            put("b", [Zero, J], [1, outputs], block.linear.bias.clone());
            if let Some(bn) = block.batch_norm() {
                put("gamma", [Zero, J], [1, outputs], bn.gamma.clone());
                put("beta", [Zero, J], [1, outputs], bn.beta.clone());
                let running = |range: &Range<usize>| self.numbers.running[range.clone()].to_vec();
                let (mean, var) = (running(&bn.running_mean), running(&bn.running_var));
                tape.given(format!("rmean{number}"), [Zero, J], [1, outputs], mean);
                tape.given(format!("rvar{number}"), [Zero, J], [1, outputs], var);
            }
        }
        (x, parameters)
    }

    fn forward(&self, tape: &mut Tape, block: &Block, hidden: &Hidden, x: Id) -> (Saved, Id) {
        let number = block.layer as usize + 1;
        let linear = linear(tape, block, x);
        let mut y = linear.forward(tape, &format!("Y{number}"));
        let find = |tape: &Tape, name: &str| {
            tape.id(&format!("{name}{number}"))
                .expect("a parameter is given")
        };
        let normalised = hidden.batch_norm.as_ref().map(|_| {
            let batch_norm = BatchNormStep {
                number,
                y,
                gamma: find(tape, "gamma"),
                beta: find(tape, "beta"),
                running_mean: find(tape, "rmean"),
                running_var: find(tape, "rvar"),
            };
            let normalised = batch_norm.forward(tape);
            y = normalised.out;
            (batch_norm, normalised)
        });
        let mode = Mode::Train {
            seed: self.seed,
            step: self.next.update,
        };
        let shape = tape.shape(y);
        let mask = (block.mask(mode)).map(|mask| dropout::mask(tape, number, shape, &mask));
        let (kind, h) = (hidden.activation, format!("H{number}"));
        let (activated, out) = match (mask, hidden.order) {
            (None, _) => {
                let out = activation::forward(tape, kind, number, y, &h);
                ([y, out], out)
            }
            (Some(mask), Order::DropoutActivation) => {
                let d = dropout::apply(tape, Part::Forward, number, y, mask, &format!("D{number}"));
                let out = activation::forward(tape, kind, number, d, &h);
                ([d, out], out)
            }
            (Some(mask), Order::ActivationDropout) => {
                let a = activation::forward(tape, kind, number, y, &format!("A{number}"));
                (
                    [y, a],
                    dropout::apply(tape, Part::Forward, number, a, mask, &h),
                )
            }
        };
        let saved = Saved {
            linear,
            normalised,
            mask,
            activated,
        };
        (saved, out)
    }

    fn update(&self, tape: &mut Tape, parameters: &[(Id, usize)]) {
        let ids: Vec<Id> = parameters.iter().map(|(id, _)| *id).collect();
        let clip = (self.clip_norm > 0.0).then(|| put_clip(tape, &ids, self.clip_norm));
        let step = Step {
            lr: self.next.lr,
            t: self.next.update + 1,
            gradient_scale: 1.0,
        };
        let update = ParameterUpdate {
            optimizer: self.optimizer,
            step,
            clip,
        };
        for &(id, start) in parameters {
            let range = start..start + tape.node(id).values.len();
            let (m, v) = (&self.numbers.m[range.clone()], &self.numbers.v[range]);
            update.put(tape, id, m, v);
        }
    }
}

fn linear(tape: &Tape, block: &Block, x: Id) -> Linear {
    let number = block.layer as usize + 1;
    let find = |name: &str| {
        tape.id(&format!("{name}{number}"))
            .expect("a parameter is given")
    };
    Linear {
        number,
        x,
        w: find("W"),
        b: find("b"),
    }
}

/// The reverse of a hidden block, from the gradient of its output to that of its input.
fn backward(tape: &mut Tape, hidden: &Hidden, saved: &Saved, dy: Id) -> Id {
    let (number, kind) = (saved.linear.number, hidden.activation);
    let [x, y] = saved.activated;
    let masked = |tape: &mut Tape, mask: Id, dy: Id, of: &str| {
        let name = format!("d{of}{number}");
        dropout::apply(tape, Part::Backward, number, dy, mask, &name)
    };
    let before = match saved.normalised {
        Some(_) => "N",
        None => "Y",
    };
    let dy = match (saved.mask, hidden.order) {
        (None, _) => activation::backward(tape, kind, number, [x, y, dy]),
        (Some(mask), Order::DropoutActivation) => {
            let dd = activation::backward(tape, kind, number, [x, y, dy]);
            masked(tape, mask, dd, before)
        }
        (Some(mask), Order::ActivationDropout) => {
            let da = masked(tape, mask, dy, "A");
            activation::backward(tape, kind, number, [x, y, da])
        }
    };
    let dy = match &saved.normalised {
        Some((batch_norm, normalised)) => batch_norm.backward(tape, normalised, dy),
        None => dy,
    };
    saved.linear.backward(tape, dy)
}
