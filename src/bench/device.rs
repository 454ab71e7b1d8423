//! Products and whole training steps on a CUDA device.

use serde::Serialize;

use super::products::{Layout, Shape};
use super::steps::{self, Network, Pixels, SAMPLES};
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

/// A training step on the device.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The network's name.
    pub name: &'static str,
    /// Its sizes and options in words.
    pub network: String,
    /// Its parameters.
    pub parameters: usize,
    /// Samples of a batch.
    pub batch_size: usize,
    /// Median seconds.
    pub seconds: f64,
    /// Seconds of as many steps as 60,000 samples need.
    pub epoch_seconds: f64,
    /// Operations of the products in a second of the whole step.
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
    let mut launch = || match layout {
        Layout::Nn => cuda.product_nn(&mut c, &a, &b, [m, n, k]),
        Layout::Nt => cuda.product_nt(&mut c, &a, &b, [m, n, k]),
        Layout::Tn => cuda.product_tn(&mut c, &a, &b, [m, n, k]),
    };
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

/// Times training steps of a network on random pixels, which the device keeps.
///
/// # Errors
/// If the device fails, or if a loss is not finite.
pub fn step(cuda: Cuda, network: &Network, pixels: &Pixels, effort: Effort) -> Result<Step> {
    let (seconds, parameters) = steps::time(cuda, network, pixels, effort.steps, effort.together)?;
    Ok(Step {
        name: network.name,
        network: network.spec.describe(),
        parameters,
        batch_size: network.batch_size,
        seconds,
        epoch_seconds: seconds * SAMPLES as f64 / network.batch_size as f64,
        flops_per_second: network.flops() / seconds,
    })
}
