//! `bench`: how fast this machine is, and how much of it the engine uses.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::output;
#[cfg(target_arch = "x86_64")]
use crate::backend::Fused;
use crate::backend::select::Device;
use crate::backend::select::no_bf16;
#[cfg(not(feature = "cuda"))]
use crate::backend::select::no_cuda;
use crate::backend::{Plain, ProductPrecision};
use crate::bench::peak::{self, Bandwidth, Machine, Peak, Speed, one_and};
use crate::bench::products::{self, Layout, Product, SHAPES};
use crate::bench::steps::{self, Network, Pixels, Step, StepTime};
use crate::bench::timing;
#[cfg(feature = "cuda")]
use crate::error::Error;
use crate::error::Result;
use crate::text::table;
use crate::threads::{MAX_THREADS, thread_count};

/// What `bench` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The peak is measured in any case: the other figures are related to it. Products are compared
with the crate matrixmultiply, in turn, on one thread and on all: the ratio is theirs / ours,
above 1 ours is faster, with the 95 % interval of its median. Steps are whole training steps on
random pixels, beside the time of their products at the peak plus that of the optimiser's memory
traffic at the measured bandwidth. On a GPU products and steps are timed alone. Nothing else
should run meanwhile.

Examples:
  chainrule bench
  chainrule bench --only steps --threads 1
  chainrule bench --quick --json
  chainrule bench --device cuda")]
pub struct BenchArgs {
    /// Measure only these [default: everything]
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    only: Vec<Part>,
    /// What the products of the steps multiply
    #[arg(long, value_enum, default_value_t)]
    precision: ProductPrecision,
    /// Where to compute: cpu, cuda or cuda:N (the N-th NVIDIA GPU, from 0)
    #[arg(long, value_name = "NAME", default_value_t)]
    device: Device,
    /// Fewer and shorter repeats
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

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Part {
    /// Multiply-adds and memory traffic of this machine
    Peak,
    /// Matrix products against matrixmultiply
    Products,
    /// Training steps of five networks
    Steps,
}

/// How long everything is measured.
struct Effort {
    peak: peak::Effort,
    products: timing::Effort,
    steps: steps::Effort,
}

impl Effort {
    fn new(quick: bool) -> Self {
        let milliseconds = Duration::from_millis;
        if quick {
            return Effort {
                peak: peak::Effort {
                    repeats: 5,
                    repeat: milliseconds(2),
                },
                products: timing::Effort {
                    pairs: 7,
                    batch: Duration::from_micros(200),
                    settle: milliseconds(1),
                },
                steps: steps::Effort {
                    repeats: 3,
                    repeat: milliseconds(10),
                },
            };
        }
        Effort {
            peak: peak::Effort {
                repeats: 60,
                repeat: milliseconds(2),
            },
            products: timing::Effort {
                pairs: 31,
                batch: milliseconds(2),
                settle: milliseconds(5),
            },
            steps: steps::Effort {
                repeats: 31,
                repeat: milliseconds(50),
            },
        }
    }
}

/// The object that `--json` prints. What was not measured is null.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    peak: Peak,
    products: Option<Vec<Product>>,
    steps: Option<Vec<Step>>,
}

/// Runs the command.
pub(super) fn run(args: &BenchArgs) -> Result<()> {
    if let Device::Cuda(index) = args.device {
        return on_cuda(index, args);
    }
    let parts: BTreeSet<Part> = match args.only.as_slice() {
        [] => [Part::Products, Part::Steps].into(),
        only => only.iter().copied().collect(),
    };
    let threads = thread_count(args.threads.map(usize::from))?;
    let machine = Machine::describe(threads)?;
    let progress = Progress::new(args.quiet);
    let effort = Effort::new(args.quick);

    progress.next("peak");
    let peak = Peak::measure(&machine, effort.peak)?;
    let products = parts.contains(&Part::Products);
    let products = products.then(|| measure_products(&machine, &peak, effort.products, &progress));
    let steps = parts.contains(&Part::Steps);
    let steps = steps.then(|| {
        let limits = (&machine, &peak);
        measure_steps(args.precision, limits, effort.steps, &progress)
    });
    progress.finish();
    let report = Report {
        products: products.transpose()?,
        steps: steps.transpose()?,
        machine,
        peak,
    };
    if args.json {
        return output::print_json(&report);
    }
    output::print(&in_words(&report))
}

