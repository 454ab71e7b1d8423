//! The tree-structured Parzen estimator (Bergstra, Bardenet, Bengio, Kégl, “Algorithms for Hyper-Parameter
//! Optimization”, NeurIPS 2011), in the multivariate form (Falkner, Klein, Hutter, “BOHB”, ICML 2018) and with
//! the constants of Optuna 5.
//!
//! The trials so far are split into few good ones and many others. One density is fitted to each group: l to
//! the good trials, g to the others. Expected improvement grows with `$l(x)/g(x)$` (section 4.1 of the paper).
//! So points are drawn from l, and the one with the largest ratio is tried.

use super::parzen::Parzen;
use super::random::draw;
use super::{Observation, Sampler, TrialOutcome};
use crate::rng::{Purpose, stream};
use crate::search::space::{Point, Space};

/// The number of trials that must have ended before the sampler learns from them.
const STARTUP: usize = 10;

/// The number of points drawn from l, of which the best one is proposed.
const CANDIDATES: usize = 24;

/// The sampler.
#[derive(Clone, Copy, Debug)]
pub struct Tpe {
    /// The study's seed.
    pub seed: u64,
}

impl Sampler for Tpe {
    fn proposals<'a>(
        &'a self,
        space: &'a Space,
        slot: u32,
        history: &'a [Observation],
    ) -> Box<dyn Iterator<Item = Point> + 'a> {
        let mut rng = stream(self.seed, Purpose::Trial { slot });
        let Some((below, above)) = split(history) else {
            return Box::new(std::iter::repeat_with(move || draw(space, &mut rng)));
        };
        let below = Parzen::new(space, &below);
        let above = Parzen::new(space, &above);
        Box::new(std::iter::repeat_with(move || {
            let drawn = (0..CANDIDATES).map(|_| below.draw(&mut rng));
            let scored = drawn.map(|point| (below.ln(&point) - above.ln(&point), point));
            let best = scored.reduce(|best, new| if new.0 > best.0 { new } else { best });
            best.expect("there are candidates").1
        }))
    }

    fn learns(&self) -> bool {
        true
    }
}

/// Points of some trials.
type Points<'a> = Vec<&'a [f64]>;

/// The points of the good trials and of the others, each ordered by the trials' numbers. `None` while too few
/// trials have ended.
///
/// Complete trials are ranked by their loss. Pruned trials follow, those with more steps first. Of n trials the
/// best ⌈n/10⌉ are good, at most 25. Running trials count as bad, so that two workers do not try the same
/// region at once (the constant liar).
fn split(history: &[Observation]) -> Option<(Points<'_>, Points<'_>)> {
    let rank = |o: &Observation| match o.outcome {
        TrialOutcome::Complete(loss) => (0, 0, loss),
        TrialOutcome::Pruned(Some((step, loss))) => (1, u64::MAX - step, loss),
        TrialOutcome::Pruned(None) => (2, 0, 0.0),
        TrialOutcome::Running => (3, 0, 0.0),
    };
    let mut order: Vec<usize> = (0..history.len())
        .filter(|&i| history[i].outcome != TrialOutcome::Running)
        .collect();
    if order.len() < STARTUP {
        return None;
    }
    order.sort_by(|&a, &b| {
        let (a, b) = (rank(&history[a]), rank(&history[b]));
        (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2))
    });
    let good = &order[..order.len().div_ceil(10).min(25)];
    let points = |wanted: bool| {
        let chosen = history
            .iter()
            .enumerate()
            .filter(|(i, _)| good.contains(i) == wanted);
        chosen.map(|(_, o)| o.point.as_slice()).collect()
    };
    Some((points(true), points(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_trials_are_the_best_tenth() {
        let at = |x: f64, outcome| Observation {
            point: vec![x],
            outcome,
        };
        let mut history: Vec<_> = (0..9)
            .map(|i| at(i as f64, TrialOutcome::Complete(10.0 - i as f64)))
            .collect();
        assert!(split(&history).is_none(), "nine are too few");
        history.push(at(9.0, TrialOutcome::Running));
        assert!(split(&history).is_none(), "running ones have not ended");
        history.push(at(10.0, TrialOutcome::Pruned(Some((3, 0.0)))));
        let (good, others) = split(&history).unwrap();
        assert_eq!(
            good,
            [&[8.0]],
            "the smallest loss; a pruned one comes after all complete ones"
        );
        assert_eq!(others.len(), 10);
        // 11 ended: two are good, in the order of their numbers.
        history.push(at(11.0, TrialOutcome::Complete(0.5)));
        assert_eq!(split(&history).unwrap().0, [&[8.0], &[11.0]]);
    }

    #[test]
    fn pruned_trials_with_more_steps_are_better() {
        let at = |x: f64, outcome| Observation {
            point: vec![x],
            outcome,
        };
        let mut history = vec![
            at(0.0, TrialOutcome::Pruned(Some((1, 0.1)))),
            at(1.0, TrialOutcome::Pruned(None)),
            at(2.0, TrialOutcome::Pruned(Some((4, 0.9)))),
            at(3.0, TrialOutcome::Pruned(Some((4, 0.8)))),
        ];
        history.extend((4..10).map(|i| at(i as f64, TrialOutcome::Pruned(None))));
        assert_eq!(split(&history).unwrap().0, [&[3.0]]);
    }
}
