//! Training: the loop, and what a run leaves on disk.
//!
//! [`Settings`](crate::settings::Settings) (what a user says) → [`Config`](crate::settings::Config) (checked) → [`Trainer`] (one run's state) → [`fit()`] (the loop with its run directory).

mod checkpoint;
mod fit;
mod monitor;
mod overview;
mod record;
mod run_dir;
mod trainer;

pub use fit::{Control, Observer, Outcome, fit};
pub use monitor::Best;
pub use overview::{Overview, Status};
pub use record::{EpochRecord, Summary};
pub use run_dir::{RunDir, differences};
pub use trainer::{EpochEnd, Partial, Progress, Trainer, Weights, check_fit};
