//! The fast backend: the mathematics of [`super::Plain`], bit for bit, with everything moved to where its numbers are in cache.
//!
//! # Panels
//!
//! Every matrix with one row a sample is kept in *panels* of 16 columns, `[⌈columns/16⌉][rows][16]`, and W `[outputs, inputs]` in panels of 16 outputs,
//! `[⌈outputs/16⌉][inputs][16]`. That is the layout that a product's kernel reads its second operand in, and it serves as the first operand too, so of the three products
//! of a layer,
//!
//! ```math
//! Y = X W^\top, \qquad dX = dY\, W, \qquad dW = dY^\top X,
//! ```
//!
//! the first and the last read every operand where it lies; the second, which the first layer does not need, transposes W block by block into the first-level cache.
//! What fills a last panel up is zero in W, in its gradient and in every gradient of an activation, so it never counts.
//!
//! # Who does what
//!
//! A [`Team`] of threads runs through a block together. Each member owns whole panels, that is whole columns: those of its outputs it multiplies, adds the bias
//! to, normalises with their batch statistics, drops and activates while they are in its cache, without asking anybody. A barrier stands only where a product
//! needs the columns of all.
//!
//! In the backward, a block of 16 inputs × 16 outputs of dW goes from the registers to a kilobyte on the stack and from there straight into the optimiser, which finds w, m
//! and v of the block side by side in memory. Gradients of weights are written down only for clipping.
//!
//! # bf16
//!
//! With [`Factors::Bf16`] what the three products multiply is rounded to bf16 and what they add up is not: parameters, moments, sums, norms, activations and the loss stay f32 (mixed
//! precision with master weights: Micikevicius et al., “Mixed Precision Training”, ICLR 2018; bf16 needs no loss scaling, Kalamkar et al., “A Study of BFLOAT16 for Deep Learning
//! Training”, 2019). A pair of bf16 is two neighbours along the product's k, so X and dY are rounded twice, along their columns and along their rows; W is rounded block by block
//! on its way into the first-level cache, which no later change of the weights can invalidate.

mod backward;
mod buffer;
mod forward;
mod rounded;

use std::convert::Infallible;
use std::ops::Range;

use super::{Backend, Block, Factors, Input, Mode, Sink, State};
use crate::error::Result;
use crate::gemm::bf16::Pair;
use crate::gemm::kernel::{Kernel, PANEL};
use crate::ops::loss::cross_entropy::{Loss, LossOptions, softmax_cross_entropy};
use crate::optim::clip::SquareSum;
use crate::optim::{Optimizer, Step, StepRule};
use crate::simd;
use crate::threads::SharedSlice;
use crate::threads::team::{Member, Team};
pub use buffer::Buffer;
use rounded::Rounded;

/// Kernels for [`Factors`].
enum Kernels {
    F32(Kernel),
    Bf16(Kernel<Pair>),
}

/// Computes blocks in f32, or in f32 with bf16 products, on a team of threads of its own.
pub struct Fused {
    kernels: Kernels,
    team: Team,
}

impl Fused {
    /// A backend on so many threads; `None` if this processor has no kernels for it (or [`simd::VARIABLE`] forbids them): then [`super::Plain`] is there.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn new(threads: usize, factors: Factors) -> Result<Option<Self>> {
        let kernels = match factors {
            Factors::F32 => Kernel::chosen().map(Kernels::F32),
            Factors::Bf16 => Kernel::chosen().map(Kernels::Bf16),
        };
        let Some(kernels) = kernels else {
            return Ok(None);
        };
        let team = Team::new(threads)?;
        Ok(Some(Fused { kernels, team }))
    }
}

/// What a block's forward keeps.
#[derive(Debug)]
pub struct Saved {
    values: Values,
    /// X and dY for products in bf16.
    rounded: Rounded,
}

/// In panels of `[capacity, outputs]` unless said.
#[derive(Debug)]
struct Values {
    /// The first block's input in panels of `[capacity, inputs]`.
    input: Buffer,
    /// `$\hat x$` of the batch norm.
    x_hat: Buffer,
    /// `$1/\sqrt{\sigma^2+\varepsilon}$` `[outputs]`.
    inv_std: Buffer,
    /// The dropout mask's factors, 0 or 1/(1−p).
    mask: Buffer,
    /// What goes into the activation; in the last block the logits.
    pre: Buffer,
    /// What comes out of the activation, if dropout follows it.
    activated: Buffer,
    /// The block's output; row-major `[capacity, outputs]` in the last block.
    out: Buffer,
}

/// Panels of so many columns.
fn panels(columns: usize) -> usize {
    columns.div_ceil(PANEL)
}

/// Panels of inputs whose pixels lie in one cache line.
const PANELS_A_LINE: usize = 4;

/// Whether the members share out the work on a matrix of outputs by its panels; where each would have less than 4, some would have much more than others.
fn by_columns(panels: usize, member: &Member<'_>) -> bool {
    member.size() == 1 || panels >= 4 * member.size()
}

/// Asks for so many cache lines from an address on.
#[inline(always)]
fn prefetch(from: *const f32, lines: usize) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in 0..lines {
        // SAFETY: a hint, allowed at any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(line * PANEL).cast()) };
    }
}

/// Asks for the first of some pixels and its cache line.
#[inline(always)]
fn prefetch_pixels(from: &[u8]) {
    prefetch(from.as_ptr().cast(), 1);
}

