//! Formulas as MathML Core.

use super::number;
use super::product::{Factor, Product};
use super::text::comparison;
use crate::explain::expression::{Expr, Function, Index};
use crate::explain::symbol::Symbol;
use crate::explain::tape::{Node, Tape};

/// The formula of a tensor's cells; its symbol alone if the step starts with it.
pub fn formula(tape: &Tape, node: &Node) -> String {
    let left = symbol(&node.name, node.axes);
    let body = match &node.expr {
        Some(expr) => format!("{left}<mo>=</mo>{}", math(tape, expr, 0)),
        None => left,
    };
    format!("<math displaystyle=\"true\">{body}</math>")
}

/// The same as a product of matrices, if it is one, with shapes: dW⁽¹⁾ = dY⁽¹⁾ᵀ X.
pub fn matrices(tape: &Tape, node: &Node) -> Option<String> {
    let expr = node.expr.as_ref()?;
    let (product, bias) = match expr {
        Expr::Add(product, bias) => match &**bias {
            Expr::Cell(id, [Index::Zero, _]) => (product, Some(*id)),
            _ => return None,
        },
        Expr::Sum(..) => (&Box::new(expr.clone()), None),
        _ => return None,
    };
    let product = Product::of(product, node.axes)?;
    let no_axes = [Index::Zero; 2];
    let factor = |f: Factor| {
        let symbol = symbol(&tape.node(f.id).name, no_axes);
        match f.is_transposed {
            true => format!("<msup><mrow>{symbol}</mrow><mi>⊤</mi></msup>"),
            false => symbol,
        }
    };
    let mut text = format!(
        "{}<mo>=</mo>{}<mspace width=\"0.2em\"/>{}",
        symbol(&node.name, no_axes),
        factor(product.left),
        factor(product.right)
    );
    if let Some(bias) = bias {
        text += &format!("<mo>+</mo>{}", symbol(&tape.node(bias).name, no_axes));
    }
    Some(format!("<math>{text}</math>"))
}

/// A tensor's symbol alone.
pub fn name(name: &str) -> String {
    format!("<math>{}</math>", symbol(name, [Index::Zero; 2]))
}

fn symbol(name: &str, axes: [Index; 2]) -> String {
    let s = Symbol::of(name);
    let upright = s.letter.chars().count() > 2;
    let letter = match upright {
        true => format!("<mi>{}</mi>", s.letter),
        false => format!("<mi mathvariant=\"normal\">{}</mi>", s.letter),
    };
    let member = (s.member).map(|member| format!("<mi>m</mi><mn>{member}</mn>"));
    let layer = s.layer.map(|layer| format!("<mn>{layer}</mn>"));
    let owner: Vec<String> = layer.into_iter().chain(member).collect();
    let owner = match owner.is_empty() {
        true => String::new(),
        false => format!("<mo>(</mo>{}<mo>)</mo>", owner.join("<mo>,</mo>")),
    };
    let prime = if s.is_new { "<mo>′</mo>" } else { "" };
    let d = if s.is_gradient {
        "<mi mathvariant=\"normal\">d</mi>"
    } else {
        ""
    };
    let indices: String = axes
        .iter()
        .filter_map(|axis| axis.letter())
        .map(|l| format!("<mi>{l}</mi>"))
        .collect();
    let (base, above) = match s.of_optimizer {
        Some(kept) => (
            format!("<mi>{kept}</mi>"),
            format!("{d}{letter}{owner}{prime}"),
        ),
        None => (letter, format!("{owner}{prime}")),
    };
    let d = if s.of_optimizer.is_some() { "" } else { d };
    let scripted = match (indices.is_empty(), above.is_empty()) {
        (true, true) => base,
        (true, false) => format!("<msup>{base}<mrow>{above}</mrow></msup>"),
        (false, true) => format!("<msub>{base}<mrow>{indices}</mrow></msub>"),
        (false, false) => {
            format!("<msubsup>{base}<mrow>{indices}</mrow><mrow>{above}</mrow></msubsup>")
        }
    };
    format!("{d}{scripted}")
}

