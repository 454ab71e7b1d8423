//! What a model is to predict.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What a model is to predict for each sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One class of several.
    #[default]
    Classification,
    /// One or more numbers.
    Regression,
    /// Any number of labels, each present or absent.
    Multilabel,
}
