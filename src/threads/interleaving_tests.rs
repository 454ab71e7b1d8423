//! Models of what threads meet by: each test runs in every order of its threads' actions that loom finds.
//!
//! loom reports two accesses of a [`Notes`] that nothing orders, and threads that wait for ever.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::thread;

use super::countdown::Countdown;
use super::event_count::EventCount;
use super::team::Team;

/// A number of each thread, without any protection of its own.
struct Notes(Vec<UnsafeCell<usize>>);

// SAFETY: loom stops the test at two accesses that could happen at once.
unsafe impl Sync for Notes {}
// SAFETY: as above.
unsafe impl Send for Notes {}

impl Notes {
    fn new(threads: usize) -> Self {
        Notes((0..threads).map(|_| UnsafeCell::new(0)).collect())
    }

    fn write(&self, thread: usize, value: usize) {
        // SAFETY: as above.
        self.0[thread].with_mut(|note| unsafe { *note = value });
    }

    fn read(&self, thread: usize) -> usize {
        // SAFETY: as above.
        self.0[thread].with(|note| unsafe { *note })
    }

    fn all(&self) -> Vec<usize> {
        (0..self.0.len()).map(|thread| self.read(thread)).collect()
    }
}

/// Runs a model in all orders, or in those in which threads are interrupted at most so many times.
fn explore(most_interruptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&orders);
    let mut builder = Builder::new();
    builder.preemption_bound = most_interruptions;
    builder.max_branches = 10_000;
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        model();
    });
    let orders = orders.load(Relaxed);
    println!("{orders} orders");
    assert!(orders > 1);
}

/// Runs `body` on so many threads, this one included.
fn on_threads(threads: usize, body: impl Fn(usize) + Sync + Send + 'static) {
    let body = Arc::new(body);
    let started = (1..threads).map(|index| {
        let body = Arc::clone(&body);
        thread::spawn(move || body(index))
    });
    let started: Vec<_> = started.collect();
    body(0);
    started.into_iter().for_each(|t| t.join().unwrap());
}

/// Each thread writes, passes, reads what all wrote, and passes again.
fn rounds(threads: usize, rounds: usize) {
    let (count, notes) = (EventCount::default(), Notes::new(threads));
    let size = threads as u64;
    on_threads(threads, move |index| {
        let mut generation = 0;
        let mut pass = || {
            generation += 1;
            let goal = count.arrive(size);
            // No thread is ahead by more than the generation that all are in.
            assert_eq!(goal, generation * size);
            assert!(count.wait(goal, 0));
        };
        for round in 1..=rounds {
            notes.write(index, round);
            pass();
            assert_eq!(notes.all(), vec![round; threads]);
            if round < rounds {
                pass();
            }
        }
    });
}

#[test]
fn two_threads_pass_each_generation_once_and_see_each_other_s_writes() {
    explore(None, || rounds(2, 1));
    explore(Some(4), || rounds(2, 2));
}

#[test]
fn three_threads_pass_a_generation() {
    explore(Some(3), || rounds(3, 1));
}

#[test]
fn three_threads_pass_each_generation_once() {
    explore(Some(2), || rounds(3, 2));
}

/// As the threads of a team wait for its next region.
#[test]
fn sleepers_wake_for_each_event_of_another_thread() {
    explore(None, || {
        let (start, end) = (EventCount::default(), EventCount::default());
        let note = Notes::new(1);
        on_threads(2, move |index| {
            for region in 1..=2 {
                if index == 0 {
                    note.write(0, region);
                    start.arrive(1);
                    let goal = end.arrive(2);
                    assert!(end.wait(goal, 0));
                } else {
                    assert!(start.wait(region as u64, 0));
                    assert_eq!(note.read(0), region);
                    end.arrive(2);
                }
            }
        });
    });
}

#[test]
fn poison_ends_all_waiting() {
    explore(Some(3), || {
        let (count, note) = (EventCount::default(), Notes::new(1));
        on_threads(3, move |index| {
            if index == 0 {
                note.write(0, 7);
                count.poison();
            } else {
                let goal = count.arrive(3);
                assert!(!count.wait(goal, 0));
                assert_eq!(note.read(0), 7);
            }
        });
    });
}

#[test]
fn the_last_one_sees_what_all_wrote() {
    explore(None, || {
        let (left, notes) = (Countdown::new(3), Notes::new(3));
        let last = AtomicUsize::new(0);
        on_threads(3, move |index| {
            notes.write(index, index + 1);
            if left.is_last() {
                assert_eq!(notes.all(), [1, 2, 3]);
                assert_eq!(last.fetch_add(1, Relaxed), 0);
            }
        });
    });
}

/// Two regions with a barrier in each. Then the team is dropped, which ends its threads.
fn regions(members: usize, regions: usize) {
    let team = Team::new(members).unwrap();
    let notes = Notes::new(members);
    for region in 1..=regions {
        team.run(|member| {
            notes.write(member.index(), region);
            member.barrier();
            assert_eq!(notes.all(), vec![region; members]);
        });
        // The caller sees what members did.
        assert_eq!(notes.all(), vec![region; members]);
    }
}

#[test]
fn a_team_of_two_runs_its_regions() {
    explore(Some(4), || regions(2, 2));
}

#[test]
fn a_team_of_three_runs_a_region() {
    explore(Some(2), || regions(3, 1));
}

/// The panic reaches the caller, whoever panics before or after the barrier, and the next region runs.
fn a_panic(members: usize, who: usize) {
    let team = Team::new(members).unwrap();
    let notes = Notes::new(members);
    let region = || {
        team.run(|member| {
            if member.index() == who {
                resume_unwind(Box::new(who));
            }
            member.barrier();
        });
    };
    let payload = catch_unwind(AssertUnwindSafe(region)).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&who));
    team.run(|member| {
        notes.write(member.index(), 1);
        member.barrier();
        assert_eq!(notes.all(), vec![1; members]);
    });
}

#[test]
fn a_panic_of_the_caller_reaches_it_and_the_team_goes_on() {
    explore(Some(3), || a_panic(2, 0));
}

#[test]
fn a_panic_of_another_member_reaches_the_caller_and_the_team_goes_on() {
    explore(Some(3), || a_panic(2, 1));
}
