//! `bench --device cuda`: products and steps on a GPU.

use std::time::Duration;

use serde::Serialize;

use super::progress::BenchProgress;
use super::tables::{STEP_COLUMNS, giga, row, step_cells};
use super::{BenchArgs, BenchPart};
use crate::backend::Cuda;
use crate::bench::device::{self, DeviceEffort, ProductTime};
use crate::bench::products::{ProductLayout, SHAPES};
use crate::bench::steps::{self, BenchNetwork, Pixels, StepTime};
use crate::bench::timing::Repeats;
use crate::cli::output;
use crate::error::{Error, Result};
use crate::text::table;

/// The object that `--json` prints. A part that was not measured is null.
#[derive(Debug, Serialize)]
struct DeviceReport {
    device: String,
    multiprocessors: usize,
    products: Option<Vec<ProductTime>>,
    steps: Option<Vec<StepTime>>,
}

fn effort(quick: bool) -> DeviceEffort {
    let milliseconds = Duration::from_millis;
    let (count, duration, together) = match quick {
        true => (1, Duration::ZERO, 1),
        false => (31, milliseconds(50), 100),
    };
    DeviceEffort {
        repeats: Repeats { count, duration },
        together,
    }
}

/// Measures products and steps on GPU `index`.
pub(super) fn run(index: usize, args: &BenchArgs) -> Result<()> {
    let parts = args.only.as_slice();
    if parts.contains(&BenchPart::Peak) {
        let why =
            "expected products or steps with device cuda: only a processor's peak is measured";
        return Err(Error::setting("only", why));
    }
    let wanted = |part: BenchPart| parts.is_empty() || parts.contains(&part);
    let cuda = Cuda::new(index)?;
    let progress = BenchProgress::new(args.quiet);
    let effort = effort(args.quick);
    let (mut products, mut found) = (Vec::new(), Vec::new());
    if wanted(BenchPart::Products) {
        for shape in SHAPES {
            progress.next(&format!("product {shape}"));
            for layout in ProductLayout::ALL {
                products.push(device::product(&cuda, shape, layout, effort)?);
            }
        }
    }
    if wanted(BenchPart::Steps) {
        let pixels = Pixels::random(784, 10);
        for network in BenchNetwork::all() {
            progress.next(&format!("step of {}", network.name));
            let DeviceEffort { repeats, together } = effort;
            found.push(steps::time(
                Cuda::new(index)?,
                &network,
                &pixels,
                repeats,
                together,
            )?);
        }
    }
    progress.finish();
    let report = DeviceReport {
        device: cuda.device().to_string(),
        multiprocessors: cuda.device().multiprocessors(),
        products: wanted(BenchPart::Products).then_some(products),
        steps: wanted(BenchPart::Steps).then_some(found),
    };
    if args.json {
        return output::print_json(&report);
    }
    output::print(&in_words(&report))
}

fn in_words(report: &DeviceReport) -> String {
    let mut text = format!(
        "{}: {} multiprocessors\n",
        report.device, report.multiprocessors
    );
    if let Some(products) = &report.products {
        let mut rows = vec![row(&["product", "", "ms", "GFLOP/s"])];
        rows.extend(products.iter().map(|p| {
            vec![
                p.shape.to_string(),
                p.layout.to_string(),
                format!("{:.3}", 1e3 * p.seconds),
                giga(p.flops_per_second),
            ]
        }));
        text += &format!("\n{}", table::align(&rows, 2));
    }
    if let Some(steps) = &report.steps {
        let mut rows = vec![row(&STEP_COLUMNS)];
        rows.extend(steps.iter().map(step_cells));
        text += &format!("\n{}", table::align(&rows, 1));
    }
    text
}
