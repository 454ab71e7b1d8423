//! The optimisers and clipping on the device.

use std::ops::Range;
use std::sync::Arc;

use super::device::{CudaDevice, KernelArgument, Memory, Pointer, launch};
use super::{THREADS, size};
use crate::backend::State;
use crate::error::Result;
use crate::optim::adam::AdamStep;
use crate::optim::rmsprop::RmsPropStep;
use crate::optim::rprop::RpropStep;
use crate::optim::sgd::SgdStep;
use crate::optim::{FLUSH_INTERVAL, Optimizer, Step};

/// Most blocks of threads that add squares, and how many numbers each takes at least.
const SUM_BLOCKS: u32 = 256;
const SUM_NUMBERS: u32 = 1024;

/// Declares a rule's constants as its kernel takes them.
macro_rules! rule {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        struct $name {
            $($field: $type,)*
        }

        // SAFETY: the layout of the struct of this name in kernels/optimizers.cu.
        unsafe impl KernelArgument for $name {}
    };
}

rule!(SgdRule {
    lr: f32,
    momentum: f32,
    weight_decay: f32,
    nesterov: u32,
    swept: u32
});
rule!(AdamRule {
    step_size: f32,
    root_correction: f32,
    beta1: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    eps: f32,
    l2: f32,
    shrink: f32,
    swept: u32,
});
rule!(RmsPropRule {
    lr: f32,
    alpha: f32,
    one_minus_alpha: f32,
    eps: f32,
    momentum: f32,
    weight_decay: f32,
    swept: u32,
});
rule!(RpropRule {
    first: f32,
    is_first: u32,
    swept: u32
});

impl SgdRule {
    fn new(step: SgdStep<f32>, swept: u32) -> Self {
        SgdRule {
            lr: step.lr,
            momentum: step.momentum,
            weight_decay: step.weight_decay,
            nesterov: step.nesterov.into(),
            swept,
        }
    }
}

impl AdamRule {
    fn new(step: AdamStep<f32>, swept: u32) -> Self {
        AdamRule {
            step_size: step.step_size,
            root_correction: step.root_correction,
            beta1: step.beta1,
            one_minus_beta1: step.one_minus_beta1,
            beta2: step.beta2,
            one_minus_beta2: step.one_minus_beta2,
            eps: step.eps,
            l2: step.l2,
            shrink: step.shrink,
            swept,
        }
    }
}

impl RmsPropRule {
    fn new(step: RmsPropStep<f32>, swept: u32) -> Self {
        RmsPropRule {
            lr: step.lr,
            alpha: step.alpha,
            one_minus_alpha: step.one_minus_alpha,
            eps: step.eps,
            momentum: step.momentum,
            weight_decay: step.weight_decay,
            swept,
        }
    }
}

impl RpropRule {
    fn new(step: RpropStep<f32>, swept: u32) -> Self {
        RpropRule {
            first: step.first.unwrap_or(0.0),
            is_first: step.first.is_some().into(),
            swept,
        }
    }
}

