//! Times of matrix products on a CUDA device.

use serde::Serialize;

use super::products::{ProductLayout, Shape};
use super::timing::{self, Repeats};
use crate::backend::{Backend, Cuda};
use crate::error::Result;

/// How long products and steps are measured.
#[derive(Clone, Copy, Debug)]
pub struct DeviceEffort {
    /// How often it is timed.
    pub repeats: Repeats,
    /// The number of launches, or steps, before the host waits for the device.
    pub together: usize,
}

/// The time of a product on the device.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ProductTime {
    /// Its sizes.
    #[serde(flatten)]
    pub shape: Shape,
    /// How its operands are stored.
    pub layout: ProductLayout,
    /// Median seconds.
    pub seconds: f64,
    /// Floating-point operations per second.
    pub flops_per_second: f64,
}

/// Times a product.
///
/// # Errors
/// If the device fails.
pub fn product(
    cuda: &Cuda,
    shape: Shape,
    layout: ProductLayout,
    effort: DeviceEffort,
) -> Result<ProductTime> {
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
        ProductLayout::Nn => [false, false],
        ProductLayout::Nt => [false, true],
        ProductLayout::Tn => [true, false],
    };
    let mut launch = || cuda.product(transposed, &mut c, &a, &b, [m, n, k]);
    let mut seconds = timing::seconds_per_call(effort.repeats, &mut || {
        let launched = (0..effort.together).try_for_each(|_| launch());
        let done = launched.and_then(|()| cuda.device().synchronize());
        if outcome.is_ok() {
            outcome = done;
        }
    });
    outcome?;
    let seconds = timing::median(&mut seconds) / effort.together as f64;
    Ok(ProductTime {
        shape,
        layout,
        seconds,
        flops_per_second: shape.flops() / seconds,
    })
}
