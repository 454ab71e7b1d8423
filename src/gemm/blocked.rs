//! The loops round the kernels: which operand becomes panels, what is packed, in which blocks.
//!
//! Either operand may play the panels' part: `$C = AB$` has the panels in B and its vectors along the columns of C, `$C^\top = B^\top A^\top$` has them in
//! A. [`product`] takes the one that moves less memory; the bits are the same. Then, in BLIS's numbering of the loops round the micro-kernel:
//!
//! 1. loop 5 over blocks of panels, 2. loop 4 over blocks of k, 3. loop 3 over blocks of rows, and in the kernel 4. loop 2 over panels, 5. loop 1 over tiles.
//!
//! Loop 4 is never cut between threads: its later blocks go on from the sums of the earlier ones.

use std::cell::RefCell;

use super::kernel::{Kernel, PANEL, Product, Walk};
use super::pack::{Line, Source, pack, unpack};
use super::params::{DEPTH, PANELS, ROWS, THIN, blocks};

/// Working memory of a thread, which only grows: after the first products nothing is allocated.
#[derive(Default)]
struct Scratch {
    a: Vec<Line>,
    b: Vec<Line>,
    c: Vec<Line>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn room(lines: &mut Vec<Line>, count: usize) -> &mut [Line] {
    if lines.len() < count {
        lines.resize(count, Line::default());
    }
    &mut lines[..count]
}

/// `C ← AB + βC` for A `[m, k]`, B `[k, n]`, C `[m, n]` with any strides, on the calling thread.
///
/// # Safety
/// The three matrices have these sizes; C's elements are distinct and overlap neither A nor B, and are initialised if it accumulates.
pub(super) unsafe fn product(
    kernel: Kernel,
    [m, k, n]: [usize; 3],
    a: Source,
    b: Source,
    accumulate: bool,
    c: *mut f32,
    [c_row, c_column]: [isize; 2],
) {
    let upright = Oriented {
        kernel,
        shape: [m, k, n],
        a,
        b,
        accumulate,
        c,
        strides: [c_row, c_column],
    };
    let turned = Oriented {
        shape: [n, k, m],
        a: b.transposed(),
        b: a.transposed(),
        strides: [c_column, c_row],
        ..upright
    };
    let chosen = if upright.cost() <= turned.cost() {
        upright
    } else {
        turned
    };
    // SAFETY: the caller's promise; the transposed matrices are the same memory.
    SCRATCH.with_borrow_mut(|scratch| unsafe { chosen.run(scratch) });
}

/// A product whose panels are those of `b`.
#[derive(Clone, Copy)]
struct Oriented {
    kernel: Kernel,
    shape: [usize; 3],
    a: Source,
    b: Source,
    accumulate: bool,
    c: *mut f32,
    strides: [isize; 2],
}

impl Oriented {
    /// Estimated time, in multiply-adds: those of whole panels, 4 for each number copied (it comes from outside the first-level cache), 8 if it is transposed too.
    fn cost(&self) -> usize {
        let [m, k, n] = self.shape;
        let copied = |stride: isize| if stride == 1 { 4 } else { 8 };
        let b = match self.reads_b_in_place() {
            true => 0,
            false => k * n * copied(self.b.column),
        };
        let c = match self.strides[1] {
            1 => 0,
            _ => m * n * 8,
        };
        m * k * n.next_multiple_of(PANEL) + b + c
    }

    fn reads_b_in_place(&self) -> bool {
        self.shape[0] <= THIN && self.b.column == 1 && self.b.row > 0
    }

    /// How the kernel walks through A where it lies; `None` if it has to be packed.
    fn walk_in_place(&self) -> Option<Walk> {
        let [m, _, _] = self.shape;
        match (self.a.row, self.a.column) {
            _ if m > ROWS => None,
            (row @ 0.., 1) => Some(Walk::Rows {
                row: row as usize,
                panel: PANEL,
            }),
            (1, step @ 0..) => Some(Walk::Columns {
                step: step as usize,
            }),
            _ => None,
        }
    }

    /// # Safety
    /// As for [`product`].
    unsafe fn run(&self, scratch: &mut Scratch) {
        let [m, k, n] = self.shape;
        let panels = n.div_ceil(PANEL);
        // With a single block of rows each panel is used up right after it was packed, from the first-level cache.
        let most = if m <= ROWS {
            self.kernel.side_by_side
        } else {
            PANELS
        };
        for (depth_start, depth) in blocks(k, DEPTH, PANEL) {
            let accumulate = self.accumulate || depth_start > 0;
            for (first, panels) in blocks(panels, most, 1) {
                // SAFETY: the block lies inside the matrices.
                unsafe { self.block(scratch, (depth_start, depth), (first, panels), accumulate) };
            }
        }
        if k == 0 && !self.accumulate {
            for i in 0..m as isize {
                for j in 0..n as isize {
                    // SAFETY: an element of C.
                    unsafe { *self.c.offset(i * self.strides[0] + j * self.strides[1]) = 0.0 };
                }
            }
        }
    }

