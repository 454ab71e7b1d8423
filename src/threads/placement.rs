//! Moves members of a team apart that run on the same processor while another processor is idle.
//!
//! A thread that was parked may wake up on the processor of the thread that woke it.
//! (In a virtual machine an idle processor may count as absent.)
//! The caches there are warm, so the scheduler leaves both threads together until one has not run for a while.
//! Members that meet thousands of times a second always run.
//! A team of two then runs at the speed of one for seconds.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Least time between two attempts of a member.
const PAUSE: Duration = Duration::from_millis(10);

/// Where each member was when it began its last region.
#[derive(Debug)]
pub(super) struct Placement {
    processors: usize,
    /// Empty if no member is to be moved.
    members: Vec<AtomicUsize>,
}

impl Placement {
    /// For a team of `members`. None is moved if they outnumber the processors, or if the system is not Linux.
    pub(super) fn new(members: usize, processors: usize) -> Self {
        let watch = cfg!(target_os = "linux") && members <= processors;
        let watched = if watch { members } else { 0 };
        let nowhere = || AtomicUsize::new(usize::MAX);
        Placement {
            processors,
            members: (0..watched).map(|_| nowhere()).collect(),
        }
    }

    /// Tells the others where the calling member is.
    #[inline]
    pub(super) fn tell(&self, index: usize) {
        if self.members.len() > 1 {
            self.members[index].store(system::here(), Relaxed);
        }
    }

    /// Moves the calling member if one of a lower index is on the same processor and another processor is idle.
    ///
    /// `tried` is the time of its last attempt.
    #[inline]
    pub(super) fn part(&self, index: usize, tried: &mut Option<Instant>) {
        if self.members.len() <= 1 {
            return;
        }
        let here = system::here();
        self.members[index].store(here, Relaxed);
        let together = (self.members[..index].iter()).any(|p| p.load(Relaxed) == here);
        if !together || tried.is_some_and(|then| then.elapsed() < PAUSE) {
            return;
        }
        *tried = Some(Instant::now());
        // Two threads are here and no more threads want to run than the machine has processors, so one is idle.
        // If other programs keep all processors busy, the member stays: it shares this one with a thread of its team.
        if system::runnable().is_some_and(|threads| threads <= self.processors) {
            let taken = self.members.iter().map(|place| place.load(Relaxed));
            self.members[index].store(system::leave(taken), Relaxed);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io::Read;

    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

    /// The number of the processor that the calling thread is on.
    #[inline]
    pub(super) fn here() -> usize {
        sched_getcpu()
    }

    /// Threads of the whole machine that run or could: the fourth number of `/proc/loadavg`. Allocates nothing.
    pub(super) fn runnable() -> Option<usize> {
        let mut text = [0; 64];
        let length = File::open("/proc/loadavg").ok()?.read(&mut text).ok()?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        let (runnable, _) = text.split_ascii_whitespace().nth(3)?.split_once('/')?;
        runnable.parse().ok()
    }

    /// Moves the calling thread to a processor that it may use and that is not `taken`, if one exists.
    ///
    /// For a moment the thread's affinity is those processors only. Returns the processor that it is on afterwards.
    pub(super) fn leave(taken: impl Iterator<Item = usize>) -> usize {
        if let Ok(allowed) = sched_getaffinity(None) {
            let mut free = allowed;
            for processor in taken.filter(|&p| p < CpuSet::MAX_CPU) {
                free.unset(processor);
            }
            // A refusal leaves the thread where it is, which is slow and not wrong.
            if free.count() > 0 && sched_setaffinity(None, &free).is_ok() {
                let _ = sched_setaffinity(None, &allowed);
            }
        }
        here()
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    /// Never asked for.
    pub(super) fn here() -> usize {
        0
    }

    pub(super) fn runnable() -> Option<usize> {
        None
    }

    pub(super) fn leave(_: impl Iterator<Item = usize>) -> usize {
        0
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// Other programs may be running, so the test invents the number of processors.
    #[test]
    fn a_member_leaves_a_shared_processor_if_another_is_idle() {
        let on_one_processor = |processors| {
            let allowed = sched_getaffinity(None).unwrap();
            if allowed.count() < 2 {
                eprintln!("skipped: one processor");
                return;
            }
            let placement = Placement::new(2, processors);
            placement.tell(0);
            let shared = placement.members[0].load(Relaxed);
            let mut only = CpuSet::new();
            only.set(shared);
            sched_setaffinity(None, &only).unwrap();
            // Allowed nowhere else it stays.
            let mut tried = None;
            placement.part(1, &mut tried);
            assert_eq!(placement.members[1].load(Relaxed), shared);
            assert!(tried.is_some());
            sched_setaffinity(None, &allowed).unwrap();
            placement.tell(0);
            let before = placement.members[0].load(Relaxed);
            placement.part(1, &mut None);
            if processors > 2 {
                assert_ne!(placement.members[1].load(Relaxed), before);
            }
            assert_eq!(sched_getaffinity(None).unwrap(), allowed);
        };
        for processors in [2, 1_000_000] {
            std::thread::scope(|scope| {
                scope.spawn(|| on_one_processor(processors)).join().unwrap();
            });
        }
    }

    #[test]
    fn more_members_than_processors_are_left_alone() {
        let placement = Placement::new(3, 2);
        placement.tell(2);
        let mut tried = None;
        placement.part(2, &mut tried);
        assert!(tried.is_none());
    }

    #[test]
    fn this_thread_can_run() {
        assert!(system::runnable().unwrap() >= 1);
    }
}
