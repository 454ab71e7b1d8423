//! A thread team: a fixed set of threads that run one closure together, with a barrier inside.
//!
//! A training step is many short loops with a dependency after each.
//! A fork and a join per loop would cost more than the loop.
//! So several loops are one region, [`Team::run`].
//! Its members divide each loop by ranges, [`Member::share`], and meet between loops, [`Member::barrier`].
//! A faster member has longer ranges, which never change inside a region.
//!
//! A waiting member spins for a bounded time, then yields for some milliseconds, and is parked after that.
//! If a team has more members than the machine has processors, they do not spin: it would keep the others from running.

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::balance::Balance;
use super::event_count::EventCount;
use super::placement::Placement;
use super::sync::{AtomicPtr, Mutex, processors, thread, thread_local, unpoisoned};
use crate::error::{Error, Result};

/// How often a waiting thread looks at a count before it yields.
///
/// This takes some tens of microseconds, which is more than the time between two loops of a step.
const SPINS: u32 = 1 << 11;

thread_local! {
    /// Whether this thread is inside a region.
    static IN_REGION: Cell<bool> = const { Cell::new(false) };
}

fn set_in_region(inside: bool) {
    IN_REGION.with(|in_region| in_region.set(inside));
}

/// A fixed set of threads that run one closure together.
pub struct Team {
    shared: Arc<Shared>,
    /// Held during a region.
    turn: Mutex<()>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// One thread's part in a region. It stays on its thread, because a barrier counts each thread once.
#[derive(Clone, Copy)]
pub struct Member<'t> {
    shared: &'t Shared,
    index: usize,
    here: PhantomData<*const ()>,
}

/// What the members have in common.
struct Shared {
    size: usize,
    spins: u32,
    placement: Placement,
    balance: Balance,
    /// The closure of the current region; null tells the threads to end.
    job: AtomicPtr<Job>,
    panics: Mutex<Vec<Box<dyn Any + Send>>>,
    /// Counts the regions begun.
    start: EventCount,
    /// [`Member::barrier`].
    barrier: EventCount,
    /// Apart from `barrier`, because here each member arrives once a region, even if it panics.
    end: EventCount,
}

/// A closure without its type.
struct Job {
    body: *const (),
    /// # Safety
    /// The pointer must be the `body` beside it, and that closure must be alive.
    call: unsafe fn(*const (), Member<'_>),
}

impl Team {
    /// A team of the calling thread and `members - 1` new ones, named chainrule-1, chainrule-2, …
    ///
    /// # Errors
    /// If the system cannot start a thread.
    ///
    /// # Panics
    /// If `members` is 0.
    pub fn new(members: usize) -> Result<Self> {
        assert!(members > 0, "expected a team of at least 1, found 0");
        let processors = processors();
        let shared = Arc::new(Shared {
            size: members,
            spins: if members <= processors { SPINS } else { 0 },
            placement: Placement::new(members, processors),
            // Members that take turns on a processor would take each other's time for work.
            balance: Balance::new(members, members <= processors),
            job: AtomicPtr::new(ptr::null_mut()),
            panics: Mutex::default(),
            start: EventCount::default(),
            barrier: EventCount::default(),
            end: EventCount::default(),
        });
        let mut team = Team {
            shared,
            turn: Mutex::new(()),
            threads: Vec::with_capacity(members - 1),
        };
        for index in 1..members {
            let shared = Arc::clone(&team.shared);
            let name = format!("chainrule-{index}");
            let thread = thread::Builder::new().name(name.clone());
            // On an error the team is dropped, which ends the threads started so far.
            let thread = thread.spawn(move || shared.serve(index));
            team.threads
                .push(thread.map_err(|e| Error::io("start thread", Path::new(&name), e))?);
        }
        Ok(team)
    }

    /// A team of the calling thread, which starts none.
    pub(crate) fn alone() -> Self {
        Team::new(1).expect("no thread is started")
    }

    /// Members, the calling thread included.
    pub fn size(&self) -> usize {
        self.shared.size
    }