/// Applies an optimiser to a range of the parameters. `scale` is where the factor of the gradients is; null means 1.
pub(super) fn launch_rule(
    device: &CudaDevice,
    optimizer: &Optimizer,
    step: &Step,
    state: &mut State<Memory<f32>>,
    range: Range<usize>,
    scale: Pointer<f32>,
    diverged: Pointer<u32>,
) -> Result<()> {
    let count = size(device, range.len())?;
    if count == 0 {
        return Ok(());
    }
    let (grid, block) = ([count.div_ceil(THREADS), 1], [THREADS, 1]);
    let at = |buf: &Memory<f32>| buf.at(range.start, range.len());
    let w = at(&state.params);
    let (g, m, v) = (at(&state.grads), at(&state.m), at(&state.v));
    let swept = u32::from(step.t.is_multiple_of(FLUSH_INTERVAL));
    let k = &device.kernels;
    // SAFETY: the four have `count` numbers from there on; the types are the kernels'.
    unsafe {
        match optimizer {
            Optimizer::Sgd(sgd) => {
                let rule = SgdRule::new(sgd.at(step), swept);
                launch!(
                    device, &k.sgd, grid, block, w, g, m, v, count, rule, scale, diverged
                )
            }
            Optimizer::Adam(adam) => {
                let rule = AdamRule::new(adam.at(step), swept);
                launch!(
                    device, &k.adam, grid, block, w, g, m, v, count, rule, scale, diverged
                )
            }
            Optimizer::AdamW(adamw) => {
                let rule = AdamRule::new(adamw.at(step), swept);
                launch!(
                    device, &k.adam, grid, block, w, g, m, v, count, rule, scale, diverged
                )
            }
            Optimizer::RmsProp(rmsprop) => {
                let rule = RmsPropRule::new(rmsprop.at(step), swept);
                launch!(
                    device, &k.rmsprop, grid, block, w, g, m, v, count, rule, scale, diverged
                )
            }
            Optimizer::Rprop(rprop) => {
                let rule = RpropRule::new(rprop.at(step), swept);
                launch!(
                    device, &k.rprop, grid, block, w, g, m, v, count, rule, scale, diverged
                )
            }
        }
    }
}

/// The gradient's norm and the factor that shortens it, both left on the device.
pub(super) struct Clip {
    partials: Memory<f64>,
    norm: Memory<f64>,
    scale: Memory<f32>,
}

impl Clip {
    pub(super) fn new(device: &Arc<CudaDevice>) -> Result<Self> {
        Ok(Clip {
            partials: device.alloc(SUM_BLOCKS as usize)?,
            norm: device.alloc(1)?,
            scale: device.alloc(1)?,
        })
    }

    /// Where the factor will be that shortens `grads` to a norm of at most `clip_norm`.
    pub(super) fn scale(
        &self,
        device: &CudaDevice,
        grads: &Memory<f32>,
        clip_norm: f64,
    ) -> Result<Pointer<f32>> {
        let count = size(device, grads.len())?;
        let blocks = count.div_ceil(SUM_NUMBERS).clamp(1, SUM_BLOCKS);
        let partials = || self.partials.start(blocks as usize);
        let (sum, scale) = (&device.kernels.square_sum, &device.kernels.clip_scale);
        let (factor, norm) = (self.scale.start(1), self.norm.start(1));
        let g = grads.start(grads.len());
        // SAFETY: a partial sum a block, and all gradients there are; the types are the kernels'.
        unsafe {
            launch!(device, sum, [blocks, 1], [THREADS, 1], partials(), g, count)?;
            launch!(
                device,
                scale,
                [1, 1],
                [THREADS, 1],
                factor,
                norm,
                partials(),
                blocks,
                clip_norm
            )?;
        }
        Ok(self.scale.start(1))
    }

    /// The norm of `grads`; waits for it.
    pub(super) fn norm(&self, device: &CudaDevice, grads: &Memory<f32>) -> Result<f64> {
        self.scale(device, grads, 1.0)?;
        let mut norm = [0.0];
        self.norm.read(&mut norm)?;
        Ok(norm[0])
    }

    /// Where a factor that the host knows is.
    pub(super) fn given(&mut self, factor: f64) -> Result<Pointer<f32>> {
        if factor == 1.0 {
            return Ok(Pointer::NULL);
        }
        self.scale.write(&[factor as f32])?;
        Ok(self.scale.start(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kernels/optimizers.cu says of the rules.
    #[test]
    fn rules_are_laid_out_as_in_the_kernels() {
        let sizes = [
            size_of::<SgdRule>(),
            size_of::<AdamRule>(),
            size_of::<RmsPropRule>(),
            size_of::<RpropRule>(),
        ];
        assert_eq!(sizes, [20, 40, 28, 12]);
    }
}
