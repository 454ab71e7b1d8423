//! Which of several teams makes the fastest steps, found by trying.
//!
//! The members of a team meet some ten times a step. Each time costs them from a tenth of a microsecond to several,
//! depending on the machine. If another program runs on a member's processor, all others wait for milliseconds.
//! So a step may be faster on fewer threads.
//! From time to time some steps run on the next larger or smaller team, and the faster of both stays.
//! The bits of a step do not depend on its team, so time may decide.
//!
//! All times are nanoseconds.

/// Steps of a window, at least, whose mean time counts. The mean, because interruptions count.
const STEPS: u32 = 4;

/// The time that they take, at least: several time slices of the system's scheduler.
const WINDOW: u64 = 20_000_000;

/// Steps before them that do not count: weights move between caches.
const SETTLING: u32 = 2;

/// Time before a window on more threads than before: some were asleep.
///
/// The system may wake a thread on the processor of another one, and leave both there for some time.
const WAKING: u64 = 60_000_000;

/// A team replaces another one if its steps take at most this part of the other's time.
const FASTER: f64 = 0.95;

/// Time until the next trial after one that found a faster team.
const PAUSE: u64 = 20_000_000;

/// After a trial that found nothing the pause is this many times as long as its two windows, at first.
///
/// It is twice as long each time, up to [`MOST`].
const LEAST: u64 = 50;
const MOST: u64 = 800;

/// The search for the fastest of some teams, which are numbered from the largest on.
#[derive(Debug)]
pub(super) struct Tuner {
    teams: usize,
    /// The fastest one as far as is known.
    best: usize,
    /// The one that is tried now, and the mean time of the best one's steps.
    trial: Option<(usize, f64)>,
    /// Whether the next trial is of fewer threads.
    fewer: bool,
    /// How long the next pause is, as [`LEAST`].
    patience: u64,
    /// When the window of the best team began, or will begin.
    start: u64,
    /// When threads will be awake: steps before do not count.
    awake: u64,
    window: Window,
    /// The step under way: when it began, and its rows.
    step: (u64, usize),
}

/// Steps on one team.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// Rows of a step. Smaller ones do not count: the last batch of an epoch.
    rows: usize,
    steps: u32,
    time: u64,
}

impl Tuner {
    /// A search among this number of teams, at least 2, that begins with one of them.
    pub(super) fn new(teams: usize, first: usize) -> Self {
        assert!(first < teams && teams > 1, "expected several teams");
        Tuner {
            teams,
            best: first,
            trial: None,
            fewer: true,
            patience: LEAST,
            start: WAKING,
            awake: 0,
            window: Window::default(),
            step: (0, 0),
        }
    }

    /// The team for the step that begins now, with this number of rows.
    pub(super) fn begin_step(&mut self, now: u64, rows: usize) -> usize {
        self.step = (now, rows);
        self.trial.map_or(self.best, |(team, _)| team)
    }

    /// The step has ended.
    pub(super) fn end_step(&mut self, now: u64) {
        let (begin, rows) = self.step;
        if begin < self.start.max(self.awake) || rows < self.window.rows {
            return;
        }
        if rows > self.window.rows {
            self.window = Window {
                rows,
                ..Window::default()
            };
        }
        let window = &mut self.window;
        window.steps += 1;
        if window.steps > SETTLING {
            window.time += now - begin;
        }
        if window.steps >= SETTLING + STEPS && window.time >= WINDOW {
            let mean = window.time as f64 / f64::from(window.steps - SETTLING);
            self.window = Window::default();
            self.end_window(now, mean);
        }
    }

    fn end_window(&mut self, now: u64, mean: f64) {
        let Some((team, best_mean)) = self.trial.take() else {
            let team = self.neighbour();
            self.fewer = team > self.best;
            if !self.fewer {
                self.awake = now + WAKING;
            }
            self.trial = Some((team, mean));
            return;
        };
        if mean <= FASTER * best_mean {
            self.best = team;
            self.patience = LEAST;
            self.start = now + PAUSE;
        } else {
            self.fewer = !self.fewer;
            self.start = now + self.patience * (now - self.start);
            self.patience = (2 * self.patience).min(MOST);
        }
    }

