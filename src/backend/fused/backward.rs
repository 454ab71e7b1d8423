//! The reverse: dY through activation, dropout and batch norm, then dX from the old weights, then dW, which goes into the optimiser as it is made.

use std::ops::Range;

use super::buffer::{Buffer, Shared};
use super::{Fused, Saved, UpdateBody, Weights, from_panels, panels, prefetch, to_panels};
use crate::backend::{Block, Input, Mode, Order, Sink, State};
use crate::gemm::kernel::{PANEL, Product, Walk};
use crate::gemm::pack::{Line, Source, pack};
use crate::gemm::params::{DEPTH, ROWS, blocks};
use crate::ops::activation::activation_backward;
use crate::ops::batch_norm::batch_norm_backward;
use crate::ops::dropout;
use crate::ops::reduce;
use crate::optim::StepRule;
use crate::simd;
use crate::simd::team::Member;

/// The most panels of W that are transposed at a time: as many as a kernel takes side by side.
const MOST_SIDE_BY_SIDE: usize = 2;

/// Panels of outputs whose blocks of dW are computed together, so that what a call costs is shared; they and their dY fit the first-level cache.
const TOGETHER: usize = 2;

/// A backward under way: what all members share. Every activation is in panels of `rows` rows.
struct Pass<'a> {
    fused: &'a Fused,
    block: &'a Block,
    rows: usize,
    /// X, which the members only read.
    x: Shared<'a>,
    dy: Shared<'a>,
    dx: Option<Shared<'a>>,
    saved: &'a Saved,
    params: Shared<'a>,
    grads: Shared<'a>,
    m: Shared<'a>,
    v: Shared<'a>,
    mode: Mode,
    /// The optimiser's rule; without it gradients are stored.
    rule: Option<StepRule<f32>>,
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
            let panels = &mut saved.pre[..rows * panels(outputs) * PANEL];
            to_panels(panels, &dy[..rows * outputs], outputs, 0);
            dy[..panels.len()].copy_from_slice(panels);
        }
        let pass = Pass {
            fused: self,
            block,
            rows,
            x: match x {
                Input::Values { buf, .. } if block.layer > 0 => Shared::read_only(buf),
                _ => Shared::read_only(&saved.input),
            },
            dy: Shared::new(dy),
            dx: dx.as_deref_mut().map(|dx| Shared::new(dx)),
            saved,
            params: Shared::new(&mut state.params),
            grads: Shared::new(&mut state.grads),
            m: Shared::new(&mut state.m),
            v: Shared::new(&mut state.v),
            mode,
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
        member.barrier();
        if let Some(dx) = self.dx {
            self.input_gradient(dx, member.share(panels(self.block.inputs)));
            // It has seen all of the old weights; now they may change.
            member.barrier();
        }
        self.weights(member);
        own.for_each(|panel| self.vectors(panel));
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
                    &self.params.all()[at(&bn.gamma)],
                );
            }
        }
    }

    /// `dX = dY W` for these panels of inputs. W's second index must run along them, so it is transposed on the way, `DEPTH` outputs at a time.
    fn input_gradient(&self, dx: Shared<'_>, own: Range<usize>) {
        let &Block {
            inputs, outputs, ..
        } = self.block;
        let panel = self.rows * PANEL;
        let mut packed = [Line::default(); DEPTH * MOST_SIDE_BY_SIDE];
        // SAFETY: between the barriers W is only read.
        let w = unsafe { &self.params.all()[self.block.weight.clone()] };
        let together = self.fused.kernel.side_by_side.min(MOST_SIDE_BY_SIDE);
        for first in own.clone().step_by(together) {
            let count = together.min(own.end - first);
            for (start, depth) in blocks(outputs, DEPTH, PANEL) {
                for (p, lines) in packed.chunks_mut(depth).take(count).enumerate() {
                    let input = (first + p) * PANEL;
                    let width = PANEL.min(inputs - input);
                    for (q, lines) in lines.chunks_mut(PANEL).enumerate() {
                        let place = ((start / PANEL + q) * inputs + input) * PANEL;
                        // What the next panel of inputs will want: the same outputs, a kilobyte further on.
                        prefetch(
                            w[place..].as_ptr().wrapping_add(together * PANEL * PANEL),
                            PANEL,
                        );
                        let from = Source {
                            start: w[place..].as_ptr(),
                            row: 1,
                            column: PANEL as isize,
                        };
                        // SAFETY: a block of 16 outputs (or those that are left) and `width` inputs of W; a kernel exists only on processors with AVX2.
                        unsafe { pack(lines, from, width) };
                    }
                }
                for (row, m) in blocks(self.rows, ROWS, 1) {
                    let product = Product {
                        m,
                        k: depth,
                        panels: count,
                        a: self.dy.at(start / PANEL * panel + row * PANEL),
                        walk: Walk::Rows { row: PANEL, panel },
                        b: packed.as_ptr().cast(),
                        b_row: PANEL,
                        b_panel: depth * PANEL,
                        c: dx.at(first * panel + row * PANEL),
                        c_row: PANEL,
                        c_panel: panel,
                        accumulate: start > 0,
                    };
                    // SAFETY: dY and dX have these panels; nobody writes dY now, and nobody else these panels of dX.
                    unsafe { self.fused.kernel.run(&product) };
                }
            }
        }
    }

    /// `dW = dYᵀ X`, block by block of 16 inputs × 16 outputs, each used up at once. A member has whole rows of such blocks or, where outputs are few, columns.
    fn weights(&self, member: Member<'_>) {
        let (inputs, outputs) = (panels(self.block.inputs), panels(self.block.outputs));
        let (inputs, outputs) = if outputs >= inputs {
            (0..inputs, member.share(outputs))
        } else {
            (member.share(inputs), 0..outputs)
        };
        let mut dw = [Line::default(); TOGETHER * PANEL];
        for first in outputs.clone().step_by(TOGETHER) {
            let group = first..outputs.end.min(first + TOGETHER);
            for input in inputs.clone() {
                self.weight_blocks(input, group.clone(), &mut dw);
            }
        }
    }

    /// The blocks of dW of a panel of inputs and up to [`TOGETHER`] of outputs.
    fn weight_blocks(&self, input: usize, outputs: Range<usize>, dw: &mut [Line]) {
        let inputs = self.block.inputs;
        let m = PANEL.min(inputs - input * PANEL);
        let place = |output: usize| {
            let start = self.block.weight.start + (output * inputs + input * PANEL) * PANEL;
            start..start + m * PANEL
        };
        let product = Product {
            m,
            k: self.rows,
            panels: outputs.len(),
            a: self.x.at(self.part(input).start),
            walk: Walk::Columns { step: PANEL },
            b: self.dy.at(self.part(outputs.start).start),
            b_row: PANEL,
            b_panel: self.rows * PANEL,
            c: dw.as_mut_ptr().cast(),
            c_row: PANEL,
            c_panel: PANEL * PANEL,
            accumulate: false,
        };
        if self.rule.is_some() {
            // The optimiser's numbers come from beyond the second-level cache: they are asked for while the product is still being computed.
            for output in outputs.clone() {
                for buffer in [self.params, self.m, self.v] {
                    prefetch(buffer.at(place(output).start), m);
                }
            }
        }
        // SAFETY: panels of X and dY, which nobody writes now, and a block of our own for each panel of outputs.
        unsafe { self.fused.kernel.run(&product) };
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
            (db, &self.dy.all()[self.part(panel)])
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
        let weights = unsafe {
            Weights {
                w: self.params.part(place.clone()),
                g,
                m: self.m.part(place.clone()),
                v: self.v.part(place),
            }
        };
        simd::dispatch(UpdateBody { rule, weights });
    }
}
