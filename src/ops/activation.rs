//! Element-wise nonlinearities `$y = f(x)$`, with `$dx = f'(x)\, dy$`.
//!
//! | name | `$f(x)$` | `$f'(x)$` | source |
//! |---|---|---|---|
//! | relu | `$\max(0, x)$` | 1 if `$x > 0$`, else 0 | Nair, Hinton 2010 |
//! | leaky_relu | `$x$` if `$x > 0$`, else `$0.01\,x$` | 1 or 0.01 | Maas, Hannun, Ng 2013 |
//! | sigmoid | `$\sigma(x) = 1/(1+e^{-x})$` | `$y(1-y)$` | |
//! | tanh | `$\tanh x$` | `$1-y^2$` | |
//! | gelu | `$x\,\Phi(x)$`, `$\Phi(x) = \frac12(1+\mathrm{erf}(x/\sqrt2))$` | `$\Phi(x) + x\,\varphi(x)$` | Hendrycks, Gimpel 2016 |
//! | silu | `$x\,\sigma(x)$` | `$\sigma(x)(1 + x(1-\sigma(x)))$` | Elfwing, Uchibe, Doya 2018 |
//! | elu | `$x$` if `$x > 0$`, else `$e^x - 1$` | 1 or `$e^x = y + 1$` | Clevert, Unterthiner, Hochreiter 2016 |
//! | identity | `$x$` | 1 | |
//!
//! The derivative of the sigmoid is `$\sigma' = e^{-x}/(1+e^{-x})^2 = \sigma\,(1-\sigma)$`, because
//! `$e^{-x}/(1+e^{-x}) = 1-\sigma$`. Those of gelu and silu follow from the product rule, with `$\Phi' = \varphi$`, the
//! normal density `$\varphi(x) = e^{-x^2/2}/\sqrt{2\pi}$`.
//!
//! At 0 the derivative of relu is taken as 0 and that of leaky_relu as 0.01, as PyTorch does.
//! Any value between the slopes on both sides would be a subgradient.
//! NaN stays NaN in every function, so that a diverged run cannot look healthy behind a relu.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use serde::{Deserialize, Serialize};

use crate::real::Real;
use crate::simd;

/// Slope of leaky_relu left of 0.
pub const LEAKY_SLOPE: f64 = 0.01;

/// The nonlinearities of the table above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "cli", value(rename_all = "snake_case"))]
#[allow(missing_docs)]
pub enum Activation {
    #[default]
    Relu,
    LeakyRelu,
    Sigmoid,
    Tanh,
    Gelu,
    Silu,
    Elu,
    Identity,
}

impl Activation {
    /// All of them, for tests and tables.
    pub const ALL: [Activation; 8] = [
        Activation::Relu,
        Activation::LeakyRelu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Gelu,
        Activation::Silu,
        Activation::Elu,
        Activation::Identity,
    ];

    /// Its name in settings and messages.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::LeakyRelu => "leaky_relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::Gelu => "gelu",
            Activation::Silu => "silu",
            Activation::Elu => "elu",
            Activation::Identity => "identity",
        }
    }

    /// Whether the derivative jumps at 0, where central differences measure nothing useful.
    pub fn has_kink(self) -> bool {
        matches!(self, Activation::Relu | Activation::LeakyRelu)
    }
}

/// The standard normal distribution function `$\Phi$`.
#[inline(always)]
fn normal_cdf<R: Real>(x: R) -> R {
    R::from_f64(0.5) * (R::ONE + (x * R::from_f64(FRAC_1_SQRT_2)).erf())
}

/// `y[i] = f(x[i])`.
pub fn activation_forward<R: Real>(kind: Activation, y: &mut [R], x: &[R]) {
    let slope = R::from_f64(LEAKY_SLOPE);
    match kind {
        // `x <= 0` is false for NaN, so NaN passes.
        Activation::Relu => map(y, x, move |x| if x <= R::ZERO { R::ZERO } else { x }),
        Activation::LeakyRelu => map(y, x, move |x| if x <= R::ZERO { slope * x } else { x }),
        Activation::Sigmoid => map(y, x, R::sigmoid),
        Activation::Tanh => map(y, x, R::tanh),
        Activation::Gelu => map(y, x, move |x| x * normal_cdf(x)),
        Activation::Silu => map(y, x, move |x| x * x.sigmoid()),
        Activation::Elu => map(y, x, move |x| if x <= R::ZERO { x.exp_m1() } else { x }),
        Activation::Identity => y.copy_from_slice(x),
    }
}

