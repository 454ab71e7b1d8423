//! Searching for good settings: which points to search ([`Space`]), which one to try next ([`sampler`]), which
//! trials to stop early ([`pruner`]), the file that holds all of it ([`journal`]), and which worker runs which
//! trial ([`StudyWork`]).

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
mod suit;
pub mod sweep;
mod trial;
mod watch;

pub use distribution::Distribution;
pub use pace::{Pace, cost_of_run};
pub use plan::{Plan, PrunerName, SamplerName};
pub use preset::{Outline, Preset, SEARCH};
pub use run::{Finish, Search, StudyTask, folder, ranking, workers};
pub use space::{Point, Space};
pub use study::{Awaited, Claim, Next, Reported, Slots, StudyWork};
pub use trial::{run_folder, shortened_batches};
pub use watch::{Assignment, End, Watcher};
