//! Dropout with inverted scaling
//! (Srivastava et al., “Dropout”, JMLR 15, 2014, section 4; the scaling of their section 10).
//!
//! ```math
//! y_i = \frac{m_i}{1-p}\, x_i, \qquad m_i \in \{0, 1\},\; P(m_i = 0) = p
//! ```
//!
//! so that `$E[y_i] = x_i$` and evaluation needs no change. `$y_i$` is linear in `$x_i$` and depends on no other x.
//! So the backward is the same function with the same mask, `$dx_i = \frac{m_i}{1-p}\, dy_i$`.
//!
//! # The mask
//!
//! It is a pure function of seed, training step, layer and element. Element `i` of the row-major `[n, features]` batch
//! takes word `i mod 4` of [Philox 4x32-10](crate::rng::philox4x32) at counter (⌊i/4⌋, layer, step low, step high),
//! with the seed as key. The element is kept if that `u32` is at least `$\lfloor p\,2^{32}\rfloor$`.
//! So the mask needs no memory: the backward computes it again.

use crate::real::Real;
use crate::rng;
use crate::simd;

/// What determines a mask, besides the element's position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mask {
    /// The run's seed.
    pub seed: u64,
    /// The layer's number among the network's blocks, from 0.
    pub layer: u32,
    /// The training step, from 0.
    pub step: u64,
    /// The probability of dropping a unit, in `[0, 1)`.
    pub p: f64,
}

/// Counters taken at a time: several vector registers' worth, in 512 bytes of first-level cache.
const COUNTERS: usize = 32;

impl Mask {
    /// `x[i] ← m[i]/(1−p) · x[i]`, in place: forward on activations, backward on their gradients.
    pub fn apply<R: Real>(&self, x: &mut [R]) {
        assert!((0.0..1.0).contains(&self.p), "dropout in [0, 1)");
        simd::dispatch(
            #[inline(always)]
            || self.apply_blocks(x),
        );
    }

    #[inline(always)]
    fn apply_blocks<R: Real>(&self, x: &mut [R]) {
        let Mask {
            seed,
            layer,
            step,
            p,
        } = *self;
        let threshold = (p * 4_294_967_296.0) as u32;
        let scale = R::from_f64(1.0 / (1.0 - p));
        let choose = |word: u32| if word >= threshold { scale } else { R::ZERO };
        let mut words = [[0; COUNTERS]; 4];
        for (block, chunk) in x.chunks_mut(4 * COUNTERS).enumerate() {
            let first = (block * COUNTERS) as u32;
            let counter = [first, layer, step as u32, (step >> 32) as u32];
            rng::philox4x32_consecutive(&mut words, counter, rng::key(seed));
            // A product, not a choice: NaN and infinity of a dropped unit stay visible.
            for (i, group) in chunk.chunks_exact_mut(4).enumerate() {
                for (x, words) in group.iter_mut().zip(&words) {
                    *x *= choose(words[i]);
                }
            }
            let last = chunk.len() / 4;
            for (x, words) in chunk[4 * last..].iter_mut().zip(&words) {
                *x *= choose(words[last]);
            }
        }
    }

    /// The factors of elements `first..first + out.len()`: 1/(1−p) or 0.
    ///
    /// [`multiply`] by these factors does what [`Mask::apply`] does. It is for callers whose activations are not
    /// row-major, or that need the mask twice.
    pub fn factors<R: Real>(&self, first: usize, out: &mut [R]) {
        assert!((0.0..1.0).contains(&self.p), "dropout in [0, 1)");
        simd::dispatch(
            #[inline(always)]
            || self.draw(first, out),
        );
    }

