//! The batch norm of a block with the block's tail, between its products.

use std::ops::Range;

use super::device::{CudaDevice, Memory, Pointer, launch};
use super::{SavedBlock, Tail, size};
use crate::backend::{BatchNormSlices, State};
use crate::error::Result;

/// Columns and rows of a block of threads in `kernels/batch_norm.cu`, and the rows that it goes through: `SUM_CHUNK`
/// where it sums.
const BLOCK: [u32; 2] = [32, 8];
const CHUNK: usize = 16;
const SUM_CHUNK: usize = 64;

/// One block's batch norm, for one batch.
pub(super) struct BatchNorm<'a> {
    pub(super) device: &'a CudaDevice,
    pub(super) slices: &'a BatchNormSlices,
    pub(super) saved: &'a SavedBlock,
    pub(super) state: &'a State<Memory<f32>>,
    pub(super) rows: usize,
    pub(super) outputs: usize,
}

impl BatchNorm<'_> {
    /// Blocks of threads over all columns and chunks of rows.
    fn grid(&self, chunk: usize) -> Result<[u32; 2]> {
        let features = size(self.device, self.outputs)?;
        let chunks = size(self.device, self.rows.div_ceil(chunk))?;
        Ok([features.div_ceil(BLOCK[0]), chunks])
    }

    /// Rows and columns.
    fn sizes(&self) -> Result<[u32; 2]> {
        Ok([
            size(self.device, self.rows)?,
            size(self.device, self.outputs)?,
        ])
    }

    fn param(&self, range: &Range<usize>) -> Pointer<f32> {
        self.state.params.at(range.start, self.outputs)
    }

    fn grad(&self, range: &Range<usize>) -> Pointer<f32> {
        self.state.grads.at(range.start, self.outputs)
    }

    fn running(&self, range: &Range<usize>) -> Pointer<f32> {
        self.state.running.at(range.start, self.outputs)
    }

    /// A matrix `[rows, outputs]`.
    fn all(&self, memory: &Memory<f32>) -> Pointer<f32> {
        memory.start(self.rows * self.outputs)
    }

    /// Two numbers per column for every `piece` rows.
    pub(super) fn parts(&self, piece: usize) -> [Pointer<f32>; 2] {
        let len = self.rows.div_ceil(piece) * self.outputs;
        let [first, second] = &self.saved.parts;
        [first.start(len), second.start(len)]
    }

    /// With the running statistics, in place of the linear map.
    pub(super) fn evaluate(&self, tail: &Tail) -> Result<()> {
        let (device, bn, saved) = (self.device, self.slices, self.saved);
        let [n, features] = self.sizes()?;
        // SAFETY: memory of the sizes that the block's layout gives; the types are the kernel's.
        unsafe {
            launch!(
                device,
                &device.kernels.batch_norm_evaluate,
                self.grid(CHUNK)?,
                BLOCK,
                self.all(&saved.out),
                self.all(&saved.pre),
                self.running(&bn.running_mean),
                self.running(&bn.running_var),
                self.param(&bn.gamma),
                self.param(&bn.beta),
                n,
                features,
                tail.activation
            )
        }
    }

    /// With the batch's statistics, from those of tiles of `tile_rows` rows, in place of the linear map.
    ///
    /// Moves the running statistics, unless the run has diverged.
    pub(super) fn forward(
        &self,
        tile_rows: usize,
        tail: &Tail,
        diverged: Pointer<u32>,
    ) -> Result<()> {
        let (device, bn, saved) = (self.device, self.slices, self.saved);
        let [n, features] = self.sizes()?;
        let [means, m2s] = self.parts(tile_rows);
        // SAFETY: memory of the sizes that the block's layout gives; the types are the kernel's.
        unsafe {
            launch!(
                device,
                &device.kernels.batch_norm_forward,
                self.grid(CHUNK)?,
                BLOCK,
                self.all(&saved.out),
                self.all(&saved.pre),
                self.all(&saved.x_hat),
                saved.inv_std.start(self.outputs),
                self.running(&bn.running_mean),
                self.running(&bn.running_var),
                self.param(&bn.gamma),
                self.param(&bn.beta),
                means,
                m2s,
                n,
                features,
                size(device, tile_rows)?,
                tail.activation,
                tail.order,
                tail.mask,
                diverged
            )
        }
    }

    /// From the gradient of the block's output to that of its linear map, in place; and those of γ and β.
    pub(super) fn backward(&self, dy: &mut Memory<f32>, tail: &Tail) -> Result<()> {
        let (device, bn, saved) = (self.device, self.slices, self.saved);
        let [n, features] = self.sizes()?;
        let [dgamma, dbeta] = self.parts(SUM_CHUNK);
        // SAFETY: memory of the sizes that the block's layout gives; the types are the kernels'.
        unsafe {
            launch!(
                device,
                &device.kernels.batch_norm_backward_sums,
                self.grid(SUM_CHUNK)?,
                BLOCK,
                self.all(dy),
                dgamma,
                dbeta,
                self.all(&saved.pre),
                self.all(&saved.x_hat),
                n,
                features,
                tail.activation,
                tail.order,
                tail.mask
            )?;
            launch!(
                device,
                &device.kernels.batch_norm_backward,
                self.grid(CHUNK)?,
                BLOCK,
                self.all(dy),
                self.grad(&bn.gamma),
                self.grad(&bn.beta),
                dgamma,
                dbeta,
                self.all(&saved.x_hat),
                saved.inv_std.start(self.outputs),
                self.param(&bn.gamma),
                n,
                features
            )
        }
    }
}
