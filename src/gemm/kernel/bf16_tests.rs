//! Kernels of bf16 pairs, each alone: against sums in f64, and the emulation bit for bit against the contract's chain.

use super::*;
use crate::gemm::bf16::{Pair, pack_pairs, pack_rows};

/// What surrounds C: a store outside it would show.
const GUARD: f32 = -77.0;

/// Pairs of a row of A's panels.
const ROW: usize = Pair::ROW;

/// The kernels that this processor can run, each with its instruction set.
fn kernels() -> Vec<(InstructionSet, Kernel<Pair>)> {
    InstructionSet::available()
        .map(|set| (set, Pair::kernel(set)))
        .collect()
}

/// A matrix `[rows, columns]` in panels of 16 columns; what fills the last one up is zero.
struct Panels {
    rows: usize,
    columns: usize,
    data: Vec<f32>,
}

impl Panels {
    fn new(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let mut data = vec![0.0; columns.div_ceil(PANEL) * rows * PANEL];
        for i in 0..rows {
            for j in 0..columns {
                data[j / PANEL * rows * PANEL + i * PANEL + j % PANEL] = value(i, j);
            }
        }
        Panels {
            rows,
            columns,
            data,
        }
    }

    /// An element, rounded to bf16; 0 beyond the columns or rows.
    fn rounded(&self, i: usize, j: usize) -> f32 {
        if i >= self.rows || j >= self.columns {
            return 0.0;
        }
        let x = self.data[j / PANEL * self.rows * PANEL + i * PANEL + j % PANEL];
        Pair::new(x, 0.0).values()[0]
    }

    /// Pairs along columns: a first operand.
    fn along_columns(&self) -> Vec<Pair> {
        let mut pairs = vec![Pair::default(); self.data.len() / 2];
        pack_rows(&mut pairs, &self.data);
        pairs
    }

    /// Pairs along rows: a second operand, or a first one that is walked by columns.
    fn along_rows(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for panel in self.data.chunks(self.rows.max(1) * PANEL) {
            let start = pairs.len();
            pairs.resize(start + self.rows.div_ceil(2) * PANEL, Pair::default());
            pack_pairs(&mut pairs[start..], panel);
        }
        pairs
    }
}

/// A product and what is known of it.
struct Case {
    /// A as `[m, k]`, or `[k, m]` if it is walked by columns; m is at most 16 then.
    a: Panels,
    b: Panels,
    by_columns: bool,
    /// C before, `[m, 16 · panels]`; without it the product overwrites NaN.
    old: Option<Panels>,
}

impl Case {
    fn new(
        [m, k, panels]: [usize; 3],
        by_columns: bool,
        accumulate: bool,
        value: impl Fn(usize) -> f32,
    ) -> Self {
        let at = |salt: usize| {
            let value = &value;
            move |i: usize, j: usize| value(i * 53 + j * 17 + salt)
        };
        let n = panels * PANEL;
        Case {
            a: match by_columns {
                true => Panels::new(k, m, at(1)),
                false => Panels::new(m, k, at(1)),
            },
            b: Panels::new(k, n, at(2)),
            by_columns,
            old: accumulate.then(|| Panels::new(m, n, at(3))),
        }
    }

    fn m(&self) -> usize {
        match self.by_columns {
            true => self.a.columns,
            false => self.a.rows,
        }
    }

    fn a(&self, i: usize, p: usize) -> f32 {
        match self.by_columns {
            true => self.a.rounded(p, i),
            false => self.a.rounded(i, p),
        }
    }

    /// C's element before, which stays f32.
    fn start(&self, i: usize, j: usize) -> f32 {
        self.old.as_ref().map_or(0.0, |old| {
            old.data[j / PANEL * old.rows * PANEL + i * PANEL + j % PANEL]
        })
    }

    /// C by a kernel, in calls for `rows_at_a_time`, and with guards between its panels.
    fn run(&self, kernel: Kernel<Pair>, rows_at_a_time: usize) -> Vec<f32> {
        let (m, k, panels) = (self.m(), self.b.rows, self.b.columns / PANEL);
        let (a, a_layout) = match self.by_columns {
            true => (self.a.along_rows(), ALayout::Columns { step: PANEL }),
            false => {
                let panel = m * ROW;
                (self.a.along_columns(), ALayout::Panels { panel })
            }
        };
        let b = self.b.along_rows();
        let c_panel = (m + 1) * PANEL;
        let mut c = vec![GUARD; PANEL + panels * c_panel];
        for i in 0..m {
            for j in 0..panels * PANEL {
                let x = self.old.as_ref().map_or(f32::NAN, |_| self.start(i, j));
                c[PANEL + j / PANEL * c_panel + i * PANEL + j % PANEL] = x;
            }
        }
        for row in (0..m).step_by(rows_at_a_time) {
            let a_row = if self.by_columns { 1 } else { ROW };
            let call = KernelCall {
                m: rows_at_a_time.min(m - row),
                k: k.div_ceil(2),
                panels,
                a: a.as_ptr().wrapping_add(row * a_row),
                a_layout,
                b: b.as_ptr(),
                b_row: PANEL,
                b_panel: k.div_ceil(2) * PANEL,
                c: c[PANEL + row * PANEL..].as_mut_ptr(),
                c_row: PANEL,
                c_panel,
                accumulate: self.old.is_some(),
                prefetch: None,
            };
            // SAFETY: the buffers are as large as the call says.
            unsafe { kernel.run(&call) };
        }
        let mut found = Vec::new();
        for i in 0..m {
            for j in 0..panels * PANEL {
                let place = &mut c[PANEL + j / PANEL * c_panel + i * PANEL + j % PANEL];
                found.push(std::mem::replace(place, GUARD));
            }
        }
        assert!(c.iter().all(|&x| x == GUARD), "a store outside C");
        found
    }
}

