//! Teams that wait between one call and the next.
//!
//! Starting threads takes longer than most products.
//! So a process keeps as many teams as it had calls at a time.
//! They are no rayon pool, whose workers sleep as soon as they find nothing to do.
//! A product of a small network takes some tens of microseconds, and a team looks out for the next one for longer.

use std::sync::Mutex;

use super::event_count::lock;
use super::team::{Member, Team};

/// Teams that nobody is using.
static IDLE: Mutex<Vec<Team>> = Mutex::new(Vec::new());

/// Runs `body` once on each of so many threads, the calling one included, and returns when all have finished.
///
/// It runs on the calling thread alone if no more can be started, or if that thread is a member of a team at work.
/// So `body` must go by [`Member::size`].
pub(crate) fn on_team(threads: usize, body: impl Fn(Member<'_>) + Sync) {
    let team = match Team::in_region() {
        true => None,
        false => take(threads).or_else(|| Team::new(threads).ok()),
    };
    match team {
        Some(team) => {
            team.run(body);
            lock(&IDLE).push(team);
        }
        None => Team::alone().run(body),
    }
}

/// Takes a team of this size out of [`IDLE`].
fn take(threads: usize) -> Option<Team> {
    let mut idle = lock(&IDLE);
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

    /// From inside a region there is nobody to share with, and waiting for one would never end.
    /// Teams that wait for work go on waiting.
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
