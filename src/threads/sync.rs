//! What threads meet by: the standard library's types, or loom's in a model.
//!
//! A model is a test that is built with `--cfg loom`. It runs the team's own code on [loom](https://docs.rs/loom), which
//! tries every order in which threads may act, and every value that a load may see.
//! (Norris, Demsky, “CDSChecker: Checking Concurrent Data Structures Written with C/C++ Atomics”, OOPSLA 2013.)
//! Waiting threads are parked at once in a model, because spinning has no end there.

#[cfg(all(test, loom))]
pub(super) use loom::{
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize},
    sync::{Condvar, Mutex},
    thread,
};
use std::sync::{LockResult, PoisonError};
#[cfg(not(all(test, loom)))]
pub(super) use std::{
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize},
    sync::{Condvar, Mutex},
    thread, thread_local,
};

/// loom's macro does not know constants.
#[cfg(all(test, loom))]
macro_rules! model_local {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = const { $start:expr };) => {
        loom::thread_local! { $(#[$attribute])* static $name: $type = $start; }
    };
}
#[cfg(all(test, loom))]
pub(super) use model_local as thread_local;

/// Whether this is a model.
pub(super) const MODEL: bool = cfg!(all(test, loom));

/// The processors of this machine. A model has none, so that the members of a team do not spin and measure no times.
pub(super) fn processors() -> usize {
    match MODEL {
        true => 0,
        false => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// For locks that are not held over code that could panic, such as those of a team: none is ever poisoned.
pub(super) fn unpoisoned<G>(held: LockResult<G>) -> G {
    held.unwrap_or_else(PoisonError::into_inner)
}
