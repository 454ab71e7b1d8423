//! A scrambled Sobol' sequence (Sobol', “On the distribution of points in a cube and the approximate evaluation
//! of integrals”, USSR Comp. Math. 7, 1967; direction numbers: Joe, Kuo, SIAM J. Sci. Comput. 30, 2008;
//! scrambling: Owen, “Scrambling Sobol' and Niederreiter–Xing points”, J. Complexity 14, 1998).
//!
//! If the range of a parameter is divided into `$2^m$` equal parts, each part has exactly one of the first
//! `$2^m$` points. So the best numbers of trials are powers of two. Scrambling keeps this property. It also
//! removes the first point of the plain sequence, which has every parameter at its lower end.

use super::random::draw;
use super::{Observation, Sampler};
use crate::rng::{Purpose, stream};
use crate::search::space::{Point, Space};

/// The number of points of the library's sequence. Later slots use another sequence, with another seed.
const LENGTH: u32 = 1 << 16;

/// The number of coordinates of the library's sequence. There are fewer settings than that.
const DIMENSIONS: usize = 256;

/// Uses one coordinate per parameter. All workers share one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Sobol {
    /// The study's seed.
    pub seed: u64,
}

impl Sampler for Sobol {
    /// The point of the sequence, then random points. On a coarse grid the first point may not be new.
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
