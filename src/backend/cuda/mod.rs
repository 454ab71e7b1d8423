//! The backend on an NVIDIA GPU: launches the kernels of `kernels/`, which have the names of their operations.
//!
//! Only the driver is needed to run it: the kernels are in this program, compiled to PTX, which the driver translates
//! for the device.
//!
//! # Order and waiting
//!
//! Everything is put on one stream, and a training step asks for nothing back:
//!
//! * pending losses stay in a buffer on the device until they are collected;
//! * gradients are clipped by a factor that is read there;
//! * batches are gathered there from samples that were uploaded once, in an order that is uploaded once an epoch.
//!
//! A training step's loss that is not finite raises a flag on the device. Kernels that would change parameters,
//! moments or running statistics look at it first.
//!
//! # Numbers
//!
//! f32. Products, activations, dropout masks, optimisers and pixels have the bits of [`super::Plain`]. Batch
//! statistics, column sums of the batch norm, totals of the loss and the gradient's norm are added in another order,
//! so runs agree with the CPU's to rounding. On one device a run repeats exactly: no sum depends on which thread comes
//! first.

mod batch_norm;
mod dataset;
mod device;
mod loss;
mod products;
mod update;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use super::{
    Backend, BatchTargets, Block, Hidden, Input, Mode, Order, Sink, State, Stem, StemSaved,
};
use crate::data::{Normalizer, Samples};
use crate::error::{Error, Result};
use crate::ops::activation::Activation;
use crate::ops::loss::{BatchLoss, Loss};
use crate::optim::{Optimizer, Step};
use batch_norm::BatchNorm;
pub use dataset::CudaDataset;
pub use device::{CudaDevice, Memory};
use device::{KernelArgument, Pointer, launch};
use loss::Losses;
use products::{CudaProduct, LEAST_TILE_ROWS};
use update::Clip;

/// Threads of a block where each takes one element, or one row's part.
const THREADS: u32 = 256;

/// Computes blocks in f32 on a CUDA device.
pub struct Cuda {
    device: Arc<CudaDevice>,
    losses: RefCell<Losses>,
    clip: RefCell<Clip>,
}

impl Cuda {
    /// The device of this number, from 0.
    ///
    /// # Errors
    /// As [`CudaDevice::open`], or if it has no room.
    pub fn new(index: usize) -> Result<Self> {
        let device = CudaDevice::open(index)?;
        Ok(Cuda {
            losses: RefCell::new(Losses::new(&device)?),
            clip: RefCell::new(Clip::new(&device)?),
            device,
        })
    }

    /// The device.
    pub fn device(&self) -> &Arc<CudaDevice> {
        &self.device
    }

    /// `$C = A B$`, C `[m, n]`, with A `[m, k]` and B `[k, n]`; a transposed operand is stored as `[k, m]` or `[n, k]`.
    ///
    /// # Errors
    /// If the launch fails.
    ///
    /// # Panics
    /// If a buffer is too small, or if both are transposed: no layer has such a product.
    pub fn product(
        &self,
        [transposed_a, transposed_b]: [bool; 2],
        c: &mut Memory<f32>,
        a: &Memory<f32>,
        b: &Memory<f32>,
        [m, n, k]: [usize; 3],
    ) -> Result<()> {
        let product = CudaProduct::new(&self.device, m, n, k)?;
        let (a, b, c) = (a.start(m * k), b.start(k * n), c.start(m * n));
        // SAFETY: the buffers are as large as the sizes say; there may be no bias, and column sums may be unwanted.
        unsafe {
            match (transposed_a, transposed_b) {
                (false, false) => product.nn(&self.device, c, [a, b]),
                (false, true) => product.nt_bias(&self.device, c, [a, b, Pointer::NULL]),
                (true, false) => product.tn(&self.device, [c, Pointer::NULL], [a, b]),
                (true, true) => panic!("expected at most one transposed operand, found two"),
            }
        }
    }

    /// There are no kernels for the embedding of features.
    fn no_embedding(&self) -> Error {
        self.lacks("model.embed", "an embedding of each feature")
    }

    /// There are no kernels for the scales of members.
    fn no_members(&self) -> Error {
        self.lacks("model.members", "several members")
    }

    fn lacks(&self, setting: &str, found: &str) -> Error {
        let device = &self.device;
        let message =
            format!("expected a network that {device} computes, found {found}; use --device cpu");
        Error::setting(setting, message)
    }

