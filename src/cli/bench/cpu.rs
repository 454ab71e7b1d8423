//! `bench` on the processor: its peak, products and steps.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::progress::BenchProgress;
use super::tables::{in_threads, machine_in_words, peak_table, products_table, steps_table};
use super::{BenchArgs, BenchPart};
#[cfg(target_arch = "x86_64")]
use crate::backend::Fused;
use crate::backend::select::no_bf16;
use crate::backend::{Plain, ProductPrecision};
use crate::bench::peak::{self, Machine, Peak, one_and};
use crate::bench::products::{self, Layout, Product, SHAPES};
use crate::bench::steps::{self, Network, Pixels, Step};
use crate::bench::timing;
use crate::cli::output;
use crate::error::Result;
use crate::threads::thread_count;

/// How long everything is measured.
struct BenchEffort {
    peak: peak::Effort,
    products: timing::Effort,
    steps: steps::Effort,
}

impl BenchEffort {
    fn new(quick: bool) -> Self {
        let milliseconds = Duration::from_millis;
        if quick {
            return BenchEffort {
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
        BenchEffort {
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
struct BenchReport {
    machine: Machine,
    peak: Peak,
    products: Option<Vec<Product>>,
    steps: Option<Vec<Step>>,
}

/// Runs the command.
pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let parts: BTreeSet<BenchPart> = match args.only.as_slice() {
        [] => [BenchPart::Products, BenchPart::Steps].into(),
        only => only.iter().copied().collect(),
    };
    let threads = thread_count(args.threads.map(usize::from))?;
    let machine = Machine::describe(threads)?;
    let progress = BenchProgress::new(args.quiet);
    let effort = BenchEffort::new(args.quick);

    progress.next("peak");
    let peak = Peak::measure(&machine, effort.peak)?;
    let products = parts.contains(&BenchPart::Products);
    let products = products.then(|| measure_products(&machine, &peak, effort.products, &progress));
    let steps = parts.contains(&BenchPart::Steps);
    let steps = steps.then(|| {
        let limits = (&machine, &peak);
        measure_steps(args.precision, limits, effort.steps, &progress)
    });
    progress.finish();
    let report = BenchReport {
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

fn measure_products(
    machine: &Machine,
    peak: &Peak,
    effort: timing::Effort,
    progress: &BenchProgress,
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
    progress: &BenchProgress,
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

fn in_words(report: &BenchReport) -> String {
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
