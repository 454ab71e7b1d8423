//! A scrambled Sobol' sequence (Sobol', “On the distribution of points in a cube and the approximate evaluation of integrals”, USSR Comp. Math. 7, 1967; direction
//! numbers: Joe, Kuo, SIAM J. Sci. Comput. 30, 2008; scrambling: Owen, “Scrambling Sobol' and Niederreiter–Xing points”, J. Complexity 14, 1998).
//!
//! Of its first `$2^m$` points each of `$2^m$` equal parts of every parameter's range has exactly one, so numbers of trials that are powers of two are used best. The
//! scrambling keeps this, and takes away the first point of the plain sequence, which has every parameter at its lower end.

use super::random::draw;
use super::{Observation, Sampler};
use crate::rng::{Purpose, stream};
use crate::search::space::{Point, Space};

/// The library's sequence has so many points; later slots go through another one, with another seed.
const LENGTH: u32 = 1 << 16;

/// And so many coordinates; there are fewer settings than that.
const DIMENSIONS: usize = 256;

/// One coordinate a parameter, all workers in one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Sobol {
    /// The study's seed.
    pub seed: u64,
}

impl Sampler for Sobol {
    /// The sequence's point first. On a coarse grid it may not be new; then random ones.
    fn proposals<'a>(
        &'a self,
        space: &'a Space,
        slot: u32,
        _history: &'a [Observation],
    ) -> Box<dyn Iterator<Item = Point> + 'a> {
        assert!(
            space.len() <= DIMENSIONS,
            "fewer parameters than the sequence has coordinates"
        );
        let seed = (self.seed ^ (self.seed >> 32)) as u32 ^ (slot / LENGTH);
        let unit = move |dimension: usize| {
            f64::from(sobol_burley::sample(slot % LENGTH, dimension as u32, seed))
        };
        let first = space
            .distributions()
            .enumerate()
            .map(|(i, d)| d.quantile(unit(i)))
            .collect();
        let mut rng = stream(self.seed, Purpose::Trial { slot });
        Box::new(
            std::iter::once(first).chain(std::iter::repeat_with(move || draw(space, &mut rng))),
        )
    }

    fn learns(&self) -> bool {
        false
    }
}