    /// The first block's input as numbers. Pixels of this program's memory are converted here; uploaded samples come as
    /// numbers already.
    fn convert(&self, x: Input<'_, Memory<f32>, f32>, saved: &mut SavedBlock) -> Result<()> {
        let Input::Pixels {
            data,
            rows,
            scale,
            shift,
            ..
        } = x
        else {
            return Ok(());
        };
        let width = scale.len();
        let pixels = rows.iter().flat_map(|&row| {
            let row = &data[row as usize * width..][..width];
            let columns = row.iter().zip(scale).zip(shift);
            columns.map(|((&x, &scale), &shift)| f32::from(x) * scale + shift)
        });
        let values: Vec<f32> = pixels.collect();
        match &mut saved.converted {
            Some(memory) if memory.len() >= values.len() => memory.write(&values),
            none => {
                *none = Some(self.device.upload(&values)?);
                Ok(())
            }
        }
    }
}

/// A size as kernels take it.
fn size(device: &CudaDevice, len: usize) -> Result<u32> {
    let too_large = |_| device.error(format!("{len} numbers are more than a kernel can count"));
    u32::try_from(len).map_err(too_large)
}

/// A layer's dropout in one step, as the kernels take it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct MaskArguments {
    /// ⌊p·2³²⌋; with 0 every unit stays as it is.
    threshold: u32,
    /// 1/(1 − p)
    scale: f32,
    layer: u32,
    step: [u32; 2],
    seed: [u32; 2],
}

// SAFETY: the layout of `Mask` in kernels/common.cuh.
unsafe impl KernelArgument for MaskArguments {}

impl MaskArguments {
    fn of(block: &Block, mode: Mode) -> Self {
        let words = |x: u64| [x as u32, (x >> 32) as u32];
        let Some(mask) = block.mask(mode) else {
            return MaskArguments {
                threshold: 0,
                scale: 1.0,
                layer: block.layer,
                step: [0; 2],
                seed: [0; 2],
            };
        };
        MaskArguments {
            threshold: (mask.p * 4_294_967_296.0) as u32,
            scale: (1.0 / (1.0 - mask.p)) as f32,
            layer: mask.layer,
            step: words(mask.step),
            seed: words(mask.seed),
        }
    }
}

/// What follows a block's linear map and batch norm, as the kernels take it.
struct Tail {
    /// Its number among [`Activation::ALL`].
    activation: u32,
    /// 0 with dropout first, 1 with the activation first.
    order: u32,
    mask: MaskArguments,
}

impl Tail {
    fn of(block: &Block, hidden: &Hidden, mode: Mode) -> Self {
        let known = Activation::ALL.iter();
        let place = known.clone().position(|&kind| kind == hidden.activation);
        Tail {
            activation: place.expect("all of them are there") as u32,
            order: match hidden.order {
                Order::DropoutActivation => 0,
                Order::ActivationDropout => 1,
            },
            mask: MaskArguments::of(block, mode),
        }
    }
}

/// What a block's forward keeps, `[capacity, outputs]` unless said.
pub struct SavedBlock {
    /// The first block's input, where it came as pixels of this program's memory.
    converted: Option<Memory<f32>>,
    out: Memory<f32>,
    /// What goes into the activation.
    pre: Memory<f32>,
    /// `$\hat x$` of the batch norm.
    x_hat: Memory<f32>,
    /// `$1/\sqrt{\sigma^2+\varepsilon}$` `[outputs]`.
    inv_std: Memory<f32>,
    /// Two numbers per column of each tile of rows: mean and M2 in the forward, parts of dγ and dβ in the backward.
    parts: [Memory<f32>; 2],
}

impl SavedBlock {
    fn input<'a>(&'a self, x: Input<'a, Memory<f32>, f32>) -> Result<&'a Memory<f32>> {
        match (x, &self.converted) {
            (Input::Values { buf, .. }, _) => Ok(buf),
            (Input::Pixels { .. }, Some(converted)) => Ok(converted),
            (Input::Pixels { .. }, None) => {
                let expected = "the pixels of the last forward";
                Err(Error::shape("batch", expected, "none converted"))
            }
        }
    }
}

impl Backend for Cuda {
    type Real = f32;
    type Buf = Memory<f32>;
    type Saved = SavedBlock;
    type Dataset = CudaDataset;

    const PANEL: usize = 1;
    const PENDING_LOSSES: usize = loss::SLOTS;
    const WEIGHS_SAMPLES: bool = false;

    fn describe(&self) -> String {
        format!("f32 on {}", self.device)
    }

    fn reproducible_on(&self) -> Option<String> {
        Some(self.device.name().to_owned())
    }

    fn alloc(&self, len: usize) -> Result<Memory<f32>> {
        self.device.alloc(len)
    }

    fn buffer_len(&self, buf: &Memory<f32>) -> usize {
        buf.len()
    }

    fn upload(&self, dst: &mut Memory<f32>, src: &[f32]) -> Result<()> {
        dst.write(src)
    }

