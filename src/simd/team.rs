//! A team of threads that run the same closure, each on its share of the work, with a barrier of their own.
//!
//! A training step is a chain of a dozen short pieces of work, each a few microseconds to a few hundred, with a wait in between. A pool that hands out tasks and puts
//! its threads to sleep costs as much as a piece. A [`Team`] is the fork-join model of OpenMP instead: its threads are started once; between regions and at
//! barriers they *spin*, so that going on costs a few hundred nanoseconds; and if nothing comes for a while they *park*, so that an idle team costs nothing.
//! With more members than processors nobody spins: the one who is waited for may need the processor.
//!
//! Who does what never depends on time: a member's [`Member::share`] is a function of its number.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Error, Result};

/// Turns of a waiting loop before it parks: some 50 µs, longer than the pauses inside a training step.
const SPINS: usize = 1 << 12;

/// What a waiting member panics with when another one has panicked.
const ABANDONED: &str = "another member of the team has panicked";

/// The closure of a region, its type and lifetime forgotten.
#[derive(Clone, Copy)]
struct Job {
    body: *const (),
    call: unsafe fn(*const (), Member<'_>),
}

/// A number on a cache line of its own, so that waiting for one disturbs no other.
#[derive(Default)]
#[repr(align(128))]
struct Signal(AtomicUsize);

/// What the members share.
struct Shared {
    size: usize,
    spins: usize,
    /// Regions begun.
    region: Signal,
    /// Workers that have finished the region.
    finished: Signal,
    /// Members at the barrier.
    arrived: Signal,
    /// Barriers passed.
    passed: Signal,
    /// The region's closure; `None` ends the workers. Written by the leader before it begins a region, when every worker has finished the last one.
    job: Mutex<Option<Job>>,
    /// A member has panicked: barriers no longer hold.
    abandoned: AtomicBool,
    /// What it panicked with.
    payload: Mutex<Option<Box<dyn Any + Send>>>,
    /// Members that are parked or about to.
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

// SAFETY: the closure behind a job is `Sync`, and `Team::run` keeps it alive until every worker has finished with it.
unsafe impl Send for Job {}

/// A fixed set of threads that run one closure together. The thread that calls [`Team::run`] is member 0.
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    running: AtomicBool,
}

/// One member in a region.
#[derive(Clone, Copy)]
pub struct Member<'t> {
    index: usize,
    shared: &'t Shared,
}

/// A lock that a panic elsewhere does not spoil: what these protect is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Team {
    /// A team of `members` ≥ 1, the caller included.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn new(members: usize) -> Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let size = members.max(1);
        let shared = Arc::new(Shared {
            size,
            spins: if size <= processors { SPINS } else { 0 },
            region: Signal::default(),
            finished: Signal::default(),
            arrived: Signal::default(),
            passed: Signal::default(),
            job: Mutex::new(None),
            abandoned: AtomicBool::new(false),
            payload: Mutex::new(None),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        });
        let mut team = Team {
            shared,
            workers: Vec::with_capacity(size - 1),
            running: AtomicBool::new(false),
        };
        for index in 1..size {
            let shared = team.shared.clone();
            let thread = std::thread::Builder::new().name(format!("chainrule-{index}"));
            let worker = thread
                .spawn(move || work(&shared, index))
                .map_err(|e| Error::io("start", Path::new("a thread"), e))?;
            team.workers.push(worker);
        }
        Ok(team)
    }

    /// Members.
    pub fn size(&self) -> usize {
        self.shared.size
    }

    /// Runs `body` once on every member and returns when all have finished. It allocates nothing.
    ///
    /// # Panics
    /// If a member panics, with its message; such a team runs nothing any more. If the team is running something already.
    pub fn run<F: Fn(Member<'_>) + Sync>(&self, body: F) {
        let shared = &*self.shared;
        let leader = Member { index: 0, shared };
        if shared.size == 1 {
            return body(leader);
        }
        assert!(
            !self.running.swap(true, SeqCst),
            "a team runs one region at a time"
        );
        assert!(!shared.abandoned.load(SeqCst), "{ABANDONED}");
        /// # Safety
        /// `body` is a live `F`.
        unsafe fn call<F: Fn(Member<'_>)>(body: *const (), member: Member<'_>) {
            // SAFETY: the caller's promise.
            unsafe { (*body.cast::<F>())(member) }
        }
        *lock(&shared.job) = Some(Job {
            body: (&raw const body).cast(),
            call: call::<F>,
        });
        shared.finished.0.store(0, SeqCst);
        shared.raise(&shared.region);
        leader.guard(|| body(leader));
        // From here on no worker touches `body`, so it may go.
        shared.wait(|| shared.finished.0.load(SeqCst) == shared.size - 1);
        self.running.store(false, SeqCst);
        if shared.abandoned.load(SeqCst)
            && let Some(payload) = lock(&shared.payload).take()
        {
            resume_unwind(payload);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        *lock(&self.shared.job) = None;
        self.shared.raise(&self.shared.region);
        for worker in self.workers.drain(..) {
            // A worker's panic was caught, and handed to the caller of `run`.
            let _ = worker.join();
        }
    }
}

