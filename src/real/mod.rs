//! The number types of the engine. All code is generic over [`Real`]: training uses `f32`, gradient checks use
//! `f64`.
//!
//! Elementary functions are the crate's own in f32 ([`math`]) and those of the portable `libm` in f64. The
//! system's functions are not used, because their last bits differ between machines.

pub mod math;

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`, with the few functions that the formulas need. The trait is sealed, because the engine's
/// numeric promises hold for these two types only.
pub trait Real:
    sealed::Sealed
    + Copy
    + Default
    + Debug
    + Display
    + PartialEq
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + Send
    + Sync
    + 'static
{
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// The distance from 1 to the next larger number.
    const EPSILON: Self;
    /// −∞
    const NEG_INFINITY: Self;
    /// [`Real::flush`] replaces numbers of smaller magnitude by 0: 2⁻¹⁰⁰ ≈ 8e-31 in f32, 2⁻⁹⁶⁰ ≈ 1e-289 in f64.
    ///
    /// It is the square of a number (2⁻⁵⁰, 2⁻⁴⁸⁰). It is far above the smallest normal number (2⁻¹²⁶, 2⁻¹⁰²²).
    /// The product of a number of at least this magnitude with 1 − β is therefore normal, for any β < 1 of the
    /// type. So is the difference of two such numbers, if it is not 0.
    const TINY: Self;
    /// The name used in settings and messages: "f32" or "f64".
    const NAME: &'static str;

    /// The nearest value to `x`.
    fn from_f64(x: f64) -> Self;
    /// The same number (exact).
    fn from_u8(x: u8) -> Self;
    /// The value as `f64` (exact).
    fn to_f64(self) -> f64;
    /// eˣ
    fn exp(self) -> Self;
    /// eˣ − 1 without cancellation near 0.
    fn exp_m1(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Natural logarithm of 1 + x, without cancellation near 0.
    fn ln_1p(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Logistic function, 1/(1 + e⁻ˣ).
    fn sigmoid(self) -> Self;
    /// Error function.
    fn erf(self) -> Self;
    /// √x
    fn sqrt(self) -> Self;
    /// |x|
    fn abs(self) -> Self;
    /// The larger of two numbers. If one is NaN, the other.
    fn max(self, other: Self) -> Self;
    /// The smaller of two numbers. If one is NaN, the other.
    fn min(self, other: Self) -> Self;
    /// 0 for |x| < [`Real::TINY`], else x. A value that decays by a factor per step then ends at 0, and not
    /// among the subnormal numbers.
    fn flush(self) -> Self;
    /// Whether the number is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Whether it is not a number.
    fn is_nan(self) -> bool;
}

macro_rules! real {
    ($t:ident, $spare:literal, $exp:path, $exp_m1:path, $ln:path, $ln_1p:path, $tanh:path, $sigmoid:path, $erf:path) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const EPSILON: Self = $t::EPSILON;
            const NEG_INFINITY: Self = $t::NEG_INFINITY;
            const TINY: Self = $t::MIN_POSITIVE * (1_u64 << $spare) as $t;
            const NAME: &'static str = stringify!($t);

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn from_u8(x: u8) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn exp_m1(self) -> Self {
                $exp_m1(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $ln(self)
            }
            #[inline(always)]
            fn ln_1p(self) -> Self {
                $ln_1p(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                $tanh(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                $sigmoid(self)
            }
            #[inline(always)]
            fn erf(self) -> Self {
                $erf(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $t::abs(self)
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                $t::max(self, other)
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                $t::min(self, other)
            }
            #[inline(always)]
            fn flush(self) -> Self {
                // The comparison is false for NaN, so NaN stays NaN.
                if self.abs() < Self::TINY { 0.0 } else { self }
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                $t::is_nan(self)
            }
        }
    };
}

/// x², rounded once. Of `powi` Rust promises no particular bits.
#[inline(always)]
pub(crate) fn square(x: f64) -> f64 {
    x * x
}

/// 1/(1 + e⁻ˣ) in double precision.
#[inline(always)]
fn sigmoid_f64(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

real!(
    f32,
    26,
    math::exp,
    math::exp_m1,
    math::ln,
    math::ln_1p,
    math::tanh,
    math::sigmoid,
    math::erf
);
real!(
    f64,
    62,
    libm::exp,
    libm::expm1,
    libm::log,
    libm::log1p,
    libm::tanh,
    sigmoid_f64,
    libm::erf
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiny_numbers_become_zero() {
        assert_eq!(f32::TINY, 2.0_f32.powi(-100));
        assert_eq!(f64::TINY, 2.0_f64.powi(-960));
        let below = f32::TINY.next_down();
        assert_eq!([below.flush(), -below.flush(), 1e-40_f32.flush()], [0.0; 3]);
        assert_eq!((-f32::TINY).flush(), -f32::TINY);
        assert_eq!(f64::TINY.next_down().flush(), 0.0);
        assert_eq!(f64::NEG_INFINITY.flush(), f64::NEG_INFINITY);
        assert!(f32::NAN.flush().is_nan() && f64::NAN.flush().is_nan());
    }
}
