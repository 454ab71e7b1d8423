//! Teams that wait between one call and the next.
//!
//! Starting threads takes longer than most products.
//! So a process keeps the teams that it has started, one for each call that ran at the same time.
//! A rayon pool would not do: its workers sleep as soon as they have no work.
//! A product of a small network takes some tens of microseconds, and a team spins for longer than that.

use std::sync::Mutex;

use super::sync::unpoisoned;
use super::team::{Member, Team};

/// Teams that no call is using.
static IDLE: Mutex<Vec<Team>> = Mutex::new(Vec::new());

/// Runs `body` once on each of `threads` threads, the calling one included, and returns when all have finished.
///
/// It runs on the calling thread alone if a thread cannot be started, or if that thread is in a region already.
/// So `body` must use [`Member::size`] as the number of threads.
pub(crate) fn on_team(threads: usize, body: impl Fn(Member<'_>) + Sync) {
    let team = match Team::in_region() {
        true => None,
        false => take(threads).or_else(|| Team::new(threads).ok()),
    };
    match team {
        Some(team) => {
            team.run(body);
            unpoisoned(IDLE.lock()).push(team);
        }
        None => Team::alone().run(body),
    }
}

/// Takes a team of this size out of [`IDLE`].
fn take(threads: usize) -> Option<Team> {
    let mut idle = unpoisoned(IDLE.lock());
    let place = idle.iter().position(|team| team.size() == threads)?;
    Some(idle.swap_remove(place))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// How many members ran, each of which must know of all others.
    fn members(threads: usize) -> usize {
        let ran = AtomicUsize::new(0);
        let size = AtomicUsize::new(0);
        on_team(threads, |member| {
            ran.fetch_add(1, Ordering::Relaxed);
            size.store(member.size(), Ordering::Relaxed);
        });
        assert_eq!(ran.load(Ordering::Relaxed), size.load(Ordering::Relaxed));
        ran.into_inner()
    }

    /// A call from inside a region runs on the calling thread, because waiting for a team could never end.
    /// Idle teams stay idle.
    #[test]
    fn a_member_of_a_team_runs_alone() {
        // A size that no other test has.
        let threads = 5;
        assert_eq!(members(threads), threads);
        let team = Team::new(2).unwrap();
        team.run(|_| assert_eq!(members(threads), 1));
        let idle = take(threads).expect("the team of the first call");
        assert_eq!(idle.size(), threads);
    }

    #[test]
    fn calls_run_side_by_side() {
        std::thread::scope(|scope| {
            for threads in [1, 2, 2, 3] {
                scope.spawn(move || (0..200).for_each(|_| assert_eq!(members(threads), threads)));
            }
        });
    }
}