    #[inline(always)]
    fn draw<R: Real>(&self, first: usize, out: &mut [R]) {
        let threshold = (self.p * 4_294_967_296.0) as u32;
        let scale = R::from_f64(1.0 / (1.0 - self.p));
        let [low, high] = [self.step as u32, (self.step >> 32) as u32];
        let mut words = [[0; COUNTERS]; 4];
        let mut drawn = [R::ZERO; 4 * COUNTERS];
        // The first element may be any of its counter's four.
        let mut skip = first % 4;
        let mut counter = first / 4;
        let mut rest = out;
        while !rest.is_empty() {
            let counters = [counter as u32, self.layer, low, high];
            rng::philox4x32_consecutive(&mut words, counters, rng::key(self.seed));
            let choose = |word: u32| if word >= threshold { scale } else { R::ZERO };
            let [w0, w1, w2, w3] = &words;
            for i in 0..COUNTERS {
                drawn[4 * i] = choose(w0[i]);
                drawn[4 * i + 1] = choose(w1[i]);
                drawn[4 * i + 2] = choose(w2[i]);
                drawn[4 * i + 3] = choose(w3[i]);
            }
            let (now, later) = rest.split_at_mut(rest.len().min(4 * COUNTERS - skip));
            now.copy_from_slice(&drawn[skip..skip + now.len()]);
            (rest, skip, counter) = (later, 0, counter + COUNTERS);
        }
    }
}

/// `x[i] ← factors[i] · x[i]`. A product, not a choice: NaN and infinity of a dropped unit stay visible.
pub fn multiply<R: Real>(x: &mut [R], factors: &[R]) {
    assert_eq!(x.len(), factors.len());
    simd::dispatch(
        #[inline(always)]
        || {
            for (x, &factor) in x.iter_mut().zip(factors) {
                *x *= factor;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::super::gradient::{check, dot, numbers};
    use super::*;

    fn mask(p: f64) -> Mask {
        Mask {
            seed: 0x1234_5678_9abc_def0,
            layer: 3,
            step: (7 << 32) | 11,
            p,
        }
    }

    /// The rule of the module's docs, element by element.
    #[test]
    fn follows_the_counter_rule() {
        for count in [1, 3, 4, 5, 1021] {
            let mut x = vec![1.0_f32; count];
            mask(0.3).apply(&mut x);
            for (i, &y) in x.iter().enumerate() {
                let words = rng::philox4x32([i as u32 / 4, 3, 11, 7], [0x9abc_def0, 0x1234_5678]);
                let kept = words[i % 4] >= 1_288_490_188; // ⌊0.3·2³²⌋
                assert_eq!(y, if kept { 1.0 / 0.7 } else { 0.0 }, "element {i}");
            }
        }
    }

    /// From any first element on, the factors are those that `apply` multiplies by.
    #[test]
    fn factors_from_anywhere() {
        let mut all = vec![1.0_f32; 1021];
        mask(0.3).apply(&mut all);
        for (first, count) in [(0, 1021), (1, 7), (2, 131), (5, 128), (131, 300), (1020, 1)] {
            let mut factors = vec![f32::NAN; count];
            mask(0.3).factors(first, &mut factors);
            assert_eq!(factors, all[first..first + count], "{count} from {first}");
        }
    }

    /// Within 5 standard deviations of the binomial distribution.
    #[test]
    fn drops_the_stated_share() {
        for p in [0.0, 0.1, 0.5, 0.8] {
            let n = 100_000;
            let mut x = vec![1.0_f64; n];
            mask(p).apply(&mut x);
            let dropped = x.iter().filter(|&&x| x == 0.0).count() as f64;
            let bound = 5.0 * (n as f64 * p * (1.0 - p)).sqrt();
            assert!(
                (dropped - n as f64 * p).abs() <= bound,
                "p = {p}: {dropped} dropped"
            );
        }
    }

    #[test]
    fn layers_and_steps_have_their_own_masks() {
        let draw = |m: Mask| {
            let mut x = vec![1.0_f32; 64];
            m.apply(&mut x);
            x
        };
        let base = mask(0.5);
        assert_eq!(draw(base), draw(base));
        assert_ne!(draw(base), draw(Mask { layer: 4, ..base }));
        assert_ne!(
            draw(base),
            draw(Mask {
                step: base.step + 1,
                ..base
            })
        );
        assert_ne!(
            draw(base),
            draw(Mask {
                step: base.step + (1 << 32),
                ..base
            })
        );
        assert_ne!(
            draw(base),
            draw(Mask {
                seed: base.seed + 1,
                ..base
            })
        );
    }

    #[test]
    fn gradient_against_central_differences() {
        for count in [1, 6, 13] {
            let x = numbers(count, 1);
            let u = numbers(count, 2);
            let mut dx = u.clone();
            mask(0.4).apply(&mut dx);
            check("dx", &x, &dx, |x| {
                let mut y = x.to_vec();
                mask(0.4).apply(&mut y);
                dot(&u, &y)
            });
        }
    }
}
