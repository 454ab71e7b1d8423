//! The members of an ensemble, one after the other.
//!
//! For the time of its forward and backward a member is a network of its own: its first Linear is scaled, its last one
//! is its head, and the Linears between are everyone's. So the buffers are those of one network, its activations stay
//! in cache from forward to backward, and only the gradients of what is shared are added up.

use super::{Batch, Mlp};
use crate::backend::{Backend, BatchTargets, Mode, Sink};
use crate::data::Task;
use crate::error::{Error, Result};
use crate::nn::NetworkSpec;
use crate::ops::average::average_members;
use crate::ops::loss::{BatchLoss, Loss};
use crate::real::Real;

/// What several members need besides the buffers of one network.
pub(super) struct Ensemble<B: Backend> {
    /// The logits of the last forward, `[members · samples, outputs]`, member by member.
    logits: Vec<B::Real>,
    /// Their upstream gradient.
    upstream: Vec<B::Real>,
    /// A member's logits, or the members' average prediction, `[capacity, outputs]`.
    one: B::Buf,
    /// Whether that is the average, and the network's output.
    averaged: bool,
    /// Mean losses that were not collected.
    losses: Vec<BatchLoss>,
}

impl<B: Backend> Ensemble<B> {
    pub(super) fn new(backend: &B, spec: &NetworkSpec, capacity: usize) -> Result<Self> {
        let len = capacity * spec.outputs;
        Ok(Ensemble {
            logits: vec![B::Real::ZERO; spec.members * len],
            upstream: vec![B::Real::ZERO; spec.members * len],
            one: backend.alloc(len)?,
            averaged: false,
            losses: Vec::with_capacity(B::PENDING_LOSSES),
        })
    }

    /// The members' average prediction.
    pub(super) fn average(&self) -> &B::Buf {
        &self.one
    }

    pub(super) fn set_upstream(&mut self, dlogits: &[B::Real]) {
        self.upstream[..dlogits.len()].copy_from_slice(dlogits);
    }

    /// Appends the losses to `losses`.
    pub(super) fn finish_losses(&mut self, losses: &mut Vec<BatchLoss>) {
        losses.append(&mut self.losses);
    }
}

/// Sums over members.
#[derive(Default)]
struct MemberLosses {
    sum: BatchLoss,
    count: usize,
}

impl MemberLosses {
    fn add(&mut self, own: &BatchLoss) {
        self.sum.objective += own.objective;
        self.sum.plain_sum += own.plain_sum;
        self.sum.correct += own.correct;
        self.count += 1;
    }

    /// The mean loss. The number of right rows is rounded to the nearest whole one.
    fn mean(&self) -> BatchLoss {
        let count = self.count as f64;
        BatchLoss {
            objective: self.sum.objective / count,
            plain_sum: self.sum.plain_sum / count,
            correct: (self.sum.correct + self.count / 2) / self.count,
        }
    }
}

impl<B: Backend> Mlp<B> {
    /// The logits of several members, if they are the output.
    pub(super) fn member_logits(&self) -> Option<&[B::Real]> {
        let ensemble = self.ensemble.as_ref().filter(|e| !e.averaged)?;
        Some(&ensemble.logits)
    }

    /// Runs every member's blocks, and keeps its logits.
    pub(super) fn forward_members(&mut self, x: Batch<'_, B>, mode: Mode) -> Result<()> {
        for member in 0..self.spec.members {
            self.forward_member(member, x, mode)?;
            self.keep_logits(member)?;
        }
        Ok(())
    }

    /// Copies a member's logits to those of all.
    fn keep_logits(&mut self, member: usize) -> Result<()> {
        let Some(ensemble) = &mut self.ensemble else {
            return Ok(());
        };
        ensemble.averaged = false;
        let len = self.samples * self.spec.outputs;
        let own = &mut ensemble.logits[member * len..(member + 1) * len];
        let last = &self.saved[self.saved.len() - 1];
        self.backend.download(own, self.backend.output(last))
    }

