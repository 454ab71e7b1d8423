//! Central differences: the gradient of every number of a step by moving it a little and computing the loss again.
//!
//! `$\frac{\partial L}{\partial x} \approx \frac{L(x + h) - L(x - h)}{2h}$`, with an error of order h² and a rounding
//! error of order 1/h. A number on the way, as an entry of Y, is moved too: what comes after it is computed from the
//! moved one.

use std::collections::BTreeMap;

use super::expression::Id;
use super::tape::{Node, Part, Tape, evaluate};

/// How far a number of size 1 is moved.
const STEP: f64 = 1e-5;

/// The central difference of each cell; `None` where a kink (of a relu, of a maximum) lies between the two points.
pub(super) type Differences = BTreeMap<String, Vec<Option<f64>>>;

/// Those of every tensor whose gradient is on a tape.
pub(super) fn differences(tape: &Tape) -> Differences {
    let loss = tape.id("L").expect("a step has a loss");
    let mut found = Differences::new();
    for node in &tape.nodes {
        let Some(of) = node.name.strip_prefix('d').and_then(|name| tape.id(name)) else {
            continue;
        };
        let moved = Moved::new(tape, of, loss);
        let cells = 0..node.values.len();
        found.insert(
            node.name.clone(),
            cells.map(|cell| moved.difference(cell)).collect(),
        );
    }
    found
}

/// The forward of a tape, one of whose tensors is moved.
struct Moved<'a> {
    tape: &'a Tape,
    of: Id,
    loss: Id,
    /// What depends on it, in order, up to the loss.
    after: Vec<usize>,
}

impl<'a> Moved<'a> {
    fn new(tape: &'a Tape, of: Id, loss: Id) -> Self {
        let mut depends = vec![false; loss.0 + 1];
        depends[of.0] = true;
        let mut after = Vec::new();
        for id in of.0 + 1..=loss.0 {
            let Some(expr) = &tape.nodes[id].expr else {
                continue;
            };
            if tape.part(Id(id)) <= Part::Loss && expr.reads().iter().any(|read| depends[read.0]) {
                depends[id] = true;
                after.push(id);
            }
        }
        Moved {
            tape,
            of,
            loss,
            after,
        }
    }

    fn difference(&self, cell: usize) -> Option<f64> {
        let mut nodes: Vec<Node> = self.tape.nodes[..=self.loss.0].to_vec();
        let x = nodes[self.of.0].values[cell];
        let h = STEP * x.abs().max(1.0);
        // What is added is a number that x + h − x holds exactly.
        let (above, below) = (x + h, x - h);
        let mut loss_at = |x: f64| {
            nodes[self.of.0].values[cell] = x;
            let mut ways = Vec::with_capacity(self.after.len());
            for &id in &self.after {
                let (before, rest) = nodes.split_at_mut(id);
                let node = &mut rest[0];
                let expr = node
                    .expr
                    .as_ref()
                    .expect("what depends on another has a formula");
                let (values, way) = evaluate(before, node.axes, node.shape, expr);
                node.values = values;
                ways.push(way);
            }
            (nodes[self.loss.0].values[0], ways)
        };
        let (high, ways_above) = loss_at(above);
        let (low, ways_below) = loss_at(below);
        (ways_above == ways_below).then(|| (high - low) / (above - below))
    }
}
