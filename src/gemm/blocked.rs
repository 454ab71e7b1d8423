//! The loops round the kernels: which operand becomes panels, what is packed, in which blocks.
//!
//! Either operand may be the one in panels.
//! `$C = AB$` has the panels in B, and its vectors along the columns of C; `$C^\top = B^\top A^\top$` has them in A.
//! [`product`] takes the one that moves less memory; the bits are the same.
//!
//! The loops round the micro-kernel, in BLIS's numbering, from the outermost inwards:
//!
//! | loop | over |
//! |---|---|
//! | 4 | blocks of k |
//! | 5 | blocks of panels |
//! | 3 | blocks of rows |
//! | 2 | panels, in the kernel |
//! | 1 | tiles, in the kernel |
//!
//! Loop 4 is never cut between threads: its later blocks go on from the sums of the earlier ones.

use std::cell::RefCell;

use super::kernel::{ALayout, Kernel, KernelCall};
use super::pack::{Line, StridedMatrix, pack, unpack};
use super::params::{DEPTH, PANEL, PANELS, ROWS, THIN, blocks};

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
/// The three matrices have these sizes.
/// C's elements are distinct and overlap neither A nor B, and are initialised if it accumulates.
pub(super) unsafe fn product(
    kernel: Kernel,
    [m, k, n]: [usize; 3],
    a: StridedMatrix,
    b: StridedMatrix,
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
    a: StridedMatrix,
    b: StridedMatrix,
    accumulate: bool,
    c: *mut f32,
    strides: [isize; 2],
}

impl Oriented {
    /// Estimated time, in multiply-adds.
    ///
    /// Whole panels are multiplied.
    /// A copied number counts 4, as it comes from outside the first-level cache, and 8 if it is transposed too.
    fn cost(&self) -> usize {
        let [m, k, n] = self.shape;
        let copied = |stride: isize| if stride == 1 { 4 } else { 8 };
        let a = m * k * copied(self.a.column);
        let b = match self.reads_b_in_place() {
            true => 0,
            false => k * n * copied(self.b.column),
        };
        let c = match self.strides[1] {
            1 => 0,
            _ => m * n * 8,
        };
        m * k * n.next_multiple_of(PANEL) + a + b + c
    }

    fn reads_b_in_place(&self) -> bool {
        self.shape[0] <= THIN && self.b.column == 1 && self.b.row > 0
    }

