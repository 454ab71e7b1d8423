//! How good a model is: [`Metric`] names a number by which models are judged, [`Evaluation`] holds its values.
//!
//! For a classifier: [`Confusion`] counts labels and predictions, [`Scores`] are ratios of those counts, [`Predicted`]
//! has metrics for classes of unequal size, and [`correlation`] shows which classes go together.
//! For numbers there is [`PredictedValues`], and for samples with several labels [`PredictedLabels`].

pub mod confusion;
pub mod correlation;
pub mod evaluation;
pub mod metric;
pub mod multilabel;
pub mod predicted;
mod ranking;
pub mod regression;
pub mod scores;
#[cfg(feature = "cli")]
pub mod tables;

pub use confusion::Confusion;
pub use evaluation::Evaluation;
pub use metric::{
    DataPart, Direction, Metric, PartMetric, ValidationMetric, format_in_units, format_percent,
    format_value,
};
pub use multilabel::{LabelScores, PredictedLabels};
pub use predicted::Predicted;
pub use regression::{PredictedValues, ValueScore};
pub use scores::{Score, Scores};
