//! A counter that threads wait for. The members of a [team](super::team) synchronise with it and with nothing else.

use std::hint::spin_loop;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::{Duration, Instant};

use super::sync::{AtomicU64, Condvar, MODEL, Mutex, thread, unpoisoned};

/// Counts arrivals in groups, and lets threads wait until a group is complete.
///
/// It shares its two cache lines with nothing else. It has two because some processors fetch them in pairs.
///
/// Everything is in one word, which only read-modify-writes change while several threads look at it.
/// So each change continues the release sequences of those before it.
/// A thread that finds a group complete (acquire) sees all that its members wrote before they arrived (release).
#[derive(Default)]
#[repr(align(128))]
pub(super) struct EventCount {
    word: AtomicU64,
    lock: Mutex<()>,
    wake: Condvar,
}

/// How long a waiting thread yields its turns to others before it is parked.
///
/// The scheduler may put a woken thread on the processor of the thread that woke it, although another one is idle.
/// A thread that is parked at each barrier never looks busy enough to be moved away.
/// Two threads would then stay on one processor.
const YIELDING: Duration = Duration::from_millis(if MODEL { 0 } else { 5 });

/// In the word: a thread may be parked.
const SLEEPERS: u64 = 1;
/// In the word: one arrival.
const ONE: u64 = 2;
/// In the word: a thread will never arrive. It is more than any count, so that it ends all waiting.
const POISON: u64 = 1 << 63;

impl EventCount {
    /// Adds an arrival. Gives the number of arrivals at which its group of `size` is complete.
    pub(super) fn arrive(&self, size: u64) -> u64 {
        let before = self.word.fetch_add(ONE, AcqRel);
        let arrivals = before / ONE;
        let goal = arrivals - arrivals % size + size;
        if before & SLEEPERS != 0 && arrivals + 1 == goal {
            self.wake();
        }
        goal
    }

    /// Waits for the arrival of that number. False if the count is poisoned.
    ///
    /// It looks `spins` times, then yields for [`YIELDING`], then parks the thread.
    ///
    /// No wake-up is lost.
    /// The arrival that reaches the goal and a sleeper's last `fetch_or` change the same word, one after the other.
    /// If the arrival is first, the sleeper finds the goal reached and does not sleep.
    /// If it is second and finds the bit set, its `wake` waits for the lock, which the sleeper only gives up to sleep.
    /// If it is second and finds the bit cleared, an earlier `wake` cleared it while this sleeper slept.
    /// Then the sleeper was notified and comes to another `fetch_or`, so that this was not its last.
    pub(super) fn wait(&self, goal: u64, spins: u32) -> bool {
        let goal = (goal * ONE).min(POISON);
        for _ in 0..=spins {
            let word = self.word.load(Acquire);
            if word >= goal {
                return word < POISON;
            }
            spin_loop();
        }
        let start = Instant::now();
        while start.elapsed() < YIELDING {
            let word = self.word.load(Acquire);
            if word >= goal {
                return word < POISON;
            }
            thread::yield_now();
        }
        let mut guard = unpoisoned(self.lock.lock());
        loop {
            let word = self.word.fetch_or(SLEEPERS, AcqRel);
            if word >= goal {
                return word < POISON;
            }
            guard = unpoisoned(self.wake.wait(guard));
        }
    }

    /// Ends all waiting, now and later.
    pub(super) fn poison(&self) {
        self.word.fetch_or(POISON, AcqRel);
        self.wake();
    }

    /// Back to no arrivals.
    ///
    /// No thread may be using the count, and those that use it later must have synchronised with this thread.
    pub(super) fn reset(&self) {
        self.word.store(0, Relaxed);
    }

    /// Wakes all parked threads.
    fn wake(&self) {
        let guard = unpoisoned(self.lock.lock());
        self.word.fetch_and(!SLEEPERS, AcqRel);
        // Woken threads take the lock, so it is released first.
        drop(guard);
        self.wake.notify_all();
    }
}
