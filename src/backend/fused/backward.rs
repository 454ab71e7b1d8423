//! The reverse: dY through activation, dropout and batch norm, then dX from the old weights, then dW, which goes into the optimiser as it is made.

use std::ops::Range;

use super::buffer::Buffer;
use super::rounded::{Rounded, SharedCopies};
use super::{
    Fused, Kernels, PANELS_A_LINE, Saved, Values, apply, by_columns, from_panels, panels, prefetch,
    prefetch_pixels, to_panels,
};
use crate::backend::{Block, Input, Mode, Order, Sink, State};
use crate::gemm::bf16::Pair;
use crate::gemm::kernel::{Kernel, NOTHING, Operand, PANEL, Product, Walk};
use crate::gemm::pack::Line;
use crate::gemm::params::{DEPTH, ROWS, blocks};
use crate::ops::activation::activation_backward;
use crate::ops::batch_norm::batch_norm_backward;
use crate::ops::dropout;
use crate::ops::reduce;
use crate::optim::StepRule;
use crate::threads::SharedSlice;
use crate::threads::team::Member;

/// The most panels of W that are transposed at a time: as many as a kernel takes side by side.
const MOST_SIDE_BY_SIDE: usize = 2;

/// Panels of outputs whose blocks of dW are computed together, so that what a call costs is shared; they and their dY fit the first-level cache.
const TOGETHER: usize = 2;

/// Rows up to which a member keeps its columns of W in the backward. On two threads a step of 16 rows gained an eighth by it, one of 100 rows lost a twentieth.
const FEW_ROWS: usize = 32;

/// A backward under way: what all members share. Every activation is in panels of `rows` rows.
struct Pass<'a> {
    block: &'a Block,
    rows: usize,
    products: Products<'a>,
    dy: SharedSlice<'a>,
    dx: Option<SharedSlice<'a>>,
    saved: &'a Values,
    params: SharedSlice<'a>,
    grads: SharedSlice<'a>,
    m: SharedSlice<'a>,
    v: SharedSlice<'a>,
    mode: Mode,
    /// The pixels of the next batch, if this is the first block.
    ahead: Option<Ahead<'a>>,
    /// The optimiser's rule; without it gradients are stored.
    rule: Option<StepRule<f32>>,
}

/// Samples that the next batch will take.
#[derive(Clone, Copy)]
struct Ahead<'a> {
    data: &'a [u8],
    rows: &'a [u32],
}

/// What the two products multiply, and by which kernel.
#[derive(Clone, Copy)]
struct Operands<'a, E> {
    kernel: Kernel<E>,
    /// X, for sums over rows; the members only read it.
    x: SharedSlice<'a, E>,
    /// dY, for sums over its columns.
    dy_along_columns: SharedSlice<'a, E>,
    /// dY, for sums over its rows.
    dy_along_rows: SharedSlice<'a, E>,
}

enum Products<'a> {
    F32(Operands<'a, f32>),
    /// With dY in bf16, to be made.
    Bf16(Operands<'a, Pair>, SharedCopies<'a>),
}

impl<'a> Products<'a> {
    fn new(
        kernels: &Kernels,
        x: &'a Buffer,
        dy: SharedSlice<'a>,
        rounded: &'a mut Rounded,
    ) -> Self {
        match *kernels {
            Kernels::F32(kernel) => Products::F32(Operands {
                kernel,
                x: SharedSlice::read_only(x),
                dy_along_columns: dy,
                dy_along_rows: dy,
            }),
            Kernels::Bf16(kernel) => {
                let copies = rounded.dy.shared();
                let operands = Operands {
                    kernel,
                    x: rounded.x.read_only().along_rows,
                    dy_along_columns: copies.along_columns,
                    dy_along_rows: copies.along_rows,
                };
                Products::Bf16(operands, copies)
            }
        }
    }
}

