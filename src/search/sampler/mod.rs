//! Which point to try next.
//!
//! A sampler proposes points until one of them is new: no point is tried twice. The proposals of [`Random`] and
//! [`Sobol`] depend only on the study's seed and the trial's slot. Which points are new depends only on the
//! points of the slots before. So restarts, retries and the number of workers change nothing. [`Tpe`] learns
//! from the trials that have ended, and so depends on the order in which they ended.

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

/// The largest number of proposals. If none of them is new, the space is nearly exhausted, and the first new
/// point in order is taken.
const PROPOSALS: usize = 1000;

/// An earlier trial, as a sampler sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Its point.
    pub point: Point,
    /// How it ended, or that it is running.
    pub outcome: TrialOutcome,
}

/// How a trial ended. Values are losses: smaller is better. Failed trials are not observed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrialOutcome {
    /// It ended with this loss.
    Complete(f64),
    /// It was pruned after this last report (step and loss). `None` if it never reported a number.
    Pruned(Option<(u64, f64)>),
    /// It is still running.
    Running,
}

/// Proposes points.
pub trait Sampler: Send + Sync {
    /// Points for the trial of a slot, best first. `history` is ordered by the trials' numbers.
    fn proposals<'a>(
        &'a self,
        space: &'a Space,
        slot: u32,
        history: &'a [Observation],
    ) -> Box<dyn Iterator<Item = Point> + 'a>;

    /// Whether proposals depend on the history. If not, the points of earlier slots can be computed, even if
    /// they were never tried.
    fn learns(&self) -> bool;
}

/// The point of a slot; `None` if the space has no untried point left.
pub fn point(
    sampler: &dyn Sampler,
    space: &Space,
    slot: u32,
    history: &[Observation],
) -> Option<Point> {
    let mut taken = HashSet::new();
    if sampler.learns() {
        taken.extend(history.iter().map(|o| bits(&o.point)));
        return new_proposal(sampler, space, slot, history, &taken);
    }
    let mut last = None;
    for slot in 0..=slot {
        let point = new_proposal(sampler, space, slot, &[], &taken)?;
        taken.insert(bits(&point));
        last = Some(point);
    }
    last
}

/// The first proposal that is not taken.
fn new_proposal(
    sampler: &dyn Sampler,
    space: &Space,
    slot: u32,
    history: &[Observation],
    taken: &HashSet<Vec<u64>>,
) -> Option<Point> {
    let is_new = |point: &Point| !taken.contains(&bits(point));
    if space.cardinality().is_some_and(|n| taken.len() as u64 >= n)
        && first_untried(space, taken).is_none()
    {
        return None;
    }
    let proposed = sampler
        .proposals(space, slot, history)
        .take(PROPOSALS)
        .find(is_new);
    proposed.or_else(|| first_untried(space, taken))
}

fn first_untried(space: &Space, taken: &HashSet<Vec<u64>>) -> Option<Point> {
    (0..space.cardinality()?)
        .filter_map(|i| space.nth(i))
        .find(|point| !taken.contains(&bits(point)))
}

/// The bits of a point, by which points are compared. Every grid value is always computed in the same way.
fn bits(point: &[f64]) -> Vec<u64> {
    point.iter().map(|x| x.to_bits()).collect()
}

#[cfg(test)]
mod tests;
