//! `bench` on the processor: its peak, products and steps.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::progress::BenchProgress;
use super::tables::{in_threads, machine_in_words, peak_table, products_table, steps_table};
use super::{BenchArgs, BenchPart};
use crate::backend::{Fused, ProductPrecision};
use crate::bench::peak::{Machine, Peak, one_and};
use crate::bench::products::{self, ProductLayout, ProductReport, SHAPES};
use crate::bench::steps::{self, BenchNetwork, Pixels, StepReport};
use crate::bench::timing::{PairEffort, Repeats};
use crate::cli::output;
use crate::error::Result;
use crate::threads::thread_count;

/// How long each part is measured.
struct BenchEffort {
    peak: Repeats,
    products: PairEffort,
    steps: Repeats,
}

impl BenchEffort {
    fn new(quick: bool) -> Self {
        let milliseconds = Duration::from_millis;
        if quick {
            return BenchEffort {
                peak: Repeats {
                    count: 5,
                    duration: milliseconds(2),
                },
                products: PairEffort {
                    pairs: 7,
                    batch: Duration::from_micros(200),
                    settle: milliseconds(1),
                },
                steps: Repeats {
                    count: 3,
                    duration: milliseconds(10),
                },
            };
        }
        BenchEffort {
            peak: Repeats {
                count: 60,
                duration: milliseconds(2),
            },
            products: PairEffort {
                pairs: 31,
                batch: milliseconds(2),
                settle: milliseconds(5),
            },
            steps: Repeats {
                count: 31,
                duration: milliseconds(50),
            },
        }
    }
}

/// The object that `--json` prints. A part that was not measured is null.
#[derive(Debug, Serialize)]
struct BenchReport {
    machine: Machine,
    peak: Peak,
    products: Option<Vec<ProductReport>>,
    steps: Option<Vec<StepReport>>,
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
    effort: PairEffort,
    progress: &BenchProgress,
) -> Result<Vec<ProductReport>> {
    let mut found = Vec::new();
    for threads in one_and(machine.threads) {
        let effort = match threads {
            // One thread leaves no spinning threads behind.
            1 => PairEffort {
                settle: Duration::ZERO,
                ..effort
            },
            _ => effort,
        };
        for shape in SHAPES {
            progress.next(&format!("product {shape} on {}", in_threads(threads)));
            for layout in ProductLayout::ALL {
                found.push(products::measure(shape, layout, threads, peak, effort)?);
            }
        }
    }
    Ok(found)
}

fn measure_steps(
    precision: ProductPrecision,
    limits: (&Machine, &Peak),
    repeats: Repeats,
    progress: &BenchProgress,
) -> Result<Vec<StepReport>> {
    let pixels = Pixels::random(784, 10);
    let threads = limits.0.threads;
    let computing = (threads, precision);
    let measure = |network: &BenchNetwork| {
        progress.next(&format!("step of {}", network.name));
        let fused = Fused::on_up_to(threads, precision)?;
        steps::measure(fused, computing, network, &pixels, limits, repeats)
    };
    BenchNetwork::all().iter().map(measure).collect()
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
