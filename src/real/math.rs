//! Elementary functions in f32, written as straight-line arithmetic without branches, tables or calls. A loop
//! over them therefore becomes vector instructions. The bits are the same on every machine, because each step
//! is one correctly rounded operation. This includes `mul_add`, whether the processor has such an instruction
//! or not.
//!
//! | function | largest error found, every 509th f32 | method |
//! |---|---|---|
//! | [`exp`] | 0.95 ulp | `$x = n\ln2 + r$`, polynomial in r, times `$2^n$` |
//! | [`exp_m1`] | 1.7 ulp | polynomial below 1/2, else `$e^x - 1$` |
//! | [`ln`] | 0.8 ulp | `$x = 2^e(1+f)$`, polynomial in f |
//! | [`ln_1p`] | 2.4 ulp | `$x \ln u / (u - 1)$`, `$u = 1 + x$` |
//! | [`tanh`] | 1.3 ulp | odd polynomial below 0.625, else `$1 - 2/(e^{2x}+1)$` |
//! | [`sigmoid`] | 2.3 ulp | `$1/(1+e^{-x})$`, from `$e^{-\lvert x\rvert}$` |
//! | [`erf`] | 1.1 ulp | odd polynomial below 1, else `$1 - e^{-L(x)}$` |
//!
//! An ulp is the distance between neighbouring numbers at the result. The coefficients are minimax polynomials
//! for the relative error of each function. They were found by Remez' exchange in 40 digits, and then rounded.
//! Method: Muller, *Elementary Functions*, 3rd edition, 2016, chapters 3 and 11.

/// 1.5 · 2²³. Adding it to a small number rounds that number to an integer, which is then in the low bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts. The first part has few bits, so that its product with an integer is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `$c_0 + c_1 x + \dots$` by Horner's rule.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = sum.mul_add(x, coefficients[i]);
    }
    sum
}

/// `$2^n$` for an integer n in −126..=127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

/// eˣ
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Beyond these bounds the result is 0 or infinite. A comparison with NaN is false, so NaN passes.
    let x = if x < -105.0 { -105.0 } else { x };
    let x = if x > 90.0 { 90.0 } else { x };
    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let q = polynomial(
        r,
        [
            0.5,
            0.166_666_66,
            0.041_666_467,
            0.008_333_511,
            0.001_393_348_2,
            0.000_197_582_31,
        ],
    );
    let p = (r * r).mul_add(q, r) + 1.0;
    // Multiply by 2^(n/2) twice: 2ⁿ alone may be out of range where eˣ is not.
    let n = rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = n >> 1;
    p * power_of_two(half) * power_of_two(n - half)
}

/// eˣ − 1, with a small relative error near 0 too.
#[inline(always)]
pub fn exp_m1(x: f32) -> f32 {
    let q = polynomial(
        x,
        [
            0.5,
            0.166_666_67,
            0.041_666_668,
            0.008_333_182,
            0.001_388_860_8,
            0.000_199_621_85,
            2.495_705_7e-5,
        ],
    );
    let near = (x * x).mul_add(q, x);
    let far = exp(x) - 1.0;
    if x.abs() < 0.5 { near } else { far }
}

/// Natural logarithm; −∞ at 0, NaN below 0.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    // Scale subnormal numbers into the normal range.
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits() as i32;
    // Take the exponent of x/√½, so that the mantissa is in [√½, √2).
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let exponent = shifted >> 23;
    let f = f32::from_bits(((shifted & 0x007f_ffff) + 0x3f35_04f3) as u32) - 1.0;
    let e = (exponent as f32) - if tiny { 23.0 } else { 0.0 };
    let q = polynomial(
        f,
        [
            0.333_333_13,
            -0.249_999_87,
            0.200_020_69,
            -0.166_691_81,
            0.142_213_52,
            -0.123_867_52,
            0.118_574_55,
            -0.117_716_47,
            0.069_265,
        ],
    );
    let square = f * f;
    let tail = (square * f).mul_add(q, e * LN2_LOW);
    let tail = square.mul_add(-0.5, tail);
    let result = e.mul_add(LN2_HIGH, f + tail);
    let result = if x == f32::INFINITY { x } else { result };
    let result = if x == 0.0 { f32::NEG_INFINITY } else { result };
    if x >= 0.0 { result } else { f32::NAN }
}

/// ln(1 + x), with a small relative error near 0 too.
///
/// u = 1 + x is rounded, and `$\ln u$` is that of another number than 1 + x. The quotient `$\ln u / (u - 1)$` changes
/// slowly, and u − 1 is exact; times x it gives the logarithm that was asked for (Goldberg, “What Every Computer
/// Scientist Should Know About Floating-Point Arithmetic”, *ACM Computing Surveys* 23(1), 1991, theorem 4).
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    let near = ln(u) * (x / (u - 1.0));
    // The quotient of infinite numbers, and that of 0 by 0.
    if u == 1.0 || x == f32::INFINITY {
        x
    } else {
        near
    }
}

