//! Teams of threads that work together.
//!
//! Which thread computes a column never changes its bits.
//!
//! | file | holds |
//! |---|---|
//! | `team.rs` | a fixed set of threads that run one closure together, with a barrier |
//! | `teams.rs` | teams of several sizes, of which the fastest one works |
//! | `tuner.rs` | which one that is, by trying |
//! | `idle.rs` | teams that wait between one call and the next |
//! | `shared.rs` | a slice whose parts the members of a team write |
//! | `balance.rs` | the members' parts of the work, by their speeds |
//! | `event_count.rs` | how threads wait for each other |
//! | `countdown.rs` | who comes last, without waiting |
//! | `sync.rs` | the types that threads meet by, which models replace |
//! | `placement.rs` | on which processors the members run |

mod balance;
mod countdown;
mod event_count;
mod idle;
#[cfg(all(test, loom))]
mod interleaving_tests;
mod placement;
mod shared;
mod sync;
pub mod team;
mod teams;
mod tuner;

pub(crate) use countdown::Countdown;
pub(crate) use idle::on_team;
pub(crate) use shared::{SharedSlice, on_parts};
pub(crate) use teams::Teams;

use crate::error::{Error, Result};

/// More threads than this are refused as a mistake: starting them could stall the machine.
pub(crate) const MAX_THREADS: usize = 1024;

/// Returns the number of threads, or refuses one that is not from 1 to [`MAX_THREADS`].
pub(crate) fn check_threads(threads: usize) -> Result<usize> {
    if (1..=MAX_THREADS).contains(&threads) {
        return Ok(threads);
    }
    let message = format!("expected from 1 to {MAX_THREADS} threads, found {threads}");
    Err(Error::setting("train.threads", message))
}

/// The number of threads to use: the one given, else `RAYON_NUM_THREADS`, else one per core.
///
/// # Errors
/// If the one given is 0 or more than 1024.
pub fn thread_count(given: Option<usize>) -> Result<usize> {
    if let Some(threads) = given {
        return check_threads(threads);
    }
    let variable = std::env::var("RAYON_NUM_THREADS");
    let named = variable.ok().and_then(|text| text.parse().ok());
    let threads = named
        .filter(|&n: &usize| n > 0)
        .unwrap_or_else(sync::processors);
    Ok(threads.min(MAX_THREADS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_threads_is_checked() {
        assert_eq!(thread_count(Some(1)).unwrap(), 1);
        assert_eq!(thread_count(Some(MAX_THREADS)).unwrap(), MAX_THREADS);
        for given in [0, MAX_THREADS + 1, usize::MAX] {
            let message = thread_count(Some(given)).unwrap_err().to_string();
            let expected = format!("train.threads: expected from 1 to 1024 threads, found {given}");
            assert_eq!(message, expected);
        }
        assert!((1..=MAX_THREADS).contains(&thread_count(None).unwrap()));
    }
}
