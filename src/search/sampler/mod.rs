//! Which point to try next.
//!
//! A sampler proposes points one after the other until one of them is new: no point is tried twice. What [`Random`] and [`Sobol`] propose depends only on the
//! study's seed and the trial's slot, and what counts as new only on the points of the slots before it; so restarts, retries and the number of workers
//! change nothing. [`Tpe`] learns from the trials that have ended, and so depends on the order in which they did.

mod grid;
mod parzen;
mod random;
mod sobol;
mod tpe;

use std::collections::HashSet;

pub use grid::Grid;
pub use random::Random;
pub use sobol::Sobol;
pub use tpe::Tpe;

use super::space::{Point, Space};

/// After so many proposals that were not new, the first new point in order is taken: the space is nearly exhausted.
const PROPOSALS: usize = 1000;

/// What an earlier trial came to, as a sampler sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Where it was.
    pub point: Point,
    /// How it ended, or that it has not.
    pub outcome: TrialOutcome,
}

/// How a trial ended. Values are losses: the smaller, the better. Trials that failed are no observations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrialOutcome {
    /// With this loss.
    Complete(f64),
    /// Given up after its last report; `None` if it never reported a number.
    Pruned(Option<(u64, f64)>),
    /// Not yet.
    Running,
}

/// Proposes points.
pub trait Sampler: Send + Sync {
    /// Points for the trial of a slot, best first. `history` is in the order of the trials' numbers.
    fn proposals<'a>(
        &'a self,
        space: &'a Space,
        slot: u32,
        history: &'a [Observation],
    ) -> Box<dyn Iterator<Item = Point> + 'a>;

    /// Whether it looks at the history. If not, the points of earlier slots can be computed, and need not have been tried.
    fn learns(&self) -> bool;
}

/// The point of a slot; `None` if the space has no further one.
pub fn point(
    sampler: &dyn Sampler,
    space: &Space,
    slot: u32,
    history: &[Observation],
) -> Option<Point> {
    let mut taken = HashSet::new();
    if sampler.learns() {
        taken.extend(history.iter().map(|o| bits(&o.point)));
        return fresh(sampler, space, slot, history, &taken);
    }
    let mut last = None;
    for slot in 0..=slot {
        let point = fresh(sampler, space, slot, &[], &taken)?;
        taken.insert(bits(&point));
        last = Some(point);
    }
    last
}

/// The first proposal that is not taken.
fn fresh(
    sampler: &dyn Sampler,
    space: &Space,
    slot: u32,
    history: &[Observation],
    taken: &HashSet<Vec<u64>>,
) -> Option<Point> {
    let is_new = |point: &Point| !taken.contains(&bits(point));
    if space.cardinality().is_some_and(|n| taken.len() as u64 >= n)
        && first_new(space, taken).is_none()
    {
        return None;
    }
    let proposed = sampler
        .proposals(space, slot, history)
        .take(PROPOSALS)
        .find(is_new);
    proposed.or_else(|| first_new(space, taken))
}

fn first_new(space: &Space, taken: &HashSet<Vec<u64>>) -> Option<Point> {
    (0..space.cardinality()?)
        .filter_map(|i| space.nth(i))
        .find(|point| !taken.contains(&bits(point)))
}

/// Points compare by their bits; every grid value is computed in one way only.
fn bits(point: &[f64]) -> Vec<u64> {
    point.iter().map(|x| x.to_bits()).collect()
}

#[cfg(test)]
mod tests;