    /// The members' parts of the work, which add up to 1. They follow the speeds of the processors.
    pub fn parts(&self) -> Vec<f64> {
        (0..self.size())
            .map(|i| self.shared.balance.part(i))
            .collect()
    }

    /// From here on a member takes twice as long for everything: a core of half the speed, for measurements.
    #[doc(hidden)]
    pub fn slow_down(&self, member: usize) {
        self.shared.balance.slow_down(member);
    }

    /// Whether the calling thread is inside a region of any team.
    pub fn in_region() -> bool {
        IN_REGION.with(Cell::get)
    }

    /// Runs `body` once on each member, and returns when all have finished.
    ///
    /// The calling thread is member 0. Nothing is allocated.
    /// Callers from several threads take turns. A team of one just calls `body`.
    ///
    /// # Panics
    /// If a member panicked, with its message; the team can be used again.
    /// If called inside a region of this or another team of more than one: two teams could wait for each other.
    pub fn run(&self, body: impl Fn(Member<'_>) + Sync) {
        if self.shared.size == 1 {
            return body(Member::new(&self.shared, 0));
        }
        assert!(
            !Team::in_region(),
            "Team::run was called inside a region of a team"
        );
        self.run_job(&Job::new(&body));
    }

    fn run_job(&self, job: &Job) {
        let (turn, shared) = (unpoisoned(self.turn.lock()), &*self.shared);
        set_in_region(true);
        shared.job.store(ptr::from_ref(job).cast_mut(), Relaxed);
        shared.placement.tell(0);
        shared.start.arrive(1);
        // Nothing between here and `end` can unwind, for `take_part` catches what the closure throws.
        // The other members borrow job and closure by the pointer, after `start` and before they arrive at `end`.
        // SAFETY: the caller keeps the closure borrowed until this function returns, and this thread stays here until
        // all members have arrived at `end`.
        unsafe { shared.take_part(job, 0) };
        shared.pass(&shared.end);
        set_in_region(false);
        shared.balance.adapt();
        let mut panics = unpoisoned(shared.panics.lock());
        if panics.is_empty() {
            return;
        }
        // No member is at the barrier any more, and members reach it again only after the next `start`.
        shared.barrier.reset();
        let mut payloads = std::mem::take(&mut *panics);
        drop((panics, turn));
        resume_unwind(payloads.swap_remove(0));
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.job.store(ptr::null_mut(), Relaxed);
        self.shared.start.arrive(1);
        for thread in self.threads.drain(..) {
            // It has caught every panic of a body, and no caller of `drop` could do something about another.
            let _ = thread.join();
        }
    }
}

impl Job {
    fn new<F: Fn(Member<'_>) + Sync>(body: &F) -> Self {
        /// # Safety
        /// `body` must point to an `F` that is alive.
        unsafe fn call<F: Fn(Member<'_>)>(body: *const (), member: Member<'_>) {
            // SAFETY: the caller's promise. Members share the reference, which `Sync` in `new` allows.
            (unsafe { &*body.cast::<F>() })(member);
        }
        Job {
            body: ptr::from_ref(body).cast(),
            call: call::<F>,
        }
    }
}

impl Shared {
    /// The life of a started thread.
    fn serve(&self, index: usize) {
        set_in_region(true);
        let (mut regions, mut tried) = (0, None);
        loop {
            regions += 1;
            self.start.wait(regions, self.spins);
            self.placement.part(index, &mut tried);
            let job = self.job.load(Relaxed);
            if job.is_null() {
                return;
            }
            // SAFETY: `run_job` stored the pointer before the arrival at `start` that was waited for.
            // It keeps both job and closure borrowed until this member has arrived at `end`, below.
            // Its next store comes after that.
            unsafe { self.take_part(&*job, index) };
            // Without waiting: the next thing to wait for is the next region.
            self.end.arrive(self.size as u64);
        }
    }

