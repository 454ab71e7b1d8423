//! The backend's threads and kernels.

use crate::backend::ProductPrecision;
use crate::backend::pending::PendingLosses;
use crate::error::Result;
use crate::gemm::{Kernel, Pair};
use crate::threads::Teams;
use crate::threads::team::Team;

/// Computes blocks in f32, or in f32 with bf16 products, on its own threads.
pub struct Fused {
    pub(super) kernels: PanelKernels,
    pub(super) teams: Teams,
    pub(super) losses: PendingLosses,
}

/// Kernels for a [`ProductPrecision`].
pub(super) enum PanelKernels {
    F32(Kernel),
    Bf16(Kernel<Pair>),
}

impl Fused {
    /// A backend on exactly this number of threads.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn new(threads: usize, precision: ProductPrecision) -> Result<Self> {
        Ok(Fused::on(Teams::of_one_size(threads)?, precision))
    }

    /// A backend on up to this number of threads: training steps try fewer, and stay with what is fastest.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn on_up_to(threads: usize, precision: ProductPrecision) -> Result<Self> {
        Ok(Fused::on(Teams::of_up_to(threads)?, precision))
    }

    fn on(teams: Teams, precision: ProductPrecision) -> Self {
        let kernels = match precision {
            ProductPrecision::F32 => PanelKernels::F32(Kernel::chosen()),
            ProductPrecision::Bf16 => PanelKernels::Bf16(Kernel::chosen()),
        };
        Fused {
            kernels,
            teams,
            losses: PendingLosses::default(),
        }
    }

    /// The threads that work.
    pub(super) fn team(&self) -> &Team {
        self.teams.current()
    }

    /// From here on a thread takes twice as long for everything: a core of half the speed, for measurements.
    #[doc(hidden)]
    pub fn slow_down(&self, thread: usize) {
        self.team().slow_down(thread);
    }
}
