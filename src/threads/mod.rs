//! Threads that work together: a [team] with its barrier, how members wait, and on which processors they run.
//!
//! Who computes a column never changes its bits.

mod event_count;
mod placement;
pub mod team;

pub(crate) use event_count::lock;

use crate::error::{Error, Result};

/// More threads than this are refused as a mistake: starting them could stall the machine.
pub(crate) const MAX_THREADS: usize = 1024;

/// So many threads, if that is a number of threads to start.
pub(crate) fn check_threads(threads: usize) -> Result<usize> {
    if (1..=MAX_THREADS).contains(&threads) {
        return Ok(threads);
    }
    let message = format!("expected from 1 to {MAX_THREADS} threads, found {threads}");
    Err(Error::setting("train.threads", message))
}

/// The number of threads to use: the one given, else `RAYON_NUM_THREADS`, else one per core.
pub fn thread_count(given: Option<usize>) -> usize {
    let variable = || std::env::var("RAYON_NUM_THREADS").ok()?.parse().ok();
    given
        .or_else(variable)
        .filter(|&threads| threads > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Runs `f` on a pool of so many threads; `None` takes rayon's choice (`RAYON_NUM_THREADS`, else one per core).
///
/// # Errors
/// If there are 0 threads or more than 1024, or the system cannot start them.
pub fn with_threads<T: Send>(threads: Option<usize>, f: impl FnOnce() -> T + Send) -> Result<T> {
    let threads = threads.map(check_threads).transpose()?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build();
    let pool = pool.map_err(|e| Error::setting("train.threads", e.to_string()))?;
    Ok(pool.install(f))
}