/// A worker's life: region after region.
fn work(shared: &Shared, index: usize) {
    let member = Member { index, shared };
    let mut region = 0;
    loop {
        shared.wait(|| shared.region.0.load(SeqCst) != region);
        region += 1;
        let Some(job) = *lock(&shared.job) else {
            return;
        };
        // SAFETY: `Team::run` lives, and with it the closure, until this worker has raised `finished`.
        member.guard(|| unsafe { (job.call)(job.body, member) });
        shared.raise(&shared.finished);
    }
}

impl Shared {
    /// Adds 1 to a signal and wakes who waits for it.
    fn raise(&self, signal: &Signal) {
        signal.0.fetch_add(1, SeqCst);
        self.wake();
    }

    /// Wakes the parked. Either this sees that one is about to park, and then the lock makes it wait until that one is asleep; or that one counted itself after this looked, and
    /// then its last look at the signal, which comes after, sees what was raised before. All of these are sequentially consistent.
    fn wake(&self) {
        if self.sleepers.load(SeqCst) > 0 {
            drop(lock(&self.sleep));
            self.wake.notify_all();
        }
    }

    /// Returns when `ready` is true: spins, then parks.
    fn wait(&self, ready: impl Fn() -> bool) {
        for _ in 0..self.spins {
            if ready() {
                return;
            }
            std::hint::spin_loop();
        }
        let mut asleep = lock(&self.sleep);
        self.sleepers.fetch_add(1, SeqCst);
        while !ready() {
            asleep = self
                .wake
                .wait(asleep)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, SeqCst);
    }
}

