//! The body of every kernel, once, over a vector type. It is inlined into functions that are compiled for their instruction set.

use super::{PANEL, Product, Walk};

/// A register of f32 lanes.
///
/// # Safety
/// Callers run on a processor with the type's instruction set.
pub(super) trait Vector: Copy {
    /// Lanes, a divisor of [`PANEL`].
    const LANES: usize;
    unsafe fn zero() -> Self;
    /// All lanes from one number.
    unsafe fn broadcast(from: *const f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self · x + sum`, rounded once.
    unsafe fn mul_add(self, x: Self, sum: Self) -> Self;
}

/// Tiles of up to `$rows` rows and `$vectors` vectors through all rows of a product, in its panels from `$first` on.
macro_rules! rows_of_tiles {
    ($product:expr, $vector:ty, $first:expr, $vectors:literal, [$($rows:literal)+]) => {{
        let most = [$($rows),+].len();
        let mut row = 0;
        for height in heights($product.m, most) {
            match height {
                $($rows => tile::<$vector, $rows, $vectors>($product, row, $first),)+
                _ => unreachable!("heights are at most {most}"),
            }
            row += height;
        }
    }};
}
pub(super) use rows_of_tiles;

/// Computes rows `row..row + ROWS` of the `VECTORS` vectors that begin with panel `panel`.
///
/// # Safety
/// The promise of [`super::Kernel::run`], and rows and vectors inside C.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(
    product: &Product,
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
    let at = |v: usize, panel: usize| v * V::LANES / PANEL * panel + v * V::LANES % PANEL;
    // SAFETY: addresses inside A, B and C, by the caller's promise.
    unsafe {
        let mut b = product.b.add(panel * b_panel);
        let c = product.c.add(row * c_row + panel * c_panel);
        let mut sums = [[V::zero(); VECTORS]; ROWS];
        if product.accumulate {
            for (i, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(c.add(i * c_row + at(v, c_panel)));
                }
            }
        }
        match walk {
            Walk::Rows { row: a_row, panel } => {
                let mut a = product.a.add(row * a_row);
                for _ in 0..k / PANEL {
                    for q in 0..PANEL {
                        step::<V, ROWS, VECTORS>(&mut sums, a.add(q), a_row, b, b_panel);
                        b = b.add(b_row);
                    }
                    a = a.add(panel);
                }
                for q in 0..k % PANEL {
                    step::<V, ROWS, VECTORS>(&mut sums, a.add(q), a_row, b, b_panel);
                    b = b.add(b_row);
                }
            }
            Walk::Columns { step: a_step } => {
                let mut a = product.a.add(row);
                for _ in 0..k {
                    step::<V, ROWS, VECTORS>(&mut sums, a, 1, b, b_panel);
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
unsafe fn step<V: Vector, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[V; VECTORS]; ROWS],
    a: *const f32,
    a_row: usize,
    b: *const f32,
    b_panel: usize,
) {
    // SAFETY: as for `tile`.
    unsafe {
        let mut row = [V::zero(); VECTORS];
        for (v, row) in row.iter_mut().enumerate() {
            *row = V::load(b.add(v * V::LANES / PANEL * b_panel + v * V::LANES % PANEL));
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            let a = V::broadcast(a.add(i * a_row));
            for (sum, &b) in sums.iter_mut().zip(&row) {
                *sum = a.mul_add(b, *sum);
            }
        }
    }
}
