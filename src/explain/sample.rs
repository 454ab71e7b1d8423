//! A small data set for those who have none at hand: few features, and numbers of two digits, which a pencil can
//! follow.

use ndarray::Array2;

use crate::data::{Dataset, Task};
use crate::error::Result;
use crate::rng::{self, Purpose};

/// Its samples.
const SAMPLES: usize = 60;

/// Draws samples `[60, inputs]` and what a network should make of them.
///
/// Each class has a centre, and its samples lie around it. Values to predict are sums of the features, and labels say
/// whether such a sum is positive. All features are rounded to one digit after the point.
///
/// # Errors
/// If there is no feature or no output.
pub fn sample_data(task: Task, inputs: usize, outputs: usize, seed: u64) -> Result<Dataset> {
    let mut rng = rng::stream(seed, Purpose::GradCheck);
    let mut round = |mean: f64, spread: f64| {
        ((mean + spread * rng::standard_normal(&mut rng)) * 10.0).round() / 10.0
    };
    if task == Task::Classification {
        let centres = Array2::from_shape_fn((outputs, inputs), |_| round(0.0, 1.0));
        let labels: Vec<u32> = (0..SAMPLES).map(|i| (i % outputs) as u32).collect();
        let x = Array2::from_shape_fn((SAMPLES, inputs), |(i, k)| {
            round(centres[(i % outputs, k)], 0.5)
        });
        return Dataset::from_arrays(x.view(), &labels);
    }
    let weights = Array2::from_shape_fn((inputs, outputs), |_| round(0.0, 1.0));
    let x = Array2::from_shape_fn((SAMPLES, inputs), |_| round(0.0, 1.0));
    let y = x.dot(&weights);
    let y = match task {
        Task::Multilabel => y.mapv(|y| f64::from(u8::from(y > 0.0))),
        _ => y,
    };
    Dataset::from_values(x.view(), y.view(), task)
}
