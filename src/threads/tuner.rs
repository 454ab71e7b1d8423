//! Which of several teams makes the fastest steps, found by trying.
//!
//! The members of a team meet some ten times a step. Each time costs them from a tenth of a microsecond to several,
//! depending on the machine and on what else runs there. So a step of little work is faster on fewer threads.
//! From time to time some steps run on the next larger or smaller team, and the faster of both stays.
//! The bits of a step do not depend on its team, so time may decide.

/// Steps of a window whose median time counts.
const STEPS: usize = 24;

/// Steps before them that do not count: weights move between caches.
const SETTLING: usize = 8;

/// Nanoseconds before a window on more threads than before: some were asleep.
///
/// The system may wake a thread on the processor of another one, and leave both there for some time.
const WAKING: u64 = 60_000_000;

/// A team replaces another one if its steps take at most this part of the other's time.
const FASTER: f64 = 0.95;

/// Nanoseconds. Steps that take longer have so much work that fewer threads are not tried.
const LONGEST: u64 = 1_000_000;

/// Nanoseconds until the next trial after one that found a faster team.
const LEAST_PAUSE: u64 = 20_000_000;

/// The most nanoseconds between two trials, as far as [`SHARE`] allows. After each one that found nothing the pause is
/// [`GROWTH`] times as long.
const MOST_PAUSE: u64 = 10_000_000_000;
const GROWTH: u64 = 4;

/// After a trial that found nothing the pause is at least this many times as long as its windows.
const SHARE: u64 = 50;

/// The search for the fastest of some teams, which are numbered from the largest on.
#[derive(Debug)]
pub(super) struct Tuner {
    teams: usize,
    /// The fastest one as far as is known, and the time of its steps.
    best: usize,
    best_time: u64,
    /// The one that is tried now.
    trial: Option<usize>,
    /// Whether the next trial is of fewer threads.
    fewer: bool,
    /// The last step that began: when, and with how many rows.
    last: Option<(u64, usize)>,
    /// The times of this window's steps.
    times: Vec<u64>,
    /// When the window of the best team began, or will begin.
    start: u64,
    /// When threads will be awake: steps before do not count.
    awake: u64,
    pause: u64,
}

impl Tuner {
    /// A search among this number of teams that begins with one of them.
    pub(super) fn new(teams: usize, first: usize) -> Self {
        Tuner {
            teams,
            best: first,
            best_time: 0,
            trial: None,
            fewer: true,
            last: None,
            times: Vec::with_capacity(SETTLING + STEPS),
            start: WAKING,
            awake: 0,
            pause: LEAST_PAUSE,
        }
    }

    /// The team for the step that begins now, with this number of rows.
    pub(super) fn begin_step(&mut self, now: u64, rows: usize) -> usize {
        let last = self.last.replace((now, rows));
        // A step's time ends where the next one begins. Those of other sizes cannot be compared.
        if let Some((then, same)) = last
            && then >= self.start.max(self.awake)
            && same == rows
        {
            self.times.push(now - then);
            if self.times.len() == SETTLING + STEPS {
                self.end_window(now);
            }
        }
        self.trial.unwrap_or(self.best)
    }

    fn end_window(&mut self, now: u64) {
        let counted = &mut self.times[SETTLING..];
        let time = *counted.select_nth_unstable(STEPS / 2).1;
        self.times.clear();
        match self.trial.take() {
            None => {
                self.best_time = time;
                self.trial = self.next_trial();
                match self.trial {
                    Some(team) if team < self.best => self.awake = now + WAKING,
                    Some(_) => {}
                    None => self.start = now + MOST_PAUSE,
                }
            }
            Some(team) => {
                if (time as f64) <= FASTER * self.best_time as f64 {
                    self.best = team;
                    self.pause = LEAST_PAUSE;
                    self.start = now + self.pause;
                } else {
                    self.fewer = !self.fewer;
                    self.pause = (self.pause * GROWTH).min(MOST_PAUSE);
                    self.start = now + self.pause.max(SHARE * (now - self.start));
                }
            }
        }
    }

    /// The neighbour of the best team to be tried, first in the direction of the last success.
    fn next_trial(&mut self) -> Option<usize> {
        let fewer =
            (self.best + 1 < self.teams && self.best_time <= LONGEST).then(|| self.best + 1);
        let more = self.best.checked_sub(1);
        let trial = if self.fewer {
            fewer.or(more)
        } else {
            more.or(fewer)
        }?;
        self.fewer = trial > self.best;
        Some(trial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs steps for some seconds, each team's of its own time in microseconds. Returns the tuner and each team's
    /// share of the time.
    fn run(tuner: &mut Tuner, seconds: u64, times: &[u64]) -> Vec<f64> {
        let mut now = tuner.last.map_or(0, |(then, _)| then);
        let end = now + seconds * 1_000_000_000;
        let mut spent = vec![0.0; times.len()];
        while now < end {
            let team = tuner.begin_step(now, 100);
            let time = 1000 * times[team];
            spent[team] += time as f64 / (seconds * 1_000_000_000) as f64;
            now += time;
        }
        spent
    }

    #[test]
    fn the_fastest_team_does_nearly_all_of_the_work() {
        for (times, fastest) in [
            ([90, 40, 25, 20], 3),
            ([30, 20, 25, 40], 1),
            ([20, 40, 80, 160], 0),
            ([500, 300, 200, 400], 2),
        ] {
            for first in 0..times.len() {
                let spent = run(&mut Tuner::new(times.len(), first), 10, &times);
                assert!(spent[fastest] > 0.9, "{times:?} from {first}: {spent:?}");
            }
        }
    }

    #[test]
    fn it_follows_a_change() {
        let mut tuner = Tuner::new(2, 0);
        run(&mut tuner, 5, &[30, 20]);
        let spent = run(&mut tuner, 30, &[15, 20]);
        assert!(spent[0] > 0.6, "{spent:?}");
    }

    #[test]
    fn long_steps_are_not_tried_on_fewer_threads() {
        let spent = run(&mut Tuner::new(3, 0), 10, &[1100, 1, 1]);
        assert_eq!(spent[1..], [0.0, 0.0]);
        // But they are on more, with a trial of little time.
        let spent = run(&mut Tuner::new(3, 1), 60, &[20_000, 10_000, 1]);
        assert!(spent[0] > 0.0 && spent[0] < 0.03, "{spent:?}");
    }

    /// Differences of a few percent are noise, and a step of other rows tells nothing.
    #[test]
    fn what_cannot_be_compared_changes_nothing() {
        let mut tuner = Tuner::new(2, 0);
        run(&mut tuner, 3, &[100, 96]);
        assert_eq!(tuner.best, 0);
        let mut tuner = Tuner::new(2, 0);
        for step in 0..1000_usize {
            // Each step has other rows than the one before.
            assert_eq!(tuner.begin_step(1000 * step as u64, step % 2), 0);
        }
    }
}
