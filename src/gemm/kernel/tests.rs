//! Each kernel alone, against the chain that its contract promises: bit for bit.

use super::call::heights;
use super::*;

/// What surrounds C: a store outside it would show.
const GUARD: f32 = -77.0;

fn number(i: usize) -> f32 {
    ((i * 7919 % 1013) as f32 * 0.37).sin()
}

/// `Σ a·b` in ascending p, from `start`, each step rounded once.
fn chain(start: f32, a: impl Fn(usize) -> f32, b: impl Fn(usize) -> f32, k: usize) -> f32 {
    (0..k).fold(start, |sum, p| a(p).mul_add(b(p), sum))
}

fn check(kernel: Kernel, [m, k, panels]: [usize; 3], columns: bool, accumulate: bool) {
    let a: Vec<f32> = (0..(k.next_multiple_of(PANEL) + 1) * m.next_multiple_of(PANEL))
        .map(number)
        .collect();
    let b_panel = (k + 2) * PANEL;
    let b: Vec<f32> = (0..panels * b_panel).map(|i| number(i + 31)).collect();
    let (a_layout, a_at): (ALayout, Box<dyn Fn(usize, usize) -> f32>) = if columns {
        let step = m + 3;
        let a = (0..k * step + m).map(number).collect::<Vec<_>>();
        (
            ALayout::Columns { step },
            Box::new(move |i, p| a[i + p * step]),
        )
    } else {
        let a_layout = ALayout::Panels { panel: m * PANEL };
        let a = a.clone();
        let at = move |i, p| a[p / PANEL * m * PANEL + i * PANEL + p % PANEL];
        (a_layout, Box::new(at))
    };
    let source: Vec<f32> = match a_layout {
        ALayout::Columns { step } => (0..k * step + m).map(number).collect(),
        ALayout::Panels { .. } => a,
    };
    // A line before, between the panels, and after.
    let c_panel = (m + 1) * PANEL;
    let mut c = vec![GUARD; PANEL + panels * c_panel];
    let inside = |i: usize, j: usize| PANEL + j / PANEL * c_panel + i * PANEL + j % PANEL;
    let old = |i: usize, j: usize| number(i * 53 + j);
    for i in 0..m {
        for j in 0..panels * PANEL {
            c[inside(i, j)] = if accumulate { old(i, j) } else { f32::NAN };
        }
    }
    let call = KernelCall {
        m,
        k,
        panels,
        a: source.as_ptr(),
        a_layout,
        b: b.as_ptr(),
        b_row: PANEL,
        b_panel,
        c: c[PANEL..].as_mut_ptr(),
        c_row: PANEL,
        c_panel,
        accumulate,
        prefetch: None,
    };
    // SAFETY: the buffers are as large as the call says.
    unsafe { kernel.run(&call) };
    for i in 0..m {
        for j in 0..panels * PANEL {
            let start = if accumulate { old(i, j) } else { 0.0 };
            let b_at = |p: usize| b[j / PANEL * b_panel + p * PANEL + j % PANEL];
            let expected = chain(start, |p| a_at(i, p), b_at, k);
            let found = std::mem::replace(&mut c[inside(i, j)], GUARD);
            assert!(
                found.to_bits() == expected.to_bits(),
                "{m}×{k}×{panels} panels, {a_layout:?}, ({i}, {j}): {found} instead of {expected}"
            );
        }
    }
    assert!(c.iter().all(|&x| x == GUARD), "a store outside C");
}

#[test]
fn every_height_depth_and_layout_gives_the_chain() {
    // Interpreted code takes a thousand times as long.
    let heights = if cfg!(miri) { 5 } else { 32 };
    for set in InstructionSet::available() {
        let kernel = f32::kernel(set);
        for m in (1..=30).chain([61, 100]).take(heights) {
            for k in [0, 1, 2, 15, 16, 17, 33, 100] {
                for panels in 1..=3 {
                    for columns in [false, true] {
                        check(kernel, [m, k, panels], columns, (m + k + panels) % 2 == 0);
                    }
                }
            }
        }
    }
}

#[test]
fn heights_are_balanced_and_complete() {
    for m in 0..200 {
        for most in [1, 6, 14, 24] {
            let all: Vec<usize> = heights(m, most).collect();
            assert_eq!(all.iter().sum::<usize>(), m);
            assert_eq!(all.len(), m.div_ceil(most));
            let (low, high) = (all.iter().min(), all.iter().max());
            assert!(
                high.zip(low)
                    .is_none_or(|(high, low)| high - low <= 1 && *high <= most)
            );
        }
    }
}