    /// Runs the closure, and tells the others if it panics.
    ///
    /// # Safety
    /// The job's closure must be alive.
    unsafe fn take_part(&self, job: &Job, index: usize) {
        let member = Member::new(self, index);
        // SAFETY: the caller's promise; the two fields were made together.
        let body = || unsafe { (job.call)(job.body, member) };
        self.balance.begin(index);
        // The caller of `run` gets the panic, as if it had called the closure itself: unwind safety is its business.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
            // Before the poison, so that the first in the list is no mere consequence of another.
            unpoisoned(self.panics.lock()).push(payload);
            self.barrier.poison();
        }
        self.balance.finish(index);
    }

    /// Arrives and waits for all other members; false if one will never come.
    fn pass(&self, count: &EventCount) -> bool {
        let goal = count.arrive(self.size as u64);
        count.wait(goal, self.spins)
    }
}

impl<'t> Member<'t> {
    fn new(shared: &'t Shared, index: usize) -> Self {
        Member {
            shared,
            index,
            here: PhantomData,
        }
    }

    /// From 0, the caller of [`Team::run`], to `size() - 1`.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Members of the team.
    pub fn size(&self) -> usize {
        self.shared.size
    }

    /// Waits until every member has come here. What any of them wrote before, all of them see after.
    ///
    /// Every member must come to a barrier equally often, or the region never ends.
    ///
    /// # Panics
    /// If another member panicked: it will not come.
    pub fn barrier(&self) {
        if self.shared.size > 1 {
            let balance = &self.shared.balance;
            balance.finish(self.index);
            let complete = self.shared.pass(&self.shared.barrier);
            assert!(complete, "another member of the team panicked");
            balance.begin(self.index);
        }
    }

