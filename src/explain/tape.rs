//! The tape: all tensors of one step in the order in which they are computed, each with the formula of its cells.

use std::collections::BTreeMap;
use std::ops::Range;

use super::expression::{Cells, Cursor, Expr, Id, Index};
use super::source::SourceFunction;

/// How finely a step is taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Grain {
    /// One simple operation at a time: an exponential, a mean, a product.
    Atomic,
    /// As the engine computes: softmax and cross-entropy, or a whole batch norm, as one operation with one derivative.
    Fused,
}

impl Grain {
    /// Both.
    pub const ALL: [Grain; 2] = [Grain::Atomic, Grain::Fused];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Grain::Atomic => "atomic",
            Grain::Fused => "fused",
        }
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What the step starts with.
    Given,
    /// From the batch to the outputs.
    Forward,
    /// From the outputs to one number.
    Loss,
    /// From the loss back to every parameter.
    Backward,
    /// From gradients to new parameters.
    Update,
}

/// One tensor, a matrix. A vector is a matrix with one row or column, a number one with both.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name: `dW2` is the gradient of `W2`, `W2_new` is W2 after the update.
    pub name: String,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// What its rows and columns are.
    pub axes: [Index; 2],
    /// Row-major.
    pub values: Vec<f64>,
    /// The formula of its cells; `None` for what the step starts with.
    pub expr: Option<Expr>,
    /// Something to be known about each cell, if there is.
    pub notes: Vec<String>,
}

/// Tensors that belong together: one operation, forward or backward.
#[derive(Clone, Debug)]
pub struct TapedOperation {
    /// Where it stands.
    pub part: Part,
    /// As "Linear 1".
    pub title: String,
    /// What it does, in a sentence or two.
    pub says: String,
    /// What of it is kept for the backward, and why.
    pub keeps: String,
    /// The function of this program that computes it.
    pub source: Option<SourceFunction>,
    /// Its tensors.
    pub nodes: Range<usize>,
}

impl Cells for &[Node] {
    fn cell(&self, id: Id, row: usize, column: usize) -> f64 {
        let node = &self[id.0];
        node.values[row * node.shape[1] + column]
    }
}

/// All tensors and operations of one step in one grain.
#[derive(Clone, Debug)]
pub struct Tape {
    /// How finely the step is taken apart.
    pub grain: Grain,
    /// Tensors: each formula reads those before it.
    pub nodes: Vec<Node>,
    /// Operations, one after the other.
    pub operations: Vec<TapedOperation>,
    by_name: BTreeMap<String, usize>,
    /// The member of an ensemble that computes now, from 1.
    member: Option<usize>,
}

/// The name of a tensor that is one member's alone, who is counted from 1: `Y1_m2`.
pub(super) fn of_member(name: &str, member: usize) -> String {
    format!("{name}_m{member}")
}

impl Tape {
    pub(super) fn new(grain: Grain) -> Self {
        Tape {
            grain,
            nodes: Vec::new(),
            operations: Vec::new(),
            by_name: BTreeMap::new(),
            member: None,
        }
    }

    /// Lets the operations that follow be a member's, counted from 1: their tensors' names and their titles say so.
    /// `None`: they are everyone's.
    pub(super) fn compute_as(&mut self, member: Option<usize>) {
        self.member = member;
    }

    /// Puts on the tape what all members share, in the middle of one's operations.
    pub(super) fn shared<T>(&mut self, put: impl FnOnce(&mut Self) -> T) -> T {
        let member = self.member.take();
        let result = put(self);
        self.member = member;
        result
    }

    /// A name, as that of the member's tensor.
    fn scoped(&self, name: &str) -> String {
        match self.member.map(|member| of_member(name, member)) {
            Some(of_member) if !name.ends_with(&of_member[name.len()..]) => of_member,
            _ => name.to_owned(),
        }
    }

    /// Begins an operation, to which the tensors that follow belong.
    pub(super) fn begin(&mut self, part: Part, title: impl Into<String>, says: impl Into<String>) {
        let end = self.nodes.len();
        let mut title = title.into();
        if let Some(member) = self.member {
            title += &format!(", member {member}");
        }
        self.operations.push(TapedOperation {
            part,
            title,
            says: says.into(),
            keeps: String::new(),
            source: None,
            nodes: end..end,
        });
    }

    fn operation(&mut self) -> &mut TapedOperation {
        self.operations.last_mut().expect("an operation has begun")
    }

    /// Says what of the operation is kept, and why.
    pub(super) fn keeps(&mut self, keeps: impl Into<String>) {
        self.operation().keeps = keeps.into();
    }

