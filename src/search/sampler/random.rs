//! Random search (Bergstra, Bengio, “Random Search for Hyper-Parameter Optimization”, JMLR 13, 2012).

use chacha20::ChaCha8Rng;
use rand::Rng;

use super::{Observation, Sampler};
use crate::rng::{Purpose, stream};
use crate::search::space::{Point, Space};

/// Draws every parameter independently and uniformly (in the logarithm, if its range is logarithmic).
#[derive(Clone, Copy, Debug)]
pub struct Random {
    /// The study's seed.
    pub seed: u64,
}

impl Sampler for Random {
    fn proposals<'a>(
        &'a self,
        space: &'a Space,
        slot: u32,
        _history: &'a [Observation],
    ) -> Box<dyn Iterator<Item = Point> + 'a> {
        let mut rng = stream(self.seed, Purpose::Trial { slot });
        Box::new(std::iter::repeat_with(move || draw(space, &mut rng)))
    }

    fn learns(&self) -> bool {
        false
    }
}

/// Draws a random point.
pub(super) fn draw(space: &Space, rng: &mut ChaCha8Rng) -> Point {
    space
        .distributions()
        .map(|d| d.quantile(unit(rng)))
        .collect()
}

/// Draws uniformly from the multiples of 2⁻⁵³ in [0, 1).
pub(super) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}
