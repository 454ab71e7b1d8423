//! The backend's threads and kernels.

use crate::backend::pending::PendingLosses;
use crate::backend::{Block, ProductPrecision};
use crate::error::Result;
use crate::gemm::{Kernel, Pair, PanelProducts};
use crate::threads::team::Team;

/// Computes blocks in f32, or in f32 with bf16 products, on its own team of threads.
pub struct Fused {
    pub(super) kernels: PanelKernels,
    pub(super) team: Team,
    pub(super) losses: PendingLosses,
}

/// Kernels for a [`ProductPrecision`].
pub(super) enum PanelKernels {
    F32(Kernel),
    Bf16(Kernel<Pair>),
}

impl Fused {
    /// A backend on this number of threads.
    ///
    /// It is `None` if no kernels exist for this processor, or if [`VARIABLE`](crate::simd::VARIABLE) forbids them.
    /// Then [`Plain`](crate::backend::Plain) is used.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn new(threads: usize, precision: ProductPrecision) -> Result<Option<Self>> {
        let kernels = match precision {
            ProductPrecision::F32 => Kernel::chosen().map(PanelKernels::F32),
            ProductPrecision::Bf16 => Kernel::chosen().map(PanelKernels::Bf16),
        };
        let Some(kernels) = kernels else {
            return Ok(None);
        };
        let team = Team::new(threads)?;
        let losses = PendingLosses::default();
        Ok(Some(Fused {
            kernels,
            team,
            losses,
        }))
    }
}

impl Block {
    /// The products of its linear map, for this number of rows.
    pub(super) fn products<E>(&self, kernel: Kernel<E>, rows: usize) -> PanelProducts<E> {
        PanelProducts {
            kernel,
            rows,
            inputs: self.inputs,
            outputs: self.outputs,
        }
    }
}
