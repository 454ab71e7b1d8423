//! Formulas as one line of text: `dW1[j,k] = Σᵢ dY1[i,j]·X[i,k]`.

use super::number;
use crate::explain::expression::{Expr, Function, Index, Relation};
use crate::explain::tape::{Node, Tape};

/// How strongly the parts of an expression hold together.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Binding {
    Choice,
    Sum,
    Series,
    Product,
    Factor,
}

/// The formula of a tensor's cells; its name alone if the step starts with it.
pub fn formula(tape: &Tape, node: &Node) -> String {
    let name = cell(&node.name, node.axes);
    match &node.expr {
        Some(expr) => format!("{name} = {}", text(tape, expr, Binding::Choice)),
        None => name,
    }
}

fn cell(name: &str, axes: [Index; 2]) -> String {
    let letters: Vec<&str> = axes.iter().filter_map(|axis| axis.letter()).collect();
    match letters.is_empty() {
        true => name.to_owned(),
        false => format!("{name}[{}]", letters.join(",")),
    }
}

fn subscript(index: Index) -> &'static str {
    match index {
        Index::I => "ᵢ",
        Index::J => "ⱼ",
        Index::K => "ₖ",
        Index::Zero => "",
    }
}

fn text(tape: &Tape, expr: &Expr, around: Binding) -> String {
    let inner = |expr: &Expr, binding| text(tape, expr, binding);
    let (binding, text) = match expr {
        Expr::Number(x) => (Binding::Factor, number(*x)),
        Expr::Named(symbol, _) => (Binding::Factor, (*symbol).to_owned()),
        Expr::Cell(id, axes) => (Binding::Factor, cell(&tape.node(*id).name, *axes)),
        Expr::Sum(index, _, body) => {
            let body = inner(body, Binding::Series);
            (Binding::Series, format!("Σ{} {body}", subscript(*index)))
        }
        Expr::Max(index, _, body) => {
            let body = inner(body, Binding::Series);
            (Binding::Series, format!("max{} {body}", subscript(*index)))
        }
        Expr::Neg(a) => (Binding::Series, format!("−{}", inner(a, Binding::Series))),
        Expr::Add(a, b) => {
            let (a, b) = (inner(a, Binding::Sum), inner(b, Binding::Sum));
            (Binding::Sum, format!("{a} + {b}"))
        }
        Expr::Sub(a, b) => {
            let (a, b) = (inner(a, Binding::Sum), inner(b, Binding::Series));
            (Binding::Sum, format!("{a} − {b}"))
        }
        Expr::Mul(a, b) => {
            let (a, b) = (inner(a, Binding::Product), inner(b, Binding::Product));
            (Binding::Product, format!("{a}·{b}"))
        }
        Expr::Div(a, b) => {
            let (a, b) = (inner(a, Binding::Product), inner(b, Binding::Factor));
            (Binding::Product, format!("{a}/{b}"))
        }
        Expr::Of(function, a) => (
            Binding::Factor,
            applied(*function, &inner(a, Binding::Choice)),
        ),
        Expr::If(choice) => {
            let [left, right, then, otherwise] =
                [&choice.left, &choice.right, &choice.then, &choice.otherwise]
                    .map(|part| inner(part, Binding::Sum));
            let sign = comparison(choice.comparison);
            (
                Binding::Choice,
                format!("{then} if {left} {sign} {right} else {otherwise}"),
            )
        }
    };
    match binding < around {
        true => format!("({text})"),
        false => text,
    }
}

/// The sign of a comparison.
pub(super) fn comparison(comparison: Relation) -> &'static str {
    match comparison {
        Relation::Greater => ">",
        Relation::AtLeast => "≥",
        Relation::Equal => "=",
    }
}

fn applied(function: Function, x: &str) -> String {
    match function {
        Function::Exp => format!("exp({x})"),
        Function::ExpM1 => format!("(exp({x}) − 1)"),
        Function::Log => format!("log({x})"),
        Function::Sqrt => format!("√({x})"),
        Function::Square => format!("({x})²"),
        Function::Abs => format!("|{x}|"),
        Function::Sign => format!("sign({x})"),
        Function::Tanh => format!("tanh({x})"),
        Function::Sigmoid => format!("σ({x})"),
        Function::NormalCdf => format!("Φ({x})"),
        Function::NormalDensity => format!("φ({x})"),
    }
}
