//! The multilayer perceptron: a forward list of blocks and, reversed, the backward list.

use super::{Layout, NetworkSpec, Panels};
use crate::backend::{Backend, Input, Labels, Mode, Sink, State};
use crate::error::{Error, Result};
use crate::ops::loss::cross_entropy::{Loss, LossOptions};
use crate::optim::{Optimizer, Step};

/// A network on a backend, with every buffer that a training step needs, allocated once.
pub struct Mlp<B: Backend> {
    backend: B,
    spec: NetworkSpec,
    layout: Layout,
    /// The backend's order of the parameters.
    panels: Panels,
    /// Parameters, gradients, moments, running statistics.
    pub state: State<B::Buf>,
    saved: Vec<B::Saved>,
    /// Gradients of a block's output and input: they change places from block to block.
    gradients: [B::Buf; 2],
    capacity: usize,
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
    pub loss: &'a LossOptions,
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
        spec.validate()?;
        let layout = Layout::new(&spec);
        let panels = Panels::new(&layout, B::PANEL);
        let parameters = panels.parameter_count;
        let state = State {
            params: backend.alloc(parameters)?,
            grads: backend.alloc(parameters)?,
            m: backend.alloc(parameters)?,
            v: backend.alloc(parameters)?,
            running: backend.alloc(panels.running_count)?,
        };
        let saved = panels
            .blocks
            .iter()
            .map(|b| backend.saved(b, capacity))
            .collect::<Result<_>>()?;
        let widest = panels.blocks.iter().map(|b| b.outputs).max().unwrap_or(0);
        let gradient = || backend.alloc(capacity * widest.next_multiple_of(B::PANEL));
        let gradients = [gradient()?, gradient()?];
        Ok(Mlp {
            backend,
            spec,
            layout,
            panels,
            state,
            saved,
            gradients,
            capacity,
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
        check_len("parameters", params.len(), self.layout.parameter_count())?;
        check_len(
            "running statistics",
            running.len(),
            self.layout.running_count(),
        )?;
        let params = self.panels.pack(&self.layout, params);
        let running = self.panels.pack_running(&self.layout, running);
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
        let m = self.panels.pack(&self.layout, m);
        let v = self.panels.pack(&self.layout, v);
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

    /// A copy of the last forward's logits for `rows` rows, `[rows, classes]`.
    pub fn logits(&self, rows: usize) -> Result<Vec<B::Real>> {
        self.copy_out(
            self.output(self.layout.blocks.len() - 1),
            rows * self.spec.classes,
        )
    }

    fn copy_out(&self, buf: &B::Buf, len: usize) -> Result<Vec<B::Real>> {
        let mut out = vec![B::Real::default(); len];
        self.backend.download(&mut out, buf)?;
        Ok(out)
    }

    fn output(&self, block: usize) -> &B::Buf {
        self.backend.output(&self.saved[block])
    }

    /// What the hidden activations of the last forward look like to a gradient check.
    pub(super) fn saved(&self) -> &[B::Saved] {
        &self.saved
    }

    /// Runs the blocks in order; the logits are in [`Mlp::logits`].
    ///
    /// # Errors
    /// If the batch has more rows than there is room for.
    pub fn forward(&mut self, x: Batch<'_, B>, mode: Mode) -> Result<()> {
        let rows = x.rows();
        if rows == 0 || rows > self.capacity {
            let expected = format!("1 to {} rows", self.capacity);
            return Err(Error::shape("batch", expected, rows.to_string()));
        }
        for (i, block) in self.panels.blocks.iter().enumerate() {
            let (before, rest) = self.saved.split_at_mut(i);
            let x = match before.last() {
                Some(previous) => Input::Values {
                    buf: self.backend.output(previous),
                    rows,
                },
                None => x,
            };
            self.backend
                .block_forward(block, x, &mut self.state, &mut rest[0], mode)?;
        }
        Ok(())
    }

    /// The loss of the last forward, without gradient.
    pub fn loss(&mut self, labels: &[u32], options: &LossOptions) -> Result<Loss> {
        let logits = self.backend.output(&self.saved[self.saved.len() - 1]);
        self.backend
            .loss(logits, self.spec.classes, labels, options, None)
    }

    /// The loss of the last forward; its gradient becomes the upstream gradient of [`Mlp::backward`].
    pub fn loss_and_gradient(&mut self, labels: &[u32], options: &LossOptions) -> Result<Loss> {
        let logits = self.backend.output(&self.saved[self.saved.len() - 1]);
        let dlogits = Some(&mut self.gradients[0]);
        self.backend
            .loss(logits, self.spec.classes, labels, options, dlogits)
    }

    /// Sets the upstream gradient of the logits `[rows, classes]` by hand.
    pub fn set_upstream(&mut self, dlogits: &[B::Real]) -> Result<()> {
        self.backend.upload(&mut self.gradients[0], dlogits)
    }

    /// Runs the blocks in reverse, from the upstream gradient, with the `x` and `mode` of the last forward. The first block computes its input
    /// gradient only if `dx` is given: nobody else needs it.
    pub fn backward(
        &mut self,
        x: Batch<'_, B>,
        mode: Mode,
        sink: Sink<'_>,
        mut dx: Option<&mut B::Buf>,
    ) -> Result<()> {
        let rows = x.rows();
        let [mut dy, mut next] = self.gradients.each_mut();
        for (i, block) in self.panels.blocks.iter().enumerate().rev() {
            let (before, rest) = self.saved.split_at_mut(i);
            let (x, dx) = match before.last() {
                Some(previous) => {
                    let buf = self.backend.output(previous);
                    (Input::Values { buf, rows }, Some(&mut *next))
                }
                None => (x, dx.take()),
            };
            let saved = &mut rest[0];
            self.backend
                .block_backward(block, x, dy, saved, &mut self.state, dx, mode, sink)?;
            std::mem::swap(&mut dy, &mut next);
        }
        Ok(())
    }

    /// As [`Mlp::loss`], but it may come later, with [`Mlp::late_losses`].
    pub fn start_loss(
        &mut self,
        labels: Labels<'_, B::Kept>,
        options: &LossOptions,
    ) -> Result<Option<Loss>> {
        let logits = self.backend.output(&self.saved[self.saved.len() - 1]);
        self.backend
            .start_loss(logits, self.spec.classes, labels, options, None)
    }

    /// Appends the losses that are outstanding, in their order; at most [`Backend::LATE_LOSSES`] may be.
    pub fn late_losses(&mut self, losses: &mut Vec<Loss>) -> Result<()> {
        self.backend.late_losses(losses)
    }

    /// The most probable classes of the last forward's first rows.
    pub fn argmax(&self, winners: &mut [u32]) -> Result<()> {
        let logits = self.output(self.layout.blocks.len() - 1);
        self.backend.argmax(logits, self.spec.classes, winners)
    }

    /// One update: forward, loss, backward, optimiser. A loss that is not finite changes nothing but the running statistics.
    pub fn train_step(
        &mut self,
        x: Batch<'_, B>,
        labels: &[u32],
        update: &Update<'_>,
    ) -> Result<Loss> {
        if let Some(loss) = self.start_step(x, labels.into(), update)? {
            return Ok(loss);
        }
        let mut losses = Vec::with_capacity(1);
        self.late_losses(&mut losses)?;
        let missing = || Error::Check("the device has lost a step's loss".into());
        losses.pop().ok_or_else(missing)
    }

    /// [`Mlp::train_step`], but nobody need wait for the loss: it may come later, with [`Mlp::late_losses`].
    pub fn start_step(
        &mut self,
        x: Batch<'_, B>,
        labels: Labels<'_, B::Kept>,
        update: &Update<'_>,
    ) -> Result<Option<Loss>> {
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
        self.forward(x, mode)?;
        let logits = self.backend.output(&self.saved[self.saved.len() - 1]);
        let (classes, dlogits) = (self.spec.classes, Some(&mut self.gradients[0]));
        let loss = self
            .backend
            .start_loss(logits, classes, labels, update.loss, dlogits)?;
        if loss.is_some_and(|loss| !loss.objective.is_finite()) {
            return Ok(loss);
        }
        if update.clip_norm > 0.0 {
            // The scale is known only when every gradient is.
            self.backward(x, mode, Sink::Store, None)?;
            let (blocks, state) = (&self.panels.blocks, &mut self.state);
            self.backend
                .update_clipped(blocks, optimizer, step, state, update.clip_norm)?;
        } else {
            self.backward(x, mode, Sink::Update { optimizer, step }, None)?;
        }
        Ok(loss)
    }
}

fn check_len(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::shape(what, expected.to_string(), found.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Order, Plain};
    use crate::nn::init::{self, Init};
    use crate::ops::activation::Activation;
    use crate::optim::{Adam, RmsProp, Sgd};

    fn spec() -> NetworkSpec {
        NetworkSpec {
            inputs: 23,
            hidden: vec![17, 5],
            classes: 3,
            batch_norm: true,
            activation: Activation::Silu,
            dropout: 0.3,
            order: Order::ActivationDropout,
        }
    }

    fn network(capacity: usize) -> Mlp<Plain<f32>> {
        let (params, running) = init::draw(&spec(), Init::default(), 7);
        let mut mlp = Mlp::new(Plain::new(1), spec(), capacity).unwrap();
        mlp.load(&params, &running).unwrap();
        mlp
    }

    fn numbers(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0)
            .collect()
    }

    fn bits(mlp: &Mlp<Plain<f32>>) -> Vec<u32> {
        let mut all = mlp.read(|s| &s.params).unwrap();
        all.extend(mlp.read(|s| &s.m).unwrap());
        all.extend(mlp.read(|s| &s.v).unwrap());
        all.extend(mlp.read_running().unwrap());
        all.into_iter().map(f32::to_bits).collect()
    }

    /// Some updates on batches of 11 and then 4 rows, in a network with room for `capacity`.
    fn train(capacity: usize, optimizer: &Optimizer, clip_norm: f64) -> Vec<u32> {
        let mut mlp = network(capacity);
        let x = numbers(11 * 23);
        let labels: Vec<u32> = (0..11).map(|i| i % 3).collect();
        for number in 0..6 {
            let rows = if number == 3 { 4 } else { 11 };
            let update = Update {
                number,
                lr: 0.01,
                seed: 3,
                loss: &LossOptions::default(),
                optimizer,
                clip_norm,
            };
            let input = Input::Values { buf: &x, rows };
            let loss = mlp.train_step(input, &labels[..rows], &update).unwrap();
            assert!(loss.objective.is_finite());
        }
        bits(&mlp)
    }

    /// A gradient that goes straight into the optimiser does what a stored one does: a clipping norm that is never reached stores them all.
    #[test]
    fn both_sinks_give_the_same_bits() {
        for optimizer in [
            Optimizer::Adam(Adam::default()),
            Optimizer::RmsProp(RmsProp::default()),
            Optimizer::Sgd(Sgd {
                momentum: 0.9,
                ..Sgd::default()
            }),
        ] {
            assert_eq!(train(11, &optimizer, 0.0), train(11, &optimizer, 1e30));
        }
    }

    #[test]
    fn room_for_more_rows_changes_nothing() {
        let adam = Optimizer::default();
        assert_eq!(train(11, &adam, 0.0), train(64, &adam, 0.0));
    }

    /// Bytes converted by the backend against the same numbers converted by hand.
    #[test]
    fn pixels_are_the_numbers_that_they_stand_for() {
        let data: Vec<u8> = (0..9 * 23).map(|i| (i * 31 % 256) as u8).collect();
        let scale: Vec<f32> = (0..23).map(|j| 1.0 / (j + 100) as f32).collect();
        let shift: Vec<f32> = (0..23).map(|j| j as f32 / 10.0).collect();
        let rows = [8, 0, 3];
        let by_hand: Vec<f32> = rows
            .iter()
            .flat_map(|&row| (0..23).map(move |j| (row as usize, j)))
            .map(|(row, j)| f32::from(data[row * 23 + j]) * scale[j] + shift[j])
            .collect();
        let mut mlp = network(3);
        let pixels = Input::Pixels {
            next: &[],
            data: &data,
            rows: &rows,
            scale: &scale,
            shift: &shift,
        };
        mlp.forward(pixels, Mode::Eval).unwrap();
        let from_pixels = mlp.logits(3).unwrap();
        let values = Input::Values {
            buf: &by_hand,
            rows: 3,
        };
        mlp.forward(values, Mode::Eval).unwrap();
        assert_eq!(mlp.logits(3).unwrap(), from_pixels);
    }

    #[test]
    fn a_loss_that_is_no_number_changes_no_weight() {
        let mut mlp = network(4);
        let before = mlp.read(|s| &s.params).unwrap();
        let mut x = numbers(4 * 23);
        x[30] = f32::NAN;
        let update = Update {
            number: 0,
            lr: 0.1,
            seed: 0,
            loss: &LossOptions::default(),
            optimizer: &Optimizer::default(),
            clip_norm: 0.0,
        };
        let input = Input::Values { buf: &x, rows: 4 };
        let loss = mlp.train_step(input, &[0, 1, 2, 0], &update).unwrap();
        assert!(loss.objective.is_nan());
        assert_eq!(mlp.read(|s| &s.params).unwrap(), before);
    }

    #[test]
    fn sizes_are_checked() {
        let mut mlp = network(2);
        let x = numbers(3 * 23);
        let input = Input::Values { buf: &x, rows: 3 };
        assert_eq!(mlp.forward(input, Mode::Eval).unwrap_err().exit_code(), 2);
        assert!(mlp.load(&[0.0; 5], &[]).is_err());
        assert!(mlp.load_moments(&[], &[]).is_err());
    }
}
