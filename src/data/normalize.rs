//! Normalisation: one scale and one shift per feature, fitted on the training samples and stored with the
//! model.

use std::fmt;
use std::str::FromStr;

use super::{Features, Samples};
use crate::error::Error;
use crate::real::Real;

/// How to normalise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// Divide bytes by 255, leave floats unchanged.
    #[default]
    Auto,
    /// Scale each feature to mean 0 and standard deviation 1 over the training samples.
    Standard,
}

impl fmt::Display for Normalize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Normalize::Auto => "auto",
            Normalize::Standard => "standard",
        })
    }
}

impl FromStr for Normalize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Normalize::Auto),
            "standard" => Ok(Normalize::Standard),
            _ => Err(Error::setting(
                "normalize",
                format!("expected auto or standard, found \"{text}\""),
            )),
        }
    }
}

/// Maps x to x′ = x · scale\[j\] + shift\[j\] for feature j.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Normalizer {
    /// One factor per feature.
    pub scale: Vec<f64>,
    /// One summand per feature.
    pub shift: Vec<f64>,
}

impl Normalizer {
    /// A normaliser that leaves values unchanged.
    pub fn identity(width: usize) -> Self {
        Normalizer {
            scale: vec![1.0; width],
            shift: vec![0.0; width],
        }
    }

    /// Fits on the samples with the indices `train`. [`Normalize::Auto`] depends on the number type only.
    ///
    /// Standard: scale = 1/σ and shift = −μ/σ, where σ is the population standard deviation, computed in two
    /// passes in `f64`. A constant feature gets scale 1. A deviation that rounding of the mean alone can make counts as
    /// none.
    pub fn fit(kind: Normalize, samples: &Samples, train: &[u32]) -> Self {
        match (kind, &samples.features) {
            (Normalize::Auto, Features::U8(_)) => Normalizer {
                scale: vec![1.0 / 255.0; samples.width],
                shift: vec![0.0; samples.width],
            },
            (Normalize::Auto, _) => Self::identity(samples.width),
            (Normalize::Standard, Features::U8(v)) => standard(v, samples.width, train, f64::from),
            (Normalize::Standard, Features::F32(v)) => standard(v, samples.width, train, f64::from),
            (Normalize::Standard, Features::F64(v)) => standard(v, samples.width, train, |x| x),
        }
    }

    /// Leaves the features alone that are not to be scaled.
    pub(super) fn keep(&mut self, scaled: &[bool]) {
        for (feature, _) in scaled.iter().enumerate().filter(|(_, scaled)| !**scaled) {
            (self.scale[feature], self.shift[feature]) = (1.0, 0.0);
        }
    }

    /// Whether values stay unchanged.
    pub fn is_identity(&self) -> bool {
        self.scale.iter().all(|&scale| scale == 1.0) && self.shift.iter().all(|&shift| shift == 0.0)
    }

    /// Normalises one row in place, computing in `R`. The product is rounded, then the sum.
    pub fn apply_row<R: Real>(&self, row: &mut [R]) {
        for ((x, &scale), &shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
            *x = *x * R::from_f64(scale) + R::from_f64(shift);
        }
    }
}

fn standard<T: Copy>(
    values: &[T],
    width: usize,
    rows: &[u32],
    to_f64: impl Fn(T) -> f64,
) -> Normalizer {
    let row = |index: u32| &values[index as usize * width..][..width];
    let count = rows.len().max(1) as f64;
    let mut mean = vec![0.0; width];
    for &index in rows {
        for (sum, &x) in mean.iter_mut().zip(row(index)) {
            *sum += to_f64(x);
        }
    }
    mean.iter_mut().for_each(|sum| *sum /= count);
    let mut variance = vec![0.0; width];
    for &index in rows {
        for ((sum, &x), &mean) in variance.iter_mut().zip(row(index)).zip(&mean) {
            let deviation = to_f64(x) - mean;
            *sum += deviation * deviation;
        }
    }
    let scale_of = |(&sum, &mean): (&f64, &f64)| {
        let (deviation, rounding) = ((sum / count).sqrt(), count * f64::EPSILON * mean.abs());
        match deviation > rounding && deviation >= f64::MIN_POSITIVE {
            true => 1.0 / deviation,
            false => 1.0,
        }
    };
    let scale: Vec<f64> = variance.iter().zip(&mean).map(scale_of).collect();
    let shift = mean.iter().zip(&scale).map(|(m, s)| -m * s).collect();
    Normalizer { scale, shift }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(features: Features, width: usize) -> Samples {
        Samples {
            labels: vec![0; features.len() / width].into(),
            weights: None,
            features,
            width,
        }
    }

    #[test]
    fn standard_is_fitted_on_the_training_rows_only() {
        // Training rows 0 and 2: column 0 holds 1, 5 (mean 3, deviation 2), column 1 is constant.
        let s = samples(Features::F64(vec![1.0, 7.0, 1e9, 1e9, 5.0, 7.0]), 2);
        let n = Normalizer::fit(Normalize::Standard, &s, &[0, 2]);
        assert_eq!(n.scale, [0.5, 1.0]);
        assert_eq!(n.shift, [-1.5, -7.0]);
        let mut row = [5.0f32, 7.0];
        n.apply_row(&mut row);
        assert_eq!(row, [1.0, 0.0]);
        assert!(!n.is_identity());
    }

    #[test]
    fn standard_of_pixels_and_f32_values() {
        let pixels = samples(Features::U8(vec![0, 255, 10, 255]), 2);
        let n = Normalizer::fit(Normalize::Standard, &pixels, &[0, 1]);
        assert_eq!((n.scale, n.shift), (vec![0.2, 1.0], vec![-1.0, -255.0]));
        let singles = samples(Features::F32(vec![-1.0, 1.0]), 1);
        let n = Normalizer::fit(Normalize::Standard, &singles, &[0, 1]);
        assert!(n.is_identity());
    }

    #[test]
    fn auto_scales_pixels_and_leaves_floats() {
        let pixels = samples(Features::U8(vec![1, 2, 3]), 3);
        let n = Normalizer::fit(Normalize::Auto, &pixels, &[0]);
        assert_eq!(n.scale, [1.0 / 255.0; 3]);
        assert_eq!(n.shift, [0.0; 3]);
        let floats = samples(Features::F32(vec![1.0, 2.0, 3.0]), 3);
        assert!(Normalizer::fit(Normalize::Auto, &floats, &[0]).is_identity());
    }

    #[test]
    fn names_go_both_ways() {
        for kind in [Normalize::Auto, Normalize::Standard] {
            assert_eq!(kind.to_string().parse::<Normalize>().unwrap(), kind);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
        }
        assert!("minmax".parse::<Normalize>().is_err());
    }
}
