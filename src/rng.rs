//! Random numbers as pure functions. A seed gives the same bits on every machine, in any order and on any
//! number of threads.
//!
//! There are two generators. [`philox4x32`] is counter-based: the value at (seed, position) needs no state, so
//! dropout masks and augmentation are computed where they are used. [`stream`] gives a sequential generator
//! (ChaCha8) for shuffles, splits and initial weights.

use chacha20::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

const MULTIPLIER_0: u32 = 0xD251_1F53;
const MULTIPLIER_1: u32 = 0xCD9E_8D57;
const WEYL_0: u32 = 0x9E37_79B9;
const WEYL_1: u32 = 0xBB67_AE85;

/// Philox 4x32 with 10 rounds: four independent uniform `u32` from a 128-bit counter and a 64-bit key.
///
/// Salmon, Moraes, Dror, Shaw, “Parallel Random Numbers: As Easy as 1, 2, 3”, SC 2011.
#[inline(always)]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let product_0 = u64::from(MULTIPLIER_0) * u64::from(c0);
        let product_1 = u64::from(MULTIPLIER_1) * u64::from(c2);
        c0 = (product_1 >> 32) as u32 ^ c1 ^ k0;
        c2 = (product_0 >> 32) as u32 ^ c3 ^ k1;
        c1 = product_1 as u32;
        c3 = product_0 as u32;
        k0 = k0.wrapping_add(WEYL_0);
        k1 = k1.wrapping_add(WEYL_1);
    }
    [c0, c1, c2, c3]
}

/// [`philox4x32`] at N consecutive counters: `words[w][i]` is word w at counter `[counter[0] + i, …]`. In this
/// layout the loop becomes vector instructions.
#[inline(always)]
pub fn philox4x32_consecutive<const N: usize>(
    words: &mut [[u32; N]; 4],
    counter: [u32; 4],
    key: [u32; 2],
) {
    let [first, c1, c2, c3] = counter;
    let [w0, w1, w2, w3] = words;
    for i in 0..N {
        let c0 = first.wrapping_add(i as u32);
        [w0[i], w1[i], w2[i], w3[i]] = philox4x32([c0, c1, c2, c3], key);
    }
}

/// A 64-bit seed as Philox key: low word, high word.
#[inline(always)]
pub fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// What a sequence of random numbers is for. One seed serves a whole run, and no two purposes share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights.
    Init,
    /// Initial numbers of what comes before a network's first block.
    Stem,
    /// The training/validation split.
    Split,
    /// The order of the samples in one epoch.
    Shuffle {
        /// Epoch, from 0.
        epoch: u32,
    },
    /// Inputs, upstream gradient, chosen entries and direction of a gradient check.
    GradCheck,
    /// The point of a trial of a search.
    Trial {
        /// The trial's number, from 0.
        slot: u32,
    },
    /// The samples on which the trees of a random forest are grown.
    Forest,
}

