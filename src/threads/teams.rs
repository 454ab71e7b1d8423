//! Teams of several sizes, of which the fastest one works.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use super::sync::{processors, unpoisoned};
use super::team::Team;
use super::tuner::Tuner;
use crate::error::Result;

/// One team, or several of which the fastest one works. The others sleep.
pub(crate) struct Teams {
    /// From the largest on.
    teams: Vec<Team>,
    current: AtomicUsize,
    /// None for a single team: then no clock is read, which not every system has.
    tuning: Option<Tuning>,
}

struct Tuning {
    tuner: Mutex<Tuner>,
    clock: Instant,
}

impl Tuning {
    /// Nanoseconds.
    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }
}

impl Teams {
    /// A single team.
    ///
    /// # Errors
    /// As [`Team::new`].
    pub(crate) fn of_one_size(members: usize) -> Result<Self> {
        Ok(Teams {
            teams: vec![Team::new(members)?],
            current: AtomicUsize::new(0),
            tuning: None,
        })
    }

    /// A team of `members`, and smaller ones, each of half the size, down to a single thread.
    ///
    /// The first one that works has at most one member a processor.
    ///
    /// # Errors
    /// As [`Team::new`].
    pub(crate) fn of_up_to(members: usize) -> Result<Self> {
        if members == 1 {
            return Teams::of_one_size(1);
        }
        let processors = processors();
        let sizes = sizes(members, processors);
        let first = sizes.iter().take_while(|&&size| size > processors).count();
        Ok(Teams {
            tuning: Some(Tuning {
                tuner: Mutex::new(Tuner::new(sizes.len(), first)),
                clock: Instant::now(),
            }),
            teams: sizes.into_iter().map(Team::new).collect::<Result<_>>()?,
            current: AtomicUsize::new(first),
        })
    }

    /// The members of the largest team.
    pub(crate) fn most_members(&self) -> usize {
        self.teams[0].size()
    }

    /// Whether smaller teams may work.
    pub(crate) fn are_several(&self) -> bool {
        self.teams.len() > 1
    }

    /// The team that works.
    pub(crate) fn current(&self) -> &Team {
        &self.teams[self.current.load(Relaxed)]
    }

    /// A training step of this number of rows begins. Here another team may take over.
    pub(crate) fn begin_step(&self, rows: usize) {
        if let Some(tuning) = &self.tuning {
            let team = unpoisoned(tuning.tuner.lock()).begin_step(tuning.now(), rows);
            self.current.store(team, Relaxed);
        }
    }

    /// The training step has ended.
    pub(crate) fn end_step(&self) {
        if let Some(tuning) = &self.tuning {
            unpoisoned(tuning.tuner.lock()).end_step(tuning.now());
        }
    }
}

/// The sizes of teams for up to `members`, from the largest on.
fn sizes(members: usize, processors: usize) -> Vec<usize> {
    let next = if members > processors {
        processors
    } else {
        members / 2
    };
    let smaller = std::iter::successors(Some(next), |size| Some(size / 2));
    let all = std::iter::once(members).chain(smaller.take_while(|&size| size > 0));
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_halved_down_to_one() {
        assert_eq!(sizes(2, 8), [2, 1]);
        assert_eq!(sizes(6, 8), [6, 3, 1]);
        assert_eq!(sizes(16, 16), [16, 8, 4, 2, 1]);
        assert_eq!(sizes(8, 2), [8, 2, 1]);
        assert_eq!(sizes(2, 1), [2, 1]);
    }

    #[test]
    fn the_first_team_has_at_most_one_member_a_processor() {
        let processors = processors();
        let teams = Teams::of_up_to(2 * processors).unwrap();
        assert_eq!(teams.most_members(), 2 * processors);
        assert_eq!(teams.current().size(), processors);
        assert!(!Teams::of_up_to(1).unwrap().are_several());
    }

    /// Whichever team works, its members do all of the work.
    #[test]
    fn steps_run_on_whichever_team() {
        let teams = Teams::of_up_to(3).unwrap();
        for step in 0..2000 {
            teams.begin_step(1 + step % 7 % 2);
            let done = AtomicUsize::new(0);
            teams.current().run(|member| {
                done.fetch_add(member.share(100).len(), Relaxed);
            });
            teams.end_step();
            assert_eq!(done.into_inner(), 100);
        }
    }
}