/// How strongly an expression holds together: 1 a sum, 2 a series or a sign, 3 a product, 4 a factor.
fn binding(expr: &Expr) -> u8 {
    match expr {
        Expr::If(_) => 0,
        Expr::Add(..) | Expr::Sub(..) => 1,
        Expr::Sum(..) | Expr::Max(..) | Expr::Neg(_) => 2,
        Expr::Mul(..) => 3,
        Expr::Of(Function::ExpM1, _) => 1,
        _ => 4,
    }
}

fn math(tape: &Tape, expr: &Expr, around: u8) -> String {
    let inner = |expr: &Expr, around| math(tape, expr, around);
    let text = match expr {
        Expr::Number(x) => numeral(*x),
        Expr::Named(symbol, _) => format!("<mi>{symbol}</mi>"),
        Expr::Cell(id, axes) => symbol(&tape.node(*id).name, *axes),
        Expr::Sum(index, _, a) => series("<mo>∑</mo>", *index, &inner(a, 2)),
        Expr::Max(index, _, a) => series("<mo>max</mo>", *index, &inner(a, 2)),
        Expr::Neg(a) => format!("<mo>−</mo>{}", inner(a, 2)),
        Expr::Add(a, b) => format!("{}<mo>+</mo>{}", inner(a, 1), inner(b, 1)),
        Expr::Sub(a, b) => format!("{}<mo>−</mo>{}", inner(a, 1), inner(b, 2)),
        Expr::Mul(a, b) => format!("{}<mspace width=\"0.17em\"/>{}", inner(a, 3), inner(b, 3)),
        Expr::Div(a, b) => {
            format!(
                "<mfrac><mrow>{}</mrow><mrow>{}</mrow></mfrac>",
                inner(a, 0),
                inner(b, 0)
            )
        }
        Expr::Of(function, a) => applied(*function, &inner(a, 0)),
        Expr::If(c) => {
            let condition = format!(
                "{}<mo>{}</mo>{}",
                inner(&c.left, 1),
                comparison(c.comparison).replace('>', "&gt;"),
                inner(&c.right, 1)
            );
            format!(
                "<mrow><mo>{{</mo><mtable><mtr><mtd><mrow>{}</mrow></mtd><mtd><mtext>if </mtext>{condition}</mtd></mtr>\
                 <mtr><mtd><mrow>{}</mrow></mtd><mtd><mtext>else</mtext></mtd></mtr></mtable></mrow>",
                inner(&c.then, 0),
                inner(&c.otherwise, 0)
            )
        }
    };
    let text = format!("<mrow>{text}</mrow>");
    match binding(expr) < around {
        true => format!("<mrow><mo>(</mo>{text}<mo>)</mo></mrow>"),
        false => text,
    }
}

fn series(operator: &str, index: Index, body: &str) -> String {
    let letter = index.letter().unwrap_or_default();
    format!("<munder>{operator}<mi>{letter}</mi></munder>{body}")
}

fn numeral(x: f64) -> String {
    match x < 0.0 {
        true => format!("<mo>−</mo><mn>{}</mn>", number(-x)),
        false => format!("<mn>{}</mn>", number(x)),
    }
}

fn applied(function: Function, x: &str) -> String {
    let named =
        |name: &str| format!("<mi>{name}</mi><mo>⁡</mo><mrow><mo>(</mo>{x}<mo>)</mo></mrow>");
    match function {
        Function::Exp => format!("<msup><mi>e</mi><mrow>{x}</mrow></msup>"),
        Function::ExpM1 => format!("<msup><mi>e</mi><mrow>{x}</mrow></msup><mo>−</mo><mn>1</mn>"),
        Function::Log => named("log"),
        Function::Sqrt => format!("<msqrt>{x}</msqrt>"),
        Function::Square => format!("<msup><mrow><mo>(</mo>{x}<mo>)</mo></mrow><mn>2</mn></msup>"),
        Function::Abs => format!("<mrow><mo>|</mo>{x}<mo>|</mo></mrow>"),
        Function::Sign => named("sign"),
        Function::Tanh => named("tanh"),
        Function::Sigmoid => named("σ"),
        Function::NormalCdf => named("Φ"),
        Function::NormalDensity => named("φ"),
    }
}
