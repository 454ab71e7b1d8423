//! Every point of a finite space, in order.

use super::{Observation, Sampler};
use crate::search::space::{Point, Space};

/// Takes the points in order. The last parameter changes fastest.
#[derive(Clone, Copy, Debug)]
pub struct Grid;

impl Sampler for Grid {
    fn proposals<'a>(
        &'a self,
        space: &'a Space,
        slot: u32,
        _history: &'a [Observation],
    ) -> Box<dyn Iterator<Item = Point> + 'a> {
        Box::new(space.nth(u64::from(slot)).into_iter())
    }

    fn learns(&self) -> bool {
        false
    }
}
