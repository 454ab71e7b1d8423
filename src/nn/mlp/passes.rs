//! A member's forward list of blocks and, reversed, its backward list. A plain network is one member.

use super::{Batch, Mlp};
use crate::backend::{Backend, Input, Mode, Sink, Source, StemSaved};
use crate::error::{Error, Result};

impl<B: Backend> Mlp<B> {
    /// Checks a batch, and computes what its members share before their blocks.
    pub(super) fn begin_forward(&mut self, x: Batch<'_, B>, mode: Mode) -> Result<()> {
        let rows = x.rows();
        let train = mode != Mode::Eval;
        let least = if train && self.spec.has_batch_norm() {
            2
        } else {
            1
        };
        if rows < least || rows > self.capacity {
            let expected = format!("{least} to {} rows", self.capacity);
            return Err(Error::shape("batch", expected, rows.to_string()));
        }
        self.check_input(x)?;
        self.samples = rows;
        match (&self.panels.stem, &mut self.stem) {
            (Some(stem), Some(saved)) if self.spec.embedding.is_some() => {
                self.backend.stem_forward(stem, x, &self.state, saved)
            }
            _ => Ok(()),
        }
    }

    /// Runs the blocks of a member; a plain network is member 0.
    pub(in crate::nn) fn forward_member(
        &mut self,
        member: usize,
        x: Batch<'_, B>,
        mode: Mode,
    ) -> Result<()> {
        let rows = x.rows();
        let first = match &self.stem {
            Some(StemSaved { out, .. }) if self.spec.embedding.is_some() => {
                Input::Values { buf: out, rows }
            }
            _ => x,
        };
        for (i, block) in self.panels.members[member].iter().enumerate() {
            let (before, rest) = self.saved.split_at_mut(i);
            let x = match block.source {
                Source::Batch | Source::Kept => first,
                Source::Previous => Input::Values {
                    buf: self.backend.output(&before[i - 1]),
                    rows,
                },
            };
            self.backend
                .block_forward(block, x, &mut self.state, &mut rest[0], mode)?;
        }
        Ok(())
    }

    /// Runs every member's blocks in evaluation, and shows each block's output to `look`, with the block's place.
    ///
    /// # Errors
    /// As [`Mlp::forward`].
    pub(crate) fn look_at_outputs(
        &mut self,
        x: Batch<'_, B>,
        mut look: impl FnMut(usize, &B::Buf),
    ) -> Result<()> {
        self.begin_forward(x, Mode::Eval)?;
        for member in 0..self.spec.members {
            self.forward_member(member, x, Mode::Eval)?;
            for (place, saved) in self.saved.iter().enumerate() {
                look(place, self.backend.output(saved));
            }
        }
        Ok(())
    }

    /// Runs the blocks of a member in reverse; a plain network is member 0.
    ///
    /// Of several members, what they share has the sum of their gradients.
    pub(super) fn backward_member(
        &mut self,
        member: usize,
        x: Batch<'_, B>,
        mode: Mode,
        sink: Sink<'_>,
        dx: Option<&mut B::Buf>,
    ) -> Result<()> {
        let rows = x.rows();
        let (embeds, wanted) = (self.spec.embedding.is_some(), dx.is_some());
        let (first, mut first_dx, sum) = match &mut self.stem {
            None => (x, dx, None),
            Some(saved) => {
                let StemSaved {
                    out,
                    d_out,
                    d_member,
                    ..
                } = saved;
                let x = match embeds {
                    true => Input::Values { buf: &*out, rows },
                    false => x,
                };
                // The gradients of members after the first are added to its.
                let (dx, sum) = match member {
                    0 => (d_out, None),
                    _ => (d_member, Some(d_out)),
                };
                (x, (embeds || wanted).then_some(dx), sum)
            }
        };
        let [mut dy, mut next] = self.gradients.each_mut();
        for (i, block) in self.panels.members[member].iter().enumerate().rev() {
            let (before, rest) = self.saved.split_at_mut(i);
            let (x, dx) = match block.source {
                Source::Batch | Source::Kept => (first, first_dx.as_deref_mut()),
                Source::Previous => {
                    let buf = self.backend.output(&before[i - 1]);
                    (Input::Values { buf, rows }, Some(&mut *next))
                }
            };
            // A head is its member's alone.
            let sink = match self.ensemble {
                Some(_) if !block.is_output() => sink.of_member(member, self.spec.members),
                _ => sink,
            };
            let saved = &mut rest[0];
            self.backend
                .block_backward(block, x, dy, saved, &mut self.state, dx, mode, sink)?;
            std::mem::swap(&mut dy, &mut next);
        }
        match (first_dx, sum) {
            (Some(dx), Some(sum)) => self.backend.add(sum, dx),
            _ => Ok(()),
        }
    }

    /// What is left of a backward when every member has run its blocks: what they share before them, and the update.
    pub(super) fn finish_backward(
        &mut self,
        x: Batch<'_, B>,
        sink: Sink<'_>,
        dx: Option<&mut B::Buf>,
    ) -> Result<()> {
        let (Some(stem), Some(saved)) = (&self.panels.stem, &mut self.stem) else {
            return Ok(());
        };
        let (backend, state) = (&self.backend, &mut self.state);
        backend.stem_backward(stem, x, state, saved, dx)?;
        match sink {
            Sink::Store | Sink::Add => Ok(()),
            Sink::Update {
                optimizer, step, ..
            } => backend.update(optimizer, step, state, stem.parameters.clone()),
        }
    }
}