fn every_case(value: impl Fn(usize) -> f32, check: impl Fn(&str, Kernel<Pair>, &Case)) {
    for (set, kernel) in kernels() {
        for k in [0, 1, 2, 3, 7, 16, 17, 31, 33, 100] {
            for m in (1..=30).chain([31, 100]) {
                for panels in 1..=3 {
                    for by_columns in [false, true] {
                        if by_columns && m > PANEL {
                            continue;
                        }
                        let accumulate = (m + k + panels) % 2 == 0;
                        let case = Case::new([m, k, panels], by_columns, accumulate, &value);
                        let name = format!(
                            "{set:?}, {m}×{k}×{panels} panels, by columns {by_columns}, accumulate {accumulate}"
                        );
                        check(&name, kernel, &case);
                    }
                }
            }
        }
    }
}

/// Of small integers every sum is exact.
#[test]
fn integers_are_exact() {
    let value = |i: usize| (i * 7919 % 31) as f32 - 15.0;
    every_case(value, |name, kernel, case| {
        let n = case.b.columns;
        for (at, found) in case.run(kernel, case.m()).into_iter().enumerate() {
            let (i, j) = (at / n, at % n);
            let exact = (0..case.b.rows).fold(case.start(i, j), |sum, p| {
                sum + case.a(i, p) * case.b.rounded(p, j)
            });
            assert_eq!(found, exact, "{name}, ({i}, {j})");
        }
    });
}

fn irrational(i: usize) -> f32 {
    ((i * 7919 % 1013) as f32 * 0.37).sin()
}

/// Against the exact sum of the rounded operands.
///
/// The bound is that of a chain of k roundings, `k·2⁻²⁴·Σ|ab|`, and somewhat more for `(1 + 2⁻²⁴)ᵏ`.
#[test]
fn sums_are_close_to_those_in_f64() {
    every_case(irrational, |name, kernel, case| {
        let (k, n) = (case.b.rows, case.b.columns);
        for (at, found) in case.run(kernel, case.m()).into_iter().enumerate() {
            let (i, j) = (at / n, at % n);
            let start = f64::from(case.start(i, j));
            let (mut exact, mut size) = (start, start.abs());
            for p in 0..k {
                let product = f64::from(case.a(i, p)) * f64::from(case.b.rounded(p, j));
                exact += product;
                size += product.abs();
            }
            let limit = 1.01 * k as f64 * size / f64::from(1 << 24);
            let found = f64::from(found);
            assert!(found.is_finite(), "{name}, ({i}, {j}): {found}");
            assert!(
                (found - exact).abs() <= limit,
                "{name}, ({i}, {j}): {found} instead of {exact} ± {limit}"
            );
        }
    });
}

/// The order of the contract, second of a pair first, at any height.
#[test]
fn the_emulation_gives_the_chain() {
    every_case(irrational, |name, kernel, case| {
        if name.starts_with("Avx512") {
            return;
        }
        let (m, k, n) = (case.m(), case.b.rows, case.b.columns);
        let expected: Vec<u32> = (0..m * n)
            .map(|at| {
                let (i, j) = (at / n, at % n);
                let pairs = (0..k.div_ceil(2)).flat_map(|q| [2 * q + 1, 2 * q]);
                let chain = pairs.fold(case.start(i, j), |sum, p| {
                    case.a(i, p).mul_add(case.b.rounded(p, j), sum)
                });
                chain.to_bits()
            })
            .collect();
        assert!(bits(&case.run(kernel, m)) == expected, "{name}");
    });
}

/// The same bits however rows are shared out.
#[test]
fn the_height_changes_no_bit() {
    every_case(irrational, |name, kernel, case| {
        let whole = bits(&case.run(kernel, case.m()));
        for rows in [1, 2, 3, 7, 13] {
            let found = bits(&case.run(kernel, rows));
            assert!(found == whole, "{name}, {rows} rows at a time");
        }
    });
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

/// A product in two parts of k, the second going on from the first, is the whole one.
#[test]
fn blocks_of_k_give_the_same_bits() {
    for (_, kernel) in kernels() {
        let [m, k, panels] = [17, 71, 3];
        let whole = Case::new([m, k, panels], false, false, irrational);
        let part =
            |from: &Panels, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>| {
                Panels::new(rows.len(), columns.len(), |i, j| {
                    from.rounded(rows.start + i, columns.start + j)
                })
            };
        let n = panels * PANEL;
        let mut old = None;
        for (start, end) in [(0, 32), (32, k)] {
            let case = Case {
                a: part(&whole.a, start..end, 0..m),
                b: part(&whole.b, 0..n, start..end),
                by_columns: false,
                old,
            };
            let c = case.run(kernel, m);
            old = Some(Panels::new(m, n, |i, j| c[i * n + j]));
        }
        let expected = Panels::new(m, n, |i, j| whole.run(kernel, m)[i * n + j]);
        assert_eq!(bits(&old.unwrap().data), bits(&expected.data));
    }
}

/// What is not finite reaches exactly the elements it belongs to.
#[test]
fn nan_and_infinity_pass() {
    for (set, kernel) in kernels() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut case = Case::new([7, 5, 2], false, true, |_| 1.0);
            case.a = Panels::new(7, 5, |i, p| if (i, p) == (3, 2) { bad } else { 1.0 });
            for (at, found) in case.run(kernel, 7).into_iter().enumerate() {
                let expected = if at / 32 == 3 { bad } else { 6.0 };
                assert!(
                    found == expected || (found.is_nan() && expected.is_nan()),
                    "{set:?}, {bad}: {found} at {at}"
                );
            }
        }
    }
}
