//! The readable backend: each operation by itself, in the order of the formulas.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};

use super::pending::{self, PendingLosses};
use super::{
    Backend, BatchTargets, Block, BlockKind, Hidden, Input, Mode, Order, Sink, Source, State, Stem,
    StemSaved,
};
use crate::error::Result;
use crate::gemm::Element;
use crate::ops::activation::{activation_backward, activation_forward};
use crate::ops::batch_norm::{batch_norm_backward, batch_norm_evaluate, batch_norm_forward};
use crate::ops::linear::{linear_backward_input, linear_backward_parameters, linear_forward};
use crate::ops::loss::{BatchLoss, Loss};
use crate::ops::member_scale::{scale_weights, scale_weights_backward};
use crate::ops::reduce;
use crate::optim::clip::SquareSum;
use crate::optim::{Optimizer, Step};
use crate::simd;
use crate::threads::on_parts;

/// Up to this many parameters one thread updates alone: waking others would cost more than it saves.
const UPDATE_ALONE: usize = 32 * 1024;

/// Calls [`crate::ops`] one by one, in f32 or f64.
#[derive(Debug)]
pub struct Plain<R> {
    threads: usize,
    losses: PendingLosses,
    real: PhantomData<R>,
}

impl<R> Plain<R> {
    /// A backend whose products and updates run on this number of threads.
    pub fn new(threads: usize) -> Self {
        Plain {
            threads,
            losses: PendingLosses::default(),
            real: PhantomData,
        }
    }
}

/// What a block's forward keeps, all `[capacity, outputs]` unless said.
#[derive(Clone, Debug, Default)]
pub struct PlainSaved<R> {
    /// The first block's input as numbers `[capacity, inputs]`, if it came as pixels.
    input: Vec<R>,
    /// `$\hat x$` of the batch norm.
    x_hat: Vec<R>,
    /// `$1/\sqrt{\sigma^2+\varepsilon}$` `[outputs]`.
    inv_std: Vec<R>,
    /// What goes into the activation.
    pre: Vec<R>,
    /// What comes out of the activation, if dropout follows it.
    activated: Vec<R>,
    /// The block's output.
    out: Vec<R>,
    /// W with its inputs scaled, if they are.
    scaled: Vec<R>,
    /// The gradient of that.
    d_scaled: Vec<R>,
    /// Gradients of its parameters to which new ones are added.
    sums: Vec<R>,
}

impl<R: Element> PlainSaved<R> {
    /// From the gradient of the scaled W, which stands in place of that of W, to those of W and of the scale.
    fn unscaled_gradient(
        &mut self,
        block: &Block,
        scale: &Range<usize>,
        state: &mut State<Vec<R>>,
    ) {
        let weight = &block.linear.weight;
        let (dr, dw) = state.grads.split_at_mut(weight.start);
        let (dr, dw) = (&mut dr[scale.clone()], &mut dw[..weight.len()]);
        self.d_scaled.clear();
        self.d_scaled.extend_from_slice(dw);
        dw.fill(R::ZERO);
        let (w, r) = (&state.params[weight.clone()], &state.params[scale.clone()]);
        scale_weights_backward([dw, dr], &self.d_scaled, w, r);
    }
}

impl<R> PlainSaved<R> {
    /// The activation's input in the last forward, `[capacity, outputs]`; empty in the output block.
    pub fn pre_activation(&self) -> &[R] {
        &self.pre
    }
}

impl Block {
    /// W, which a scaled block finds in `scaled`.
    fn weight_view<'p, R>(&self, params: &'p [R], scaled: &'p [R]) -> ArrayView2<'p, R> {
        let weight = match self.scale {
            Some(_) => scaled,
            None => &params[self.linear.weight.clone()],
        };
        ArrayView2::from_shape((self.outputs, self.inputs), weight)
            .expect("the layout gives W its size")
    }

    fn input_view<'x, R>(&self, rows: usize, x: &'x [R]) -> ArrayView2<'x, R> {
        ArrayView2::from_shape((rows, self.inputs), x).expect("n rows of inputs")
    }
}

impl<R: Element> Backend for Plain<R> {
    type Real = R;
    type Buf = Vec<R>;
    type Saved = PlainSaved<R>;
    type Dataset = Infallible;

    const PANEL: usize = 1;
    const PENDING_LOSSES: usize = pending::ROOM;

    fn describe(&self) -> String {
        format!("{}, {} threads", R::NAME, self.threads)
    }

    fn reproducible_on(&self) -> Option<String> {
        // Products in f64 are those of the crate matrixmultiply, which chooses a kernel for the processor.
        (R::NAME != "f32").then(simd::processor)
    }

    fn alloc(&self, len: usize) -> Result<Vec<R>> {
        Ok(vec![R::ZERO; len])
    }