impl Fused {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward(
        &self,
        block: &Block,
        x: Input<'_, Buffer, f32>,
        dy: &mut Buffer,
        saved: &mut Saved,
        state: &mut State<Buffer>,
        mut dx: Option<&mut Buffer>,
        mode: Mode,
        sink: Sink<'_>,
    ) {
        let rows = x.rows();
        let outputs = block.outputs;
        if block.activation.is_none() {
            // The gradient of the logits is row-major; their own room is free by now.
            let panels = &mut saved.values.pre[..rows * panels(outputs) * PANEL];
            to_panels(panels, &dy[..rows * outputs], outputs, 0);
            dy[..panels.len()].copy_from_slice(panels);
        }
        let Saved { values, rounded } = saved;
        let dy = SharedSlice::new(dy);
        let ahead = match x {
            Input::Pixels {
                data, next: rows, ..
            } if block.layer == 0 => Some(Ahead { data, rows }),
            _ => None,
        };
        let x = match x {
            Input::Values { buf, .. } if block.layer > 0 => buf,
            _ => &values.input,
        };
        let products = Products::new(&self.kernels, x, dy, rounded);
        let pass = Pass {
            block,
            rows,
            products,
            dy,
            dx: dx.as_deref_mut().map(|dx| SharedSlice::new(dx)),
            saved: values,
            params: SharedSlice::new(&mut state.params),
            grads: SharedSlice::new(&mut state.grads),
            m: SharedSlice::new(&mut state.m),
            v: SharedSlice::new(&mut state.v),
            mode,
            ahead,
            rule: match sink {
                Sink::Store => None,
                Sink::Update { optimizer, step } => Some(optimizer.at(step)),
            },
        };
        self.team.run(|member| pass.run(member));
        if let Some(dx) = dx.filter(|_| block.layer == 0) {
            let panels = dx.clone();
            let inputs = block.inputs;
            from_panels(&mut dx[..rows * inputs], &panels, inputs);
        }
    }
}

