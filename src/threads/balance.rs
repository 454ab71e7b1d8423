//! How the work of a team is divided among members of unequal speed.
//!
//! At a barrier everyone waits for the slowest.
//! Processors may have cores of two speeds, and another program may take a part of one core.
//! So each member's part follows the speed that was measured: what it did, divided by the time that it took.
//! Which member computes a column never changes the column's bits, so time may decide it.

use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Nanoseconds of work, on average over the members, between two looks at the speeds.
///
/// Less would mistake an interruption for a slow core.
const WINDOW: u64 = 50_000_000;

/// Parts stay as they are while no member takes longer than the mean by more than this share of it.
///
/// Equal cores differ by a few percent from one window to the next.
const TOLERANCE: f64 = 0.08;

/// What takes longer than this many times the mean time between two barriers was interrupted.
///
/// A part that followed the time for which another program had the processor would not get smaller waits by it.
const INTERRUPTED: u64 = 10;

/// The most that a part changes at a time, as a factor.
const MOST: f64 = 2.0;

/// The least part, of an equal one. From nothing a part could not grow again.
const LEAST: f64 = 1.0 / 16.0;

/// All of the work, as the sum of the parts.
const WHOLE: u64 = 1 << 32;

/// The parts of a team's members.
#[derive(Debug)]
pub(super) struct Balance {
    members: Vec<Account>,
    /// None if parts do not follow the speeds. Not every system has a clock.
    clock: Option<Instant>,
    /// A member that takes twice as long for everything, for measurements of unequal cores.
    slow: AtomicU64,
}

/// What is known of a member. It shares its cache lines with no other one.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Account {
    /// Where its part begins, of [`WHOLE`].
    start: AtomicU64,
    /// When it began to work, in nanoseconds.
    since: AtomicU64,
    /// Nanoseconds of work in this window.
    busy: AtomicU64,
    /// How many times in this window it went to work.
    intervals: AtomicU64,
    /// More nanoseconds between two barriers are not counted; 0 until they are known.
    longest: AtomicU64,
}

impl Balance {
    /// Equal parts. They stay equal if not `follows`.
    pub(super) fn new(members: usize, follows: bool) -> Self {
        let balance = Balance {
            members: (0..members).map(|_| Account::default()).collect(),
            clock: (follows && members > 1).then(Instant::now),
            slow: AtomicU64::new(u64::MAX),
        };
        for (index, account) in balance.members.iter().enumerate() {
            let start = u128::from(WHOLE) * index as u128 / members as u128;
            account.start.store(start as u64, Relaxed);
        }
        balance
    }

    /// From here on a member takes twice as long for everything.
    pub(super) fn slow_down(&self, member: usize) {
        self.slow.store(member as u64, Relaxed);
    }

    /// A member's part of the work, of 1.
    pub(super) fn part(&self, index: usize) -> f64 {
        (self.start(index + 1) - self.start(index)) as f64 / WHOLE as f64
    }

    /// Where a member's part of `0..count` begins; the next one's begins where it ends.
    #[inline]
    pub(super) fn bound(&self, index: usize, count: usize) -> usize {
        let half = WHOLE / 2;
        let scaled = count as u128 * u128::from(self.start(index)) + u128::from(half);
        (scaled / u128::from(WHOLE)) as usize
    }

    #[inline]
    fn start(&self, index: usize) -> u64 {
        (self.members.get(index)).map_or(WHOLE, |account| account.start.load(Relaxed))
    }

    /// The calling member goes to work.
    #[inline]
    pub(super) fn begin(&self, index: usize) {
        if let Some(clock) = self.clock {
            self.members[index].since.store(nanoseconds(clock), Relaxed);
        }
    }

    /// The calling member has done its part.
    #[inline]
    pub(super) fn finish(&self, index: usize) {
        let Some(clock) = self.clock else { return };
        let account = &self.members[index];
        let since = account.since.load(Relaxed);
        let mut now = nanoseconds(clock);
        if self.slow.load(Relaxed) == index as u64 {
            let end = 2 * now - since;
            while now < end {
                spin_loop();
                now = nanoseconds(clock);
            }
        }
        let longest = match account.longest.load(Relaxed) {
            0 => u64::MAX,
            longest => longest,
        };
        let add = |to: &AtomicU64, more| to.store(to.load(Relaxed) + more, Relaxed);
        add(&account.busy, (now - since).min(longest));
        add(&account.intervals, 1);
    }

    /// Changes the parts if the members' times call for it. No member may be at work.
    ///
    /// A member of part p that took the time t has the speed p / t.
    /// The new parts are as the speeds, so that all would have taken equally long.
    pub(super) fn adapt(&self) {
        let count = self.members.len() as u64;
        let busy = |account: &Account| account.busy.load(Relaxed);
        let total: u64 = self.members.iter().map(busy).sum();
        if self.clock.is_none() || total < WINDOW * count {
            return;
        }
        let mean = total as f64 / count as f64;
        let longest = self.members.iter().map(busy).max().unwrap_or(0);
        if longest as f64 > (1.0 + TOLERANCE) * mean {
            self.resize(mean);
        }
        for account in &self.members {
            let intervals = account.intervals.swap(0, Relaxed).max(1);
            let mean = account.busy.swap(0, Relaxed) / intervals;
            account.longest.store(INTERRUPTED * mean, Relaxed);
        }
    }

