//! Products on a CUDA device.

use serde::Serialize;

use super::products::{Layout, Shape};
use super::steps;
use super::timing;
use crate::backend::{Backend, Cuda};
use crate::error::Result;

/// How long everything is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Repeats, and how long each lasts at least.
    pub steps: steps::Effort,
    /// Launches, or steps, that follow each other before anybody waits for them.
    pub together: usize,
}

/// A product on the device.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Product {
    /// Its sizes.
    #[serde(flatten)]
    pub shape: Shape,
    /// How its operands lie.
    pub layout: Layout,
    /// Median seconds.
    pub seconds: f64,
    /// Operations in a second.
    pub flops_per_second: f64,
}

/// Times a product.
///
/// # Errors
/// If the device fails.
pub fn product(cuda: &Cuda, shape: Shape, layout: Layout, effort: Effort) -> Result<Product> {
    let Shape { m, n, k } = shape;
    let buffer = |len: usize| {
        let mut buf = cuda.alloc(len)?;
        let values: Vec<f32> = (0..len).map(|i| (i % 257) as f32 / 257.0 - 0.5).collect();
        cuda.upload(&mut buf, &values).map(|()| buf)
    };
    let (a, b) = (buffer(m * k)?, buffer(k * n)?);
    let mut c = cuda.alloc(m * n)?;
    let mut outcome = Ok(());
    let transposed = match layout {
        Layout::Nn => [false, false],
        Layout::Nt => [false, true],
        Layout::Tn => [true, false],
    };
    let mut launch = || cuda.product(transposed, &mut c, &a, &b, [m, n, k]);
    let steps::Effort { repeats, repeat } = effort.steps;
    let mut seconds = timing::batches(repeats, repeat, &mut || {
        let launched = (0..effort.together).try_for_each(|_| launch());
        let done = launched.and_then(|()| cuda.device().synchronize());
        if outcome.is_ok() {
            outcome = done;
        }
    });
    outcome?;
    let seconds = timing::median(&mut seconds) / effort.together as f64;
    Ok(Product {
        shape,
        layout,
        seconds,
        flops_per_second: shape.flops() / seconds,
    })
}
