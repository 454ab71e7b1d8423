//! What a study's final model says of the test set.

use crate::data::{ImageShape, Samples};
use crate::model::Predictions;

/// The test samples with what a study's final model predicts for them. It has been tested before; nothing is chosen by
/// what is seen here.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// One name a class, a number or a label.
    pub class_names: Vec<String>,
    /// The labelled samples.
    pub samples: Samples,
    /// Set if the samples are images.
    pub image: Option<ImageShape>,
    /// What the model predicts.
    pub predictions: Predictions,
}