    /// Says which function of this program computes the operation.
    pub(super) fn source(&mut self, source: SourceFunction) {
        self.operation().source = Some(source);
    }

    /// A tensor that the step starts with.
    pub(super) fn given(
        &mut self,
        name: impl Into<String>,
        axes: [Index; 2],
        shape: [usize; 2],
        values: Vec<f64>,
    ) -> Id {
        let (name, id) = (self.scoped(&name.into()), self.nodes.len());
        assert_eq!(values.len(), shape[0] * shape[1], "{name}");
        let twice = self.by_name.insert(name.clone(), id);
        assert!(twice.is_none(), "{name} is on the tape already");
        self.nodes.push(Node {
            name,
            shape,
            axes,
            values,
            expr: None,
            notes: Vec::new(),
        });
        self.operation().nodes.end = id + 1;
        Id(id)
    }

    /// A tensor whose cells have a formula, by which they are computed.
    pub(super) fn put(
        &mut self,
        name: impl Into<String>,
        axes: [Index; 2],
        shape: [usize; 2],
        expr: Expr,
    ) -> Id {
        let values = evaluate(&self.nodes, axes, shape, &expr).0;
        self.put_computed(name, axes, shape, expr, values)
    }

    /// A tensor whose cells have a formula, but were computed by the engine.
    pub(super) fn put_computed(
        &mut self,
        name: impl Into<String>,
        axes: [Index; 2],
        shape: [usize; 2],
        expr: Expr,
        values: Vec<f64>,
    ) -> Id {
        let id = self.given(name, axes, shape, values);
        self.nodes[id.0].expr = Some(expr);
        id
    }

    /// Something to be known about each cell of a tensor.
    pub(super) fn note(&mut self, id: Id, notes: Vec<String>) {
        self.nodes[id.0].notes = notes;
    }

    /// The tensor of this name.
    pub fn find(&self, name: &str) -> Option<&Node> {
        self.id(name).map(|id| self.node(id))
    }

    /// The place of the tensor of this name; the member's, if it has one of its own.
    pub fn id(&self, name: &str) -> Option<Id> {
        let id = (self.by_name.get(&self.scoped(name))).or_else(|| self.by_name.get(name));
        id.copied().map(Id)
    }

    /// A tensor.
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0]
    }

    /// Rows and columns of a tensor.
    pub(super) fn shape(&self, id: Id) -> [usize; 2] {
        self.nodes[id.0].shape
    }

    /// How many numbers it has.
    pub fn cells(&self) -> usize {
        self.nodes.iter().map(|node| node.values.len()).sum()
    }

    /// Which part of the step a tensor belongs to.
    pub fn part(&self, id: Id) -> Part {
        let holder = self.operations.iter().find(|o| o.nodes.contains(&id.0));
        holder.map_or(Part::Given, |operation| operation.part)
    }

    /// How large the terms of a tensor's formula are, at most: rounding errors are a small part of this.
    pub fn scale(&self, node: &Node) -> f64 {
        let Some(expr) = &node.expr else { return 0.0 };
        let nodes = &self.nodes[..];
        let mut place = Cursor::new(&nodes);
        let mut largest = 0.0;
        for row in 0..node.shape[0] {
            for column in 0..node.shape[1] {
                place.go_to(node.axes, [row, column]);
                largest = larger(largest, expr.magnitude(&mut place));
            }
        }
        largest
    }
}

/// All cells of a tensor by its formula, and which way the choices went.
pub(super) fn evaluate(
    nodes: &[Node],
    axes: [Index; 2],
    shape: [usize; 2],
    expr: &Expr,
) -> (Vec<f64>, u64) {
    let mut place = Cursor::new(&nodes);
    let mut values = Vec::with_capacity(shape[0] * shape[1]);
    for row in 0..shape[0] {
        for column in 0..shape[1] {
            place.go_to(axes, [row, column]);
            values.push(expr.value(&mut place));
        }
    }
    (values, place.choices)
}

/// The largest number of a tensor that counts as nothing: it may be rounding alone.
const NOTHING: f64 = 1e-6;

/// The largest difference of two tensors, relative to the largest number in them, or to [`NOTHING`] where that is
/// smaller. NaN if either has one.
pub(super) fn difference(a: &[f64], b: &[f64]) -> f64 {
    if a == b {
        return 0.0;
    }
    let largest = a
        .iter()
        .chain(b)
        .fold(NOTHING, |largest, x| larger(largest, x.abs()));
    let apart = (a.iter().zip(b)).fold(0.0, |apart, (a, b)| larger(apart, (a - b).abs()));
    apart / largest
}

/// The larger of two numbers; NaN is the largest.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}
