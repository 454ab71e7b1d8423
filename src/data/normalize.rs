//! Normalisation: one scale and one shift per feature, fitted on the training samples and stored with the
//! model.

use std::fmt;
use std::str::FromStr;

use super::{Features, Samples};
use crate::error::Error;
use crate::real::{Real, square};

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
    /// passes in `f64`. A constant feature gets scale 1, and becomes exactly 0. A deviation that rounding of the mean
    /// alone can make counts as none. Where 1/σ is beyond `f64`, scale and shift are not finite.
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
    let column = |(feature, (&sum, &mean)): (usize, (&f64, &f64))| {
        let deviation = (sum / count).sqrt();
        match sum.is_normal() && deviation > count * f64::EPSILON * mean.abs() {
            true => (mean, 1.0 / deviation),
            false => careful(|| rows.iter().map(|&index| to_f64(row(index)[feature]))),
        }
    };
    let columns = variance.iter().zip(&mean).enumerate().map(column);
    let (scale, shift) = columns.map(|(mean, scale)| (scale, -mean * scale)).unzip();
    Normalizer { scale, shift }
}

/// The mean of a feature and the factor 1/σ. Each value counts by its share, and each deviation relative to the
/// largest one. So no sum and no square overflows, and no square vanishes.
fn careful<V: Iterator<Item = f64>>(values: impl Fn() -> V) -> (f64, f64) {
    let count = values().count().max(1) as f64;
    let first = values().next().unwrap_or(0.0);
    if values().all(|x| x == first) {
        return (first, 1.0);
    }
    let mean: f64 = values().map(|x| x / count).sum();
    // Half of it, since a difference of two numbers may be twice as large as the largest one.
    let half = |x: f64| x / 2.0 - mean / 2.0;
    let largest = values().fold(0.0, |most: f64, x| most.max(half(x).abs()));
    let squares: f64 = values().map(|x| square(half(x) / largest)).sum();
    let deviation = largest * (squares / count).sqrt();
    match deviation > count * f64::EPSILON * (mean / 2.0).abs() {
        true => (mean, 0.5 / deviation),
        false => (mean, 1.0),
    }
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

    /// −1, 0, 1 times a number whose square, or whose sum, no f64 holds.
    #[test]
    fn features_of_any_size_are_standardised() {
        for size in [1e-200, 1e-158, 1.0, 1e155, 1e200, 1.7e308] {
            let values = (0..300).map(|i| f64::from(i % 3 - 1) * size).collect();
            let s = samples(Features::F64(values), 1);
            let rows: Vec<u32> = (0..300).collect();
            let n = Normalizer::fit(Normalize::Standard, &s, &rows);
            let mut row = [size];
            n.apply_row(&mut row);
            let expected = 1.5_f64.sqrt();
            assert!((row[0] - expected).abs() < 1e-12, "{size}: {row:?}");
        }
    }

    #[test]
    fn a_constant_feature_of_any_size_becomes_0() {
        for size in [0.0, 5e-324, 0.1, 7.3, 1e30, -1.7e308] {
            let s = samples(Features::F64(vec![size; 300]), 1);
            let rows: Vec<u32> = (0..300).collect();
            let n = Normalizer::fit(Normalize::Standard, &s, &rows);
            let mut row = [size];
            n.apply_row(&mut row);
            assert_eq!((row, n.scale[0]), ([0.0], 1.0), "{size}");
        }
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