    /// One block of k and of panels: packs B, then goes through the blocks of rows.
    ///
    /// # Safety
    /// As for [`product`], and the block lies inside the matrices.
    unsafe fn block(
        &self,
        scratch: &mut Scratch,
        (depth_start, depth): (usize, usize),
        (first, panels): (usize, usize),
        accumulate: bool,
    ) {
        let [m, _, n] = self.shape;
        let Scratch { a, b, c } = scratch;
        let width = |panel: usize| PANEL.min(n - (first + panel) * PANEL);
        let in_place = self.reads_b_in_place() && width(panels - 1) == PANEL;
        let (b, b_row, b_panel) = if in_place {
            let from = self.b.from(depth_start, first * PANEL);
            (from.start, self.b.row as usize, PANEL)
        } else {
            let lines = room(b, panels * depth);
            for (panel, lines) in lines.chunks_exact_mut(depth).enumerate() {
                let from = self.b.from(depth_start, (first + panel) * PANEL);
                // SAFETY: a part of B; a kernel exists only on processors with AVX2.
                unsafe { pack(lines, from, width(panel)) };
            }
            (lines.as_ptr().cast::<f32>(), PANEL, PANEL * depth)
        };
        for (row, rows) in blocks(m, ROWS, 1) {
            let from = self.a.from(row, depth_start);
            let (a, walk) = match self.walk_in_place() {
                Some(walk) => (from.start, walk),
                None => {
                    let lines = room(a, depth.div_ceil(PANEL) * rows);
                    for (q, lines) in lines.chunks_exact_mut(rows).enumerate() {
                        let width = PANEL.min(depth - q * PANEL);
                        // SAFETY: a part of A.
                        unsafe { pack(lines, from.from(0, q * PANEL), width) };
                    }
                    let walk = Walk::Rows {
                        row: PANEL,
                        panel: PANEL * rows,
                    };
                    (lines.as_ptr().cast(), walk)
                }
            };
            let product = Product {
                m: rows,
                k: depth,
                panels,
                a,
                walk,
                b,
                b_row,
                b_panel,
                c: self.c,
                c_row: 0,
                c_panel: 0,
                accumulate,
            };
            // SAFETY: A and B are as described; C's part as in the caller's promise.
            unsafe { self.to_c(product, c, (row, first), width(panels - 1)) };
        }
    }

    /// Runs a block whose result belongs at this row and panel of C: straight into C where its rows are contiguous and panels whole, else by way of a panel of its own.
    ///
    /// # Safety
    /// As for [`product`]; `product` is right but for C.
    unsafe fn to_c(
        self,
        product: Product,
        scratch: &mut Vec<Line>,
        (row, first): (usize, usize),
        last_width: usize,
    ) {
        let [c_row, c_column] = self.strides;
        let at = |panel: usize| {
            let offset = row as isize * c_row + ((first + panel) * PANEL) as isize * c_column;
            self.c.wrapping_offset(offset)
        };
        let direct = match (c_row, c_column) {
            (0.., 1) => product.panels - usize::from(last_width < PANEL),
            _ => 0,
        };
        // SAFETY: the caller's promise; the scratch panel is as large as the rows of the block.
        unsafe {
            if direct > 0 {
                self.kernel.run(&Product {
                    panels: direct,
                    c: at(0),
                    c_row: c_row as usize,
                    c_panel: PANEL,
                    ..product
                });
            }
            for panel in direct..product.panels {
                let width = match panel + 1 == product.panels {
                    true => last_width,
                    false => PANEL,
                };
                let lines = room(scratch, product.m);
                if product.accumulate {
                    let from = Source {
                        start: at(panel),
                        row: c_row,
                        column: c_column,
                    };
                    pack(lines, from, width);
                }
                self.kernel.run(&Product {
                    panels: 1,
                    b: product.b.add(panel * product.b_panel),
                    c: lines.as_mut_ptr().cast(),
                    c_row: PANEL,
                    c_panel: PANEL,
                    ..product
                });
                unpack(lines, at(panel), [c_row, c_column], width);
            }
        }
    }
}
