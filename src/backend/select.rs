//! Where and in which precision to compute, and the backend for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(feature = "cuda")]
use crate::backend::Cuda;
use crate::backend::Fused;
use crate::backend::{Backend, Plain, ProductPrecision};
use crate::error::{Error, Result};
use crate::threads::check_threads;

/// Numbers to compute with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Double precision.
    F64,
    /// Single precision, with the factors of matrix products rounded to bfloat16.
    Bf16,
}

impl Precision {
    /// Whether a number is finite in this precision.
    pub fn holds(self, x: f64) -> bool {
        match self {
            Precision::F64 => x.is_finite(),
            Precision::F32 | Precision::Bf16 => (x as f32).is_finite(),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::F64 => "f64",
            Precision::Bf16 => "bf16",
        })
    }
}

/// Where to compute: `cpu`, `cuda` (the first device), `cuda:1`, ….
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// This machine's processor.
    #[default]
    Cpu,
    /// The NVIDIA GPU of this number, from 0.
    Cuda(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let index = match text {
            "cpu" => return Ok(Device::Cpu),
            "cuda" => Some(0),
            other => other.strip_prefix("cuda:").and_then(|n| n.parse().ok()),
        };
        let message = || format!("expected cpu, cuda or cuda:N, found \"{text}\"");
        let index = index.ok_or_else(|| Error::setting("train.device", message()))?;
        Ok(Device::Cuda(index))
    }
}

impl TryFrom<String> for Device {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> String {
        device.to_string()
    }
}

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

/// Does `work` on a device, on the fastest backend for a precision.
///
/// On a processor that is the fused one, unless `plain` forbids it.
///
/// # Errors
/// If there is no such device or no backend for the precision, a thread cannot be started, or the work fails.
pub fn on_backend<W: OnBackend>(
    device: Device,
    precision: Precision,
    threads: usize,
    plain: bool,
    work: W,
) -> Result<W::Output> {
    match device {
        Device::Cuda(_) if plain => {
            let why = format!("expected cpu with --plain, found {device}");
            Err(Error::setting("train.device", why))
        }
        Device::Cuda(index) => on_cuda("train.device", index, work),
        Device::Cpu => on_cpu(precision, threads, plain, work),
    }
}

/// Uses a trained network on a device, there on the fastest backend for the precision that it was trained in. A GPU
/// uses one trained in bf16 in f32.
///
/// # Errors
/// If there is no such device, it cannot compute in that precision, a thread cannot be started, or the work fails.
pub fn on_inference_backend<W: OnBackend>(
    device: Device,
    precision: Precision,
    threads: usize,
    work: W,
) -> Result<W::Output> {
    match (device, precision) {
        (Device::Cuda(_), Precision::F64) => {
            let why = "expected cpu: the model was trained in f64, and a GPU computes in f32";
            Err(Error::setting("device", why))
        }
        (Device::Cuda(index), _) => on_cuda("device", index, work),
        (Device::Cpu, _) => on_cpu(precision, threads, false, work),
    }
}

fn on_cpu<W: OnBackend>(
    precision: Precision,
    threads: usize,
    plain: bool,
    work: W,
) -> Result<W::Output> {
    let threads = check_threads(threads)?;
    match precision {
        Precision::F64 => work.run(Plain::<f64>::new(threads)),
        Precision::F32 if plain => work.run(Plain::<f32>::new(threads)),
        Precision::Bf16 if plain => {
            let why = "expected f32 or f64 with --plain, found bf16";
            Err(Error::setting("train.precision", why))
        }
        Precision::F32 => work.run(Fused::on_up_to(threads, ProductPrecision::F32)?),
        Precision::Bf16 => work.run(Fused::on_up_to(threads, ProductPrecision::Bf16)?),
    }
}

/// Does `work` on the NVIDIA GPU of this number, which `setting` asks for.
#[cfg(feature = "cuda")]
fn on_cuda<W: OnBackend>(_setting: &str, index: usize, work: W) -> Result<W::Output> {
    work.run(Cuda::new(index)?)
}

#[cfg(not(feature = "cuda"))]
fn on_cuda<W: OnBackend>(setting: &str, _: usize, _: W) -> Result<W::Output> {
    Err(no_cuda(setting))
}

/// Why a setting cannot be a GPU in this program.
#[cfg(not(feature = "cuda"))]
pub(crate) fn no_cuda(setting: &str) -> Error {
    let why =
        "this program was built without CUDA; build it with: cargo build --release --features cuda";
    Error::setting(setting, why)
}

/// Checks that work can be done on a device, before any is begun.
///
/// # Errors
/// If there is no such device.
pub fn check_device(device: Device) -> Result<()> {
    struct Nothing;

    impl OnBackend for Nothing {
        type Output = ();

        fn run<B: Backend>(self, _: B) -> Result<()> {
            Ok(())
        }
    }

    match device {
        Device::Cpu => Ok(()),
        Device::Cuda(index) => on_cuda("train.device", index, Nothing),
    }
}