/// Hyperbolic tangent.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let z = x * x;
    let q = polynomial(
        z,
        [
            -0.333_333_3,
            0.133_332_06,
            -0.053_946_763,
            0.021_700_703,
            -0.008_177_398,
            0.002_142_962,
        ],
    );
    let near = (z * x).mul_add(q, x);
    let magnitude = x.abs();
    let far = 1.0 - 2.0 / (exp(2.0 * magnitude) + 1.0);
    if magnitude < 0.625 {
        near
    } else {
        far.copysign(x)
    }
}

/// 1/(1 + e⁻ˣ), without overflow on either side.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let numerator = if x < 0.0 { e } else { 1.0 };
    numerator / (1.0 + e)
}

/// The error function.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let z = x * x;
    let q = polynomial(
        z,
        [
            0.128_379_17,
            -0.376_126_38,
            0.112_837_82,
            -0.026_865_4,
            0.005_220_945_5,
            -0.000_848_282_9,
            0.000_112_569_5,
            -9.641_522e-6,
        ],
    );
    let near = x.mul_add(q, x);
    // Beyond 4 the result is 1 to the last bit, and the polynomial is not valid.
    let magnitude = x.abs();
    let a = if magnitude > 4.0 { 4.0 } else { magnitude };
    // −log(1 − erf(a))
    let l = polynomial(
        a,
        [
            -0.000_188_468_17,
            1.129_580_3,
            0.633_216_4,
            0.108_422_1,
            -0.025_210_34,
            0.004_205_285,
            -0.000_441_472_7,
            2.169_761_7e-5,
        ],
    );
    let far = 1.0 - exp(-l);
    if magnitude < 1.0 {
        near
    } else {
        far.copysign(x)
    }
}

#[cfg(test)]
mod tests {
    /// The error of `found`, in units of the distance between neighbouring f32 at `exact`.
    fn ulps(found: f32, exact: f64) -> f64 {
        let nearest = exact as f32;
        if found.to_bits() == nearest.to_bits() || (found.is_nan() && exact.is_nan()) {
            return 0.0;
        }
        assert!(
            found.is_finite() && nearest.is_finite(),
            "{found} against {exact}: infinite or not a number on one side only"
        );
        let above = f64::from(f32::from_bits(nearest.abs().to_bits() + 1));
        let unit = above - f64::from(nearest.abs());
        (f64::from(found) - exact).abs() / unit
    }

    /// The largest error over every 509th f32 and all special numbers.
    fn worst(function: fn(f32) -> f32, exact: fn(f64) -> f64) -> (f64, f32) {
        let special = [
            0.0,
            -0.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::MIN_POSITIVE,
            f32::MAX,
            f32::MIN,
        ];
        let all = (0..=u32::MAX / 509)
            .map(|i| f32::from_bits(i * 509))
            .chain(special);
        let mut worst = (0.0, 0.0);
        for x in all {
            let error = ulps(function(x), exact(f64::from(x)));
            if error > worst.0 {
                worst = (error, x);
            }
        }
        worst
    }

    fn assert_within(name: &str, bound: f64, function: fn(f32) -> f32, exact: fn(f64) -> f64) {
        let (error, x) = worst(function, exact);
        println!("{name}: {error:.3} ulp at {x:e}");
        assert!(
            error <= bound,
            "{name}: {error} ulp at {x:e}, the bound is {bound}"
        );
    }

    #[test]
    fn exp_over_all_numbers() {
        assert_within("exp", 0.95, super::exp, libm::exp);
    }

    #[test]
    fn exp_m1_over_all_numbers() {
        assert_within("exp_m1", 1.7, super::exp_m1, libm::expm1);
    }

    #[test]
    fn ln_over_all_numbers() {
        assert_within("ln", 0.8, super::ln, libm::log);
    }

    #[test]
    fn ln_1p_over_all_numbers() {
        assert_within("ln_1p", 2.4, super::ln_1p, libm::log1p);
    }

    #[test]
    fn tanh_over_all_numbers() {
        assert_within("tanh", 1.3, super::tanh, libm::tanh);
    }

    #[test]
    fn sigmoid_over_all_numbers() {
        assert_within("sigmoid", 2.3, super::sigmoid, |x| {
            1.0 / (1.0 + libm::exp(-x))
        });
    }

    #[test]
    fn erf_over_all_numbers() {
        assert_within("erf", 1.1, super::erf, libm::erf);
    }
}
