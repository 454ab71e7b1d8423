//! Formulas as numpy, for whole tensors: `dW1 = dY1.T @ X`.
//!
//! Every tensor is a matrix there too, so one that has one row or column spreads over the other's by numpy's own rules.

use super::product::{Factor, Product};
use crate::explain::expression::{Expr, Function, Index, Relation};
use crate::explain::tape::{Node, Tape};

/// The right side of the assignment that computes a tensor; `None` if the step starts with it.
pub fn assignment(tape: &Tape, node: &Node) -> Option<String> {
    let expr = node.expr.as_ref()?;
    let text = array(tape, expr, node.axes);
    // What no cell of the right shape takes part in has to be spread out.
    let [rows, columns] = node.shape;
    match covers(expr, node.axes) {
        true => Some(text),
        false => Some(format!("np.broadcast_to({text}, ({rows}, {columns}))")),
    }
}

/// Whether every axis of a tensor is that of a cell in the expression.
fn covers(expr: &Expr, axes: [Index; 2]) -> bool {
    axes.iter()
        .all(|&axis| axis == Index::Zero || expr.mentions(axis))
}

/// An array whose axes are these, of length 1 where the expression does not depend on them.
fn array(tape: &Tape, expr: &Expr, axes: [Index; 2]) -> String {
    if let Some(product) = Product::of(expr, axes) {
        let factor = |f: Factor| {
            let name = &tape.node(f.id).name;
            if f.is_transposed {
                format!("{name}.T")
            } else {
                name.clone()
            }
        };
        return format!("({} @ {})", factor(product.left), factor(product.right));
    }
    let part = |expr: &Expr| array(tape, expr, axes);
    match expr {
        Expr::Number(x) | Expr::Named(_, x) => float(*x),
        Expr::Cell(id, indices) => {
            let name = &tape.node(*id).name;
            match fits(*indices, axes) {
                true => name.clone(),
                false => format!("{name}.T"),
            }
        }
        Expr::Sum(index, _, body) => reduced(tape, "sum", *index, body, axes),
        Expr::Max(index, _, body) => reduced(tape, "max", *index, body, axes),
        Expr::Neg(a) => format!("(-{})", part(a)),
        Expr::Add(a, b) => format!("({} + {})", part(a), part(b)),
        Expr::Sub(a, b) => format!("({} - {})", part(a), part(b)),
        Expr::Mul(a, b) => format!("{} * {}", factor(part(a)), factor(part(b))),
        Expr::Div(a, b) => format!("({} / {})", part(a), factor(part(b))),
        Expr::Of(function, a) => applied(*function, &part(a)),
        Expr::If(c) => {
            let sign = match c.comparison {
                Relation::Greater => ">",
                Relation::AtLeast => ">=",
                Relation::Equal => "==",
            };
            let [left, right] = [part(&c.left), part(&c.right)];
            format!(
                "np.where({left} {sign} {right}, {}, {})",
                part(&c.then),
                part(&c.otherwise)
            )
        }
    }
}

/// Whether a cell's indices lie along these axes, and not crosswise.
fn fits([row, column]: [Index; 2], axes: [Index; 2]) -> bool {
    let along = |index: Index, axis: Index| index == Index::Zero || index == axis;
    along(row, axes[0]) && along(column, axes[1])
}

/// A sum or a maximum along one of the axes: the one that the body has no other use for.
fn reduced(tape: &Tape, method: &str, over: Index, body: &Expr, axes: [Index; 2]) -> String {
    let [row, column] = axes;
    let is_free = |axis: Index| axis == Index::Zero || axis == over || !body.mentions(axis);
    // A sample is a row wherever that is possible.
    let by_column = match (is_free(row), is_free(column)) {
        (true, true) => over != Index::I,
        (_, free) => free,
    };
    let (axis, inner) = match by_column {
        true => (1, [row, over]),
        false => (0, [over, column]),
    };
    let body = array(tape, body, inner);
    format!("{}.{method}(axis={axis}, keepdims=True)", bracketed(body))
}

fn bracketed(text: String) -> String {
    match text.starts_with('(') || text.chars().all(|c| c.is_alphanumeric() || c == '_') {
        true => text,
        false => format!("({text})"),
    }
}

/// A product or quotient inside of another needs brackets to keep its order.
fn factor(text: String) -> String {
    match text.contains(" * ") && !text.starts_with('(') {
        true => format!("({text})"),
        false => text,
    }
}

fn float(x: f64) -> String {
    match x < 0.0 {
        true => format!("({x:?})"),
        false => format!("{x:?}"),
    }
}

fn applied(function: Function, x: &str) -> String {
    match function {
        Function::Exp => format!("np.exp({x})"),
        Function::ExpM1 => format!("np.expm1({x})"),
        Function::Log => format!("np.log({x})"),
        Function::Sqrt => format!("np.sqrt({x})"),
        Function::Square => format!("np.square({x})"),
        Function::Abs => format!("np.abs({x})"),
        Function::Sign => format!("np.sign({x})"),
        Function::Tanh => format!("np.tanh({x})"),
        Function::Sigmoid => format!("(1 / (1 + np.exp(-{}))", bracketed(x.to_owned())) + ")",
        Function::NormalCdf => format!("normal_cdf({x})"),
        Function::NormalDensity => format!("(np.exp(-0.5 * np.square({x})) / np.sqrt(2 * np.pi))"),
    }
}