impl Member<'_> {
    /// This member's number, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of members.
    pub fn size(&self) -> usize {
        self.shared.size
    }

    /// This member's part of `0..count`: contiguous, in the order of the members, sizes differing by at most 1.
    pub fn share(&self, count: usize) -> Range<usize> {
        let cut = |index: usize| index * count / self.shared.size;
        cut(self.index)..cut(self.index + 1)
    }

    /// Waits until every member has come here. What any of them wrote before, all see after.
    ///
    /// # Panics
    /// If another member has panicked, and so will never come.
    pub fn barrier(&self) {
        let shared = self.shared;
        if shared.size == 1 {
            return;
        }
        // Read before arriving: it cannot change until all have arrived.
        let passed = shared.passed.0.load(SeqCst);
        if shared.arrived.0.fetch_add(1, SeqCst) + 1 == shared.size {
            shared.arrived.0.store(0, SeqCst);
            shared.raise(&shared.passed);
        } else {
            let abandoned = || shared.abandoned.load(SeqCst);
            shared.wait(|| shared.passed.0.load(SeqCst) != passed || abandoned());
            assert!(!abandoned(), "{ABANDONED}");
        }
    }

    /// Runs this member's part and keeps its panic, the first one of the region, for the caller of [`Team::run`].
    fn guard(&self, part: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(part)) {
            let shared = self.shared;
            lock(&shared.payload).get_or_insert(payload);
            shared.abandoned.store(true, SeqCst);
            shared.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn message(payload: &(dyn Any + Send)) -> &str {
        payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("")
    }

    /// Running sums: member i adds the numbers of all before it, so each turn needs the barriers on both sides.
    #[test]
    fn everybody_sees_what_was_written_before_a_barrier() {
        for size in [1, 2, 3, 8] {
            let team = Team::new(size).unwrap();
            let values: Vec<AtomicUsize> = (0..size).map(|_| AtomicUsize::new(1)).collect();
            team.run(|member| {
                for _ in 0..200 {
                    // Relaxed: the order comes from the barriers alone.
                    let sum: usize = values
                        .iter()
                        .map(|v| v.load(std::sync::atomic::Ordering::Relaxed))
                        .sum();
                    member.barrier();
                    let next = (sum + member.index()) % 1009;
                    values[member.index()].store(next, std::sync::atomic::Ordering::Relaxed);
                    member.barrier();
                }
            });
            let mut expected = vec![1; size];
            for _ in 0..200 {
                let sum: usize = expected.iter().sum();
                expected = (0..size).map(|i| (sum + i) % 1009).collect();
            }
            let values: Vec<usize> = values.into_iter().map(AtomicUsize::into_inner).collect();
            assert_eq!(values, expected, "{size} members");
        }
    }

    #[test]
    fn shares_cover_everything_once() {
        for size in [1, 2, 3, 8] {
            let team = Team::new(size).unwrap();
            for count in [0, 1, 2, 7, 31, 100] {
                let shares = Mutex::new(vec![0..0; size]);
                team.run(|member| shares.lock().unwrap()[member.index()] = member.share(count));
                let shares = shares.into_inner().unwrap();
                let mut end = 0;
                for share in &shares {
                    assert_eq!(share.start, end);
                    assert!(share.len() == count / size || share.len() == count.div_ceil(size));
                    end = share.end;
                }
                assert_eq!(end, count);
            }
        }
    }

    #[test]
    fn many_regions_asleep_and_awake() {
        for size in [2, 3, 8] {
            let team = Team::new(size).unwrap();
            let count = AtomicUsize::new(0);
            for turn in 0..3_000 {
                if turn % 1000 == 0 {
                    // Long enough for everybody to park.
                    std::thread::sleep(Duration::from_millis(5));
                }
                team.run(|_| {
                    count.fetch_add(1, SeqCst);
                });
            }
            assert_eq!(count.into_inner(), 3_000 * size);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_nobody_waits_for_ever() {
        for size in [2, 3, 8] {
            for culprit in 0..size {
                let team = Team::new(size).unwrap();
                let run = || {
                    team.run(|member| {
                        assert!(member.index() != culprit, "member {culprit} fails");
                        member.barrier();
                    });
                };
                let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
                assert_eq!(message(&*payload), format!("member {culprit} fails"));
                let again = catch_unwind(AssertUnwindSafe(|| team.run(|_| {}))).unwrap_err();
                assert_eq!(message(&*again), ABANDONED);
            }
        }
    }

    #[test]
    fn a_region_inside_a_region_is_refused() {
        let team = Team::new(2).unwrap();
        let nested = || {
            team.run(|member| {
                if member.index() == 0 {
                    team.run(|_| {})
                }
            })
        };
        let payload = catch_unwind(AssertUnwindSafe(nested)).unwrap_err();
        assert_eq!(message(&*payload), "a team runs one region at a time");
    }
}
