//! The results of `bench` as text and tables.

use crate::backend::ProductPrecision;
use crate::bench::peak::{Bandwidth, Machine, Peak, Speed};
use crate::bench::products::ProductReport;
use crate::bench::steps::{StepReport, StepTime};
use crate::text::table;

pub(super) fn in_threads(threads: usize) -> String {
    match threads {
        1 => "1 thread".into(),
        n => format!("{n} threads"),
    }
}

pub(super) fn machine_in_words(machine: &Machine) -> String {
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

pub(super) fn peak_table(peak: &Peak) -> String {
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

pub(super) fn products_table(products: &[ProductReport]) -> String {
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

/// Each thread's part of the work.
fn percent_a_thread(parts: &[f64]) -> String {
    let percents = parts.iter().map(|part| format!("{:.0}", 100.0 * part));
    percents.collect::<Vec<_>>().join(" ")
}

pub(super) fn steps_table(steps: &[StepReport]) -> String {
    let bounds = ["products ms", "optimiser ms", "% of bound", "% a thread"];
    let mut rows = vec![row(&[&STEP_COLUMNS[..], &bounds].concat())];
    rows.extend(steps.iter().map(|s| {
        let mut cells = step_cells(&s.time);
        cells.extend([
            format!("{:.3}", 1e3 * s.bound_products),
            format!("{:.3}", 1e3 * s.bound_optimizer),
            format!("{:.0}", s.percent_of_bound),
            percent_a_thread(&s.time.parts),
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
