//! A quiz: some tensors of a step are left blank, and each answer is compared with the right one and with those that
//! common mistakes give.
//!
//! A mistake on the way is made on purpose: its formula is changed, and all that follows is computed again. So the
//! answer to a later tensor shows it too. Where two mistakes give the same numbers, both are named.

use super::expression::{Cursor, Expr, Id, Index, Relation, choose};
use super::operations::member_scale::SUMS_OVER_MEMBERS;
use super::run::{ExplainedStep, Explanation};
use super::symbol::split;
use super::tape::{Grain, Node, Part, Tape, evaluate, larger, of_member};
use crate::error::{Error, Result};

/// An answer this far from a candidate, relative to its largest number, is the candidate with few digits.
pub(super) const ROUNDED: f64 = 1e-2;
/// And this far it is the candidate.
pub(super) const EXACT: f64 = 1e-6;

/// What an answer may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What is wrong with it, in words; `None` if it is right.
    pub mistake: Option<String>,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Row-major.
    pub values: Vec<f64>,
    /// What its differences are measured by: its largest number, or a millionth of the terms that it is the sum of,
    /// where they cancel.
    pub size: f64,
}

/// A tensor that is left blank.
#[derive(Clone, Debug)]
pub struct Blank {
    /// Its name.
    pub name: String,
    /// The right answer first, then wrong ones that differ from it.
    pub candidates: Vec<Candidate>,
}

/// The blanks of one step.
#[derive(Clone, Debug)]
pub struct Quiz {
    /// In the order in which the step computes them.
    pub blanks: Vec<Blank>,
}

/// How an answer compares.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// Right.
    Right,
    /// Right, with few digits.
    RightToRounding,
    /// Wrong, by one of these mistakes; none if no known one fits.
    Wrong(Vec<String>),
}

