//! `Y = activation(dropout(batch_norm(X Wᵀ + b)))`: each member of the team makes its own panels of Y.

use std::ops::Range;

use super::buffer::Buffer;
use super::engine::{Fused, PanelKernels};
use super::input::convert;
use super::layout::{by_columns, from_panels, panels};
use super::products::BlockProducts;
use super::rounded::SharedCopies;
use super::saved::{FusedSaved, SavedValues};
use crate::backend::{Block, Hidden, Input, Mode, Order, Source, State};
use crate::gemm::{PANEL, Pair};
use crate::ops::activation::activation_forward;
use crate::ops::batch_norm::{batch_norm_evaluate, batch_norm_forward};
use crate::ops::dropout::{self, Mask};
use crate::ops::linear::add_bias;
use crate::ops::member_scale::scale_weights;
use crate::threads::SharedSlice;
use crate::threads::team::Member;

/// What all members share during a forward. Every buffer is in panels of `rows` rows.
struct ForwardPass<'a> {
    block: &'a Block,
    rows: usize,
    /// X.
    x: SharedSlice<'a>,
    products: ForwardProducts<'a>,
    params: &'a [f32],
    /// W.
    weights: SharedSlice<'a>,
    running: SharedSlice<'a>,
    saved: SharedValues<'a>,
    mode: Mode,
}

/// What multiplies.
enum ForwardProducts<'a> {
    F32(BlockProducts<f32>),
    /// With X in bf16, to be made.
    Bf16(BlockProducts<Pair>, SharedCopies<'a>),
}

/// [`SavedValues`] that the members of a team share.
struct SharedValues<'a> {
    x_hat: SharedSlice<'a>,
    inv_std: SharedSlice<'a>,
    mask: SharedSlice<'a>,
    pre: SharedSlice<'a>,
    activated: SharedSlice<'a>,
    out: SharedSlice<'a>,
}

impl Fused {
    pub(super) fn forward(
        &self,
        block: &Block,
        x: Input<'_, Buffer, f32>,
        state: &mut State<Buffer>,
        saved: &mut FusedSaved,
        mode: Mode,
    ) {
        let rows = x.rows();
        let (first, kept) = (block.is_first(), block.source == Source::Kept);
        let FusedSaved {
            values, rounded, ..
        } = saved;
        let SavedValues {
            input,
            x_hat,
            inv_std,
            mask,
            scaled,
            pre,
            activated,
            out,
        } = values;
        let converted = SharedSlice::new(input);
        let pass = ForwardPass {
            block,
            rows,
            x: match x {
                Input::Values { buf, .. } if !first => SharedSlice::read_only(buf),
                _ => converted,
            },
            products: match self.kernels {
                PanelKernels::F32(kernel) => ForwardProducts::F32(block.products(kernel, rows)),
                PanelKernels::Bf16(kernel) => {
                    ForwardProducts::Bf16(block.products(kernel, rows), rounded.x.shared())
                }
            },
            params: &state.params,
            weights: match block.scale {
                Some(_) => SharedSlice::new(scaled),
                None => SharedSlice::read_only(&state.params[block.linear.weight.clone()]),
            },
            running: SharedSlice::new(&mut state.running),
            saved: SharedValues {
                x_hat: SharedSlice::new(x_hat),
                inv_std: SharedSlice::new(inv_std),
                mask: SharedSlice::new(mask),
                pre: SharedSlice::new(pre),
                activated: SharedSlice::new(activated),
                out: SharedSlice::new(out),
            },
            mode,
        };
        self.team().run(|member| {
            if let Some(scale) = &block.scale {
                pass.scale(
                    &pass.params[scale.clone()],
                    member.share(panels(block.outputs)),
                );
            }
            let own = member.share(panels(block.inputs));
            if first && !kept {
                let part = pass.part(&own);
                // SAFETY: the members' panels do not overlap.
                convert(x, block.inputs, own.clone(), unsafe {
                    converted.part(part)
                });
            }
            let rounds = match &pass.products {
                ForwardProducts::Bf16(_, copies) if !kept => {
                    // SAFETY: panels of this member alone. This member wrote those of X, or no member writes them.
                    own.for_each(|p| unsafe { copies.round(p, pass.x.read(pass.panel(p))) });
                    true
                }
                ForwardProducts::F32(_) | ForwardProducts::Bf16(..) => false,
            };
            // Of a scaled W a member that has all rows reads only what it wrote.
            let shares_w = block.scale.is_some() && !by_columns(panels(block.outputs), &member);
            if (first && !kept) || rounds || shares_w {
                member.barrier();
            }
            pass.run(member);
        });
        if block.is_output() {
            from_panels(
                &mut out[..rows * block.outputs],
                &pre[..rows * panels(block.outputs) * PANEL],
                block.outputs,
            );
        }
    }
}

