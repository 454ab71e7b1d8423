//! What the fuzz targets do with an input, one function a file format.
//!
//! Each takes any bytes, and returns whether they were accepted: read to the end without an error. It panics where a
//! promise is broken. Most inputs are the file itself, so that seeds can be looked at and findings can be used as
//! they are. Such a file is read twice: as it is, and with its checksums, lengths and offsets put right, so that
//! damage reaches what lies behind them.

mod checkpoint;
mod csv;
mod dataset;
mod files;
mod idx;
mod journal;
mod memory;
mod model;
mod npy;
mod npz;
mod png;
mod report;
mod safetensors;
mod settings;
mod study;
#[path = "../../../src/report/well_formed_tests.rs"]
mod well_formed;

pub use checkpoint::checkpoint;
pub use csv::csv;
pub use idx::idx;
pub use journal::journal;
pub use model::model;
pub use npy::npy;
pub use npz::npz;
pub use png::png;
pub use report::report;
pub use settings::settings;

/// What a target does.
pub type Target = fn(&[u8]) -> bool;

/// The targets by name. Each has a folder in `corpus`, and a file in `fuzz_targets`.
pub const TARGETS: [(&str, Target); 10] = [
    ("checkpoint", checkpoint),
    ("csv", csv),
    ("idx", idx),
    ("journal", journal),
    ("model", model),
    ("npy", npy),
    ("npz", npz),
    ("png", png),
    ("report", report),
    ("settings", settings),
];
