//! Formulas as JSON, by which the page plugs in numbers: nested lists, an operator first.
//!
//! | list | meaning |
//! |---|---|
//! | `["n", x]`, `["v", symbol, x]` | a number; one with a symbol |
//! | `["c", tensor, row, column]` | a cell; the tensor by its place on the tape, indices `"i"`, `"j"`, `"k"` or 0 |
//! | `["sum", index, count, a]`, `["max", index, count, a]` | over so many values of an index |
//! | `["-", a]`, `["+", a, b]`, `["-", a, b]`, `["*", a, b]`, `["/", a, b]` | arithmetic |
//! | `["exp", a]`, … | a function |
//! | `["if", sign, left, right, then, otherwise]` | a choice |

use serde_json::{Value, json};

use super::text::comparison;
use crate::explain::expression::{Expr, Function, Index};

/// An expression as nested lists.
pub fn value(expr: &Expr) -> Value {
    match expr {
        Expr::Number(x) => json!(["n", x]),
        Expr::Named(symbol, x) => json!(["v", symbol, x]),
        Expr::Cell(id, [row, column]) => json!(["c", id.0, index(*row), index(*column)]),
        Expr::Sum(over, count, a) => json!(["sum", index(*over), count, value(a)]),
        Expr::Max(over, count, a) => json!(["max", index(*over), count, value(a)]),
        Expr::Neg(a) => json!(["-", value(a)]),
        Expr::Add(a, b) => json!(["+", value(a), value(b)]),
        Expr::Sub(a, b) => json!(["-", value(a), value(b)]),
        Expr::Mul(a, b) => json!(["*", value(a), value(b)]),
        Expr::Div(a, b) => json!(["/", value(a), value(b)]),
        Expr::Of(function, a) => json!([name(*function), value(a)]),
        Expr::If(c) => {
            let [left, right] = [value(&c.left), value(&c.right)];
            let sign = comparison(c.comparison);
            json!(["if", sign, left, right, value(&c.then), value(&c.otherwise)])
        }
    }
}

fn index(index: Index) -> Value {
    index.letter().map_or(json!(0), |letter| json!(letter))
}

fn name(function: Function) -> &'static str {
    match function {
        Function::Exp => "exp",
        Function::ExpM1 => "expm1",
        Function::Log => "log",
        Function::Sqrt => "sqrt",
        Function::Square => "square",
        Function::Abs => "abs",
        Function::Sign => "sign",
        Function::Tanh => "tanh",
        Function::Sigmoid => "sigmoid",
        Function::NormalCdf => "normal_cdf",
        Function::NormalDensity => "normal_density",
    }
}