impl Pass<'_> {
    fn run(&self, member: Member<'_>) {
        let own = member.share(panels(self.block.outputs));
        own.clone().for_each(|panel| self.through_block(panel));
        match &self.products {
            Products::F32(operands) => self.multiply(member, operands),
            Products::Bf16(operands, dy) => {
                for panel in own.clone() {
                    // SAFETY: panels of this member alone.
                    unsafe { dy.round(panel, self.dy.read(self.part(panel))) };
                }
                self.multiply(member, operands);
            }
        }
        own.for_each(|panel| self.vectors(panel));
    }

    /// Both products, once all of dY is there.
    fn multiply<E: Operand>(&self, member: Member<'_>, operands: &Operands<'_, E>) {
        member.barrier();
        if let Some(dx) = self.dx {
            self.input_gradient(operands, dx, member.share(panels(self.block.inputs)));
            // It has seen all of the old weights; now they may change.
            member.barrier();
        }
        self.weights(operands, member);
    }

    /// Where a panel lies.
    fn part(&self, panel: usize) -> Range<usize> {
        panel * self.rows * PANEL..(panel + 1) * self.rows * PANEL
    }

    /// A panel of dY from the block's output back to the product's.
    fn through_block(&self, panel: usize) {
        let (block, saved) = (self.block, self.saved);
        let part = self.part(panel);
        // SAFETY: a panel of this member alone.
        let dy = unsafe { self.dy.part(part.clone()) };
        if let Some(kind) = block.activation {
            let pre = &saved.pre[part.clone()];
            let dropped = block.mask(self.mode).is_some();
            let factors = dropped.then(|| &saved.mask[part.clone()]);
            match (block.order, factors) {
                (Order::DropoutActivation, Some(factors)) => {
                    activation_backward(kind, dy, pre, &saved.out[part.clone()]);
                    dropout::multiply(dy, factors);
                }
                (Order::ActivationDropout, Some(factors)) => {
                    dropout::multiply(dy, factors);
                    activation_backward(kind, dy, pre, &saved.activated[part.clone()]);
                }
                (_, None) => activation_backward(kind, dy, pre, &saved.out[part.clone()]),
            }
        }
        if let Some(bn) = &block.batch_norm {
            let at = |slice: &Range<usize>| {
                let start = slice.start + panel * PANEL;
                start..start + PANEL
            };
            // SAFETY: a panel of this member alone; parameters are only read before the barriers.
            unsafe {
                batch_norm_backward(
                    dy,
                    self.grads.part(at(&bn.gamma)),
                    self.grads.part(at(&bn.beta)),
                    &saved.x_hat[part],
                    &saved.inv_std[panel * PANEL..(panel + 1) * PANEL],
                    self.params.read(at(&bn.gamma)),
                );
            }
        }
    }

    /// `dX = dY W` for these panels of inputs. W's second index must run along them, so it is transposed on the way, `DEPTH` outputs at a time.
    fn input_gradient<E: Operand>(
        &self,
        operands: &Operands<'_, E>,
        dx: SharedSlice<'_>,
        own: Range<usize>,
    ) {
        let outputs = self.block.outputs;
        let mut packed = [Line::default(); DEPTH * MOST_SIDE_BY_SIDE];
        let together = operands.kernel.side_by_side.min(MOST_SIDE_BY_SIDE);
        for first in own.clone().step_by(together) {
            let count = together.min(own.end - first);
            for (start, depth) in blocks(outputs, DEPTH, PANEL) {
                let k = depth.div_ceil(E::NUMBERS);
                for (p, lines) in packed.chunks_mut(k).take(count).enumerate() {
                    self.pack_weights::<E>(lines, start, first + p, together);
                }
                let panel = self.rows * E::ROW;
                for (row, m) in blocks(self.rows, ROWS, 1) {
                    let dy = start / PANEL * panel + row * E::ROW;
                    let product = Product {
                        m,
                        k,
                        panels: count,
                        a: operands.dy_along_columns.at(dy),
                        walk: Walk::Panels { panel },
                        b: E::of(&packed).as_ptr(),
                        b_row: PANEL,
                        b_panel: k * PANEL,
                        c: dx.at((first * self.rows + row) * PANEL),
                        c_row: PANEL,
                        c_panel: self.rows * PANEL,
                        accumulate: start > 0,
                        beside: NOTHING,
                        beside_panel: 0,
                    };
                    // SAFETY: dY and dX have these panels; nobody writes dY now, and nobody else these panels of dX.
                    unsafe { operands.kernel.run(&product) };
                }
            }
        }
    }

    /// Transposes W from output `start` on, as many as there is room for, in a panel of inputs.
    fn pack_weights<E: Operand>(
        &self,
        lines: &mut [Line],
        start: usize,
        input: usize,
        together: usize,
    ) {
        let inputs = self.block.inputs;
        // SAFETY: between the barriers W is only read.
        let w = unsafe { self.params.read(self.block.weight.clone()) };
        let input = input * PANEL;
        let width = PANEL.min(inputs - input);
        for (q, lines) in lines.chunks_mut(E::ROW).enumerate() {
            let place = ((start / PANEL + q) * inputs + input) * PANEL;
            let w = &w[place..place + width * PANEL];
            // What the next panel of inputs will want: the same outputs, a kilobyte further on.
            prefetch(w.as_ptr().wrapping_add(together * PANEL * PANEL), PANEL);
            // SAFETY: a kernel exists only on processors with AVX2.
            unsafe { E::pack_transposed(lines, w) };
        }
    }

    /// `dW = dYᵀ X`, block by block of 16 inputs × 16 outputs, each used up at once.
    ///
    /// With few rows a step is mostly the reading and writing of weights, and a member has the columns of W that it multiplies in the forward, which its caches may still hold. With many, a member
    /// has some panels of X with all outputs, and needs the others' no more.
    fn weights<E: Operand>(&self, operands: &Operands<'_, E>, member: Member<'_>) {
        let (inputs, outputs) = (panels(self.block.inputs), panels(self.block.outputs));
        let few_rows = self.rows <= FEW_ROWS && by_columns(outputs, &member);
        let (inputs, outputs) = if few_rows || outputs >= inputs {
            (0..inputs, member.share(outputs))
        } else {
            (member.share(inputs), 0..outputs)
        };
        let mut dw = [Line::default(); TOGETHER * PANEL];
        let converts = member.share(panels(self.block.inputs));
        for first in outputs.clone().step_by(TOGETHER) {
            let group = first..outputs.end.min(first + TOGETHER);
            for input in inputs.clone() {
                if group.end == outputs.end && converts.contains(&input) {
                    self.ask_for_pixels(input);
                }
                self.weight_blocks(operands, input, group.clone(), &mut dw);
            }
        }
    }

    /// Asks for the next batch's pixels of a panel of inputs, which this member will convert: samples lie anywhere in memory, and it takes them from 100 cycles to 1000 to come.
    fn ask_for_pixels(&self, input: usize) {
        let first = input.is_multiple_of(PANELS_A_LINE);
        let Some(Ahead { data, rows }) = self.ahead.filter(|_| first) else {
            return;
        };
        for &row in rows {
            let pixel = row as usize * self.block.inputs + input * PANEL;
            prefetch_pixels(&data[pixel..]);
        }
    }

    /// The blocks of dW of a panel of inputs and up to [`TOGETHER`] of outputs.
    fn weight_blocks<E: Operand>(
        &self,
        operands: &Operands<'_, E>,
        input: usize,
        outputs: Range<usize>,
        dw: &mut [Line],
    ) {
        let k = self.rows.div_ceil(E::NUMBERS);
        let inputs = self.block.inputs;
        let m = PANEL.min(inputs - input * PANEL);
        let place = |output: usize| {
            let start = self.block.weight.start + (output * inputs + input * PANEL) * PANEL;
            start..start + m * PANEL
        };
        let product = Product {
            m,
            k,
            panels: outputs.len(),
            a: operands.x.at(input * k * PANEL),
            walk: Walk::Columns { step: PANEL },
            b: operands.dy_along_rows.at(outputs.start * k * PANEL),
            b_row: PANEL,
            b_panel: k * PANEL,
            c: dw.as_mut_ptr().cast(),
            c_row: PANEL,
            c_panel: PANEL * PANEL,
            accumulate: false,
            beside: match self.rule {
                // The optimiser's numbers come from beyond the second-level cache.
                Some(_) => [self.params, self.m, self.v]
                    .map(|buffer| buffer.at(place(outputs.start).start).cast_const()),
                None => NOTHING,
            },
            beside_panel: inputs * PANEL,
        };
        // SAFETY: panels of X and dY, which nobody writes now, and a block of our own for each panel of outputs.
        unsafe { operands.kernel.run(&product) };
        for (output, dw) in outputs.zip(dw.chunks_exact(PANEL)) {
            // SAFETY: m lines of 16 floats.
            let dw = unsafe { std::slice::from_raw_parts(dw.as_ptr().cast(), m * PANEL) };
            match self.rule {
                // SAFETY: a block of W that is this member's alone.
                None => unsafe { self.grads.part(place(output)) }.copy_from_slice(dw),
                Some(_) => self.apply(place(output), dw),
            }
        }
    }

    /// Bias, γ and β of a panel.
    fn vectors(&self, panel: usize) {
        let bias = self.block.bias.start + panel * PANEL;
        // SAFETY: panels of this member alone; dY is only read.
        let (db, dy) = unsafe {
            let db = self.grads.part(bias..bias + PANEL);
            (db, self.dy.read(self.part(panel)))
        };
        db.fill(0.0);
        reduce::add_rows(dy, db);
        if self.rule.is_none() {
            return;
        }
        for vector in self.block.vectors() {
            let start = vector.start + panel * PANEL;
            let place = start..start + PANEL;
            // SAFETY: as above, and written before by this member.
            let g = unsafe { self.grads.part(place.clone()) };
            self.apply(place, g);
        }
    }

    /// The optimiser's step for these parameters.
    fn apply(&self, place: Range<usize>, g: &[f32]) {
        let Some(rule) = &self.rule else { return };
        // SAFETY: parameters of this member alone.
        let (w, m, v) = unsafe {
            (
                self.params.part(place.clone()),
                self.m.part(place.clone()),
                self.v.part(place),
            )
        };
        apply(rule, w, g, m, v);
    }
}