    /// Makes the parts as the speeds.
    fn resize(&self, mean: f64) {
        let least = LEAST / self.members.len() as f64;
        let wanted = |part: f64, account: &Account| {
            let faster = mean / account.busy.load(Relaxed).max(1) as f64;
            (part * faster.clamp(1.0 / MOST, MOST)).max(least)
        };
        let accounts = self.members.iter().enumerate();
        let sum: f64 = accounts
            .map(|(i, account)| wanted(self.part(i), account))
            .sum();
        let mut start = 0.0;
        for (index, account) in self.members.iter().enumerate() {
            let part = wanted(self.part(index), account) / sum;
            account.start.store((start * WHOLE as f64) as u64, Relaxed);
            start += part;
        }
    }
}

#[inline]
fn nanoseconds(clock: Instant) -> u64 {
    clock.elapsed().as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets members work for these times, in units of the window.
    fn work(balance: &Balance, times: &[f64]) {
        for (account, time) in balance.members.iter().zip(times) {
            account.busy.store((time * WINDOW as f64) as u64, Relaxed);
        }
        balance.adapt();
    }

    fn parts(balance: &Balance) -> Vec<f64> {
        (0..balance.members.len())
            .map(|i| balance.part(i))
            .collect()
    }

    #[track_caller]
    fn assert_parts(balance: &Balance, expected: &[f64]) {
        for (found, expected) in parts(balance).iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6, "{:?}", parts(balance));
        }
    }

    #[test]
    fn parts_follow_speeds_and_come_back() {
        let balance = Balance::new(2, true);
        assert_parts(&balance, &[0.5, 0.5]);
        work(&balance, &[1.0, 2.0]);
        assert_parts(&balance, &[2.0 / 3.0, 1.0 / 3.0]);
        // Now both take as long as each other.
        work(&balance, &[1.5, 1.5]);
        assert_parts(&balance, &[2.0 / 3.0, 1.0 / 3.0]);
        work(&balance, &[2.0, 1.0]);
        assert_parts(&balance, &[0.5, 0.5]);
    }

    #[test]
    fn small_differences_and_short_windows_change_nothing() {
        let balance = Balance::new(3, true);
        work(&balance, &[1.05, 1.0, 1.0]);
        work(&balance, &[0.1, 0.9, 0.1]);
        assert_parts(&balance, &[1.0 / 3.0; 3]);
        let equal = Balance::new(3, false);
        work(&equal, &[1.0, 9.0, 1.0]);
        assert_parts(&equal, &[1.0 / 3.0; 3]);
    }

    /// A member that had nothing to do, or was interrupted for long, does not get or lose everything.
    #[test]
    fn parts_change_by_steps() {
        let balance = Balance::new(2, true);
        work(&balance, &[100.0, 0.0]);
        assert_parts(&balance, &[0.2, 0.8]);
        for _ in 0..50 {
            work(&balance, &[100.0, 0.0]);
        }
        let least = parts(&balance)[0];
        assert!(least > 0.01 && least < 0.1, "{least}");
        work(&balance, &[0.0, 100.0]);
        assert!(parts(&balance)[0] > 2.0 * least);
    }

    #[test]
    fn an_interruption_counts_as_little() {
        let balance = Balance::new(2, true);
        let account = &balance.members[0];
        account.intervals.store(4, Relaxed);
        work(&balance, &[2.0, 2.0]);
        let longest = account.longest.load(Relaxed);
        assert_eq!(longest, INTERRUPTED * WINDOW / 2);
        account.longest.store(1000, Relaxed);
        balance.begin(0);
        std::thread::sleep(std::time::Duration::from_millis(2));
        balance.finish(0);
        assert_eq!(account.busy.load(Relaxed), 1000);
        // A member that has had no interval yet counts in full.
        balance.begin(1);
        balance.members[1].longest.store(0, Relaxed);
        std::thread::sleep(std::time::Duration::from_millis(2));
        balance.finish(1);
        assert!(balance.members[1].busy.load(Relaxed) >= 2_000_000);
    }

    #[test]
    fn bounds_cover_everything_once() {
        let balance = Balance::new(3, true);
        work(&balance, &[1.0, 4.0, 1.5]);
        for count in [0, 1, 2, 7, 32, 1021, 1 << 31] {
            let bounds: Vec<usize> = (0..=3).map(|i| balance.bound(i, count)).collect();
            assert_eq!((bounds[0], bounds[3]), (0, count));
            assert!(bounds.is_sorted(), "{bounds:?}");
        }
    }
}
