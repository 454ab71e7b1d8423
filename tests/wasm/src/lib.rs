//! The ten steps as a WebAssembly module, which needs no system: `run.mjs` runs it in Node.

use std::sync::OnceLock;

mod ten_steps;

/// Trained when first asked for.
fn numbers() -> &'static [f64] {
    static NUMBERS: OnceLock<Vec<f64>> = OnceLock::new();
    NUMBERS.get_or_init(|| ten_steps::ten_steps().expect("sound settings and data"))
}

/// How many of the numbers are losses.
#[unsafe(no_mangle)]
pub extern "C" fn steps() -> u32 {
    ten_steps::STEPS
}

/// How many numbers there are.
#[unsafe(no_mangle)]
pub extern "C" fn count() -> u32 {
    numbers().len() as u32
}

/// One of the numbers.
#[unsafe(no_mangle)]
pub extern "C" fn number(index: u32) -> f64 {
    numbers()[index as usize]
}
