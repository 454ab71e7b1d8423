//! The formula of one cell, as data: it is computed, printed, plugged in with numbers, and written as numpy.
//!
//! Indices have fixed meanings, as in the docs of [`ops`](crate::ops): i is a sample, j a unit that a layer computes, k
//! a unit that it reads. Where a sum needs another index over the same range, it takes one that the cell does not use.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A tensor's place on a [tape](super::tape).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub(super) usize);

impl Id {
    /// Its cell in this row and column.
    pub fn at(self, row: Index, column: Index) -> Expr {
        Expr::Cell(self, [row, column])
    }
}

/// Tensors whose cells a formula reads.
pub(super) trait Cells {
    /// The number in this row and column.
    fn cell(&self, id: Id, row: usize, column: usize) -> f64;
}

/// An index of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// A sample.
    I,
    /// A unit that a layer computes.
    J,
    /// A unit that a layer reads.
    K,
    /// The only place along this axis.
    Zero,
}

impl Index {
    /// Its letter; `None` for the only place.
    pub fn letter(self) -> Option<&'static str> {
        match self {
            Index::I => Some("i"),
            Index::J => Some("j"),
            Index::K => Some("k"),
            Index::Zero => None,
        }
    }
}

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// eˣ
    Exp,
    /// eˣ − 1
    ExpM1,
    /// The natural logarithm.
    Log,
    /// √x
    Sqrt,
    /// x²
    Square,
    /// |x|
    Abs,
    /// −1, 0 or 1.
    Sign,
    /// tanh x
    Tanh,
    /// 1/(1 + e⁻ˣ)
    Sigmoid,
    /// Φ(x) = ½(1 + erf(x/√2))
    NormalCdf,
    /// φ(x) = e^(−x²/2)/√(2π)
    NormalDensity,
}

impl Function {
    /// Its value.
    pub fn of(self, x: f64) -> f64 {
        match self {
            Function::Exp => libm::exp(x),
            Function::ExpM1 => libm::expm1(x),
            Function::Log => libm::log(x),
            Function::Sqrt => x.sqrt(),
            Function::Square => x * x,
            Function::Abs => x.abs(),
            Function::Sign if x == 0.0 => 0.0,
            Function::Sign => x.signum(),
            Function::Tanh => libm::tanh(x),
            Function::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
            Function::NormalCdf => 0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Function::NormalDensity => {
                libm::exp(-0.5 * x * x) / (2.0 * std::f64::consts::PI).sqrt()
            }
        }
    }
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// >
    Greater,
    /// ≥
    AtLeast,
    /// =
    Equal,
}

impl Relation {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Relation::Greater => left > right,
            Relation::AtLeast => left >= right,
            Relation::Equal => left == right,
        }
    }
}

/// One of two expressions.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What is compared.
    pub left: Expr,
    /// How.
    pub comparison: Relation,
    /// With what.
    pub right: Expr,
    /// If it holds.
    pub then: Expr,
    /// If not.
    pub otherwise: Expr,
}

/// The formula of one cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A number.
    Number(f64),
    /// A number with a symbol: n, ε, η.
    Named(&'static str, f64),
    /// A cell of a tensor.
    Cell(Id, [Index; 2]),
    /// The sum over so many values of an index, in ascending order.
    Sum(Index, usize, Box<Expr>),
    /// The largest of so many values.
    Max(Index, usize, Box<Expr>),
    /// −a
    Neg(Box<Expr>),
    /// a + b
    Add(Box<Expr>, Box<Expr>),
    /// a − b
    Sub(Box<Expr>, Box<Expr>),
    /// a b
    Mul(Box<Expr>, Box<Expr>),
    /// a / b
    Div(Box<Expr>, Box<Expr>),
    /// f(a)
    Of(Function, Box<Expr>),
    /// One of two.
    If(Box<Choice>),
}

/// Σ over `count` values of an index.
pub fn sum(index: Index, count: usize, body: Expr) -> Expr {
    Expr::Sum(index, count, Box::new(body))
}

/// The largest of `count` values.
pub fn max(index: Index, count: usize, body: Expr) -> Expr {
    Expr::Max(index, count, Box::new(body))
}

/// f(x)
pub fn of(function: Function, x: Expr) -> Expr {
    Expr::Of(function, Box::new(x))
}

/// `then` where the comparison holds, else `otherwise`.
pub fn choose(
    left: Expr,
    comparison: Relation,
    right: impl Into<Expr>,
    then: impl Into<Expr>,
    otherwise: impl Into<Expr>,
) -> Expr {
    Expr::If(Box::new(Choice {
        left,
        comparison,
        right: right.into(),
        then: then.into(),
        otherwise: otherwise.into(),
    }))
}

impl From<f64> for Expr {
    fn from(x: f64) -> Self {
        Expr::Number(x)
    }
}

/// An operator on expressions and numbers.
macro_rules! operator {
    ($operator:ident, $method:ident) => {
        impl<E: Into<Expr>> $operator<E> for Expr {
            type Output = Expr;
            fn $method(self, other: E) -> Expr {
                Expr::$operator(Box::new(self), Box::new(other.into()))
            }
        }
        impl $operator<Expr> for f64 {
            type Output = Expr;
            fn $method(self, other: Expr) -> Expr {
                Expr::$operator(Box::new(self.into()), Box::new(other))
            }
        }
    };
}
operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);

impl Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        Expr::Neg(Box::new(self))
    }
}

