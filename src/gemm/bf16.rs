//! bfloat16, the upper half of an f32 (8 bits of exponent, 7 of fraction), and how it lies for products.
//!
//! # Rounding
//!
//! To the nearest, ties to the even one, by adding just under half a unit of the last place that stays:
//!
//! ```math
//! \mathrm{bf16}(x) =
//!     \bigl\lfloor (\mathrm{bits}(x) + \mathtt{7fff}_{16} + \text{lowest bit that stays}) / 2^{16} \bigr\rfloor
//! ```
//!
//! The sum carries into the exponent where it must.
//! So numbers from `$2^{127}(2 - 2^{-8})$` on become infinite, as IEEE 754 asks.
//! NaN stays NaN, of its sign, and quiet.
//! Subnormal numbers are rounded like all others, to multiples of `$2^{-133}$`.
//! (The processor's own VCVTNEPS2BF16 makes them zero.)
//!
//! # Layouts
//!
//! Kernels take bf16 in [`Pair`]s of neighbours along k.
//! The second operand's panels of 16 columns are `[⌈k/2⌉][16]` pairs, one cache line for two rows.
//! The first operand has its rows in panels of 16 columns, `[⌈k/16⌉][rows][8]` pairs.
//! Or it lies as a second operand does, and is read by columns.
//! All come from panels of f32, `[k][16]`:
//!
//! | function | from | to | makes |
//! |---|---|---|---|
//! | [`pack_rows`] | `[rows][16]` | `[rows][8]` pairs | the first operand: X of XWᵀ, dY of dY·W |
//! | [`pack_pairs`] | `[k][16]` | `[⌈k/2⌉][16]` pairs | the second one, W of XWᵀ, and both of dYᵀX |
//! | [`pack_pairs_transposed`] | `[columns][16]` | `[8][16]` pairs | the second one, W of dY·W, 16 of k at a time |

use super::params::PANEL;
use crate::simd;

/// Pairs of a row of 16 numbers.
const HALF: usize = PANEL / 2;

/// Two bf16 that are neighbours along k: the first in the lower half of the bits, the second in the upper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Pair(u32);

impl Pair {
    /// Both rounded.
    #[inline(always)]
    pub(crate) fn new(first: f32, second: f32) -> Self {
        Pair(nearest(first) >> 16 | nearest(second))
    }

    /// Their values, which are exact.
    #[inline(always)]
    pub(crate) fn values(self) -> [f32; 2] {
        [self.0 << 16, self.0 & 0xffff_0000].map(f32::from_bits)
    }
}

/// The bf16 nearest to x, as the bits of an f32, whose lower half is 0.
#[inline(always)]
fn nearest(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    let quiet = bits | 0x0040_0000;
    (if x.is_nan() { quiet } else { rounded }) & 0xffff_0000
}

/// `to[i] = (from[2i], from[2i + 1])`: rows of 16 numbers become rows of 8 pairs.
pub(crate) fn pack_rows(to: &mut [Pair], from: &[f32]) {
    assert_eq!(2 * to.len(), from.len());
    simd::dispatch(
        #[inline(always)]
        || {
            for (to, from) in to.iter_mut().zip(from.chunks_exact(2)) {
                *to = Pair::new(from[0], from[1]);
            }
        },
    );
}

/// Rows 2q and 2q + 1 of a panel of 16 columns become row q of pairs.
///
/// The last row of an odd number is paired with zeros.
pub(crate) fn pack_pairs(to: &mut [Pair], from: &[f32]) {
    let (rows, rest) = from.as_chunks::<PANEL>();
    let (to, rest_of_to) = to.as_chunks_mut::<PANEL>();
    assert!(rest.is_empty() && rest_of_to.is_empty());
    assert_eq!(to.len(), rows.len().div_ceil(2));
    simd::dispatch(
        #[inline(always)]
        || {
            let zeros = [0.0; PANEL];
            for (to, rows) in to.iter_mut().zip(rows.chunks(2)) {
                let (first, second) = (&rows[0], rows.get(1).unwrap_or(&zeros));
                for (to, (&first, &second)) in to.iter_mut().zip(first.iter().zip(second)) {
                    *to = Pair::new(first, second);
                }
            }
        },
    );
}