    /// This member's part of `0..count`.
    ///
    /// The parts are contiguous, and in the order of the members.
    /// As long as no member was found to be slower, they differ by at most 1 in length.
    /// Inside a region they are the same for the same count.
    pub fn share(&self, count: usize) -> Range<usize> {
        let bound = |index| self.shared.balance.bound(index, count);
        bound(self.index)..bound(self.index + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    use super::*;

    const SIZES: [usize; 4] = [1, 2, 3, 8];

    fn counters(size: usize) -> Vec<AtomicUsize> {
        (0..size).map(|_| AtomicUsize::new(0)).collect()
    }

    /// Rounds in which each member writes its number and then reads all of them.
    /// The accesses are relaxed: only the barriers order them.
    fn sum(team: &Team, rounds: usize, pause: Duration) -> usize {
        let (written, total) = (counters(team.size()), AtomicUsize::new(0));
        team.run(|member| {
            for round in 1..=rounds {
                written[member.index()].store(round * (member.index() + 1), Relaxed);
                if member.index() == round % member.size() {
                    thread::sleep(pause);
                }
                member.barrier();
                let seen: usize = written.iter().map(|w| w.load(Relaxed)).sum();
                assert_eq!(seen, round * member.size() * (member.size() + 1) / 2);
                total.fetch_add(seen, Relaxed);
                member.barrier();
            }
        });
        total.into_inner()
    }

    fn expected_sum(size: usize, rounds: usize) -> usize {
        size * (rounds * (rounds + 1) / 2) * (size * (size + 1) / 2)
    }

    #[test]
    fn members_see_each_other_s_writes_after_each_barrier() {
        for size in SIZES {
            let team = Team::new(size).unwrap();
            for rounds in [0, 1, 1000] {
                let total = sum(&team, rounds, Duration::ZERO);
                assert_eq!(total, expected_sum(size, rounds), "{size} members");
            }
        }
    }

    #[test]
    fn shares_cover_everything_once_and_evenly() {
        for size in SIZES {
            let team = Team::new(size).unwrap();
            for count in [0, 1, 2, 7, 8, 9, 1021, 1 << 31] {
                let bounds = Mutex::new(vec![(0, 0); size]);
                team.run(|member| {
                    let share = member.share(count);
                    unpoisoned(bounds.lock())[member.index()] = (share.start, share.end);
                });
                let mut end = 0;
                for (start, next) in bounds.into_inner().unwrap() {
                    assert_eq!(start, end, "{count} over {size}");
                    assert!((count / size..=count.div_ceil(size)).contains(&(next - start)));
                    end = next;
                }
                assert_eq!(end, count);
            }
        }
    }

    #[test]
    fn every_member_runs_every_region_once() {
        for size in SIZES {
            let team = Team::new(size).unwrap();
            let runs = counters(size);
            let caller = thread::current().id();
            for _ in 0..10_000 {
                team.run(|member| {
                    runs[member.index()].fetch_add(1, Relaxed);
                    assert_eq!(member.size(), size);
                    assert_eq!(member.index() == 0, thread::current().id() == caller);
                });
            }
            assert!(runs.iter().all(|r| r.load(Relaxed) == 10_000), "{runs:?}");
        }
    }

    #[test]
    fn parked_members_wake_up() {
        let long = Duration::from_millis(5);
        for size in SIZES {
            let team = Team::new(size).unwrap();
            for rounds in 0..4 {
                thread::sleep(long);
                assert_eq!(sum(&team, rounds, long), expected_sum(size, rounds));
            }
            thread::sleep(long);
        }
    }

    #[test]
    fn a_panic_anywhere_reaches_the_caller_and_the_team_goes_on() {
        let parts = 3;
        for size in SIZES {
            let team = Team::new(size).unwrap();
            for (who, place) in (0..size).flat_map(|who| (0..parts).map(move |p| (who, p))) {
                let run = || {
                    team.run(|member| {
                        for part in 0..parts {
                            if (member.index(), part) == (who, place) {
                                panic!("{who} at {place}");
                            }
                            member.barrier();
                        }
                    });
                };
                let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
                let message = payload.downcast::<String>().unwrap();
                assert_eq!(*message, format!("{who} at {place}"));
                assert_eq!(sum(&team, 3, Duration::ZERO), expected_sum(size, 3));
            }
            let all = catch_unwind(AssertUnwindSafe(|| team.run(|_| panic!("all"))));
            assert_eq!(*all.unwrap_err().downcast::<&str>().unwrap(), "all");
            assert_eq!(sum(&team, 3, Duration::ZERO), expected_sum(size, 3));
        }
    }

    /// What follows a barrier may rely on what every member did before it.
    #[test]
    fn no_member_passes_a_barrier_that_another_one_never_reaches() {
        for size in SIZES.into_iter().filter(|&size| size > 1) {
            let team = Team::new(size).unwrap();
            let passed = AtomicUsize::new(0);
            let run = || {
                team.run(|member| {
                    assert_ne!(member.index(), size - 1, "the last one");
                    member.barrier();
                    passed.fetch_add(1, Relaxed);
                });
            };
            catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            assert_eq!(passed.into_inner(), 0, "{size}");
        }
    }

    #[test]
    fn callers_from_several_threads_take_turns() {
        let team = Team::new(2).unwrap();
        let inside = AtomicUsize::new(0);
        let call = || {
            for _ in 0..300 {
                team.run(|member| {
                    inside.fetch_add(1, Relaxed);
                    member.barrier();
                    assert_eq!(inside.load(Relaxed), 2);
                    member.barrier();
                    inside.fetch_sub(1, Relaxed);
                });
            }
        };
        thread::scope(|scope| {
            let callers = [(); 3].map(|()| scope.spawn(call));
            callers.into_iter().for_each(|c| c.join().unwrap());
        });
    }

    #[test]
    fn a_region_inside_a_region_is_refused() {
        let (team, alone) = (Team::new(3).unwrap(), Team::new(1).unwrap());
        for who in 0..3 {
            let run = || {
                team.run(|member| {
                    alone.run(|_| alone.run(|_| ()));
                    if member.index() == who {
                        team.run(|_| ());
                    }
                });
            };
            let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            let message = payload.downcast::<&str>().unwrap();
            assert!(message.contains("inside a region"), "{message}");
        }
        assert_eq!(sum(&team, 3, Duration::ZERO), expected_sum(3, 3));
    }
}
