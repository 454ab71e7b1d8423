//! The loops of every kernel, once, over a vector type.
//!
//! They are inlined into functions that are compiled for their instruction set.

use std::ops::Range;
use std::ptr;

use super::Operand;
use super::call::{ALayout, KernelCall};
use crate::gemm::params::PANEL;
use crate::simd::{prefetch, prefetch_to_write};

/// A register of f32 lanes that sums are kept in.
///
/// # Safety
/// Callers run on a processor with the type's instruction set.
pub(super) trait Accumulator: Copy {
    /// Lanes, a divisor of [`PANEL`].
    const LANES: usize;
    unsafe fn zero() -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
}

/// A register of what is multiplied, an operand for each lane of the sums.
///
/// # Safety
/// As for [`Accumulator`].
pub(super) trait Multiplicand: Copy {
    type Operand: Operand;
    type Accumulator: Accumulator;
    /// All lanes from one operand.
    unsafe fn broadcast(from: *const Self::Operand) -> Self;
    unsafe fn load(from: *const Self::Operand) -> Self;
    /// `self · x + sum`, each product of two numbers added with one rounding.
    unsafe fn mul_add(self, x: Self, sum: Self::Accumulator) -> Self::Accumulator;
    /// Runs after each step of k.
    #[inline(always)]
    fn end_step() {}
    /// Runs [`tile`]. Where there are many heights, each becomes a function of its own: one function with all of them
    /// took a fifth of the time in which the crate is compiled.
    #[inline(always)]
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
        call: &KernelCall<Self::Operand>,
        row: usize,
        panel: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe { tile::<Self, ROWS, VECTORS>(call, row, panel) }
    }
}

/// Tiles of up to `$rows` rows and `$vectors` vectors through all rows of a product, in its panels from `$first` on.
macro_rules! rows_of_tiles {
    ($call:expr, $factors:ty, $first:expr, $vectors:literal, [$($rows:literal)+]) => {{
        let most = [$($rows),+].len();
        let mut row = 0;
        for height in heights($call.m, most) {
            match height {
                $($rows => <$factors>::tile::<$rows, $vectors>($call, row, $first),)+
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
pub(super) unsafe fn tile<F: Multiplicand, const ROWS: usize, const VECTORS: usize>(
    call: &KernelCall<F::Operand>,
    row: usize,
    panel: usize,
) {
    let &KernelCall {
        k,
        a_layout,
        b_row,
        b_panel,
        c_row,
        c_panel,
        ..
    } = call;
    // Vector v of the tile: its panel, and its place in it.
    let at = |v: usize, panel: usize| {
        v * F::Accumulator::LANES / PANEL * panel + v * F::Accumulator::LANES % PANEL
    };
    // SAFETY: addresses inside A, B and C, by the caller's promise.
    unsafe {
        let mut b = call.b.add(panel * b_panel);
        let c = call.c.add(row * c_row + panel * c_panel);
        let mut sums = [[F::Accumulator::zero(); VECTORS]; ROWS];
        if call.accumulate {
            for (i, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = F::Accumulator::load(c.add(i * c_row + at(v, c_panel)));
                }
            }
        }
        if c_row != PANEL {
            // Where the matrix is not in panels, each row may be on another page, and stores to it would wait.
            for i in 0..ROWS {
                for v in (0..VECTORS).step_by(PANEL / F::Accumulator::LANES) {
                    prefetch_to_write(c.add(i * c_row + at(v, c_panel)));
                }
            }
        }
        match a_layout {
            ALayout::Panels { panel } => {
                let mut a = call.a.add(row * F::Operand::ROW);
                let mut left = k;
                while left > 0 {
                    let steps = left.min(F::Operand::ROW);
                    let mut q = 0;
                    // Four steps at a time save instructions.
                    // With all of a row at a time the compiler would hoist loads until registers spill.
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
            ALayout::Columns { step: a_step } => {
                let mut a = call.a.add(row);
                let panels = (VECTORS * F::Accumulator::LANES).div_ceil(PANEL);
                let mut prefetches = Prefetches::new(call, row..row + ROWS, panel..panel + panels);
                let mut left = k;
                while left > 0 {
                    prefetches.issue();
                    let steps = left.min(UNROLLED);
                    if steps == UNROLLED {
                        for _ in 0..UNROLLED {
                            step::<F, ROWS, VECTORS>(&mut sums, a, 1, b, b_panel);
                            a = a.wrapping_add(a_step);
                            b = b.wrapping_add(b_row);
                        }
                    } else {
                        for _ in 0..steps {
                            step::<F, ROWS, VECTORS>(&mut sums, a, 1, b, b_panel);
                            a = a.wrapping_add(a_step);
                            b = b.wrapping_add(b_row);
                        }
                    }
                    left -= steps;
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

/// The cache lines of [`KernelCall::prefetch`] that belong to a tile, requested a few at a time.
///
/// A processor can have about 20 requests for lines open at once, and stalls at one more.
struct Prefetches {
    /// The lines of each matrix, a panel after the other.
    from: [*const f32; 3],
    panel: usize,
    rows: usize,
    lines: usize,
    /// Lines of each matrix requested so far, and at a time.
    issued: usize,
    at_a_time: usize,
}

impl Prefetches {
    #[inline(always)]
    fn new<E>(call: &KernelCall<E>, rows: Range<usize>, panels: Range<usize>) -> Self {
        let (from, panel, lines) = match call.prefetch {
            Some(prefetch) => {
                let start = rows.start * PANEL + panels.start * prefetch.panel;
                let from = prefetch.from.map(|from| from.wrapping_add(start));
                (from, prefetch.panel, rows.len() * panels.len())
            }
            None => ([ptr::null(); 3], 0, 0),
        };
        Prefetches {
            from,
            panel,
            rows: rows.len(),
            lines,
            issued: 0,
            at_a_time: lines.div_ceil(call.k.div_ceil(UNROLLED).max(1)),
        }
    }

    #[inline(always)]
    fn issue(&mut self) {
        let until = self.lines.min(self.issued + self.at_a_time);
        for line in self.issued..until {
            let at = line / self.rows * self.panel + line % self.rows * PANEL;
            for from in self.from {
                prefetch(from.wrapping_add(at), 1);
            }
        }
        self.issued = until;
    }
}

/// One p: the outer product of a column of A and a row of B, added to the tile.
#[inline(always)]
unsafe fn step<F: Multiplicand, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[F::Accumulator; VECTORS]; ROWS],
    a: *const F::Operand,
    a_row: usize,
    b: *const F::Operand,
    b_panel: usize,
) {
    let lanes = F::Accumulator::LANES;
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
    F::end_step();
}
