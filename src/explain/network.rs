//! A step of a network on a tape: its operations in order, and reversed.
//!
//! The members of an ensemble follow one another, each with its forward, loss and backward: so does the engine.

use super::expression::Index::{I, J, K, Zero};
use super::expression::{Expr, Id};
use super::operations::batch_norm::{BatchNormStep, Normalised};
use super::operations::embedding::EmbeddingStep;
use super::operations::linear::Linear;
use super::operations::loss::{Objective, TapedTargets};
use super::operations::member_scale::{self, MemberScale};
use super::operations::optimizer::{ParameterUpdate, put_clip};
use super::operations::{UNITS, WEIGHTS, activation, dropout};
use super::parameters::{embedding_tensors, parameter_groups};
use super::tape::{Grain, Part, Tape};
use crate::backend::{Block, Hidden, Mode, Order};
use crate::nn::{Layout, Panels};
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

/// A block's linear map on a tape.
struct Layer {
    linear: Linear,
    /// The block's W and b; those of `linear` are scaled, if a member scales them.
    parameters: [Id; 2],
    scale: Option<MemberScale>,
    /// Whether the members of an ensemble share it.
    is_shared: bool,
}

/// Parts of the gradients of what an ensemble's members share: the shared tensor, and a formula.
type Parts = Vec<(Id, Expr)>;

/// What a hidden block's forward leaves for its backward.
struct Saved {
    layer: Layer,
    normalised: Option<(BatchNormStep, Normalised)>,
    mask: Option<Id>,
    /// What goes into the activation, and what comes out.
    activated: [Id; 2],
}

/// A parameter on the tape, with the optimiser's moments.
struct GivenParameter {
    id: Id,
    m: Vec<f64>,
    v: Vec<f64>,
}

