//! Compares chainrule's matrix product with `matrixmultiply`, the crate `gemm` and OpenBLAS, in turn, in one process,
//! on the same memory.
//!
//! Needs OpenBLAS, preferably with POSIX threads (Debian: `apt-get install libopenblas-pthread-dev`). From the root of
//! the repository:
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --csv products.csv
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --threads 1 --pairs 101
//! OPENBLAS_THREAD_TIMEOUT=22 cargo run --release --manifest-path benches/peers/Cargo.toml -- --threads 2
//! ```
//!
//! Every product of `chainrule::bench::products` (10 shapes, 3 layouts) is compared with every peer that can use the
//! number of threads, after a check that both give the same numbers. A ratio is theirs / ours: above 1 ours is faster.
//! `chainrule::bench::timing` explains the measurement and the intervals.
//!
//! After a product the threads of a library spin for a while. Before a batch on several threads both sides pause until
//! the other's threads sleep. OpenBLAS's threads spin for 2^26 cycles by default, which is longer than the pause. The
//! variable above makes it 2^22.
//!
//! `compare_torch.py`, beside this program, compares training with PyTorch.

mod peer;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use chainrule::bench::products::{ProductLayout, ProductOperands, SHAPES, Shape, agree};
use chainrule::bench::timing::{self, Comparison, PairEffort};
use chainrule::gemm::{Beta, gemm};
use chainrule::text::table;
use clap::Parser;
use ndarray::Array2;

use peer::Peer;

/// Compares chainrule's matrix product with those of other libraries.
#[derive(Debug, Parser)]
struct Args {
    /// Numbers of threads to compare on
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1,2", value_parser = at_least_one)]
    threads: Vec<usize>,
    /// Pairs of batches for each comparison
    #[arg(long, value_name = "N", default_value = "31", value_parser = at_least_one)]
    pairs: usize,
    /// Write every comparison to a file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected at least 1".into()),
        Ok(n) => Ok(n),
        Err(e) => Err(format!("{e}")),
    }
}

/// The shortest duration of a batch.
const BATCH: Duration = Duration::from_millis(2);
/// The pause before a batch. After a product OpenBLAS's threads spin for 2²⁶ clock cycles, others for less.
const SETTLE: Duration = Duration::from_millis(40);
/// The least ratio at which ours counts as equal: a peer may be ahead by less than 3 %.
const MET: f64 = 0.97;

/// The result of one comparison.
struct Row {
    shape: Shape,
    layout: ProductLayout,
    peer: Peer,
    found: Comparison,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut csv = String::from(
        "m,n,k,layout,threads,peer,ours_seconds,theirs_seconds,ratio,ratio_low,ratio_high\n",
    );
    for &threads in &args.threads {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()?;
        let rows = pool.install(|| measure(threads, args.pairs));
        for row in &rows {
            write_row(&mut csv, threads, row)?;
        }
        if let Some(path) = &args.csv {
            std::fs::write(path, &csv)?;
        }
        println!("{}", summary(threads, &rows));
    }
    Ok(())
}

fn measure(threads: usize, pairs: usize) -> Vec<Row> {
    let peers: Vec<Peer> = (Peer::ALL.into_iter())
        .filter(|peer| peer.can_use(threads))
        .collect();
    for peer in &peers {
        peer.prepare(threads);
    }
    let settle = if threads > 1 { SETTLE } else { Duration::ZERO };
    let effort = PairEffort {
        pairs,
        batch: BATCH,
        settle,
    };
    let mut rows = Vec::new();
    for shape in SHAPES {
        for layout in ProductLayout::ALL {
            eprintln!("{shape} {layout}, {threads} thread(s)");
            for &peer in &peers {
                let found = compare(shape, layout, peer, threads, effort);
                rows.push(Row {
                    shape,
                    layout,
                    peer,
                    found,
                });
            }
        }
    }
    rows
}

/// Times both libraries on the same operands, each with its own C, after a check that their results agree.
fn compare(
    shape: Shape,
    layout: ProductLayout,
    peer: Peer,
    threads: usize,
    effort: PairEffort,
) -> Comparison {
    let operands = ProductOperands::new(shape, layout);
    let (a, b) = (operands.a(), operands.b());
    let mut our_c = Array2::from_elem((shape.m, shape.n), f32::NAN);
    let mut their_c = our_c.clone();
    gemm(a, b, Beta::Overwrite, our_c.view_mut(), threads);
    peer.multiply(a, b, their_c.view_mut(), threads);
    assert!(
        agree(&our_c, &their_c),
        "{shape} {layout}: not the numbers of {}",
        peer.name()
    );
    timing::compare(
        effort,
        &mut || gemm(a, b, Beta::Overwrite, our_c.view_mut(), threads),
        &mut || peer.multiply(a, b, their_c.view_mut(), threads),
    )
}

fn write_row(csv: &mut String, threads: usize, row: &Row) -> std::fmt::Result {
    let Row {
        shape: Shape { m, n, k },
        layout,
        peer,
        found,
    } = row;
    writeln!(
        csv,
        "{m},{n},{k},{layout},{threads},{},{:.9},{:.9},{:.4},{:.4},{:.4}",
        peer.name(),
        found.ours,
        found.theirs,
        found.ratio,
        found.interval.low,
        found.interval.high
    )
}

/// A line per product with the ratio to each peer, then the totals.
fn summary(threads: usize, rows: &[Row]) -> String {
    let products: Vec<&[Row]> = rows
        .chunk_by(|x, y| x.shape == y.shape && x.layout == y.layout)
        .collect();
    let mut header = vec!["product".to_owned(), String::new(), "GFLOP/s".to_owned()];
    header.extend(products[0].iter().map(|row| row.peer.name().to_owned()));
    header.push("best peer".to_owned());
    let mut cells = vec![header];
    for product in &products {
        let first = &product[0];
        let speeds = product
            .iter()
            .map(|row| row.shape.flops() / row.found.ours / 1e9);
        let speed = timing::median(&mut speeds.collect::<Vec<_>>());
        let mut line = vec![
            first.shape.to_string(),
            first.layout.to_string(),
            format!("{speed:.1}"),
        ];
        line.extend(product.iter().map(|row| format!("{:.3}", row.found.ratio)));
        line.push(format!("{:.3}", best(product)));
        cells.push(line);
    }
    let mut text = format!(
        "{threads} thread(s), ratios theirs / ours\n\n{}\n",
        table::align(&cells, 2)
    );
    for (index, row) in products[0].iter().enumerate() {
        let ratios = products.iter().map(|product| product[index].found.ratio);
        text += &total(row.peer.name(), ratios.collect());
    }
    text += &total(
        "best peer",
        products.iter().map(|product| best(product)).collect(),
    );
    text
}

/// The ratio to the fastest peer of a product.
fn best(product: &[Row]) -> f64 {
    product
        .iter()
        .map(|row| row.found.ratio)
        .fold(f64::INFINITY, f64::min)
}

fn total(name: &str, ratios: Vec<f64>) -> String {
    let met = ratios.iter().filter(|&&ratio| ratio >= MET).count();
    let minimum = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64;
    format!(
        "{name}: {met} of {} at least {MET}, minimum {minimum:.3}, geometric mean {:.3}\n",
        ratios.len(),
        mean.exp()
    )
}