/// Copies row-major rows of `columns` into panels, from column `start` on as many as there are.
fn to_panels(panels: &mut [f32], rows: &[f32], columns: usize, start: usize) {
    let n = rows.len() / columns;
    for (p, panel) in panels.chunks_exact_mut(n * PANEL).enumerate() {
        let first = start + p * PANEL;
        let width = PANEL.min(columns - first);
        for (line, row) in panel
            .chunks_exact_mut(PANEL)
            .zip(rows.chunks_exact(columns))
        {
            line[..width].copy_from_slice(&row[first..first + width]);
            line[width..].fill(0.0);
        }
    }
}

/// The reverse of [`to_panels`], from column 0 on.
fn from_panels(rows: &mut [f32], panels: &[f32], columns: usize) {
    let n = rows.len() / columns;
    for (p, panel) in panels.chunks_exact(n * PANEL).enumerate() {
        let first = p * PANEL;
        let width = PANEL.min(columns - first);
        for (line, row) in panel
            .chunks_exact(PANEL)
            .zip(rows.chunks_exact_mut(columns))
        {
            row[first..first + width].copy_from_slice(&line[..width]);
        }
    }
}

/// The optimiser's step for some parameters, compiled for this processor.
fn apply(rule: &StepRule<f32>, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    simd::dispatch(
        #[inline(always)]
        || rule.apply(w, g, m, v),
    );
}

impl Backend for Fused {
    type Real = f32;
    type Buf = Buffer;
    type Saved = Saved;
    type Kept = Infallible;

    const PANEL: usize = PANEL;

    fn describe(&self) -> String {
        format!("f32, {} threads", self.team.size())
    }

    fn alloc(&self, len: usize) -> Result<Buffer> {
        Ok(Buffer::zeros(len))
    }

    fn upload(&self, dst: &mut Buffer, src: &[f32]) -> Result<()> {
        dst[..src.len()].copy_from_slice(src);
        Ok(())
    }

    fn download(&self, dst: &mut [f32], src: &Buffer) -> Result<()> {
        dst.copy_from_slice(&src[..dst.len()]);
        Ok(())
    }

    fn saved(&self, block: &Block, capacity: usize) -> Result<Saved> {
        let buffer = |on: bool, columns: usize| {
            let columns = if on { panels(columns) * PANEL } else { 0 };
            Buffer::zeros(capacity * columns)
        };
        let outputs = |on: bool| buffer(on, block.outputs);
        let normalised = block.batch_norm.is_some();
        let values = Values {
            input: buffer(block.layer == 0, block.inputs),
            x_hat: outputs(normalised),
            inv_std: Buffer::zeros(panels(block.outputs) * PANEL),
            mask: outputs(block.dropout > 0.0),
            pre: outputs(true),
            activated: outputs(block.drops_after_activation()),
            out: outputs(true),
        };
        let rounded = match self.kernels {
            Kernels::F32(_) => Rounded::default(),
            Kernels::Bf16(_) => Rounded::new(block, capacity),
        };
        Ok(Saved { values, rounded })
    }

    fn output<'s>(&self, saved: &'s Saved) -> &'s Buffer {
        &saved.values.out
    }

    fn block_forward(
        &self,
        block: &Block,
        x: Input<'_, Buffer, f32>,
        state: &mut State<Buffer>,
        saved: &mut Saved,
        mode: Mode,
    ) -> Result<()> {
        self.forward(block, x, state, saved, mode);
        Ok(())
    }

    fn block_backward(
        &self,
        block: &Block,
        x: Input<'_, Buffer, f32>,
        dy: &mut Buffer,
        saved: &mut Saved,
        state: &mut State<Buffer>,
        dx: Option<&mut Buffer>,
        mode: Mode,
        sink: Sink<'_>,
    ) -> Result<()> {
        self.backward(block, x, dy, saved, state, dx, mode, sink);
        Ok(())
    }

    fn loss(
        &self,
        logits: &Buffer,
        classes: usize,
        labels: &[u32],
        options: &LossOptions,
        dlogits: Option<&mut Buffer>,
    ) -> Result<Loss> {
        let len = labels.len() * classes;
        let dlogits = dlogits.map(|d| &mut d[..len]);
        Ok(softmax_cross_entropy(
            dlogits,
            &logits[..len],
            labels,
            options,
        ))
    }

    fn gradient_norm(&self, blocks: &[Block], state: &State<Buffer>) -> Result<f64> {
        let mut sum = SquareSum::default();
        for block in blocks {
            sum.add_panels(&state.grads[block.weight.clone()]);
            for vector in block.vectors() {
                sum.add_panels(&state.grads[vector.clone()]);
            }
        }
        Ok(sum.norm())
    }

    fn update(
        &self,
        optimizer: &Optimizer,
        step: &Step,
        state: &mut State<Buffer>,
        range: Range<usize>,
    ) -> Result<()> {
        let rule = optimizer.at(step);
        let grads = &state.grads[..];
        let params = SharedSlice::new(&mut state.params);
        let (m, v) = (
            SharedSlice::new(&mut state.m),
            SharedSlice::new(&mut state.v),
        );
        self.team.run(|member| {
            let own = member.share(range.len());
            let own = range.start + own.start..range.start + own.end;
            // SAFETY: the shares of the members do not overlap.
            let (w, m, v) = unsafe {
                (
                    params.part(own.clone()),
                    m.part(own.clone()),
                    v.part(own.clone()),
                )
            };
            apply(&rule, w, &grads[own], m, v);
        });
        Ok(())
    }
}