impl Quiz {
    /// A quiz on the first step, with the tensors of these names left blank: without any, the gradients of the outputs
    /// and of the first and the last weights, of an ensemble's first member where members have their own.
    ///
    /// # Errors
    /// If several steps are explained, a name is none of a computed tensor, or no name is left.
    pub fn new(explanation: &Explanation, names: &[String]) -> Result<Self> {
        let [step] = &explanation.steps[..] else {
            let found = explanation.steps.len();
            let message = format!("expected one step with --quiz, found {found}");
            return Err(Error::setting("--step", message));
        };
        let tape = step.tape(Grain::Atomic);
        let last = format!("dW{}", explanation.spec.hidden.len() + 1);
        let names = match names {
            [] => ["dZ", &last, "dW1"]
                .map(|name| first_member_s(tape, name))
                .into(),
            names => names.to_vec(),
        };
        let mut ids = Vec::new();
        for name in &names {
            match tape.id(name).filter(|id| tape.node(*id).expr.is_some()) {
                Some(id) => ids.push(id),
                None => return Err(unknown(tape, name)),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let changed = changed_tapes(tape);
        let blank = |id: &Id| Blank {
            name: tape.node(*id).name.clone(),
            candidates: candidates(step, explanation.spec.members, *id, &changed),
        };
        Ok(Quiz {
            blanks: ids.iter().map(blank).collect(),
        })
    }

    /// Whether a number of the update is asked for. If not, the update would only give gradients away.
    pub(super) fn asks_for_update(&self, step: &ExplainedStep) -> bool {
        let tape = step.tape(Grain::Atomic);
        let part = |blank: &Blank| tape.id(&blank.name).map(|id| tape.part(id));
        self.blanks
            .iter()
            .any(|blank| part(blank) == Some(Part::Update))
    }

    /// The blank of this name.
    pub fn find(&self, name: &str) -> Option<&Blank> {
        self.blanks.iter().find(|blank| blank.name == name)
    }
}

/// A tensor's name: the first member's, if every member has one of its own.
fn first_member_s(tape: &Tape, name: &str) -> String {
    match tape.id(name) {
        Some(_) => name.to_owned(),
        None => of_member(name, 1),
    }
}

fn unknown(tape: &Tape, name: &str) -> Error {
    let computed = tape.nodes.iter().filter(|node| node.expr.is_some());
    let names: Vec<&str> = computed.map(|node| node.name.as_str()).collect();
    let message = format!("expected one of {}, found {name:?}", names.join(", "));
    Error::setting("--blank", message)
}

impl Blank {
    /// The right answer.
    pub fn right(&self) -> &Candidate {
        &self.candidates[0]
    }

    /// Compares an answer `[rows, columns]` with all candidates. A vector may be given as row or as column.
    pub fn verdict(&self, shape: [usize; 2], answer: &[f64]) -> Mark {
        let right = distance(self.right(), shape, answer);
        if right <= EXACT {
            return Mark::Right;
        }
        if right <= ROUNDED {
            return Mark::RightToRounding;
        }
        let fits = |c: &&Candidate| distance(c, shape, answer) <= ROUNDED;
        let fitting = self.candidates[1..].iter().filter(fits);
        let mut mistakes: Vec<String> = fitting.filter_map(|c| c.mistake.clone()).collect();
        mistakes.dedup();
        Mark::Wrong(mistakes)
    }
}

/// The largest difference of an answer from a candidate, relative to the candidate's size. Infinite for another shape,
/// or a number that is none.
fn distance(candidate: &Candidate, shape: [usize; 2], answer: &[f64]) -> f64 {
    let is_vector = |shape: [usize; 2]| shape.contains(&1);
    let fits = shape == candidate.shape
        || is_vector(shape) && is_vector(candidate.shape) && answer.len() == candidate.values.len();
    if !fits || answer.iter().any(|x| !x.is_finite()) {
        return f64::INFINITY;
    }
    let pairs = candidate.values.iter().zip(answer);
    let apart = pairs.fold(0.0, |apart, (a, b)| larger(apart, (a - b).abs()));
    match apart {
        0.0 => 0.0,
        apart => apart / candidate.size,
    }
}

/// What is forgotten in a step, and its tensors then.
type Changed = Vec<(String, Vec<Node>)>;

/// The right answer, and what each mistake makes of it where that is something else.
fn candidates(step: &ExplainedStep, members: usize, id: Id, changed: &Changed) -> Vec<Candidate> {
    let tape = step.tape(Grain::Atomic);
    let node = tape.node(id);
    let cancelled = 1e-6 * tape.scale(node);
    let candidate = |mistake: Option<String>, shape: [usize; 2], values: Vec<f64>| {
        let size = values
            .iter()
            .fold(cancelled, |size, x| larger(size, x.abs()));
        Candidate {
            mistake,
            shape,
            values,
            size,
        }
    };
    let mut found = vec![candidate(None, node.shape, node.values.clone())];
    let mut add = |mistake: String, shape: [usize; 2], values: Vec<f64>| {
        let candidate = candidate(Some(mistake), shape, values);
        // What cannot be told from the right answer is no mistake.
        if distance(&found[0], candidate.shape, &candidate.values) > 2.0 * ROUNDED {
            found.push(candidate);
        }
    };
    add("the sign is wrong".into(), node.shape, scaled(node, -1.0));
    let [rows, cols] = node.shape;
    if rows > 1 && cols > 1 {
        let transposed = (0..cols).flat_map(|c| (0..rows).map(move |r| node.values[r * cols + c]));
        add(
            "it is transposed".into(),
            [cols, rows],
            transposed.collect(),
        );
    }
    for (member, part) in member_parts(tape, id).into_iter().enumerate() {
        let (values, _) = evaluate(&tape.nodes, node.axes, node.shape, part);
        let member = member + 1;
        add(
            format!("the sum over the members is missing: it is the part of member {member}"),
            node.shape,
            values,
        );
    }
    for (factor, of) in factors(step, members) {
        add(
            format!("a factor of {factor} too much ({of})"),
            node.shape,
            scaled(node, factor),
        );
        add(
            format!("a factor of {factor} missing ({of})"),
            node.shape,
            scaled(node, 1.0 / factor),
        );
    }
    if let Some(Expr::Sum(Index::I, count, body)) = &node.expr {
        for i in 0..*count {
            let term = at_sample(body, i, node, tape);
            add(
                format!("the sum over the batch is missing: it is the part of sample {i}"),
                node.shape,
                term,
            );
        }
        if let Some((shape, terms)) = unsummed(body, *count, node, tape) {
            add(
                "the sum over the batch is missing: each sample has a row of its own".into(),
                shape,
                terms,
            );
        }
    }
    for (forgotten, nodes) in changed {
        add(
            format!("{forgotten} is forgotten"),
            node.shape,
            nodes[id.0].values.clone(),
        );
    }
    found
}

/// Factors that are easily forgotten, each once, and of what they are.
fn factors(step: &ExplainedStep, members: usize) -> Vec<(f64, &'static str)> {
    let n = step.next.samples.len() as f64;
    let tape = step.tape(Grain::Atomic);
    let z = tape.find(&first_member_s(tape, "Z"));
    let outputs = z.map_or(1.0, |z| z.shape[1] as f64);
    let mut factors: Vec<(f64, &str)> = Vec::new();
    for (factor, of) in [
        (n, "the batch size"),
        (outputs, "the number of outputs"),
        (members as f64, "the number of members"),
        (2.0, "a square's derivative"),
    ] {
        if factor > 1.0 && !factors.iter().any(|(other, _)| *other == factor) {
            factors.push((factor, of));
        }
    }
    factors
}

/// The parts of a gradient that are added over an ensemble's members; none if it is no such sum.
fn member_parts(tape: &Tape, id: Id) -> Vec<&Expr> {
    let sums = (tape.operations.iter()).find(|operation| operation.title == SUMS_OVER_MEMBERS);
    let is_sum = sums.is_some_and(|sums| sums.nodes.contains(&id.0));
    let mut parts = Vec::new();
    let mut rest = tape.node(id).expr.as_ref().filter(|_| is_sum);
    while let Some(Expr::Add(before, last)) = rest {
        parts.push(&**last);
        rest = Some(before);
    }
    parts.extend(rest);
    parts.reverse();
    parts
}

fn scaled(node: &Node, factor: f64) -> Vec<f64> {
    node.values.iter().map(|x| factor * x).collect()
}

/// The term of one sample in a sum over the batch, for each cell.
fn at_sample(body: &Expr, sample: usize, node: &Node, tape: &Tape) -> Vec<f64> {
    let nodes = &tape.nodes[..];
    let mut cursor = Cursor::new(&nodes);
    let [rows, columns] = node.shape;
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| [row, column]));
    let term = cells.map(|cell| {
        cursor.go_to(node.axes, cell);
        cursor.go_to([Index::I, Index::Zero], [sample, 0]);
        body.value(&mut cursor)
    });
    term.collect()
}

