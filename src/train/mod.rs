//! Training: the loop, and what a run leaves on disk. [`run()`] is the way in.
//!
//! [`Settings`](crate::settings::Settings) (what a user says) → [`Config`](crate::settings::Config) (checked) →
//! [`run()`], which chooses a backend for [`Trainer`] (one run's state) and [`fit()`] (the loop with its run
//! directory).

mod check;
mod checkpoint;
mod fit;
mod folds;
mod lr_find;
mod measure;
mod monitor;
mod other_metrics;
mod overview;
mod record;
mod run;
mod run_dir;
mod run_writer;
mod stopwatch;
mod trainer;
mod verify;
mod watch;

pub use check::{check_fit, check_values};
pub use fit::{Control, History, Observer, Start, fit};
pub use folds::{FoldsDir, FoldsSummary, fold_settings};
pub use lr_find::{RangeTest, RangeTestEnd, RangeTestOptions, RateLoss, lr_find};
pub use monitor::Best;
pub use other_metrics::OtherMetrics;
pub use overview::{Overview, Status};
pub use record::{EpochRecord, LayerRecord, Summary};
pub use run::{Folder, Outcome, RunOptions, run, run_with};
pub use run_dir::{RunDir, differences};
pub use run_writer::RunWriter;
pub use trainer::{EpochEnd, NextStep, Partial, Progress, Trainer, Weights};
pub use verify::{Difference, MetricDifference, Verification, config_to_verify, verify};