impl Setting<'_> {
    /// The step, taken apart.
    pub(super) fn tape(&self, grain: Grain) -> Tape {
        let mut tape = Tape::new(grain);
        let (x, parameters) = self.given(&mut tape);
        let embedding = self.put_embedding(&mut tape);
        let embedded = embedding.as_ref().map(|e| e.forward(&mut tape, x));
        let first = embedded.as_ref().map_or(x, |(_, out)| *out);
        let members = Panels::new(self.layout, 1).members;
        match &members[..] {
            [blocks] => {
                self.pass(&mut tape, blocks, first, &mut None);
            }
            _ => self.members(&mut tape, &members, first),
        }
        if let (Some(embedding), Some((linear, out))) = (&embedding, &embedded) {
            let name = format!("d{}", tape.node(*out).name);
            let dy = tape.id(&name).expect("put by the first layer's backward");
            embedding.backward(&mut tape, linear, dy);
        }
        self.update(&mut tape, &parameters);
        tape
    }

    /// The batch and the parameters.
    fn given(&self, tape: &mut Tape) -> (Id, Vec<GivenParameter>) {
        let first = &self.layout.blocks[0];
        let inputs = (self.layout.stem.as_ref()).map_or(first.inputs, |stem| stem.inputs);
        let n = self.next.samples.len();
        tape.begin(
            Part::Given,
            "The batch",
            "X has a sample in each row, as the network reads it: after normalisation.",
        );
        let x = tape.given("X", [I, K], [n, inputs], self.next.x.clone());
        let mut parameters = Vec::new();
        for group in parameter_groups(self.layout) {
            let title = format!("Parameters of {}", group.title);
            let says = "What the step starts with, and changes in the end.";
            tape.begin(Part::Given, title, says);
            for tensor in group.tensors {
                let values = tensor.of(&self.numbers.params);
                let id = tape.given(&tensor.name, tensor.axes, tensor.shape, values);
                parameters.push(GivenParameter {
                    id,
                    m: tensor.of(&self.numbers.m),
                    v: tensor.of(&self.numbers.v),
                });
            }
            for (name, range) in group.running {
                let values = self.numbers.running[range].to_vec();
                tape.given(name, UNITS, [1, values.len()], values);
            }
        }
        (x, parameters)
    }

    /// Puts on the tape which weights of the features' embedding are parameters, and which values stay.
    fn put_embedding(&self, tape: &mut Tape) -> Option<EmbeddingStep> {
        let stem = (self.layout.stem.as_ref()).filter(|stem| !stem.parts.is_empty())?;
        let [weights, biases] = embedding_tensors(stem);
        let mut stays = vec![0.0; weights.shape[0] * weights.shape[1]];
        for part in stem.parts.iter().filter(|part| part.linear.is_none()) {
            for (row, column) in part.outputs.clone().zip(part.inputs.clone()) {
                stays[row * stem.inputs + column] = 1.0;
            }
        }
        tape.begin(
            Part::Given,
            "Where the features' weights are",
            "own0 has a 1 for each weight of a feature, ownb0 for each bias, and stays0 for each value that is not \
             embedded.",
        );
        let find = |tape: &Tape, name| tape.id(name).expect("a parameter is given");
        Some(EmbeddingStep {
            w: find(tape, "W0"),
            b: find(tape, "b0"),
            own_w: tape.given("own0", WEIGHTS, weights.shape, weights.is_parameter()),
            own_b: tape.given("ownb0", UNITS, biases.shape, biases.is_parameter()),
            stays: tape.given("stays0", WEIGHTS, weights.shape, stays),
        })
    }

    /// Every member's forward, loss and backward, the mean of the losses, and the sums of the gradients.
    fn members(&self, tape: &mut Tape, members: &[Vec<Block>], x: Id) {
        let mut targets = None;
        let mut passes = Vec::new();
        for (number, blocks) in members.iter().enumerate() {
            tape.compute_as(Some(number + 1));
            passes.push(self.pass(tape, blocks, x, &mut targets));
        }
        tape.compute_as(None);
        self.objective.put_mean(tape);
        member_scale::begin_sums(tape);
        for (place, (of, _)) in passes[0].iter().enumerate() {
            let parts = passes.iter().map(|parts| parts[place].1.clone()).collect();
            member_scale::put_sum(tape, *of, parts);
        }
    }

    /// Forward, loss and backward of a network of its own, or of one member. Returns its part in the gradient of each
    /// tensor that members share.
    fn pass(
        &self,
        tape: &mut Tape,
        blocks: &[Block],
        first: Id,
        targets: &mut Option<TapedTargets>,
    ) -> Parts {
        let (output, hidden) = blocks.split_last().expect("a network has an output block");
        let (mut x, mut saved) = (first, Vec::new());
        for (i, block) in hidden.iter().enumerate() {
            let (block, out) = self.forward(tape, block, i + 1, x);
            saved.push(block);
            x = out;
        }
        let last = self.layer(tape, output, blocks.len(), x);
        let z = last.linear.forward(tape, "Z");
        let shape = tape.shape(z);
        let targets = targets
            .get_or_insert_with(|| tape.shared(|tape| self.objective.put_targets(tape, shape)));
        let dz = self.objective.put(tape, targets, z);
        let mut parts = Parts::new();
        let mut dy = last.backward(tape, dz, &mut parts);
        for (block, saved) in hidden.iter().zip(&saved).rev() {
            dy = backward(tape, hidden_part(block), saved, dy, &mut parts);
        }
        let [row, column] = tape.node(first).axes;
        parts.push((first, dy.at(row, column)));
        parts
    }

    /// A block's linear map, with the member's scale if it has one.
    fn layer(&self, tape: &mut Tape, block: &Block, number: usize, x: Id) -> Layer {
        let find = |tape: &Tape, name: &str| tape.id(name).expect("a parameter is given");
        let parameters = ["W", "b"].map(|letter| find(tape, &format!("{letter}{number}")));
        let [w, b] = parameters;
        let scale = block.scale.as_ref().map(|_| MemberScale {
            w,
            r: find(tape, "r"),
        });
        let w = scale.map_or(w, |scale| scale.forward(tape));
        Layer {
            linear: Linear { number, x, w, b },
            parameters,
            scale,
            is_shared: self.objective.members > 1 && !block.is_output(),
        }
    }

    fn forward(&self, tape: &mut Tape, block: &Block, number: usize, x: Id) -> (Saved, Id) {
        let hidden = hidden_part(block);
        let layer = self.layer(tape, block, number, x);
        let mut y = layer.linear.forward(tape, &format!("Y{number}"));
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
            layer,
            normalised,
            mask,
            activated,
        };
        (saved, out)
    }

    fn update(&self, tape: &mut Tape, parameters: &[GivenParameter]) {
        let ids: Vec<Id> = parameters.iter().map(|parameter| parameter.id).collect();
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
        for GivenParameter { id, m, v } in parameters {
            update.put(tape, *id, m, v);
        }
    }
}

fn hidden_part(block: &Block) -> &Hidden {
    block
        .hidden()
        .expect("a block before the last one is hidden")
}

impl Layer {
    /// The reverse of the linear map: from the gradient of its output to that of its input.
    fn backward(&self, tape: &mut Tape, dy: Id, parts: &mut Parts) -> Id {
        let gradients = self.linear.backward(tape, dy);
        let dw = match &self.scale {
            Some(scale) => scale.backward(tape, gradients.dw),
            None => gradients.dw.at(J, K),
        };
        let [w, b] = self.parameters;
        if self.is_shared {
            parts.extend([(w, dw), (b, gradients.db.at(Zero, J))]);
        } else if self.scale.is_some() {
            member_scale::put_sum(tape, w, vec![dw]);
        }
        gradients.dx
    }
}

/// The reverse of a hidden block, from the gradient of its output to that of its input.
fn backward(tape: &mut Tape, hidden: &Hidden, saved: &Saved, dy: Id, parts: &mut Parts) -> Id {
    let (number, kind) = (saved.layer.linear.number, hidden.activation);
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
    saved.layer.backward(tape, dy, parts)
}
