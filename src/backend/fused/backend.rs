//! The backend's calls.

use std::convert::Infallible;
use std::ops::Range;

use super::buffer::Buffer;
use super::engine::{Fused, PanelKernels};
use super::saved::FusedSaved;
use super::update::apply;
use crate::backend::pending;
use crate::backend::{Backend, BatchTargets, Block, Input, Mode, Sink, State, Stem, StemSaved};
use crate::error::Result;
use crate::gemm::PANEL;
use crate::ops::loss::{BatchLoss, Loss};
use crate::ops::reduce;
use crate::optim::clip::SquareSum;
use crate::optim::{Optimizer, Step};
use crate::simd;
use crate::threads::SharedSlice;

// The rows of a panel are added to a norm as they lie.
const _: () = assert!(PANEL == SquareSum::LANES);

impl Backend for Fused {
    type Real = f32;
    type Buf = Buffer;
    type Saved = FusedSaved;
    type Dataset = Infallible;

    const PANEL: usize = PANEL;
    const PENDING_LOSSES: usize = pending::ROOM;

    fn describe(&self) -> String {
        let up_to = if self.teams.are_several() {
            "up to "
        } else {
            ""
        };
        format!("f32, {up_to}{} threads", self.teams.most_members())
    }

    fn reproducible_on(&self) -> Option<String> {
        match self.kernels {
            PanelKernels::F32(_) => None,
            PanelKernels::Bf16(_) => Some(simd::processor()),
        }
    }

    fn parts(&self) -> Vec<f64> {
        self.team().parts()
    }

    fn begin_step(&self, rows: usize) {
        self.teams.begin_step(rows);
    }

    fn end_step(&self) {
        self.teams.end_step();
    }

    fn alloc(&self, len: usize) -> Result<Buffer> {
        Ok(Buffer::zeros(len))
    }

    fn buffer_len(&self, buf: &Buffer) -> usize {
        buf.len()
    }

    fn upload(&self, dst: &mut Buffer, src: &[f32]) -> Result<()> {
        dst[..src.len()].copy_from_slice(src);
        Ok(())
    }

    fn download(&self, dst: &mut [f32], src: &Buffer) -> Result<()> {
        dst.copy_from_slice(&src[..dst.len()]);
        Ok(())
    }

    fn saved(&self, block: &Block, capacity: usize) -> Result<FusedSaved> {
        let bf16 = matches!(self.kernels, PanelKernels::Bf16(_));
        Ok(FusedSaved::new(block, capacity, bf16))
    }

    fn output<'s>(&self, saved: &'s FusedSaved) -> &'s Buffer {
        &saved.values.out
    }

    fn stem_forward(
        &self,
        stem: &Stem,
        x: Input<'_, Buffer, f32>,
        state: &State<Buffer>,
        saved: &mut StemSaved<Buffer>,
    ) -> Result<()> {
        stem.forward(x, &state.params, saved);
        Ok(())
    }

    fn stem_backward(
        &self,
        stem: &Stem,
        x: Input<'_, Buffer, f32>,
        state: &mut State<Buffer>,
        saved: &mut StemSaved<Buffer>,
        dx: Option<&mut Buffer>,
    ) -> Result<()> {
        stem.backward(x, [&mut state.params, &mut state.grads], saved, dx);
        Ok(())
    }

    fn add(&self, sum: &mut Buffer, x: &Buffer) -> Result<()> {
        reduce::add_rows(x, sum);
        Ok(())
    }

    fn block_forward(
        &self,
        block: &Block,
        x: Input<'_, Buffer, f32>,
        state: &mut State<Buffer>,
        saved: &mut FusedSaved,
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
        saved: &mut FusedSaved,
        state: &mut State<Buffer>,
        dx: Option<&mut Buffer>,
        mode: Mode,
        sink: Sink<'_>,
    ) -> Result<()> {
        self.backward(block, x, dy, saved, state, dx, mode, sink);
        Ok(())
    }

    fn start_loss(
        &self,
        logits: &Buffer,
        outputs: usize,
        targets: BatchTargets<'_, Infallible>,
        loss: &Loss,
        dlogits: Option<&mut Buffer>,
    ) -> Result<()> {
        let dlogits = dlogits.map(|d| &mut d[..]);
        (self.losses).start(logits, outputs, targets, loss, dlogits)
    }

    fn diverged(&self) -> bool {
        self.losses.diverged()
    }

    fn finish_losses(&self, losses: &mut Vec<BatchLoss>) -> Result<()> {
        self.losses.finish(losses);
        Ok(())
    }

    fn gradient_norm(
        &self,
        stem: Option<&Stem>,
        blocks: &[Block],
        state: &State<Buffer>,
    ) -> Result<f64> {
        let mut sum = SquareSum::default();
        if let Some(stem) = stem {
            stem.add_squares(&mut sum, &state.grads);
        }
        for block in blocks {
            let weights = &state.grads[block.linear.weight.clone()];
            match block.transposed {
                true => sum.add_transposed(weights, block.outputs),
                false => sum.add_lanes(weights),
            }
            for vector in block.vectors() {
                sum.add_lanes(&state.grads[vector]);
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
        self.team().run(|member| {
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