/// `dy[i] ← f'(x[i]) · dy[i]`, in place, from the saved input x and output y = f(x).
pub fn activation_backward<R: Real>(kind: Activation, dy: &mut [R], x: &[R], y: &[R]) {
    let slope = R::from_f64(LEAKY_SLOPE);
    let density_scale = R::from_f64(1.0 / (2.0 * PI).sqrt());
    let half = R::from_f64(0.5);
    let one = R::ONE;
    match kind {
        Activation::Relu => scale(dy, x, move |x| if x > R::ZERO { one } else { R::ZERO }),
        Activation::LeakyRelu => scale(dy, x, move |x| if x > R::ZERO { one } else { slope }),
        Activation::Sigmoid => scale(dy, y, move |y| y * (one - y)),
        Activation::Tanh => scale(dy, y, move |y| one - y * y),
        Activation::Gelu => scale(dy, x, move |x| {
            normal_cdf(x) + x * density_scale * (-half * x * x).exp()
        }),
        Activation::Silu => scale(dy, x, move |x| {
            let s = x.sigmoid();
            s * (one + x * (one - s))
        }),
        Activation::Elu => scale(dy, y, move |y| if y > R::ZERO { one } else { y + one }),
        Activation::Identity => {}
    }
}

/// `y[i] = f(x[i])`, compiled for this processor.
fn map<R: Real>(y: &mut [R], x: &[R], f: impl Fn(R) -> R) {
    assert_eq!(y.len(), x.len());
    simd::dispatch(
        #[inline(always)]
        move || map_loop(y, x, f),
    );
}

// The function comes by value: what it captures stays in registers, whatever is written to y.
#[inline(always)]
fn map_loop<R: Real>(y: &mut [R], x: &[R], f: impl Fn(R) -> R) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}

/// `dy[i] ← f'(saved[i]) · dy[i]`, compiled for this processor.
fn scale<R: Real>(dy: &mut [R], saved: &[R], derivative: impl Fn(R) -> R) {
    assert_eq!(dy.len(), saved.len());
    simd::dispatch(
        #[inline(always)]
        move || scale_loop(dy, saved, derivative),
    );
}

#[inline(always)]
fn scale_loop<R: Real>(dy: &mut [R], saved: &[R], derivative: impl Fn(R) -> R) {
    for (dy, &saved) in dy.iter_mut().zip(saved) {
        *dy *= derivative(saved);
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient::{check, dot, numbers};
    use super::*;

    fn forward(kind: Activation, x: &[f64]) -> Vec<f64> {
        let mut y = vec![f64::NAN; x.len()];
        activation_forward(kind, &mut y, x);
        y
    }

    /// Values from tables of the functions, not from this code.
    #[test]
    fn known_values() {
        let cases = [
            (Activation::Relu, -2.0, 0.0),
            (Activation::Relu, 3.5, 3.5),
            (Activation::LeakyRelu, -2.0, -0.02),
            (Activation::Sigmoid, 1.0, 0.731_058_578_630_004_9),
            (Activation::Sigmoid, -800.0, 0.0),
            (Activation::Tanh, 0.5, 0.462_117_157_260_009_76),
            (Activation::Gelu, 1.0, 0.841_344_746_068_542_9),
            (Activation::Gelu, -2.0, -0.045_500_263_896_358_42),
            (Activation::Silu, 2.0, 1.761_594_155_955_764_9),
            (Activation::Elu, -1.0, -0.632_120_558_828_557_7),
            (Activation::Identity, -7.25, -7.25),
        ];
        for (kind, x, expected) in cases {
            let y = forward(kind, &[x])[0];
            assert!(
                (y - expected).abs() <= 1e-15,
                "{kind:?}({x}) = {y}, expected {expected}"
            );
            let mut single = [f32::NAN];
            activation_forward(kind, &mut single, &[x as f32]);
            assert!((f64::from(single[0]) - expected).abs() <= 3e-7 * expected.abs().max(1.0));
        }
    }

    #[test]
    fn gradients_against_central_differences() {
        for kind in Activation::ALL {
            for count in [1, 7, 31] {
                let x: Vec<f64> = numbers(count, 5).iter().map(|x| 4.0 * x).collect();
                let u = numbers(count, 6);
                let mut dx = u.clone();
                activation_backward(kind, &mut dx, &x, &forward(kind, &x));
                check(&format!("{kind:?}"), &x, &dx, |x| {
                    dot(&u, &forward(kind, x))
                });
            }
        }
    }

    #[test]
    fn kinks_take_the_left_derivative() {
        for (kind, expected) in [(Activation::Relu, 0.0), (Activation::LeakyRelu, 0.01)] {
            let mut d = [1.0];
            activation_backward(kind, &mut d, &[0.0], &[0.0]);
            assert_eq!(d[0], expected);
        }
    }

    #[test]
    fn nan_and_large_values_pass_through() {
        for kind in Activation::ALL {
            assert!(forward(kind, &[f64::NAN])[0].is_nan(), "{kind:?} hides NaN");
            for x in [-1e4, 1e4] {
                assert!(forward(kind, &[x])[0].is_finite(), "{kind:?}({x})");
                let mut d = [1.0];
                activation_backward(kind, &mut d, &[x], &forward(kind, &[x]));
                assert!(d[0].is_finite(), "{kind:?}'({x})");
            }
        }
    }
}