    fn download(&self, dst: &mut [f32], src: &Memory<f32>) -> Result<()> {
        src.read(dst)
    }

    fn upload_samples(
        &self,
        samples: &Samples,
        normalizer: &Normalizer,
    ) -> Result<Option<CudaDataset>> {
        CudaDataset::new(&self.device, samples, normalizer)
    }

    fn stem_saved(&self, stem: &Stem, _: usize, _: bool) -> Result<StemSaved<Memory<f32>>> {
        match stem.scale {
            Some(_) => Err(self.no_members()),
            None => Err(self.no_embedding()),
        }
    }

    fn stem_forward(
        &self,
        _: &Stem,
        _: Input<'_, Memory<f32>, f32>,
        _: &State<Memory<f32>>,
        _: &mut StemSaved<Memory<f32>>,
    ) -> Result<()> {
        Err(self.no_embedding())
    }

    fn stem_backward(
        &self,
        _: &Stem,
        _: Input<'_, Memory<f32>, f32>,
        _: &mut State<Memory<f32>>,
        _: &mut StemSaved<Memory<f32>>,
        _: Option<&mut Memory<f32>>,
    ) -> Result<()> {
        Err(self.no_embedding())
    }

    fn add(&self, _: &mut Memory<f32>, _: &Memory<f32>) -> Result<()> {
        Err(self.no_members())
    }

    fn saved(&self, block: &Block, capacity: usize) -> Result<SavedBlock> {
        let Block { outputs, .. } = *block;
        let alloc = |on: bool, len: usize| self.device.alloc(if on { len } else { 0 });
        let (normalised, all) = (block.batch_norm().is_some(), capacity * outputs);
        if block.is_output() {
            self.losses.borrow_mut().reserve(&self.device, capacity)?;
        }
        let parts = capacity.div_ceil(LEAST_TILE_ROWS) * outputs;
        Ok(SavedBlock {
            converted: None,
            out: alloc(true, all)?,
            pre: alloc(!block.is_output(), all)?,
            x_hat: alloc(normalised, all)?,
            inv_std: alloc(normalised, outputs)?,
            parts: [alloc(normalised, parts)?, alloc(normalised, parts)?],
        })
    }