    fn buffer_len(&self, buf: &Vec<R>) -> usize {
        buf.len()
    }

    fn upload(&self, dst: &mut Vec<R>, src: &[R]) -> Result<()> {
        dst[..src.len()].copy_from_slice(src);
        Ok(())
    }

    fn download(&self, dst: &mut [R], src: &Vec<R>) -> Result<()> {
        dst.copy_from_slice(&src[..dst.len()]);
        Ok(())
    }

    fn saved(&self, block: &Block, capacity: usize) -> Result<PlainSaved<R>> {
        let zeros = |on: bool, len: usize| vec![R::ZERO; if on { len } else { 0 }];
        let outputs = |on: bool| zeros(on, capacity * block.outputs);
        let hidden = block.hidden();
        let normalised = block.batch_norm().is_some();
        Ok(PlainSaved {
            input: zeros(block.is_first(), capacity * block.inputs),
            x_hat: outputs(normalised),
            inv_std: zeros(normalised, block.outputs),
            pre: outputs(hidden.is_some()),
            activated: outputs(hidden.is_some_and(Hidden::drops_after_activation)),
            out: outputs(true),
            scaled: zeros(block.scale.is_some(), block.outputs * block.inputs),
            d_scaled: Vec::new(),
            sums: Vec::new(),
        })
    }

