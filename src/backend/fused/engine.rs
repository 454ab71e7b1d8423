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
    /// # Errors
    /// If a thread cannot be started.
    pub fn new(threads: usize, precision: ProductPrecision) -> Result<Self> {
        let kernels = match precision {
            ProductPrecision::F32 => PanelKernels::F32(Kernel::chosen()),
            ProductPrecision::Bf16 => PanelKernels::Bf16(Kernel::chosen()),
        };
        Ok(Fused {
            kernels,
            team: Team::new(threads)?,
            losses: PendingLosses::default(),
        })
    }

    /// From here on a thread takes twice as long for everything: a core of half the speed, for measurements.
    #[doc(hidden)]
    pub fn slow_down(&self, thread: usize) {
        self.team.slow_down(thread);
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