#[cfg(feature = "cuda")]
fn on_cuda(index: usize, args: &BenchArgs) -> Result<()> {
    if args.precision == ProductPrecision::Bf16 {
        let why = format!("expected f32 with device {}, found bf16", args.device);
        return Err(Error::setting("precision", why));
    }
    let progress = Progress::new(args.quiet);
    super::bench_device::run(index, &args.only, args.quick, args.json, &progress)
}

#[cfg(not(feature = "cuda"))]
fn on_cuda(_: usize, _: &BenchArgs) -> Result<()> {
    Err(no_cuda("device"))
}

fn measure_products(
    machine: &Machine,
    peak: &Peak,
    effort: timing::Effort,
    progress: &Progress,
) -> Result<Vec<Product>> {
    let mut found = Vec::new();
    for threads in one_and(machine.threads) {
        let effort = match threads {
            // Nobody is left spinning.
            1 => timing::Effort {
                settle: Duration::ZERO,
                ..effort
            },
            _ => effort,
        };
        for shape in SHAPES {
            progress.next(&format!("product {shape} on {}", in_threads(threads)));
            for layout in Layout::ALL {
                found.push(products::measure(shape, layout, threads, peak, effort)?);
            }
        }
    }
    Ok(found)
}

fn measure_steps(
    precision: ProductPrecision,
    limits: (&Machine, &Peak),
    effort: steps::Effort,
    progress: &Progress,
) -> Result<Vec<Step>> {
    let pixels = Pixels::random(784, 10);
    let threads = limits.0.threads;
    let computing = (threads, precision);
    let measure = |network: &Network| {
        progress.next(&format!("step of {}", network.name));
        #[cfg(target_arch = "x86_64")]
        if let Some(fused) = Fused::new(threads, precision)? {
            return steps::measure(fused, computing, network, &pixels, limits, effort);
        }
        match precision {
            ProductPrecision::F32 => {
                let plain = Plain::new(threads);
                steps::measure(plain, computing, network, &pixels, limits, effort)
            }
            ProductPrecision::Bf16 => Err(no_bf16("precision")),
        }
    };
    Network::all().iter().map(measure).collect()
}

/// What is being measured: on a terminal in one line that goes away, else a line each, on standard error.
pub(super) struct Progress {
    quiet: bool,
    spinner: ProgressBar,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template("{elapsed}  {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        Progress {
            quiet,
            spinner: ProgressBar::with_draw_target(None, target).with_style(style),
        }
    }

    pub(super) fn next(&self, what: &str) {
        // No steady tick: drawing would take time from what is measured.
        self.spinner.set_message(what.to_owned());
        self.spinner.tick();
        if self.spinner.is_hidden() && !self.quiet {
            output::note(what);
        }
    }

    pub(super) fn finish(&self) {
        self.spinner.finish_and_clear();
    }
}

fn in_threads(threads: usize) -> String {
    match threads {
        1 => "1 thread".into(),
        n => format!("{n} threads"),
    }
}

fn in_words(report: &Report) -> String {
    let mut text = machine_in_words(&report.machine);
    text += &format!("\n{}", peak_table(&report.peak));
    if let Some(products) = &report.products {
        text += &format!("\n{}", products_table(products));
    }
    if let Some(steps) = &report.steps {
        text += &format!("\n{}", steps_table(steps));
    }
    text
}