    /// Makes the members' average prediction the output.
    pub(super) fn average_members(&mut self, task: Task) -> Result<()> {
        let NetworkSpec {
            members, outputs, ..
        } = self.spec;
        let Some(ensemble) = &mut self.ensemble else {
            return Ok(());
        };
        let logits = &ensemble.logits[..members * self.samples * outputs];
        let average = average_members(logits, members, outputs, task);
        ensemble.averaged = true;
        self.backend.upload(&mut ensemble.one, &average)
    }

    /// Starts the mean of the members' losses from the logits of the last forward.
    pub(super) fn start_members(
        &mut self,
        targets: BatchTargets<'_, B::Dataset>,
        loss: &Loss,
        gradient: bool,
    ) -> Result<()> {
        let len = self.samples * self.spec.outputs;
        let mut losses = MemberLosses::default();
        for member in 0..self.spec.members {
            let own = member * len..(member + 1) * len;
            let Some(ensemble) = &mut self.ensemble else {
                return Ok(());
            };
            let logits = &ensemble.logits[own.clone()];
            self.backend.upload(&mut ensemble.one, logits)?;
            let dlogits = gradient.then_some(&mut self.gradients[0]);
            let (logits, targets) = (&ensemble.one, targets.for_members(self.spec.members));
            let outputs = self.spec.outputs;
            self.backend
                .start_loss(logits, outputs, targets, loss, dlogits)?;
            losses.add(&self.finish_member_loss()?);
            if let (true, Some(ensemble)) = (gradient, &mut self.ensemble) {
                let upstream = &mut ensemble.upstream[own];
                self.backend.download(upstream, &self.gradients[0])?;
            }
        }
        self.push_loss(losses.mean())
    }

    fn finish_member_loss(&mut self) -> Result<BatchLoss> {
        self.finished.clear();
        self.backend.finish_losses(&mut self.finished)?;
        let missing = || Error::Check("the device has lost a member's loss".into());
        self.finished.pop().ok_or_else(missing)
    }

    fn push_loss(&mut self, mean: BatchLoss) -> Result<()> {
        if self.pending == B::PENDING_LOSSES {
            let room = B::PENDING_LOSSES;
            let message = format!("expected at most {room} pending losses, found one more");
            return Err(Error::Check(message));
        }
        if let Some(ensemble) = &mut self.ensemble {
            ensemble.losses.push(mean);
        }
        self.pending += 1;
        Ok(())
    }

    /// Runs every member's blocks in reverse, from the upstream gradients. Each has to compute its activations again.
    pub(super) fn backward_members(
        &mut self,
        x: Batch<'_, B>,
        mode: Mode,
        mut dx: Option<&mut B::Buf>,
    ) -> Result<()> {
        let len = self.samples * self.spec.outputs;
        for member in 0..self.spec.members {
            self.forward_member(member, x, mode)?;
            if let Some(ensemble) = &self.ensemble {
                let upstream = &ensemble.upstream[member * len..(member + 1) * len];
                self.backend.upload(&mut self.gradients[0], upstream)?;
            }
            self.backward_member(member, x, mode, Sink::Store, dx.as_deref_mut())?;
        }
        Ok(())
    }

    /// Forward, loss and backward of every member: the gradients of the mean loss, which it starts, go into `sink`.
    /// False if that loss is not finite.
    pub(super) fn step_members(
        &mut self,
        x: Batch<'_, B>,
        targets: BatchTargets<'_, B::Dataset>,
        loss: &Loss,
        mode: Mode,
        sink: Sink<'_>,
    ) -> Result<bool> {
        let mut losses = MemberLosses::default();
        let outputs = self.spec.outputs;
        for member in 0..self.spec.members {
            self.forward_member(member, x, mode)?;
            self.keep_logits(member)?;
            let logits = self.backend.output(&self.saved[self.saved.len() - 1]);
            let (targets, dlogits) = (
                targets.for_members(self.spec.members),
                &mut self.gradients[0],
            );
            self.backend
                .start_loss(logits, outputs, targets, loss, Some(dlogits))?;
            losses.add(&self.finish_member_loss()?);
            if !losses.sum.objective.is_finite() {
                break;
            }
            self.backward_member(member, x, mode, sink, None)?;
        }
        let mean = losses.mean();
        self.push_loss(mean)?;
        Ok(mean.objective.is_finite())
    }
}