/// Where an expression is computed: the tensors before it, the indices, and which way its choices went.
pub(super) struct Cursor<'a> {
    tensors: &'a dyn Cells,
    indices: [usize; 3],
    /// A hash of which way all choices went: two points with different ones have a kink between them.
    pub(super) choices: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tensors: &'a dyn Cells) -> Self {
        Cursor {
            tensors,
            indices: [0; 3],
            choices: 0,
        }
    }

    /// Sets the indices to a cell of a tensor with these axes.
    pub(super) fn go_to(&mut self, axes: [Index; 2], cell: [usize; 2]) {
        for (axis, at) in axes.into_iter().zip(cell) {
            self.set(axis, at);
        }
    }

    fn set(&mut self, index: Index, at: usize) {
        if index != Index::Zero {
            self.indices[index as usize] = at;
        }
    }

    fn get(&self, index: Index) -> usize {
        match index {
            Index::Zero => 0,
            index => self.indices[index as usize],
        }
    }

    /// Calls `body` with each of `count` values of an index, which then has its old value again.
    fn for_each(&mut self, index: Index, count: usize, mut body: impl FnMut(&mut Self, usize)) {
        let before = self.get(index);
        for q in 0..count {
            self.set(index, q);
            body(self, q);
        }
        self.set(index, before);
    }

    fn chose(&mut self, way: usize) {
        self.choices =
            (self.choices.rotate_left(7) ^ way as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Expr {
    /// Its value.
    pub(super) fn value(&self, at: &mut Cursor<'_>) -> f64 {
        match self {
            Expr::Number(x) | Expr::Named(_, x) => *x,
            Expr::Cell(id, [row, column]) => at.tensors.cell(*id, at.get(*row), at.get(*column)),
            Expr::Sum(index, count, body) => {
                let mut sum = 0.0;
                at.for_each(*index, *count, |at, _| sum += body.value(at));
                sum
            }
            Expr::Max(index, count, body) => {
                let (mut best, mut largest) = (0, f64::NEG_INFINITY);
                at.for_each(*index, *count, |at, q| {
                    let x = body.value(at);
                    if x > largest || x.is_nan() {
                        (best, largest) = (q, x);
                    }
                });
                at.chose(best + 1);
                largest
            }
            Expr::Neg(a) => -a.value(at),
            Expr::Add(a, b) => a.value(at) + b.value(at),
            Expr::Sub(a, b) => a.value(at) - b.value(at),
            Expr::Mul(a, b) => a.value(at) * b.value(at),
            Expr::Div(a, b) => a.value(at) / b.value(at),
            Expr::Of(function, a) => {
                let x = a.value(at);
                if matches!(function, Function::Abs | Function::Sign) {
                    at.chose(1 + usize::from(x > 0.0) + 2 * usize::from(x < 0.0));
                }
                function.of(x)
            }
            Expr::If(choice) => {
                let holds =
                    (choice.comparison).holds(choice.left.value(at), choice.right.value(at));
                at.chose(1 + usize::from(holds));
                match holds {
                    true => choice.then.value(at),
                    false => choice.otherwise.value(at),
                }
            }
        }
    }

    /// The same with every term counted as positive: how large the numbers are whose rounding its value carries.
    pub(super) fn magnitude(&self, at: &mut Cursor<'_>) -> f64 {
        match self {
            Expr::Neg(a) => a.magnitude(at),
            Expr::Add(a, b) | Expr::Sub(a, b) => a.magnitude(at) + b.magnitude(at),
            Expr::Mul(a, b) => a.magnitude(at) * b.magnitude(at),
            Expr::Div(a, b) => a.magnitude(at) / b.value(at).abs(),
            Expr::Sum(index, count, body) => {
                let mut sum = 0.0;
                at.for_each(*index, *count, |at, _| sum += body.magnitude(at));
                sum
            }
            Expr::Of(Function::Square, a) => {
                let size = a.magnitude(at);
                size * size
            }
            // 1 + erf(x), where the second is nearly −1.
            Expr::Of(Function::NormalCdf, _) => 1.0,
            // What is added to a number adds to its logarithm, relative to the number.
            Expr::Of(Function::Log, a) => {
                self.value(at).abs() + a.magnitude(at) / a.value(at).abs()
            }
            _ => self.value(at).abs(),
        }
    }

    /// Its parts, from left to right.
    pub(super) fn parts(&self) -> Vec<&Expr> {
        match self {
            Expr::Number(_) | Expr::Named(..) | Expr::Cell(..) => Vec::new(),
            Expr::Sum(_, _, a) | Expr::Max(_, _, a) | Expr::Neg(a) | Expr::Of(_, a) => vec![a],
            Expr::Add(a, b) | Expr::Sub(a, b) | Expr::Mul(a, b) | Expr::Div(a, b) => vec![a, b],
            Expr::If(c) => vec![&c.left, &c.right, &c.then, &c.otherwise],
        }
    }

    /// The tensors that it reads, each once.
    pub fn reads(&self) -> Vec<Id> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found.sort_unstable();
        found.dedup();
        found
    }

    fn collect(&self, found: &mut Vec<Id>) {
        if let Expr::Cell(id, _) = self {
            found.push(*id);
        }
        for part in self.parts() {
            part.collect(found);
        }
    }

    /// Whether a cell in it has this index, which no sum in it binds.
    pub(super) fn mentions(&self, index: Index) -> bool {
        match self {
            Expr::Cell(_, indices) => indices.contains(&index),
            Expr::Sum(bound, ..) | Expr::Max(bound, ..) if *bound == index => false,
            _ => self.parts().into_iter().any(|part| part.mentions(index)),
        }
    }
}