fn machine_in_words(machine: &Machine) -> String {
    let cache = machine.last_level_cache;
    format!(
        "{}: {} cores, {}, last-level cache {}, {}\n",
        machine.cpu.as_deref().unwrap_or("unknown processor"),
        machine.cores,
        machine.instruction_set,
        cache.map_or("unknown".into(), |bytes| format!("{} MiB", bytes >> 20)),
        in_threads(machine.threads)
    )
}

pub(super) fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

pub(super) fn giga(per_second: f64) -> String {
    format!("{:.1}", per_second / 1e9)
}

fn peak_table(peak: &Peak) -> String {
    let speeds = |name: &str, speeds: &[Speed], unit: &str| {
        let values = speeds.iter().map(|s| giga(s.per_second));
        let mut line = row(&[name, unit]);
        line.extend(values);
        line
    };
    let bandwidth = |name: &str, found: &[Bandwidth]| {
        let size = found.first().map_or(0, |b| b.bytes >> 20);
        let plain: Vec<Speed> = found.iter().map(|b| b.speed).collect();
        speeds(&format!("{name}, {size} MiB"), &plain, "GB/s")
    };
    let mut header = row(&["peak", ""]);
    header.extend(peak.f32_flops.iter().map(|s| in_threads(s.threads)));
    let mut rows = vec![
        header,
        speeds("multiply-adds f32", &peak.f32_flops, "GFLOP/s"),
    ];
    if let Some(bf16) = &peak.bf16_flops {
        rows.push(speeds("multiply-adds bf16", bf16, "GFLOP/s"));
    }
    rows.push(bandwidth("optimiser in cache", &peak.cache_bytes));
    rows.push(bandwidth("optimiser in memory", &peak.memory_bytes));
    table::align(&rows, 2)
}

fn products_table(products: &[Product]) -> String {
    let header = [
        "product",
        "",
        "threads",
        "ms",
        "GFLOP/s",
        "% of peak",
        "theirs ms",
        "theirs/ours",
        "95 % from",
        "to",
    ];
    let mut rows = vec![row(&header)];
    rows.extend(products.iter().map(|p| {
        vec![
            p.shape.to_string(),
            p.layout.to_string(),
            p.threads.to_string(),
            format!("{:.3}", 1e3 * p.times.ours),
            giga(p.flops_per_second),
            format!("{:.0}", p.percent_of_peak),
            format!("{:.3}", 1e3 * p.times.theirs),
            format!("{:.3}", p.times.ratio),
            format!("{:.3}", p.times.interval.low),
            format!("{:.3}", p.times.interval.high),
        ]
    }));
    table::align(&rows, 2)
}

/// The columns of [`step_cells`].
pub(super) const STEP_COLUMNS: [&str; 6] =
    ["step", "batch", "parameters", "ms", "epoch s", "GFLOP/s"];

pub(super) fn step_cells(time: &StepTime) -> Vec<String> {
    vec![
        time.name.to_owned(),
        time.batch_size.to_string(),
        time.parameters.to_string(),
        format!("{:.3}", 1e3 * time.seconds),
        format!("{:.2}", time.epoch_seconds),
        giga(time.flops_per_second),
    ]
}

fn steps_table(steps: &[Step]) -> String {
    let bounds = ["products ms", "optimiser ms", "% of bound"];
    let mut rows = vec![row(&[&STEP_COLUMNS[..], &bounds].concat())];
    rows.extend(steps.iter().map(|s| {
        let mut cells = step_cells(&s.time);
        cells.extend([
            format!("{:.3}", 1e3 * s.bound_products),
            format!("{:.3}", 1e3 * s.bound_optimizer),
            format!("{:.0}", s.percent_of_bound),
        ]);
        cells
    }));
    let mut text = table::align(&rows, 1);
    let threads = steps.first().map_or(1, |s| s.threads);
    let bf16 = steps.iter().any(|s| s.precision == ProductPrecision::Bf16);
    text += &format!(
        "on {}{}; the bound is products + optimiser\n",
        in_threads(threads),
        if bf16 { ", products in bf16" } else { "" }
    );
    text
}
