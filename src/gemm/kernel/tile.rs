//! The body of every kernel, once, over a vector type. It is inlined into functions that are compiled for their instruction set.

use super::{Operand, PANEL, Product, Walk};

/// A register of f32 lanes that sums are kept in.
///
/// # Safety
/// Callers run on a processor with the type's instruction set.
pub(super) trait Sums: Copy {
    /// Lanes, a divisor of [`PANEL`].
    const LANES: usize;
    unsafe fn zero() -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
}

/// A register of what is multiplied, an operand for each lane of the sums.
///
/// # Safety
/// As for [`Sums`].
pub(super) trait Factors: Copy {
    type Operand: Operand;
    type Sums: Sums;
    /// All lanes from one operand.
    unsafe fn broadcast(from: *const Self::Operand) -> Self;
    unsafe fn load(from: *const Self::Operand) -> Self;
    /// `self · x + sum`, each product of two numbers added with one rounding.
    unsafe fn mul_add(self, x: Self, sum: Self::Sums) -> Self::Sums;
}

/// Tiles of up to `$rows` rows and `$vectors` vectors through all rows of a product, in its panels from `$first` on.
macro_rules! rows_of_tiles {
    ($product:expr, $factors:ty, $first:expr, $vectors:literal, [$($rows:literal)+]) => {{
        let most = [$($rows),+].len();
        let mut row = 0;
        for height in heights($product.m, most) {
            match height {
                $($rows => tile::<$factors, $rows, $vectors>($product, row, $first),)+
                _ => unreachable!("heights are at most {most}"),
            }
            row += height;
        }
    }};
}
pub(super) use rows_of_tiles;

/// Steps of k that are written out one after the other.
const UNROLLED: usize = 4;

/// Computes rows `row..row + ROWS` of the `VECTORS` vectors that begin with panel `panel`.
///
/// # Safety
/// The promise of [`super::Kernel::run`], and rows and vectors inside C.
#[inline(always)]
pub(super) unsafe fn tile<F: Factors, const ROWS: usize, const VECTORS: usize>(
    product: &Product<F::Operand>,
    row: usize,
    panel: usize,
) {
    let &Product {
        k,
        walk,
        b_row,
        b_panel,
        c_row,
        c_panel,
        ..
    } = product;
    // Vector v of the tile: its panel, and its place in it.
    let at =
        |v: usize, panel: usize| v * F::Sums::LANES / PANEL * panel + v * F::Sums::LANES % PANEL;
    // SAFETY: addresses inside A, B and C, by the caller's promise.
    unsafe {
        let mut b = product.b.add(panel * b_panel);
        let c = product.c.add(row * c_row + panel * c_panel);
        let mut sums = [[F::Sums::zero(); VECTORS]; ROWS];
        if product.accumulate {
            for (i, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = F::Sums::load(c.add(i * c_row + at(v, c_panel)));
                }
            }
        }
        match walk {
            Walk::Panels { panel } => {
                let mut a = product.a.add(row * F::Operand::ROW);
                let mut left = k;
                while left > 0 {
                    let steps = left.min(F::Operand::ROW);
                    let mut q = 0;
                    // Four steps at a time save instructions; all of a row at a time and the compiler hoists loads until registers spill.
                    while q + UNROLLED <= steps {
                        for q in q..q + UNROLLED {
                            step::<F, ROWS, VECTORS>(
                                &mut sums,
                                a.add(q),
                                F::Operand::ROW,
                                b,
                                b_panel,
                            );
                            b = b.wrapping_add(b_row);
                        }
                        q += UNROLLED;
                    }
                    for q in q..steps {
                        step::<F, ROWS, VECTORS>(&mut sums, a.add(q), F::Operand::ROW, b, b_panel);
                        b = b.wrapping_add(b_row);
                    }
                    a = a.wrapping_add(panel);
                    left -= steps;
                }
            }
            Walk::Columns { step: a_step } => {
                let mut a = product.a.add(row);
                for _ in 0..k {
                    step::<F, ROWS, VECTORS>(&mut sums, a, 1, b, b_panel);
                    a = a.wrapping_add(a_step);
                    b = b.wrapping_add(b_row);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                sum.store(c.add(i * c_row + at(v, c_panel)));
            }
        }
    }
}

/// One p: the outer product of a column of A and a row of B, added to the tile.
#[inline(always)]
unsafe fn step<F: Factors, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[F::Sums; VECTORS]; ROWS],
    a: *const F::Operand,
    a_row: usize,
    b: *const F::Operand,
    b_panel: usize,
) {
    let lanes = F::Sums::LANES;
    // SAFETY: as for `tile`.
    unsafe {
        let mut row = [F::load(b); VECTORS];
        for (v, row) in row.iter_mut().enumerate().skip(1) {
            *row = F::load(b.add(v * lanes / PANEL * b_panel + v * lanes % PANEL));
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            let a = F::broadcast(a.add(i * a_row));
            for (sum, &b) in sums.iter_mut().zip(&row) {
                *sum = a.mul_add(b, *sum);
            }
        }
    }
}