    /// The neighbour of the best team in the direction of the next trial, else the other one.
    fn neighbour(&self) -> usize {
        let fewer = (self.best + 1 < self.teams).then_some(self.best + 1);
        let more = self.best.checked_sub(1);
        let wanted = if self.fewer {
            fewer.or(more)
        } else {
            more.or(fewer)
        };
        wanted.expect("there are at least 2 teams")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Steps whose times a function of team and number of the step gives in microseconds.
    struct Simulation {
        tuner: Tuner,
        now: u64,
    }

    impl Simulation {
        fn new(teams: usize, first: usize) -> Self {
            Simulation {
                tuner: Tuner::new(teams, first),
                now: 0,
            }
        }

        /// Runs for some seconds. Returns each team's share of the time.
        fn run(&mut self, seconds: u64, time: impl Fn(usize, u64) -> u64) -> Vec<f64> {
            let end = self.now + seconds * SECOND;
            let mut spent = vec![0.0; self.tuner.teams];
            for step in 0.. {
                if self.now >= end {
                    break;
                }
                let team = self.tuner.begin_step(self.now, 100);
                let time = 1000 * time(team, step);
                self.now += time;
                self.tuner.end_step(self.now);
                spent[team] += time as f64 / (seconds * SECOND) as f64;
            }
            spent
        }
    }

    #[test]
    fn the_fastest_team_does_nearly_all_of_the_work() {
        for (times, fastest) in [
            ([90, 40, 25, 20], 3),
            ([30, 20, 25, 40], 1),
            ([20, 40, 80, 160], 0),
            ([500, 300, 200, 400], 2),
            ([9000, 5000, 3000, 2000], 3),
        ] {
            for first in 0..times.len() {
                let spent = Simulation::new(4, first).run(30, |team, _| times[team]);
                assert!(spent[fastest] > 0.9, "{times:?} from {first}: {spent:?}");
            }
        }
    }

    /// Trials that find nothing take less than a hundredth of the time.
    #[test]
    fn trials_are_short() {
        for times in [[60, 100], [400, 800], [4000, 8000], [50_000, 100_000]] {
            let spent = Simulation::new(2, 0).run(300, |team, _| times[team]);
            assert!(spent[1] > 0.0 && spent[1] < 0.01, "{times:?}: {spent:?}");
        }
    }

    #[test]
    fn it_follows_a_change() {
        let mut simulation = Simulation::new(2, 0);
        simulation.run(5, |team, _| [30, 20][team]);
        let spent = simulation.run(30, |team, _| [15, 20][team]);
        assert!(spent[0] > 0.6, "{spent:?}");
    }

    /// A member that shares its processor: most steps are fast, and one in ten waits for a time slice.
    #[test]
    fn interruptions_count() {
        let spent = Simulation::new(2, 0).run(10, |team, step| match (team, step % 10) {
            (0, 0) => 4000,
            (0, _) => 100,
            _ => 200,
        });
        assert!(spent[1] > 0.9, "{spent:?}");
    }

    /// Differences of a few percent are noise, and smaller steps tell nothing.
    #[test]
    fn what_cannot_be_compared_changes_nothing() {
        let mut simulation = Simulation::new(2, 0);
        simulation.run(3, |team, _| [100, 96][team]);
        assert_eq!(simulation.tuner.best, 0);
        let (mut tuner, mut now) = (Tuner::new(2, 0), WAKING);
        for step in 0..5000_u64 {
            let small = step % 2;
            let team = tuner.begin_step(now, if small == 1 { 7 } else { 100 }) as u64;
            // Each team takes 100 µs for a whole step, but on the second one small steps take next to nothing.
            now += if small == 1 {
                100_000 * (1 - team) + 1
            } else {
                100_000
            };
            tuner.end_step(now);
        }
        assert_eq!(tuner.best, 0);
    }
}
