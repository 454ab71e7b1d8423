//! A sum over products of two tensors' cells, read as a product of matrices.

use crate::explain::expression::Id;
use crate::explain::expression::{Expr, Index};

/// One factor: a tensor, transposed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Factor {
    pub(super) id: Id,
    pub(super) is_transposed: bool,
}

/// `left right`, a product of matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) left: Factor,
    pub(super) right: Factor,
}

impl Product {
    /// The product that gives a tensor of these axes; `None` if the expression is none.
    pub(super) fn of(expr: &Expr, axes: [Index; 2]) -> Option<Self> {
        let Expr::Sum(over, _, body) = expr else {
            return None;
        };
        let Expr::Mul(a, b) = &**body else {
            return None;
        };
        let (a, b) = (cell(a)?, cell(b)?);
        let [row, column] = axes;
        if row == Index::Zero || column == Index::Zero {
            return None;
        }
        let pair = |a: (Id, [Index; 2]), b: (Id, [Index; 2])| {
            let left = factor(a, [row, *over])?;
            let right = factor(b, [*over, column])?;
            Some(Product { left, right })
        };
        pair(a, b).or_else(|| pair(b, a))
    }
}

fn cell(expr: &Expr) -> Option<(Id, [Index; 2])> {
    match expr {
        Expr::Cell(id, indices) => Some((*id, *indices)),
        _ => None,
    }
}

fn factor((id, [row, column]): (Id, [Index; 2]), axes: [Index; 2]) -> Option<Factor> {
    let is_transposed = [column, row] == axes;
    ([row, column] == axes || is_transposed).then_some(Factor { id, is_transposed })
}
