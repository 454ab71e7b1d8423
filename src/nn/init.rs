//! Initial weights.
//!
//! With fan-in `$n$` (inputs of the layer), fan-out `$o$` and gain `$g$`:
//!
//! | name | distribution of W | source |
//! |---|---|---|
//! | default | `$U(\pm 1/\sqrt n)$`, b too | PyTorch's `nn.Linear` |
//! | kaiming_uniform | `$U(\pm g\sqrt{3/n})$` | He et al., ICCV 2015, section 2.2 |
//! | kaiming_normal | `$N(0, g^2/n)$` | the same |
//! | xavier_uniform | `$U(\pm g\sqrt{6/(n+o)})$` | Glorot, Bengio, AISTATS 2010, section 4.2.1 |
//! | xavier_normal | `$N(0, 2g^2/(n+o))$` | the same |
//!
//! Except for the default, b starts at 0. γ starts at 1, β at 0. The heads of an ensemble are drawn one by one, each as
//! a layer of its own.
//!
//! What comes before the first block has one rule whatever the name: W and b of a feature with n inputs are
//! `$U(\pm 1/\sqrt n)$`, as the authors' `PiecewiseLinearEmbeddings`, and a member's scales are −1 or 1 with equal
//! probability, as published for TabM. They are drawn from a sequence of their own, so that the other layers start as
//! without them.
//!
//! The gain makes up for what the nonlinearity takes from the variance: `$\sqrt2$` for relu (half of the inputs are
//! lost), `$\sqrt{2/(1+0.01^2)}$` for leaky_relu, 5/3 for tanh, else 1, as in PyTorch's `calculate_gain`. The last
//! layer feeds no nonlinearity and takes 1. A gain given by the user holds for every layer.

use std::fmt;
use std::str::FromStr;

use rand::distr::StandardUniform;
use rand::{Rng, RngExt};

use super::{Layout, NetworkSpec};
use crate::backend::Stem;
use crate::ops::activation::{Activation, LEAKY_SLOPE};
use crate::real::Real;
use crate::rng::{self, Purpose};

/// A family of initial distributions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Scheme {
    #[default]
    Default,
    KaimingUniform,
    KaimingNormal,
    XavierUniform,
    XavierNormal,
}

const NAMES: [(Scheme, &str); 5] = [
    (Scheme::Default, "default"),
    (Scheme::KaimingUniform, "kaiming_uniform"),
    (Scheme::KaimingNormal, "kaiming_normal"),
    (Scheme::XavierUniform, "xavier_uniform"),
    (Scheme::XavierNormal, "xavier_normal"),
];

/// How to draw the weights: "kaiming_normal", or "kaiming_normal=1.5" with a gain instead of the activation's own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Init {
    /// The family.
    pub scheme: Scheme,
    /// Overrides the activation's gain.
    pub gain: Option<f64>,
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES
            .iter()
            .find(|(s, _)| *s == self.scheme)
            .map_or("", |(_, name)| name);
        match self.gain {
            Some(gain) => write!(f, "{name}={gain}"),
            None => f.write_str(name),
        }
    }
}

impl FromStr for Init {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, gain) = match text.split_once('=') {
            Some((name, gain)) => (name, Some(gain)),
            None => (text, None),
        };
        let scheme = NAMES
            .iter()
            .find(|(_, n)| *n == name)
            .map(|(scheme, _)| *scheme);
        let names: Vec<&str> = NAMES.iter().map(|(_, name)| *name).collect();
        let scheme = scheme.ok_or(format!(
            "expected one of {}, found {name:?}",
            names.join(", ")
        ))?;
        let gain = match gain {
            Some(_) if scheme == Scheme::Default => {
                return Err("expected no gain: the default takes none".into());
            }
            Some(gain) => match gain.parse::<f64>() {
                Ok(value) if value.is_finite() && value > 0.0 => Some(value),
                _ => return Err(format!("expected a gain above 0, found {gain:?}")),
            },
            None => None,
        };
        Ok(Init { scheme, gain })
    }
}

/// What keeps the variance of the signal through a nonlinearity.
pub fn gain(activation: Option<Activation>) -> f64 {
    match activation {
        Some(Activation::Relu) => 2.0_f64.sqrt(),
        Some(Activation::LeakyRelu) => (2.0 / (1.0 + LEAKY_SLOPE * LEAKY_SLOPE)).sqrt(),
        Some(Activation::Tanh) => 5.0 / 3.0,
        _ => 1.0,
    }
}

/// The initial parameters and running statistics (mean 0, variance 1) of a network: a pure function of the seed.
///
/// They are drawn in f64, so that f32 and f64 runs start from the same point.
pub fn draw<R: Real>(spec: &NetworkSpec, init: Init, seed: u64) -> (Vec<R>, Vec<R>) {
    let layout = Layout::new(spec);
    let mut rng = rng::stream(seed, Purpose::Init);
    let mut params = vec![R::ZERO; layout.parameter_count()];
    let mut running = vec![R::ZERO; layout.running_count()];
    if let Some(stem) = &layout.stem {
        draw_stem(stem, &mut params, seed);
    }
    for block in &layout.blocks {
        let (n, o) = (block.inputs as f64, block.outputs as f64);
        let gain = init
            .gain
            .unwrap_or_else(|| gain(block.hidden().map(|hidden| hidden.activation)));
        for head in block.heads() {
            let weight = &mut params[head.weight];
            match init.scheme {
                Scheme::Default => uniform(weight, 1.0 / n.sqrt(), &mut rng),
                Scheme::KaimingUniform => uniform(weight, gain * (3.0 / n).sqrt(), &mut rng),
                Scheme::KaimingNormal => normal(weight, gain / n.sqrt(), &mut rng),
                Scheme::XavierUniform => uniform(weight, gain * (6.0 / (n + o)).sqrt(), &mut rng),
                Scheme::XavierNormal => normal(weight, gain * (2.0 / (n + o)).sqrt(), &mut rng),
            }
            if init.scheme == Scheme::Default {
                uniform(&mut params[head.bias], 1.0 / n.sqrt(), &mut rng);
            }
        }
        if let Some(bn) = block.batch_norm() {
            params[bn.gamma.clone()].fill(R::ONE);
            running[bn.running_var.clone()].fill(R::ONE);
        }
    }
    (params, running)
}

