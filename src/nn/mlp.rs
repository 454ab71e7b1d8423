//! The multilayer perceptron: a forward list of blocks and, reversed, the backward list.
//!
//! Sizes, rows and labels are checked here, before a backend sees them.

mod ensemble;
mod passes;

use ensemble::Ensemble;

use super::{Layout, NetworkSpec, Panels};
use crate::backend::{Backend, BatchTargets, Input, Mode, Sink, State, StemSaved};
use crate::data::Task;
use crate::error::{Error, Result};
use crate::ops::loss::cross_entropy::argmax;
use crate::ops::loss::{BatchLoss, Loss, Targets};
use crate::optim::{Optimizer, Step};
use crate::real::Real;

/// A network on a backend, with every buffer that a training step needs, allocated once.
pub struct Mlp<B: Backend> {
    backend: B,
    spec: NetworkSpec,
    layout: Layout,
    /// The backend's order of the parameters.
    panels: Panels,
    /// Parameters, gradients, moments, running statistics.
    pub state: State<B::Buf>,
    stem: Option<StemSaved<B::Buf>>,
    /// What the blocks of one member have saved: members are computed one after the other.
    saved: Vec<B::Saved>,
    /// Gradients of a block's output and input: they change places from block to block.
    gradients: [B::Buf; 2],
    capacity: usize,
    /// Samples of the last forward.
    samples: usize,
    /// What several members need.
    ensemble: Option<Ensemble<B>>,
    /// Losses that were started and not collected.
    pending: usize,
    /// Where a caller's only pending loss is collected.
    finished: Vec<BatchLoss>,
}

/// What one update needs besides its batch.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The update's number, from 0.
    pub number: u64,
    /// Its learning rate.
    pub lr: f64,
    /// The run's seed, for the dropout masks.
    pub seed: u64,
    /// The objective.
    pub loss: &'a Loss,
    /// The rule.
    pub optimizer: &'a Optimizer,
    /// The largest norm of all gradients together; 0 is off.
    pub clip_norm: f64,
}

/// Rows for the first block.
pub type Batch<'a, B> = Input<'a, <B as Backend>::Buf, <B as Backend>::Real>;

impl<B: Backend> Mlp<B> {
    /// A network with all parameters 0, for batches of up to `capacity` rows.
    ///
    /// # Errors
    /// If the description is invalid or the device has no room.
    pub fn new(backend: B, spec: NetworkSpec, capacity: usize) -> Result<Self> {
        Self::with_room(backend, spec, capacity, true)
    }

    /// A network that is not trained: it has no room for gradients and moments, and only [`Mode::Eval`] is allowed.
    ///
    /// # Errors
    /// As [`Mlp::new`].
    pub(crate) fn for_evaluation(backend: B, spec: NetworkSpec, capacity: usize) -> Result<Self> {
        Self::with_room(backend, spec, capacity, false)
    }

    fn with_room(backend: B, spec: NetworkSpec, capacity: usize, training: bool) -> Result<Self> {
        spec.validate()?;
        let layout = Layout::new(&spec);
        let panels = Panels::new(&layout, B::PANEL);
        let trained = if training { panels.parameter_count } else { 0 };
        let state = State {
            params: backend.alloc(panels.parameter_count)?,
            grads: backend.alloc(trained)?,
            m: backend.alloc(trained)?,
            v: backend.alloc(trained)?,
            running: backend.alloc(panels.running_count)?,
        };
        let stem = (panels.stem.as_ref())
            .map(|stem| backend.stem_saved(stem, capacity, training))
            .transpose()?;
        let saved = (panels.members[0].iter())
            .map(|b| backend.saved(b, capacity))
            .collect::<Result<_>>()?;
        let widest = panels.blocks.iter().map(|b| b.outputs).max().unwrap_or(0);
        let rows = if training { capacity } else { 0 };
        let gradient = || backend.alloc(rows * widest.next_multiple_of(B::PANEL));
        let gradients = [gradient()?, gradient()?];
        let ensemble = (spec.members > 1)
            .then(|| Ensemble::new(&backend, &spec, capacity))
            .transpose()?;
        Ok(Mlp {
            backend,
            spec,
            layout,
            panels,
            state,
            stem,
            saved,
            gradients,
            capacity,
            samples: 0,
            ensemble,
            pending: 0,
            finished: Vec::with_capacity(1),
        })
    }

