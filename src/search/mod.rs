//! Searching for good settings: what to search ([`Space`]), where to look next ([`sampler`]), what to give up ([`pruner`]), the file that holds it all ([`journal`]),
//! and who does what ([`StudyWork`]).

pub mod distribution;
pub mod journal;
mod pace;
mod plan;
mod preset;
pub mod pruner;
mod run;
pub mod sampler;
mod setting;
mod space;
mod study;
pub mod sweep;
mod trial;

pub use distribution::Distribution;
pub use pace::{Pace, cost_of_run};
pub use plan::{Plan, PrunerName, SamplerName};
pub use preset::{Outline, Preset, SEARCH};
pub use run::{Assignment, Finish, Search, Task, Watcher, folder, ranking, workers};
pub use space::{Point, Space};
pub use study::{Claim, Next, StudyWork, slot};
pub use trial::{End, run_folder};
