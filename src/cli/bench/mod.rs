//! `bench`: how fast this machine is, and how much of it the engine uses.

mod cpu;
#[cfg(feature = "cuda")]
mod gpu;
mod progress;
mod tables;

use clap::{Args, ValueEnum};

use crate::backend::ProductPrecision;
use crate::backend::select::Device;
#[cfg(not(feature = "cuda"))]
use crate::backend::select::no_cuda;
#[cfg(feature = "cuda")]
use crate::error::Error;
use crate::error::Result;
use crate::threads::MAX_THREADS;

/// What `bench` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The peak is always measured, because the other figures are shown relative to it. Products are
compared with the crate matrixmultiply in alternated runs, on one thread and on all threads. The
ratio is theirs / ours, with the 95 % interval of its median; above 1 ours is faster. Steps are
whole training steps on random pixels. Beside each is a lower bound: the time of its products at
the peak plus the time of the optimiser's memory traffic at the measured bandwidth. The last
column is each thread's part of the work in percent: it follows the speeds of the cores. So by
default every core has a thread, slow ones too. A second core of half the speed makes steps 1.2 to
1.4 times as fast. Where fewer threads are faster, as for very small networks, only they have a
part. On a GPU products and steps are timed without a comparison. Nothing else should run at the
same time.

Examples:
  chainrule bench
  chainrule bench --only steps --threads 1
  chainrule bench --quick --json
  chainrule bench --device cuda")]
pub struct BenchArgs {
    /// Measure only these parts [default: everything]
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    only: Vec<BenchPart>,
    /// Number format of the factors of products in training steps
    #[arg(long, value_enum, default_value_t)]
    precision: ProductPrecision,
    /// Where to compute: cpu, cuda or cuda:N (the N-th NVIDIA GPU, from 0)
    #[arg(long, value_name = "NAME", default_value_t)]
    device: Device,
    /// Fewer and shorter repetitions
    #[arg(long)]
    quick: bool,
    /// Threads [default: $RAYON_NUM_THREADS, else one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_THREADS as i64), allow_hyphen_values = true)]
    threads: Option<u16>,
    /// Print one JSON object, and nothing else, on standard output
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum BenchPart {
    /// Multiply-adds and memory traffic of this machine
    Peak,
    /// Matrix products against matrixmultiply
    Products,
    /// Training steps of five networks
    Steps,
}

/// Runs the command.
pub(super) fn run(args: &BenchArgs) -> Result<()> {
    match args.device {
        Device::Cpu => cpu::run(args),
        Device::Cuda(index) => on_gpu(index, args),
    }
}

#[cfg(feature = "cuda")]
fn on_gpu(index: usize, args: &BenchArgs) -> Result<()> {
    if args.precision == ProductPrecision::Bf16 {
        let why = format!("expected f32 with device {}, found bf16", args.device);
        return Err(Error::setting("precision", why));
    }
    gpu::run(index, args)
}

#[cfg(not(feature = "cuda"))]
fn on_gpu(_: usize, _: &BenchArgs) -> Result<()> {
    Err(no_cuda("device"))
}