    /// # Safety
    /// As for [`product`].
    unsafe fn run(&self, scratch: &mut Scratch) {
        let [m, k, n] = self.shape;
        let panels = n.div_ceil(PANEL);
        let Scratch { a, b, c } = scratch;
        for (depth_start, depth) in blocks(k, DEPTH, PANEL) {
            let accumulate = self.accumulate || depth_start > 0;
            let block = |first, panels| CacheBlock {
                depth_start,
                depth,
                first,
                panels,
                accumulate,
            };
            // SAFETY: the blocks lie inside the matrices.
            unsafe {
                if m <= ROWS {
                    // A single block of rows: each panel is used up from the first-level cache, right after packing.
                    let a = self.pack_rows(a, (0, m), (depth_start, depth));
                    for (first, panels) in blocks(panels, self.kernel.side_by_side, 1) {
                        let block = block(first, panels);
                        let b = self.pack_panels(b, &block);
                        self.multiply(a, b, (0, m), &block, c);
                    }
                } else {
                    for (first, panels) in blocks(panels, PANELS, 1) {
                        let block = block(first, panels);
                        let b = self.pack_panels(b, &block);
                        for rows in blocks(m, ROWS, 1) {
                            let a = self.pack_rows(a, rows, (depth_start, depth));
                            self.multiply(a, b, rows, &block, c);
                        }
                    }
                }
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

    /// Columns of a panel of the block: less than 16 only in C's last one.
    fn width(&self, panel: usize) -> usize {
        PANEL.min(self.shape[2] - panel * PANEL)
    }

    /// Packs a block of A into panels, which the kernel reads row by row.
    ///
    /// Even if C has few columns, packing costs less than reading A's rows from many pages and the same cache sets.
    ///
    /// # Safety
    /// The block lies inside A.
    unsafe fn pack_rows(
        &self,
        lines: &mut Vec<Line>,
        (row, rows): (usize, usize),
        (depth_start, depth): (usize, usize),
    ) -> (*const f32, ALayout) {
        let from = self.a.from(row, depth_start);
        let lines = room(lines, depth.div_ceil(PANEL) * rows);
        for (q, lines) in lines.chunks_exact_mut(rows).enumerate() {
            let width = PANEL.min(depth - q * PANEL);
            // SAFETY: a part of A; a kernel exists only on processors with AVX2.
            unsafe { pack(lines, from.from(0, q * PANEL), width) };
        }
        let layout = ALayout::Panels {
            panel: PANEL * rows,
        };
        (lines.as_ptr().cast(), layout)
    }

    /// Where a block of B can be read, and the strides between its rows and panels.
    ///
    /// # Safety
    /// The block lies inside B.
    unsafe fn pack_panels(
        &self,
        lines: &mut Vec<Line>,
        block: &CacheBlock,
    ) -> (*const f32, usize, usize) {
        let last = block.first + block.panels - 1;
        if self.reads_b_in_place() && self.width(last) == PANEL {
            let from = self.b.from(block.depth_start, block.first * PANEL);
            return (from.start, self.b.row as usize, PANEL);
        }
        let lines = room(lines, block.panels * block.depth);
        for (panel, lines) in lines.chunks_exact_mut(block.depth).enumerate() {
            let panel = block.first + panel;
            let from = self.b.from(block.depth_start, panel * PANEL);
            // SAFETY: a part of B; a kernel exists only on processors with AVX2.
            unsafe { pack(lines, from, self.width(panel)) };
        }
        (lines.as_ptr().cast(), PANEL, PANEL * block.depth)
    }

    /// One block: straight into C where its rows are contiguous and panels whole, else through a panel of scratch.
    ///
    /// # Safety
    /// As for [`product`]; the block lies inside the matrices, `a` and `b` are its packed parts.
    unsafe fn multiply(
        &self,
        (a, a_layout): (*const f32, ALayout),
        (b, b_row, b_panel): (*const f32, usize, usize),
        (row, rows): (usize, usize),
        block: &CacheBlock,
        scratch: &mut Vec<Line>,
    ) {
        let [c_row, c_column] = self.strides;
        let at = |panel: usize| {
            let column = (block.first + panel) * PANEL;
            let offset = row as isize * c_row + column as isize * c_column;
            self.c.wrapping_offset(offset)
        };
        let last_width = self.width(block.first + block.panels - 1);
        let direct = match (c_row, c_column) {
            (0.., 1) => block.panels - usize::from(last_width < PANEL),
            _ => 0,
        };
        let whole = KernelCall {
            m: rows,
            k: block.depth,
            panels: direct,
            a,
            a_layout,
            b,
            b_row,
            b_panel,
            c: at(0),
            c_row: c_row as usize,
            c_panel: PANEL,
            accumulate: block.accumulate,
            prefetch: None,
        };
        // SAFETY: the caller's promise; the scratch panel is as large as the rows of the block.
        unsafe {
            if direct > 0 {
                self.kernel.run(&whole);
            }
            for panel in direct..block.panels {
                let width = self.width(block.first + panel);
                let lines = room(scratch, rows);
                if block.accumulate {
                    let from = StridedMatrix {
                        start: at(panel),
                        row: c_row,
                        column: c_column,
                    };
                    pack(lines, from, width);
                }
                self.kernel.run(&KernelCall {
                    panels: 1,
                    b: b.add(panel * b_panel),
                    c: lines.as_mut_ptr().cast(),
                    c_row: PANEL,
                    ..whole
                });
                unpack(lines, at(panel), [c_row, c_column], width);
            }
        }
    }
}

/// Some rows of B in some panels.
struct CacheBlock {
    depth_start: usize,
    depth: usize,
    first: usize,
    panels: usize,
    accumulate: bool,
}
