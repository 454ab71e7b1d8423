//! Reading a table of 100,000 rows and 50 mixed columns: `cargo bench --bench read`.
//!
//! The file stays in the build folder; its path is printed. pandas for comparison, on the same file:
//! `python -m timeit -n 1 -r 7 -s "import pandas" "pandas.read_csv('mixed.csv')"`

use std::fmt::Write;
use std::fs;
use std::path::Path;

use chacha20::ChaCha8Rng;
use chainrule::data::{self, LoadOptions};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};

const ROWS: usize = 100_000;

/// 25 columns of reals and 10 of whole numbers, 10 of words, 5 of truth values and a label; some cells are empty.
fn mixed() -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut text = String::new();
    for column in 0..50 {
        write!(text, "column{column},").unwrap();
    }
    text.push_str("label\n");
    for _ in 0..ROWS {
        for column in 0..50_u32 {
            match column {
                3 | 7 if rng.random_range(0..20) == 0 => {}
                0..25 => {
                    let real = rng.random_range(-3.0..3.0) * 10_f64.powi(column as i32 % 4);
                    write!(text, "{real:.4}").unwrap();
                }
                25..35 => {
                    write!(text, "{}", rng.random_range(0..10_u32.pow(1 + column % 5))).unwrap()
                }
                35..45 => {
                    write!(text, "value_{}", rng.random_range(0..2 + 5 * (column - 35))).unwrap()
                }
                _ => text.push_str(if rng.random_range(0..2) == 0 {
                    "True"
                } else {
                    "False"
                }),
            }
            text.push(',');
        }
        text.push_str(["a\n", "b\n", "c\n"][rng.random_range(0..3)]);
    }
    text
}

fn read(criterion: &mut Criterion) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mixed.csv");
    fs::write(&path, mixed()).unwrap();
    println!("{}", path.display());
    let options = LoadOptions {
        path: Some(path),
        ..LoadOptions::default()
    };
    let mut group = criterion.benchmark_group("read");
    group.sample_size(10);
    group.bench_function("100,000 rows of 50 mixed columns", |bencher| {
        bencher.iter(|| data::load(&options).unwrap());
    });
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