    fn output<'s>(&self, saved: &'s PlainSaved<R>) -> &'s Vec<R> {
        &saved.out
    }

    fn stem_forward(
        &self,
        stem: &Stem,
        x: Input<'_, Vec<R>, R>,
        state: &State<Vec<R>>,
        saved: &mut StemSaved<Vec<R>>,
    ) -> Result<()> {
        stem.forward(x, &state.params, saved);
        Ok(())
    }

    fn stem_backward(
        &self,
        stem: &Stem,
        x: Input<'_, Vec<R>, R>,
        state: &mut State<Vec<R>>,
        saved: &mut StemSaved<Vec<R>>,
        dx: Option<&mut Vec<R>>,
    ) -> Result<()> {
        stem.backward(x, [&mut state.params, &mut state.grads], saved, dx);
        Ok(())
    }

    fn add(&self, sum: &mut Vec<R>, x: &Vec<R>) -> Result<()> {
        reduce::add_rows(x, sum);
        Ok(())
    }

    fn block_forward(
        &self,
        block: &Block,
        x: Input<'_, Vec<R>, R>,
        state: &mut State<Vec<R>>,
        saved: &mut PlainSaved<R>,
        mode: Mode,
    ) -> Result<()> {
        let State {
            params, running, ..
        } = state;
        let PlainSaved {
            input,
            x_hat,
            inv_std,
            pre,
            activated,
            out,
            scaled,
            ..
        } = saved;
        let len = x.rows() * block.outputs;
        if block.source != Source::Kept {
            x.convert(block.inputs, input);
        }
        let x_view = block.input_view(x.rows(), x.numbers(block.inputs, input));
        if let Some(scale) = &block.scale {
            let (w, r) = (&params[block.linear.weight.clone()], &params[scale.clone()]);
            scale_weights::<R, 1>(scaled, w, r);
        }
        let linear = |z: &mut [R]| {
            let z = ArrayViewMut2::from_shape((x.rows(), block.outputs), z).expect("n rows");
            let bias = &params[block.linear.bias.clone()];
            linear_forward(
                z,
                x_view,
                block.weight_view(params, scaled),
                bias,
                self.threads,
            );
        };
        let out = &mut out[..len];
        let hidden = match &block.kind {
            BlockKind::Hidden(hidden) => hidden,
            BlockKind::Output { .. } => {
                linear(out);
                return Ok(());
            }
        };
        let pre = &mut pre[..len];
        if let Some(bn) = &hidden.batch_norm {
            // The output's room serves for the linear map until the activation fills it.
            linear(out);
            let (gamma, beta) = (&params[bn.gamma.clone()], &params[bn.beta.clone()]);
            let (mean, var) = running.split_at_mut(bn.running_var.start);
            let mean = &mut mean[bn.running_mean.clone()];
            let var = &mut var[..block.outputs];
            match mode {
                Mode::Train { .. } => {
                    let x_hat = &mut x_hat[..len];
                    batch_norm_forward(pre, x_hat, inv_std, mean, var, out, gamma, beta);
                }
                Mode::Eval => batch_norm_evaluate(pre, out, mean, var, gamma, beta),
            }
        } else {
            linear(pre);
        }
        let mask = block.mask(mode);
        match hidden.order {
            Order::DropoutActivation => {
                if let Some(mask) = mask {
                    mask.apply(pre);
                }
                activation_forward(hidden.activation, out, pre);
            }
            Order::ActivationDropout => {
                activation_forward(hidden.activation, out, pre);
                if let Some(mask) = mask {
                    activated[..len].copy_from_slice(out);
                    mask.apply(out);
                }
            }
        }
        Ok(())
    }

    fn block_backward(
        &self,
        block: &Block,
        x: Input<'_, Vec<R>, R>,
        dy: &mut Vec<R>,
        saved: &mut PlainSaved<R>,
        state: &mut State<Vec<R>>,
        dx: Option<&mut Vec<R>>,
        mode: Mode,
        sink: Sink<'_>,
    ) -> Result<()> {
        let n = x.rows();
        let len = n * block.outputs;
        let dy = &mut dy[..len];
        if let BlockKind::Hidden(hidden) = &block.kind {
            let kind = hidden.activation;
            let pre = &saved.pre[..len];
            let mask = block.mask(mode);
            match hidden.order {
                Order::DropoutActivation => {
                    activation_backward(kind, dy, pre, &saved.out[..len]);
                    if let Some(mask) = mask {
                        mask.apply(dy);
                    }
                }
                Order::ActivationDropout => {
                    let y = match mask {
                        Some(mask) => {
                            mask.apply(dy);
                            &saved.activated[..len]
                        }
                        None => &saved.out[..len],
                    };
                    activation_backward(kind, dy, pre, y);
                }
            }
        }
        if let Some(bn) = block.batch_norm() {
            let (dgamma, dbeta) = state.grads.split_at_mut(bn.beta.start);
            batch_norm_backward(
                dy,
                &mut dgamma[bn.gamma.clone()],
                &mut dbeta[..block.outputs],
                &saved.x_hat[..len],
                &saved.inv_std,
                &state.params[bn.gamma.clone()],
            );
        }
        let dy = ArrayView2::from_shape((n, block.outputs), &*dy).expect("n rows of outputs");
        if let Some(dx) = dx {
            let dx = ArrayViewMut2::from_shape((n, block.inputs), &mut dx[..n * block.inputs])
                .expect("n rows of inputs");
            linear_backward_input(
                dx,
                dy,
                block.weight_view(&state.params, &saved.scaled),
                self.threads,
            );
        }
        if sink.adds() {
            saved.sums.clear();
            (saved.sums).extend_from_slice(&state.grads[block.parameters()]);
        }
        let (dw, db) = state.grads.split_at_mut(block.linear.bias.start);
        let dw = &mut dw[block.linear.weight.clone()];
        let dw = ArrayViewMut2::from_shape((block.outputs, block.inputs), dw)
            .expect("the layout gives dW its size");
        let x = block.input_view(n, x.numbers(block.inputs, &saved.input));
        linear_backward_parameters(dw, &mut db[..block.outputs], dy, x, self.threads);
        if let Some(scale) = &block.scale {
            saved.unscaled_gradient(block, scale, state);
        }
        if sink.adds() {
            reduce::add_rows(&saved.sums, &mut state.grads[block.parameters()]);
        }
        if let Sink::Update {
            optimizer, step, ..
        } = sink
        {
            // A head's tensors do not lie side by side.
            let weight = block.linear.weight.clone();
            for tensor in std::iter::once(weight).chain(block.vectors()) {
                self.update(optimizer, step, state, tensor)?;
            }
        }
        Ok(())
    }

    fn start_loss(
        &self,
        logits: &Vec<R>,
        outputs: usize,
        targets: BatchTargets<'_, Infallible>,
        loss: &Loss,
        dlogits: Option<&mut Vec<R>>,
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
        state: &State<Vec<R>>,
    ) -> Result<f64> {
        let mut sum = SquareSum::default();
        if let Some(stem) = stem {
            stem.add_squares(&mut sum, &state.grads);
        }
        for block in blocks {
            for head in block.heads() {
                sum.add_rows(&state.grads[head.weight], block.inputs);
            }
            for vector in block.vectors() {
                sum.add_rows(&state.grads[vector], 1);
            }
        }
        Ok(sum.norm())
    }

    fn update(
        &self,
        optimizer: &Optimizer,
        step: &Step,
        state: &mut State<Vec<R>>,
        range: Range<usize>,
    ) -> Result<()> {
        let rule = optimizer.at(step);
        let g = &state.grads[range.clone()];
        let changed = [
            &mut state.params[range.clone()],
            &mut state.m[range.clone()],
            &mut state.v[range],
        ];
        let threads = if g.len() <= UPDATE_ALONE {
            1
        } else {
            self.threads
        };
        on_parts(threads, changed, |own, [w, m, v]| {
            simd::dispatch(
                #[inline(always)]
                || rule.apply(w, &g[own], m, v),
            );
        });
        Ok(())
    }
}