impl ForwardPass<'_> {
    fn run(&self, member: Member<'_>) {
        let block = self.block;
        let all = panels(block.outputs);
        let own = member.share(all);
        // Batch norm's input goes where the block's output will be.
        // Without batch norm the product is the activation's input already.
        let z = match block.batch_norm() {
            Some(_) => self.saved.out,
            None => self.saved.pre,
        };
        if by_columns(all, &member) {
            self.multiply(z, 0..self.rows, own.clone());
        } else {
            let rows = member.share(self.rows);
            self.multiply(z, rows.clone(), 0..all);
            if block.is_output() {
                (0..all).for_each(|panel| self.add_bias(z, &rows, panel));
                return;
            }
            member.barrier();
        }
        if own.is_empty() {
            return;
        }
        for panel in own.clone() {
            self.add_bias(z, &(0..self.rows), panel);
            self.normalise(panel);
        }
        if let Some(hidden) = block.hidden() {
            self.drop_and_activate(hidden, own);
        }
    }

    /// Scales these panels of W.
    fn scale(&self, r: &[f32], own: Range<usize>) {
        let panel = self.block.inputs * PANEL;
        let part = own.start * panel..own.end * panel;
        let w = &self.params[self.block.linear.weight.clone()][part.clone()];
        // SAFETY: panels of this member alone.
        scale_weights::<_, PANEL>(unsafe { self.weights.part(part) }, w, r);
    }

    /// Where these panels lie.
    fn part(&self, own: &Range<usize>) -> Range<usize> {
        own.start * self.rows * PANEL..own.end * self.rows * PANEL
    }

    /// Where a panel lies.
    fn panel(&self, panel: usize) -> Range<usize> {
        self.part(&(panel..panel + 1))
    }

    /// `Z = X Wᵀ` for these rows and panels.
    fn multiply(&self, z: SharedSlice<'_>, rows: Range<usize>, own: Range<usize>) {
        // SAFETY: X and these panels of W are complete, and no member writes them; rows and panels are this member's.
        unsafe {
            match &self.products {
                ForwardProducts::F32(products) => {
                    products.forward(self.x, self.weights, z, rows, own);
                }
                ForwardProducts::Bf16(products, x) => {
                    products.forward(x.along_columns, self.weights, z, rows, own);
                }
            }
        }
    }

    /// Adds the bias to these rows of a panel of Z.
    fn add_bias(&self, z: SharedSlice<'_>, rows: &Range<usize>, panel: usize) {
        let bias = &self.params[self.block.linear.bias.start + panel * PANEL..][..PANEL];
        let start = panel * self.rows;
        let part = (start + rows.start) * PANEL..(start + rows.end) * PANEL;
        // SAFETY: this member multiplied these rows of the panel, or the barrier is behind us and the panel its own.
        add_bias(unsafe { z.part(part) }, bias);
    }

    /// The batch norm of a panel, if the block has one.
    fn normalise(&self, panel: usize) {
        let Some(bn) = self.block.batch_norm() else {
            return;
        };
        let part = self.panel(panel);
        let at = |slice: &Range<usize>| {
            let start = slice.start + panel * PANEL;
            start..start + PANEL
        };
        let (gamma, beta) = (&self.params[at(&bn.gamma)], &self.params[at(&bn.beta)]);
        // SAFETY: panels of this member alone.
        unsafe {
            let mean = self.running.part(at(&bn.running_mean));
            let var = self.running.part(at(&bn.running_var));
            let z = self.saved.out.part(part.clone());
            let y = self.saved.pre.part(part.clone());
            match self.mode {
                Mode::Train { .. } => {
                    let x_hat = self.saved.x_hat.part(part);
                    let inv_std = self.saved.inv_std.part(panel * PANEL..(panel + 1) * PANEL);
                    batch_norm_forward(y, x_hat, inv_std, mean, var, z, gamma, beta);
                }
                Mode::Eval => batch_norm_evaluate(y, z, mean, var, gamma, beta),
            }
        }
    }

    fn drop_and_activate(&self, hidden: &Hidden, own: Range<usize>) {
        let (block, kind) = (self.block, hidden.activation);
        let part = self.part(&own);
        // SAFETY: panels of this member alone.
        let (pre, out) = unsafe {
            (
                self.saved.pre.part(part.clone()),
                self.saved.out.part(part.clone()),
            )
        };
        let Some(mask) = block.mask(self.mode) else {
            activation_forward(kind, out, pre);
            return;
        };
        // SAFETY: as above.
        let factors = unsafe { self.saved.mask.part(part.clone()) };
        draw(&mask, block.outputs, own, self.rows, factors);
        match hidden.order {
            Order::DropoutActivation => {
                dropout::multiply(pre, factors);
                activation_forward(kind, out, pre);
            }
            Order::ActivationDropout => {
                activation_forward(kind, out, pre);
                // SAFETY: as above.
                let activated = unsafe { self.saved.activated.part(part) };
                activated.copy_from_slice(out);
                dropout::multiply(out, factors);
            }
        }
    }
}

/// Draws the mask of these panels, the element's number counted in the row-major `[rows, columns]`.
fn draw(mask: &Mask, columns: usize, own: Range<usize>, rows: usize, factors: &mut [f32]) {
    /// Panels drawn at a time: with them a row takes at most 29 of Philox's counters.
    const TOGETHER: usize = 7;
    let mut drawn = [0.0; TOGETHER * PANEL];
    for first in own.clone().step_by(TOGETHER) {
        let column = first * PANEL;
        let width = (columns - column).min(TOGETHER * PANEL);
        for row in 0..rows {
            mask.factors(row * columns + column, &mut drawn[..width]);
            for (p, panel) in (first..own.end.min(first + TOGETHER)).enumerate() {
                let line = &mut factors[((panel - own.start) * rows + row) * PANEL..][..PANEL];
                line.copy_from_slice(&drawn[p * PANEL..][..PANEL]);
            }
        }
    }
}