    fn output<'s>(&self, saved: &'s SavedBlock) -> &'s Memory<f32> {
        &saved.out
    }

    fn block_forward(
        &self,
        block: &Block,
        x: Input<'_, Memory<f32>, f32>,
        state: &mut State<Memory<f32>>,
        saved: &mut SavedBlock,
        mode: Mode,
    ) -> Result<()> {
        self.convert(x, saved)?;
        let (rows, outputs) = (x.rows(), block.outputs);
        let all = rows * outputs;
        let product = CudaProduct::new(&self.device, rows, outputs, block.inputs)?;
        let (params, device) = (&state.params, &*self.device);
        let operands = [
            saved.input(x)?.start(rows * block.inputs),
            params.at(block.linear.weight.start, block.linear.weight.len()),
            params.at(block.linear.bias.start, outputs),
        ];
        let out = saved.out.start(all);
        let Some(hidden) = block.hidden() else {
            // SAFETY: memory of the sizes that the block's layout gives.
            return unsafe { product.nt_bias(device, out, operands) };
        };
        let tail = Tail::of(block, hidden, mode);
        let Some(slices) = &hidden.batch_norm else {
            let results = [out, saved.pre.start(all)];
            // SAFETY: memory of the sizes that the block's layout gives.
            return unsafe { product.nt_block(device, results, operands, &tail) };
        };
        let norm = BatchNorm {
            device,
            slices,
            saved,
            state,
            rows,
            outputs,
        };
        if mode == Mode::Eval {
            // SAFETY: memory of the sizes that the block's layout gives.
            unsafe { product.nt_bias(device, out, operands)? };
            return norm.evaluate(&tail);
        }
        let statistics = norm.parts(product.tile_rows());
        // SAFETY: memory of the sizes that the block's layout gives.
        unsafe { product.nt_statistics(device, out, statistics, operands)? };
        let diverged = self.losses.borrow().flag();
        norm.forward(product.tile_rows(), &tail, diverged)
    }

    fn block_backward(
        &self,
        block: &Block,
        x: Input<'_, Memory<f32>, f32>,
        dy: &mut Memory<f32>,
        saved: &mut SavedBlock,
        state: &mut State<Memory<f32>>,
        dx: Option<&mut Memory<f32>>,
        mode: Mode,
        sink: Sink<'_>,
    ) -> Result<()> {
        let (device, rows, outputs) = (&*self.device, x.rows(), block.outputs);
        let all = rows * outputs;
        if let Some(hidden) = block.hidden() {
            let tail = Tail::of(block, hidden, mode);
            match &hidden.batch_norm {
                None => activation_backward(device, dy, &saved.pre, all, &tail)?,
                Some(slices) => BatchNorm {
                    device,
                    slices,
                    saved,
                    state,
                    rows,
                    outputs,
                }
                .backward(dy, &tail)?,
            }
        }
        if let Some(dx) = dx {
            let product = CudaProduct::new(device, rows, block.inputs, block.outputs)?;
            let weight = &block.linear.weight;
            let weight = state.params.at(weight.start, weight.len());
            let dx = dx.start(rows * block.inputs);
            // SAFETY: memory of the sizes that the block's layout gives.
            unsafe { product.nn(device, dx, [dy.start(all), weight])? };
        }
        let product = CudaProduct::new(device, block.outputs, block.inputs, rows)?;
        let gradients = [
            (state.grads).at(block.linear.weight.start, block.linear.weight.len()),
            state.grads.at(block.linear.bias.start, block.outputs),
        ];
        let x = saved.input(x)?.start(rows * block.inputs);
        // SAFETY: memory of the sizes that the block's layout gives.
        unsafe { product.tn(device, gradients, [dy.start(all), x])? };
        match sink {
            Sink::Store => Ok(()),
            Sink::Add | Sink::Update { adds: true, .. } => Err(self.no_members()),
            Sink::Update {
                optimizer, step, ..
            } => self.update(optimizer, step, state, block.parameters()),
        }
    }

    fn start_loss(
        &self,
        logits: &Memory<f32>,
        outputs: usize,
        targets: BatchTargets<'_, CudaDataset>,
        loss: &Loss,
        dlogits: Option<&mut Memory<f32>>,
    ) -> Result<()> {
        let mut losses = self.losses.borrow_mut();
        losses.start(&self.device, logits, outputs, targets, loss, dlogits)
    }

    /// The kernels look at the flag on the device.
    fn diverged(&self) -> bool {
        false
    }

    fn finish_losses(&self, losses: &mut Vec<BatchLoss>) -> Result<()> {
        self.losses.borrow_mut().finish(losses)
    }

    fn argmax(&self, logits: &Memory<f32>, outputs: usize, winners: &mut [u32]) -> Result<()> {
        let mut losses = self.losses.borrow_mut();
        losses.argmax(&self.device, logits, outputs, winners)
    }

    fn gradient_norm(
        &self,
        _: Option<&Stem>,
        _: &[Block],
        state: &State<Memory<f32>>,
    ) -> Result<f64> {
        self.clip.borrow().norm(&self.device, &state.grads)
    }

    fn update(
        &self,
        optimizer: &Optimizer,
        step: &Step,
        state: &mut State<Memory<f32>>,
        range: Range<usize>,
    ) -> Result<()> {
        let diverged = self.losses.borrow().flag();
        let mut clip = self.clip.borrow_mut();
        let scale = clip.given(step.gradient_scale)?;
        update::launch_rule(&self.device, optimizer, step, state, range, scale, diverged)
    }

    fn update_clipped(
        &self,
        (_, blocks): (Option<&Stem>, &[Block]),
        optimizer: &Optimizer,
        step: &Step,
        state: &mut State<Memory<f32>>,
        clip_norm: f64,
    ) -> Result<()> {
        let diverged = self.losses.borrow().flag();
        let scale = (self.clip.borrow()).scale(&self.device, &state.grads, clip_norm)?;
        let all = 0..blocks.last().map_or(0, |block| block.parameters().end);
        update::launch_rule(&self.device, optimizer, step, state, all, scale, diverged)
    }
}

/// From the gradient of the output of a block without batch norm to that of its linear map, in place.
fn activation_backward(
    device: &CudaDevice,
    dy: &mut Memory<f32>,
    pre: &Memory<f32>,
    len: usize,
    tail: &Tail,
) -> Result<()> {
    let count = size(device, len)?;
    let grid = [count.div_ceil(4).div_ceil(THREADS), 1];
    let kernel = &device.kernels.activation_backward;
    let (dy, pre, block) = (dy.start(len), pre.start(len), [THREADS, 1]);
    let Tail {
        activation,
        order,
        mask,
    } = *tail;
    // SAFETY: both have `len` numbers; allocations are aligned to far more than 16 bytes; the types are the kernel's.
    unsafe {
        launch!(
            device, kernel, grid, block, dy, pre, count, activation, order, mask
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kernels/common.cuh says of `Mask`.
    #[test]
    fn the_mask_is_laid_out_as_in_the_kernels() {
        assert_eq!(size_of::<MaskArguments>(), 28);
        assert_eq!(std::mem::offset_of!(MaskArguments, layer), 8);
        assert_eq!(std::mem::offset_of!(MaskArguments, seed), 20);
    }
}
