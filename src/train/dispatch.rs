//! From settings to the backend that they ask for.

#[cfg(target_arch = "x86_64")]
use crate::backend::Fused;
use crate::backend::{Backend, Factors, Plain};
use crate::error::{Error, Result};
use crate::train::settings::Precision;

/// Work that is written once for every backend.
pub trait OnBackend {
    /// What it gives.
    type Output;

    /// Does it.
    ///
    /// # Errors
    /// Its own.
    fn run<B: Backend>(self, backend: B) -> Result<Self::Output>;
}

/// Does `work` on the fastest backend for a precision: the fused one, where the processor has kernels for it and `plain` does not forbid it.
///
/// # Errors
/// If there is no backend for the precision, a thread cannot be started, or the work fails.
pub fn on_backend<W: OnBackend>(
    precision: Precision,
    threads: usize,
    plain: bool,
    work: W,
) -> Result<W::Output> {
    let factors = match precision {
        Precision::F64 => return work.run(Plain::<f64>::new()),
        Precision::F32 => Factors::F32,
        Precision::Bf16 => Factors::Bf16,
    };
    #[cfg(target_arch = "x86_64")]
    if !plain && let Some(fused) = Fused::new(threads, factors)? {
        return work.run(fused);
    }
    match factors {
        Factors::F32 => work.run(Plain::<f32>::new()),
        Factors::Bf16 => Err(no_bf16("train.precision")),
    }
}

/// Why a setting cannot be bf16 here.
pub(crate) fn no_bf16(setting: &str) -> Error {
    let why = "bf16 needs a processor with AVX2 and FMA, and neither --plain nor CHAINRULE_KERNEL=portable";
    Error::setting(setting, why)
}