/// A ChaCha8 generator for one purpose. ChaCha8 is fixed by its specification, so the numbers are the same on
/// every machine and in every version.
pub fn stream(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let (kind, index) = match purpose {
        Purpose::Init => (0, 0),
        Purpose::Split => (1, 0),
        Purpose::Shuffle { epoch } => (2, epoch),
        Purpose::GradCheck => (3, 0),
        Purpose::Trial { slot } => (4, slot),
        Purpose::Forest => (5, 0),
        Purpose::Stem => (6, 0),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((kind << 32) | u64::from(index));
    rng
}

/// A number of the standard normal distribution, by the polar method (Marsaglia, Bray, “A Convenient Method for
/// Generating Normal Variables”, SIAM Review 6(3), 1964).
///
/// ```math
/// z = u \sqrt{-2 \ln s / s}, \qquad s = u^2 + v^2 < 1, \qquad u, v \sim U(-1, 1)
/// ```
///
/// The logarithm is the portable library's, since the last bit of the system's may differ between machines.
pub fn standard_normal(rng: &mut impl Rng) -> f64 {
    loop {
        let mut uniform = || 2.0 * rng.random::<f64>() - 1.0;
        let (u, v) = (uniform(), uniform());
        let s = u * u + v * v;
        if s > 0.0 && s < 1.0 {
            return u * (-2.0 * libm::log(s) / s).sqrt();
        }
    }
}

/// A uniform integer in `0..n` (n > 0) from uniform 32-bit words, without modulo bias.
///
/// The upper half of `word · n` is the result. Words whose lower half is below 2³² mod n are redrawn.
/// Lemire, “Fast Random Integer Generation in an Interval”, ACM TOMACS 29(1), 2019, algorithm 5.
pub fn below(n: u32, mut word: impl FnMut() -> u32) -> u32 {
    let threshold = n.wrapping_neg() % n;
    loop {
        let product = u64::from(word()) * u64::from(n);
        if product as u32 >= threshold {
            return (product >> 32) as u32;
        }
    }
}

/// Puts `items` in random order: the Fisher–Yates shuffle (Durstenfeld's form, from the last item down).
///
/// Each item is swapped with one of the first 2³² − 1 items at most.
pub fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        let n = u32::try_from(last + 1).unwrap_or(u32::MAX);
        items.swap(last, below(n, || rng.next_u32()) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the paper's reference implementation (Random123, `kat_vectors`).
    #[test]
    fn philox_known_answers() {
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32(counter, key), expected);
        }
    }

    #[test]
    fn consecutive_counters_give_the_same_words_as_single_ones() {
        let (counter, key) = ([u32::MAX - 3, 5, 6, 7], [8, 9]);
        let mut words = [[0; 8]; 4];
        philox4x32_consecutive(&mut words, counter, key);
        for i in 0..8 {
            let single = philox4x32([counter[0].wrapping_add(i), 5, 6, 7], key);
            assert_eq!(words.map(|word| word[i as usize]), single, "counter {i}");
        }
    }

    /// The seed's key is drawn as rand_core's `seed_from_u64` says; the stream is the upper half of the counter.
    #[test]
    fn chacha_known_answers() {
        let mut rng = stream(7, Purpose::Shuffle { epoch: 5 });
        let words = [0; 4].map(|_| rng.next_u32());
        assert_eq!(words, [0x030d_8afc, 0x7a5b_c710, 0x4cbb_fab2, 0xd660_596d]);
    }

    #[test]
    fn purposes_do_not_share_numbers() {
        let purposes = [
            Purpose::Init,
            Purpose::Stem,
            Purpose::Split,
            Purpose::Shuffle { epoch: 0 },
            Purpose::Shuffle { epoch: 1 },
            Purpose::GradCheck,
            Purpose::Trial { slot: 0 },
            Purpose::Trial { slot: 1 },
        ];
        let mut first: Vec<u64> = purposes.iter().map(|&p| stream(7, p).next_u64()).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), purposes.len());
    }

    #[test]
    fn below_redraws_the_words_that_would_bias_it() {
        // 2³² mod 3 = 1: of all words only 0 has a lower half (0·3) below 1.
        let mut words = [0, 1, 0x5555_5556, 0xffff_ffff].into_iter();
        let mut word = || words.next().unwrap();
        assert_eq!(below(3, &mut word), 0); // 0 is redrawn, 1·3 >> 32 = 0
        assert_eq!(below(3, &mut word), 1); // 0x5555_5556·3 = 0x1_0000_0002
        assert_eq!(below(3, &mut word), 2);
        assert_eq!(words.next(), None);
        assert_eq!(below(1, || 0xffff_ffff), 0);
    }

    #[test]
    fn shuffle_is_a_uniform_permutation() {
        let mut rng = stream(5, Purpose::Split);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            let mut items = [0, 1, 2];
            shuffle(&mut items, &mut rng);
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Binomial(6000, 1/6) has mean 1000 and standard deviation 29. The bound is five deviations on either
        // side.
        assert!(
            counts.values().all(|&n| (855..=1145).contains(&n)),
            "{counts:?}"
        );
    }
}