    /// The description that it was built from.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Which slice of the flat buffers is which tensor.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The device.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The most rows that a batch may have.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sets parameters and running statistics, laid out as [`Mlp::layout`] says.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn load(&mut self, params: &[B::Real], running: &[B::Real]) -> Result<()> {
        self.load_from(params, running)
    }

    /// [`Mlp::load`], from numbers of any precision. They are rounded to that of the backend.
    pub(crate) fn load_from<S: Real>(&mut self, params: &[S], running: &[S]) -> Result<()> {
        check_len("parameters", params.len(), self.layout.parameter_count())?;
        check_len(
            "running statistics",
            running.len(),
            self.layout.running_count(),
        )?;
        let params: Vec<B::Real> = self.panels.pack(&self.layout, params);
        let running: Vec<B::Real> = self.panels.pack_running(&self.layout, running);
        self.backend.upload(&mut self.state.params, &params)?;
        self.backend.upload(&mut self.state.running, &running)
    }

    /// Sets the optimiser's two moments, each with the layout of the parameters.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn load_moments(&mut self, m: &[B::Real], v: &[B::Real]) -> Result<()> {
        check_len("first moments", m.len(), self.layout.parameter_count())?;
        check_len("second moments", v.len(), self.layout.parameter_count())?;
        let m: Vec<B::Real> = self.panels.pack(&self.layout, m);
        let v: Vec<B::Real> = self.panels.pack(&self.layout, v);
        self.backend.upload(&mut self.state.m, &m)?;
        self.backend.upload(&mut self.state.v, &v)
    }

    /// A copy of one flat buffer of parameters' size, e.g. `|s| &s.params`.
    pub fn read(&self, which: impl Fn(&State<B::Buf>) -> &B::Buf) -> Result<Vec<B::Real>> {
        let packed = self.copy_out(which(&self.state), self.panels.parameter_count)?;
        Ok(self.panels.unpack(&self.layout, &packed))
    }

    /// A copy of the running statistics.
    pub fn read_running(&self) -> Result<Vec<B::Real>> {
        let packed = self.copy_out(&self.state.running, self.panels.running_count)?;
        Ok(self.panels.unpack_running(&self.layout, &packed))
    }

    /// A copy of the first rows of the last forward's logits, `[rows, outputs]`.
    ///
    /// Those of [`Mlp::forward`] have a row for each member and sample, the first member's rows first. Those of
    /// [`Mlp::evaluate`] have a row for each sample.
    ///
    /// # Errors
    /// If it had fewer rows.
    pub fn logits(&self, rows: usize) -> Result<Vec<B::Real>> {
        self.check_rows("logits", rows)?;
        match self.member_logits() {
            Some(logits) => Ok(logits[..rows * self.spec.outputs].to_vec()),
            None => self.copy_out(self.output(), rows * self.spec.outputs),
        }
    }

    fn copy_out(&self, buf: &B::Buf, len: usize) -> Result<Vec<B::Real>> {
        let mut out = vec![B::Real::default(); len];
        self.backend.download(&mut out, buf)?;
        Ok(out)
    }

    fn output(&self) -> &B::Buf {
        match &self.ensemble {
            Some(ensemble) => ensemble.average(),
            None => self.backend.output(&self.saved[self.saved.len() - 1]),
        }
    }

    /// Rows of the outputs.
    fn rows(&self) -> usize {
        match self.member_logits() {
            Some(_) => self.spec.members * self.samples,
            None => self.samples,
        }
    }

    /// The saved values of the last member's forward, where a gradient check finds the inputs of the activations.
    pub(super) fn saved(&self) -> &[B::Saved] {
        &self.saved
    }

    /// Runs the blocks in order; the logits are in [`Mlp::logits`].
    ///
    /// # Errors
    /// If the batch is empty or has more rows than there is room for, its rows are not the network's inputs, or a batch
    /// norm would learn from one row.
    pub fn forward(&mut self, x: Batch<'_, B>, mode: Mode) -> Result<()> {
        self.begin_forward(x, mode)?;
        match self.ensemble {
            Some(_) => self.forward_members(x, mode),
            None => self.forward_member(0, x, mode),
        }
    }

    /// [`Mlp::forward`] in evaluation. The outputs of several members become their average prediction
    /// ([`average_members`](crate::ops::average::average_members)): logits, classes and losses are then those of one
    /// network.
    ///
    /// # Errors
    /// As [`Mlp::forward`].
    pub fn evaluate(&mut self, x: Batch<'_, B>, task: Task) -> Result<()> {
        self.forward(x, Mode::Eval)?;
        self.average_members(task)
    }

    /// The loss of the last forward, without gradient. That of several members is the mean of their losses.
    ///
    /// # Errors
    /// As [`Mlp::start_loss`], or if another loss is pending.
    pub fn loss<'t>(&mut self, targets: impl Into<Targets<'t>>, loss: &Loss) -> Result<BatchLoss> {
        self.expect_none_pending()?;
        self.start(targets.into().into(), loss, false)?;
        self.finish_loss()
    }

    /// The loss of the last forward; its gradient becomes the upstream gradient of [`Mlp::backward`].
    ///
    /// # Errors
    /// As [`Mlp::loss`].
    pub fn loss_and_gradient<'t>(
        &mut self,
        targets: impl Into<Targets<'t>>,
        loss: &Loss,
    ) -> Result<BatchLoss> {
        self.expect_none_pending()?;
        self.start(targets.into().into(), loss, true)?;
        self.finish_loss()
    }

    /// Sets the upstream gradient of the last forward's logits `[rows, outputs]` by hand.
    ///
    /// # Errors
    /// If it has another length.
    pub fn set_upstream(&mut self, dlogits: &[B::Real]) -> Result<()> {
        let expected = self.rows() * self.spec.outputs;
        check_len("upstream gradient", dlogits.len(), expected)?;
        match &mut self.ensemble {
            Some(ensemble) => {
                ensemble.set_upstream(dlogits);
                Ok(())
            }
            None => self.backend.upload(&mut self.gradients[0], dlogits),
        }
    }

    /// Runs the blocks in reverse, from the upstream gradient, with the `x` and `mode` of the last forward.
    ///
    /// The input's gradient is computed only if `dx` is given: a training step needs none.
    ///
    /// # Errors
    /// If `x` cannot be the last forward's, `dx` is too short, or the device fails.
    pub fn backward(
        &mut self,
        x: Batch<'_, B>,
        mode: Mode,
        sink: Sink<'_>,
        mut dx: Option<&mut B::Buf>,
    ) -> Result<()> {
        let rows = x.rows();
        check_len("rows of the backward", rows, self.samples)?;
        self.check_input(x)?;
        if let Some(dx) = &dx {
            let (found, needed) = (self.backend.buffer_len(dx), rows * self.spec.inputs);
            if found < needed {
                let expected = format!("at least {needed} values");
                return Err(Error::shape("input gradient", expected, found.to_string()));
            }
        }
        match self.ensemble {
            Some(_) => self.backward_members(x, mode, dx.as_deref_mut())?,
            None => self.backward_member(0, x, mode, sink, dx.as_deref_mut())?,
        }
        self.finish_backward(x, sink, dx)
    }

    /// Starts the loss of the last forward, without gradient; [`Mlp::finish_losses`] collects it.
    ///
    /// # Errors
    /// If targets, loss and last forward do not fit each other, [`Backend::PENDING_LOSSES`] are pending already, or the
    /// device fails.
    pub fn start_loss(&mut self, targets: BatchTargets<'_, B::Dataset>, loss: &Loss) -> Result<()> {
        self.start(targets, loss, false)
    }

    /// Starts a loss. Its gradient, if wanted, becomes the upstream gradient of [`Mlp::backward`].
    fn start(
        &mut self,
        targets: BatchTargets<'_, B::Dataset>,
        loss: &Loss,
        gradient: bool,
    ) -> Result<()> {
        check_len("targets", targets.host().len(), self.samples)?;
        loss.check(self.spec.outputs, targets.host())?;
        if self.member_logits().is_some() {
            return self.start_members(targets, loss, gradient);
        }
        let outputs = self.spec.outputs;
        let (logits, dlogits) = match &self.ensemble {
            Some(_) if gradient => {
                let message = "expected the outputs of a forward, found the members' average";
                return Err(Error::Check(message.into()));
            }
            Some(ensemble) => (ensemble.average(), None),
            None => {
                let logits = self.backend.output(&self.saved[self.saved.len() - 1]);
                (logits, gradient.then_some(&mut self.gradients[0]))
            }
        };
        self.backend
            .start_loss(logits, outputs, targets, loss, dlogits)?;
        self.pending += 1;
        Ok(())
    }

    /// Losses that were started and not collected: at most [`Backend::PENDING_LOSSES`].
    pub fn pending_losses(&self) -> usize {
        self.pending
    }

    /// Waits for the pending losses, and appends them in the order in which they were started.
    ///
    /// # Errors
    /// If the device fails.
    pub fn finish_losses(&mut self, losses: &mut Vec<BatchLoss>) -> Result<()> {
        self.pending = 0;
        self.backend.finish_losses(losses)?;
        if let Some(ensemble) = &mut self.ensemble {
            ensemble.finish_losses(losses);
        }
        Ok(())
    }

    /// The only pending loss.
    fn finish_loss(&mut self) -> Result<BatchLoss> {
        let mut finished = std::mem::take(&mut self.finished);
        finished.clear();
        self.finish_losses(&mut finished)?;
        let last = finished.pop();
        self.finished = finished;
        last.ok_or_else(|| Error::Check("the device has lost a step's loss".into()))
    }

    fn expect_none_pending(&self) -> Result<()> {
        if self.pending == 0 {
            return Ok(());
        }
        let message = format!("expected no pending losses, found {}", self.pending);
        Err(Error::Check(message))
    }

    /// The most probable classes of the last forward's first rows.
    ///
    /// # Errors
    /// If it had fewer rows, or the device fails.
    pub fn argmax(&self, winners: &mut [u32]) -> Result<()> {
        self.check_rows("classes", winners.len())?;
        let outputs = self.spec.outputs;
        let Some(logits) = self.member_logits() else {
            return self.backend.argmax(self.output(), outputs, winners);
        };
        for (winner, row) in winners.iter_mut().zip(logits.chunks_exact(outputs)) {
            *winner = argmax(row) as u32;
        }
        Ok(())
    }

    /// One update: forward, loss, backward, optimiser. A loss that is not finite changes nothing but the running
    /// statistics.
    ///
    /// # Errors
    /// As [`Mlp::start_step`], or if another loss is pending.
    pub fn train_step<'t>(
        &mut self,
        x: Batch<'_, B>,
        targets: impl Into<Targets<'t>>,
        update: &Update<'_>,
    ) -> Result<BatchLoss> {
        self.expect_none_pending()?;
        self.start_step(x, targets.into().into(), update)?;
        self.finish_loss()
    }

    /// [`Mlp::train_step`] without waiting for the loss: [`Mlp::finish_losses`] collects it.
    ///
    /// # Errors
    /// If batch, targets, loss and network do not fit each other, [`Backend::PENDING_LOSSES`] are pending already, or
    /// the device fails.
    pub fn start_step(
        &mut self,
        x: Batch<'_, B>,
        targets: BatchTargets<'_, B::Dataset>,
        update: &Update<'_>,
    ) -> Result<()> {
        check_len("targets", targets.host().len(), x.rows())?;
        update.loss.check(self.spec.outputs, targets.host())?;
        self.backend.begin_step(x.rows());
        self.step(x, targets, update)?;
        self.backend.end_step();
        Ok(())
    }

    /// [`Mlp::start_step`], checked.
    fn step(
        &mut self,
        x: Batch<'_, B>,
        targets: BatchTargets<'_, B::Dataset>,
        update: &Update<'_>,
    ) -> Result<()> {
        let mode = Mode::Train {
            seed: update.seed,
            step: update.number,
        };
        let step = &Step {
            lr: update.lr,
            t: update.number + 1,
            gradient_scale: 1.0,
        };
        let optimizer = update.optimizer;
        let sink = match update.clip_norm > 0.0 {
            // The scale is known only when every gradient is.
            true => Sink::Store,
            false => Sink::Update {
                optimizer,
                step,
                adds: false,
            },
        };
        if self.ensemble.is_some() {
            self.begin_forward(x, mode)?;
            if !self.step_members(x, targets, update.loss, mode, sink)? {
                return Ok(());
            }
        } else {
            self.forward(x, mode)?;
            self.start(targets, update.loss, true)?;
            if self.backend.diverged() {
                return Ok(());
            }
            self.backward_member(0, x, mode, sink, None)?;
        }
        self.finish_backward(x, sink, None)?;
        if update.clip_norm > 0.0 {
            let Panels { stem, blocks, .. } = &self.panels;
            let (layers, state) = ((stem.as_ref(), &blocks[..]), &mut self.state);
            self.backend
                .update_clipped(layers, optimizer, step, state, update.clip_norm)?;
        }
        Ok(())
    }

    fn check_input(&self, x: Batch<'_, B>) -> Result<()> {
        x.check(self.spec.inputs, |buf| self.backend.buffer_len(buf))
    }

    /// Refuses more rows than the last forward had.
    fn check_rows(&self, what: &str, rows: usize) -> Result<()> {
        if rows <= self.rows() {
            return Ok(());
        }
        let expected = format!("at most {} rows, those of the last forward", self.rows());
        Err(Error::shape(what, expected, rows.to_string()))
    }
}

fn check_len(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::shape(what, expected.to_string(), found.to_string()))
}

#[cfg(test)]
mod member_tests;
#[cfg(test)]
mod tests;