/// The terms of a sum over the batch, where its result is one number a unit.
fn unsummed(body: &Expr, count: usize, node: &Node, tape: &Tape) -> Option<([usize; 2], Vec<f64>)> {
    let [Index::Zero, column] = node.axes else {
        return None;
    };
    let shape = [count, node.shape[1]];
    Some((
        shape,
        evaluate(&tape.nodes, [Index::I, column], shape, body).0,
    ))
}

/// The step with each part of its backward forgotten that can be.
fn changed_tapes(tape: &Tape) -> Changed {
    let mut found = Changed::new();
    let mut forget = |what: String, changes: &[(Id, Expr)]| {
        found.push((what, recomputed(tape, changes)));
    };
    for operation in tape.operations.iter().filter(|o| o.part == Part::Backward) {
        let mut both = Vec::new();
        for id in operation.nodes.clone().map(Id) {
            let node = tape.node(id);
            let (base, number, member) = split(&node.name);
            let number = numbered(number, member);
            let Some(expr) = &node.expr else { continue };
            match (base, expr) {
                ("dY" | "dcentred", Expr::Add(direct, _)) => {
                    let statistic = if base == "dY" { "mean" } else { "variance" };
                    let change = (id, (**direct).clone());
                    forget(
                        format!("the path through the {statistic} of batch norm {number}"),
                        std::slice::from_ref(&change),
                    );
                    both.push(change);
                }
                ("dE", Expr::Add(direct, _)) => {
                    let change = (id, (**direct).clone());
                    let what = "the path through the sum of the exponentials";
                    forget(what.into(), std::slice::from_ref(&change));
                    // Then the path through the maximum, which is 0 otherwise, may be left out too.
                    let zmax = node.name.replacen("dE", "dzmax", 1);
                    if let Some(zmax) = tape.id(&zmax) {
                        forget(what.into(), &[change, (zmax, Expr::Number(0.0))]);
                    }
                }
                ("slope", _) => {
                    forget(
                        format!("the derivative of activation {number}"),
                        &[(id, Expr::Number(1.0))],
                    );
                }
                (_, Expr::Mul(mask, dy)) if operation.title.starts_with("Dropout") => {
                    forget(
                        format!("the mask of dropout {number}"),
                        &[(id, (**dy).clone())],
                    );
                    let kept = choose(
                        (**mask).clone(),
                        Relation::Greater,
                        0.0,
                        (**dy).clone(),
                        0.0,
                    );
                    forget(
                        format!("the scale 1/(1 − p) of dropout {number}"),
                        &[(id, kept)],
                    );
                }
                _ => {}
            }
        }
        if let [_, (id, _)] = &both[..] {
            let (_, number, member) = split(&tape.node(*id).name);
            let number = numbered(number, member);
            forget(
                format!("every path through the statistics of batch norm {number}"),
                &both,
            );
        }
    }
    found
}

/// "1", or "1 of member 2".
fn numbered(layer: &str, member: Option<&str>) -> String {
    match member {
        Some(member) => format!("{layer} of member {member}"),
        None => layer.to_owned(),
    }
}

/// All tensors, with some formulas changed.
fn recomputed(tape: &Tape, changes: &[(Id, Expr)]) -> Vec<Node> {
    let mut nodes = tape.nodes.clone();
    let first = changes
        .iter()
        .map(|(id, _)| id.0)
        .min()
        .unwrap_or(nodes.len());
    for (id, expr) in changes {
        nodes[id.0].expr = Some(expr.clone());
    }
    for id in first..nodes.len() {
        let (before, rest) = nodes.split_at_mut(id);
        let node = &mut rest[0];
        if let Some(expr) = &node.expr {
            node.values = evaluate(before, node.axes, node.shape, expr).0;
        }
    }
    nodes
}

#[cfg(test)]
mod tests;
