//! Training: settings, the loop, and what a run leaves on disk.
//!
//! [`Settings`] (what a user says) → [`Config`] (checked) → [`Trainer`] (one run's state) → [`fit()`] (the loop with its run directory).

mod checkpoint;
mod config;
mod dispatch;
pub(crate) mod durable;
mod feed;
mod fit;
pub mod model;
mod overview;
mod record;
mod run_dir;
pub mod settings;
pub mod tensors;
mod trainer;

pub use config::Config;
pub(crate) use config::MAX_THREADS;
pub(crate) use dispatch::no_bf16;
#[cfg(not(feature = "cuda"))]
pub(crate) use dispatch::no_cuda;
pub use dispatch::{OnBackend, check_device, on_backend};
pub use feed::{Feed, Rows};
pub use fit::{Control, Observer, Outcome, fit, thread_count, with_threads};
pub use model::{Classifier, Model};
pub use overview::{Overview, Status};
pub use record::{EpochRecord, Evaluation, Summary};
pub use run_dir::{RunDir, differences};
pub use settings::Settings;
pub use trainer::{Best, EpochEnd, Partial, Progress, Trainer, Weights, check_fit};
