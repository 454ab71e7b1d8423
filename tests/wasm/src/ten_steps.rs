//! Ten training steps on built-in data, for any system.

use std::sync::Arc;

use chainrule::data::Dataset;
use chainrule::metrics::ValidationMetric;
use chainrule::settings::{Config, OptimizerName, Settings};
use chainrule::train;
use ndarray::{Array2, s};

/// How many of the numbers are losses.
pub(crate) const STEPS: u32 = 10;
const CLASSES: usize = 3;
const ROWS: usize = 40 * CLASSES;

/// Points on three bent rays from the origin, a class each. No sine is needed, whose bits systems do not agree on.
fn samples() -> (Array2<f32>, Vec<u32>) {
    let rays = [[1.0, 0.25], [-0.75, 1.0], [-0.5, -1.0]];
    let x = Array2::from_shape_fn((ROWS, 2), |(row, axis)| {
        let (ray, distance) = (rays[row % CLASSES], (row / CLASSES + 1) as f32 / 40.0);
        distance * (ray[axis] + 0.5 * distance * ray[1 - axis])
    });
    (x, (0..ROWS).map(|row| (row % CLASSES) as u32).collect())
}

/// The loss of each step before its update; then what the trained network says of a sample of each class: the
/// probabilities of all classes. An epoch is one step here, with all samples in its batch.
pub(crate) fn ten_steps() -> chainrule::Result<Vec<f64>> {
    let (x, labels) = samples();
    let data = Arc::new(Dataset::from_arrays(x.view(), &labels)?);
    let mut settings = Settings::default();
    settings.data.validation = Some(0.0);
    settings.model.widths = Some(vec![24, 16]);
    settings.model.batch_norm = Some(true);
    settings.model.dropout = Some(0.1);
    settings.train.batch_size = Some(ROWS);
    settings.train.epochs = Some(STEPS);
    settings.train.monitor = Some(ValidationMetric::ValLoss);
    // Adam would turn the rounding errors of gradients that are zero into whole steps.
    settings.optimizer.name = Some(OptimizerName::Sgd);
    settings.optimizer.lr = Some(0.1);
    settings.optimizer.momentum = Some(0.9);
    let outcome = train::run(Config::new(&settings)?, data, None, &mut ())?;
    let model = outcome.model.expect("an epoch has ended");
    let probabilities = model.predict_proba(x.slice(s![..CLASSES, ..]))?;
    let losses = outcome.records.iter().map(|record| record.train_loss);
    Ok(losses.chain(probabilities).collect())
}