/// Up to 16 rows of 16 numbers become columns of pairs; the columns on their right become zeros.
///
/// Only the first `to.len()` of these 8 rows are written.
pub(crate) fn pack_pairs_transposed(to: &mut [Pair], from: &[f32]) {
    assert!(from.len() <= PANEL * PANEL && from.len().is_multiple_of(PANEL));
    assert!(to.len() <= HALF * PANEL && to.len().is_multiple_of(PANEL));
    let mut rows = [Pair::default(); PANEL * HALF];
    let pairs = from.len() / 2;
    pack_rows(&mut rows[..pairs], from);
    let mut columns = [Pair::default(); HALF * PANEL];
    let (from, to_columns) = (rows.as_ptr().cast(), columns.as_mut_ptr().cast());
    // SAFETY: 16 rows of 8 pairs, and 8 of 16. A pair has an f32's size, and any bits are an f32.
    unsafe {
        simd::transpose(
            [PANEL, HALF],
            from,
            HALF as isize,
            to_columns,
            PANEL as isize,
        )
    };
    to.copy_from_slice(&columns[..to.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a finite bf16, from its definition.
    fn value(bits: u16) -> f64 {
        let (exponent, fraction) = (i32::from(bits >> 7 & 0xff), f64::from(bits & 0x7f));
        let magnitude = match exponent {
            0 => fraction * 2.0_f64.powi(-133),
            _ => (128.0 + fraction) * 2.0_f64.powi(exponent - 134),
        };
        if bits >> 15 == 1 {
            -magnitude
        } else {
            magnitude
        }
    }

    /// The upper 16 bits that a number is rounded to, by both halves of a pair.
    fn round(x: f32) -> u16 {
        let Pair(bits) = Pair::new(x, x);
        assert_eq!(bits >> 16, bits & 0xffff);
        (bits >> 16) as u16
    }

    /// Every bf16, the f32 halfway to the next one, and the f32 beside each: against distances in f64, which are exact.
    #[test]
    fn finite_numbers_go_to_the_nearest_and_ties_to_even() {
        for low in 0..0x7f80_u16 {
            // The number after the largest finite one would be 2¹²⁸: there is infinity.
            let high = low + 1;
            let of = |bits: u16| match bits {
                0x7f80 => 2.0_f64.powi(128),
                _ => value(bits),
            };
            assert_eq!(f64::from(f32::from_bits(u32::from(low) << 16)), value(low));
            let start = u32::from(low) << 16;
            for bits in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map(|rest| start + rest) {
                let x = f64::from(f32::from_bits(bits));
                let (below, above) = (x - of(low), of(high) - x);
                assert!(below >= 0.0 && above > 0.0);
                let up = below > above || (below == above && high % 2 == 0);
                let expected = if up { high } else { low };
                assert_eq!(round(x as f32), expected, "{bits:#x}");
                assert_eq!(round(-x as f32), expected | 0x8000, "-{bits:#x}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        assert_eq!(round(f32::INFINITY), 0x7f80);
        assert_eq!(round(f32::NEG_INFINITY), 0xff80);
        assert_eq!(round(f32::MAX), 0x7f80);
        for bits in [1, 0x7fff, 0x8000, 0xffff, 0x0040_0000, 0x007f_ffff] {
            for sign in [0, 0x8000_0000] {
                let rounded = round(f32::from_bits(sign | 0x7f80_0000 | bits));
                assert_eq!(rounded & 0x7fc0, 0x7fc0, "{bits:#x}");
                assert_eq!(u32::from(rounded >> 15), sign >> 31);
            }
        }
    }

    /// Numbers of all kinds, with specials among them.
    fn numbers(count: usize) -> Vec<f32> {
        let specials = [f32::NAN, f32::INFINITY, f32::MAX, -0.0, 1e-40, -1e-45];
        (0..count)
            .map(|i| match i % 23 {
                7 => specials[i / 23 % specials.len()],
                _ => f32::from_bits((i as u32).wrapping_mul(2_654_435_761)),
            })
            .collect()
    }

    #[test]
    fn rows_keep_their_order() {
        for rows in [0, 1, 2, 3, 7, 33] {
            let from = numbers(rows * PANEL);
            let mut to = vec![Pair(0xdead_beef); rows * HALF];
            pack_rows(&mut to, &from);
            for (i, to) in to.iter().enumerate() {
                assert_eq!(*to, Pair::new(from[2 * i], from[2 * i + 1]), "pair {i}");
            }
        }
    }

    #[test]
    fn pairs_take_two_rows_and_fill_up_with_zeros() {
        for k in [0, 1, 2, 3, 7, 16, 33] {
            let from = numbers(k * PANEL);
            let mut to = vec![Pair(0xdead_beef); k.div_ceil(2) * PANEL];
            pack_pairs(&mut to, &from);
            for (at, to) in to.iter().enumerate() {
                let (p, j) = (at / PANEL * 2, at % PANEL);
                let second = from.get((p + 1) * PANEL + j).copied().unwrap_or(0.0);
                assert_eq!(*to, Pair::new(from[p * PANEL + j], second), "({p}, {j})");
            }
        }
    }

    #[test]
    fn transposed_pairs_run_along_rows() {
        for columns in 0..=PANEL {
            for rows in 0..=HALF {
                let from = numbers(columns * PANEL);
                let mut to = vec![Pair(0xdead_beef); rows * PANEL];
                pack_pairs_transposed(&mut to, &from);
                for (at, to) in to.iter().enumerate() {
                    let (q, j) = (at / PANEL, at % PANEL);
                    let expected = match from[j.min(columns) * PANEL..].first_chunk::<PANEL>() {
                        Some(row) => Pair::new(row[2 * q], row[2 * q + 1]),
                        None => Pair(0),
                    };
                    assert_eq!(*to, expected, "{columns} columns, ({q}, {j})");
                }
            }
        }
    }
}