fn draw_stem<R: Real>(stem: &Stem, params: &mut [R], seed: u64) {
    let mut rng = rng::stream(seed, Purpose::Stem);
    for part in &stem.parts {
        if let Some(linear) = &part.linear {
            let bound = 1.0 / (part.inputs.len() as f64).sqrt();
            uniform(&mut params[linear.weight.clone()], bound, &mut rng);
            uniform(&mut params[linear.bias.clone()], bound, &mut rng);
        }
    }
    if let Some(scale) = &stem.scale {
        for r in &mut params[scale.clone()] {
            *r = if rng.random() { R::ONE } else { -R::ONE };
        }
    }
}

fn uniform<R: Real>(out: &mut [R], bound: f64, rng: &mut impl Rng) {
    for x in out {
        let unit: f64 = rng.sample(StandardUniform);
        *x = R::from_f64(bound * (2.0 * unit - 1.0));
    }
}

fn normal<R: Real>(out: &mut [R], deviation: f64, rng: &mut impl Rng) {
    for x in out {
        let unit: f64 = rng::standard_normal(rng);
        *x = R::from_f64(deviation * unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Order;

    fn spec(activation: Activation) -> NetworkSpec {
        NetworkSpec {
            inputs: 300,
            hidden: vec![200],
            outputs: 11,
            batch_norm: true,
            activation,
            dropout: 0.0,
            order: Order::DropoutActivation,
            members: 1,
            embedding: None,
        }
    }

    fn first_weight(init: &str, activation: Activation) -> Vec<f64> {
        let (params, running) = draw::<f64>(&spec(activation), init.parse().unwrap(), 5);
        assert!(
            running[..200].iter().all(|&m| m == 0.0) && running[200..].iter().all(|&v| v == 1.0)
        );
        let bias = &params[60_000..60_200];
        assert_eq!(init == "default", bias.iter().any(|&b| b != 0.0));
        assert!(params[60_200..60_400].iter().all(|&g| g == 1.0));
        assert!(params[60_400..60_600].iter().all(|&b| b == 0.0));
        params[..60_000].to_vec()
    }

    /// Variances of 60,000 draws: their own relative deviation is below 1 %.
    #[test]
    fn variances_and_bounds() {
        let cases = [
            (
                "default",
                Activation::Relu,
                1.0 / (3.0 * 300.0),
                Some((1.0_f64 / 300.0).sqrt()),
            ),
            (
                "kaiming_uniform",
                Activation::Relu,
                2.0 / 300.0,
                Some((6.0_f64 / 300.0).sqrt()),
            ),
            ("kaiming_normal", Activation::Relu, 2.0 / 300.0, None),
            ("kaiming_normal=3", Activation::Relu, 9.0 / 300.0, None),
            (
                "xavier_uniform",
                Activation::Sigmoid,
                2.0 / 500.0,
                Some((6.0_f64 / 500.0).sqrt()),
            ),
            (
                "xavier_normal",
                Activation::Tanh,
                25.0 / 9.0 * 2.0 / 500.0,
                None,
            ),
        ];
        for (init, activation, variance, bound) in cases {
            let w = first_weight(init, activation);
            let mean = w.iter().sum::<f64>() / w.len() as f64;
            let square = w.iter().map(|w| w * w).sum::<f64>() / w.len() as f64;
            assert!(
                mean.abs() <= 5.0 * (variance / w.len() as f64).sqrt(),
                "{init}: mean {mean}"
            );
            assert!(
                (square / variance - 1.0).abs() <= 0.04,
                "{init}: {square} against {variance}"
            );
            if let Some(bound) = bound {
                let largest = w.iter().fold(0.0_f64, |m, w| m.max(w.abs()));
                assert!(
                    largest <= bound && largest >= 0.999 * bound,
                    "{init}: ±{largest}"
                );
            }
        }
    }

    #[test]
    fn same_seed_same_weights_in_both_precisions() {
        let init = Init::default();
        let (a, _) = draw::<f64>(&spec(Activation::Relu), init, 3);
        let (b, _) = draw::<f32>(&spec(Activation::Relu), init, 3);
        let (c, _) = draw::<f32>(&spec(Activation::Relu), init, 4);
        assert!(a.iter().zip(&b).all(|(&a, &b)| a as f32 == b));
        assert_ne!(b, c);
    }

    #[test]
    fn names_go_round_and_nonsense_is_refused() {
        for text in ["default", "kaiming_uniform", "xavier_normal=0.5"] {
            assert_eq!(text.parse::<Init>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "he",
            "default=2",
            "kaiming_normal=0",
            "kaiming_normal=x",
            "xavier_normal=inf",
        ] {
            assert!(text.parse::<Init>().is_err(), "{text:?}");
        }
    }
}
