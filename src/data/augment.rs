//! Augmentation: small random changes of the training images. Each change is a pure function of seed, epoch and
//! sample.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;

use super::ImageShape;
use crate::error::{Error, Result};
use crate::real::Real;
use crate::rng;

// Values of one counter word of the random numbers. Dropout uses layer numbers in it, which are below 2³¹.
const GEOMETRY: u32 = 0x8000_0000;
const NOISE: u32 = 0x8000_0001;

/// What to change. As text it is a comma-separated list, such as `flip,shift=2,noise=0.05`; `none` changes
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Augment {
    /// Mirror left and right with probability 1/2.
    pub flip: bool,
    /// The longest move in each direction, in pixels. Pixels that become free are 0. This equals padding with
    /// zeros by this width and cropping at random (`crop=2`).
    pub shift: usize,
    /// Standard deviation of the added Gaussian noise. For pixels its unit is their range (1 = 255), for floats
    /// the data's own unit.
    pub noise: f64,
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.flip {
            parts.push("flip".to_owned());
        }
        if self.shift > 0 {
            parts.push(format!("shift={}", self.shift));
        }
        if self.noise > 0.0 {
            parts.push(format!("noise={}", self.noise));
        }
        if parts.is_empty() {
            parts.push("none".to_owned());
        }
        f.write_str(&parts.join(","))
    }
}

impl FromStr for Augment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut augment = Augment::default();
        if matches!(text.trim(), "" | "none") {
            return Ok(augment);
        }
        for part in text.split(',').map(str::trim) {
            let wrong = |expected: &str| {
                Error::setting("augment", format!("expected {expected}, found \"{part}\""))
            };
            match part.split_once('=') {
                None if part == "flip" => augment.flip = true,
                Some(("shift" | "crop", pixels)) => {
                    let pixels: u16 = pixels
                        .parse()
                        .map_err(|_| wrong("a whole number of pixels"))?;
                    augment.shift = pixels.into();
                }
                Some(("noise", deviation)) => {
                    augment.noise = deviation
                        .parse()
                        .ok()
                        .filter(|&d: &f64| d.is_finite() && d >= 0.0)
                        .ok_or_else(|| wrong("a standard deviation of at least 0"))?;
                }
                _ => return Err(wrong("flip, shift=PIXELS, crop=PIXELS or noise=DEVIATION")),
            }
        }
        Ok(augment)
    }
}

impl TryFrom<String> for Augment {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Augment> for String {
    fn from(augment: Augment) -> String {
        augment.to_string()
    }
}

impl Augment {
    /// Whether nothing is changed.
    pub fn is_none(&self) -> bool {
        *self == Augment::default()
    }

    /// Checks the settings against the data. Flips and shifts need images, and a shift must be smaller than the
    /// image.
    pub fn check(&self, image: Option<ImageShape>) -> Result<()> {
        if !self.flip && self.shift == 0 {
            return Ok(());
        }
        let Some(image) = image else {
            return Err(Error::setting(
                "augment",
                format!("\"{self}\" needs images, but the samples of this data set are not images"),
            ));
        };
        if self.shift >= image.height.min(image.width) {
            return Err(Error::setting(
                "augment",
                format!(
                    "a shift of {} pixels leaves nothing of images of {image}",
                    self.shift
                ),
            ));
        }
        Ok(())
    }

    /// Writes the augmented image of one sample. Noise is rounded to whole pixels and clamped to 0..=255.
    ///
    /// `src` and `dst` hold `image.pixels()` values. A row that is not an image counts as an image of height 1,
    /// which can only get noise.
    pub fn apply_u8(
        &self,
        seed: u64,
        epoch: u32,
        sample: u32,
        image: ImageShape,
        src: &[u8],
        dst: &mut [u8],
    ) {
        self.for_each_pixel(seed, epoch, sample, image, |to, from, noise| {
            dst[to] = noisy_pixel(from.map_or(0, |from| src[from]), noise);
        });
    }

    /// [`Augment::apply_u8`] for floats. Noise has the data's own unit, and nothing is clamped.
    pub fn apply<R: Real>(
        &self,
        seed: u64,
        epoch: u32,
        sample: u32,
        image: ImageShape,
        src: &[R],
        dst: &mut [R],
    ) {
        self.for_each_pixel(seed, epoch, sample, image, |to, from, noise| {
            dst[to] = from.map_or(R::ZERO, |from| src[from]) + R::from_f64(noise);
        });
    }

    /// Calls `f(target, source, noise)` for every pixel in row order. The source is `None` where a shift leaves
    /// the pixel without one.
    pub(super) fn for_each_pixel(
        &self,
        seed: u64,
        epoch: u32,
        sample: u32,
        image: ImageShape,
        mut f: impl FnMut(usize, Option<usize>, f64),
    ) {
        let (mirrored, down, right) = self.draw_geometry(seed, epoch, sample);
        let mut normals = [0.0; 4];
        let mut target = 0_usize;
        for y in 0..image.height {
            let source_y = y.checked_add_signed(-down).filter(|&y| y < image.height);
            for x in 0..image.width {
                let source_x = x.checked_add_signed(-right).filter(|&x| x < image.width);
                let source = source_y.zip(source_x).map(|(y, x)| {
                    let x = if mirrored { image.width - 1 - x } else { x };
                    y * image.width + x
                });
                if self.noise > 0.0 && target.is_multiple_of(4) {
                    let counter = [(target / 4) as u32, NOISE, epoch, sample];
                    normals = box_muller(rng::philox4x32(counter, rng::key(seed)));
                }
                f(target, source, self.noise * normals[target % 4]);
                target += 1;
            }
        }
    }

    /// Draws whether to mirror the image, and how many pixels to move it down and right.
    fn draw_geometry(&self, seed: u64, epoch: u32, sample: u32) -> (bool, isize, isize) {
        let mut draws =
            (0..).flat_map(|draw| rng::philox4x32([draw, GEOMETRY, epoch, sample], rng::key(seed)));
        let mut word = || draws.next().unwrap_or_default();
        let mirrored = word() >> 31 == 1;
        let mut offset = || {
            let reach = self.shift as u32;
            rng::below(2 * reach + 1, &mut word) as isize - reach as isize
        };
        let (down, right) = (offset(), offset());
        (self.flip && mirrored, down, right)
    }
}

/// Adds noise, in units of the full range, to a pixel.
pub(super) fn noisy_pixel(pixel: u8, noise: f64) -> u8 {
    // A cast from a float clamps to the range of u8.
    (f64::from(pixel) + 255.0 * noise).round() as u8
}

/// Four standard normals from four uniform words, with the same bits on every machine.
///
/// √(−2 ln u)·(cos 2πv, sin 2πv), u in (0, 1]. Box, Muller, “A Note on the Generation of Random Normal
/// Deviates”, Ann. Math. Stat. 29(2), 1958.
fn box_muller(words: [u32; 4]) -> [f64; 4] {
    const SCALE: f64 = 1.0 / 4_294_967_296.0;
    let pair = |a: u32, b: u32| {
        let radius = (-2.0 * libm::log((f64::from(a) + 1.0) * SCALE)).sqrt();
        let (sin, cos) = libm::sincos(TAU * f64::from(b) * SCALE);
        (radius * cos, radius * sin)
    };
    let (first, second) = pair(words[0], words[1]);
    let (third, fourth) = pair(words[2], words[3]);
    [first, second, third, fourth]
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: ImageShape = ImageShape {
        height: 3,
        width: 5,
    };

    fn pixels() -> Vec<u8> {
        (1..=15).collect()
    }

    fn augmented(text: &str, seed: u64, epoch: u32, sample: u32) -> Vec<u8> {
        let mut dst = vec![99; 15];
        let augment: Augment = text.parse().unwrap();
        augment.apply_u8(seed, epoch, sample, IMAGE, &pixels(), &mut dst);
        dst
    }

    #[test]
    fn settings_go_both_ways() {
        for text in [
            "none",
            "flip",
            "shift=2",
            "noise=0.05",
            "flip,shift=2,noise=0.05",
        ] {
            let augment: Augment = text.parse().unwrap();
            assert_eq!(augment.to_string(), text);
            let json = serde_json::to_string(&augment).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Augment>(&json).unwrap(), augment);
        }
        assert_eq!("crop=3".parse::<Augment>().unwrap().shift, 3);
        assert!("".parse::<Augment>().unwrap().is_none());
        for text in [
            "rotate",
            "shift=-1",
            "shift=two",
            "noise=nan",
            "noise=-1",
            "flip,",
            "flip=1",
        ] {
            let error = text.parse::<Augment>().unwrap_err();
            assert!(matches!(error, Error::Setting { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn images_are_needed_to_flip_and_shift() {
        let check = |text: &str, image| text.parse::<Augment>().unwrap().check(image);
        assert!(check("flip", None).is_err());
        assert!(check("shift=1", None).is_err());
        assert!(check("noise=1", None).is_ok());
        assert!(check("none", None).is_ok());
        assert!(check("flip,shift=2", Some(IMAGE)).is_ok());
        assert!(check("shift=3", Some(IMAGE)).is_err());
    }

    #[test]
    fn flip_mirrors_half_of_the_samples() {
        let mirrored = [5, 4, 3, 2, 1, 10, 9, 8, 7, 6, 15, 14, 13, 12, 11];
        let mut count = 0;
        for sample in 0..1000 {
            let image = augmented("flip", 11, 2, sample);
            if image == mirrored {
                count += 1;
            } else {
                assert_eq!(image, pixels());
            }
        }
        // Binomial(1000, 1/2): mean 500, deviation 16.
        assert!((420..=580).contains(&count), "{count}");
    }

    #[test]
    fn shifts_take_every_offset_and_fill_with_zeros() {
        let mut seen = std::collections::BTreeMap::new();
        for sample in 0..900 {
            let image = augmented("shift=1", 4, 0, sample);
            let offsets = (-1i32..=1).flat_map(|dy| (-1i32..=1).map(move |dx| (dy, dx)));
            let found = offsets
                .filter(|&(dy, dx)| {
                    (0..3).all(|y| {
                        (0..5).all(|x| {
                            let (sy, sx) = (y - dy, x - dx);
                            let inside = (0..3).contains(&sy) && (0..5).contains(&sx);
                            let expected = if inside { 1 + sy * 5 + sx } else { 0 };
                            i32::from(image[(y * 5 + x) as usize]) == expected
                        })
                    })
                })
                .collect::<Vec<_>>();
            assert_eq!(found.len(), 1, "{image:?}");
            *seen.entry(found[0]).or_insert(0) += 1;
        }
        // Nine offsets, 100 each, deviation 9.4.
        assert_eq!(seen.len(), 9);
        assert!(seen.values().all(|n| (53..=147).contains(n)), "{seen:?}");
    }

    #[test]
    fn noise_has_mean_0_and_the_given_deviation() {
        let shape = ImageShape {
            height: 100,
            width: 301,
        };
        let augment: Augment = "noise=0.1".parse().unwrap();
        let mut values = vec![0.0f64; shape.pixels()];
        augment.apply(6, 1, 2, shape, &vec![5.0; shape.pixels()], &mut values);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!((mean - 5.0).abs() < 0.003, "{mean}");
        assert!((variance.sqrt() - 0.1).abs() < 0.003, "{variance}");
        let within = values.iter().filter(|x| (*x - 5.0).abs() < 0.1).count() as f64 / n;
        assert!((within - 0.6827).abs() < 0.015, "{within}");
    }

    #[test]
    fn pixel_noise_is_in_units_of_the_range_and_clamped() {
        assert_eq!(noisy_pixel(100, 0.1), 126); // 125.5 rounds away from zero
        assert_eq!(noisy_pixel(100, -0.1), 75); // 74.5 too
        assert_eq!(noisy_pixel(250, 0.5), 255);
        assert_eq!(noisy_pixel(3, -0.5), 0);
    }

    /// u = 1/2 and v = 1/4 give radius √(2 ln 2), cosine 0, sine 1.
    #[test]
    fn box_muller_by_hand() {
        let [a, b, c, d] = box_muller([0x7fff_ffff, 0x4000_0000, 0xffff_ffff, 7]);
        assert!(a.abs() < 1e-15);
        assert!((b - 1.177_410_022_515_474_7).abs() < 1e-15);
        assert_eq!([c, d], [0.0, 0.0]);
        let extreme = box_muller([0, 0, 0, 0])[0];
        assert!((extreme - 6.660_436).abs() < 1e-5, "√(64 ln 2): {extreme}");
    }

    #[test]
    fn changes_depend_on_seed_epoch_and_sample_alone() {
        let text = "flip,shift=2,noise=0.2";
        let one = augmented(text, 1, 2, 3);
        assert_eq!(one, augmented(text, 1, 2, 3));
        assert_ne!(one, augmented(text, 2, 2, 3));
        assert_ne!(one, augmented(text, 1 << 32 | 1, 2, 3));
        assert_ne!(one, augmented(text, 1, 3, 3));
        assert_ne!(one, augmented(text, 1, 2, 4));
    }

    #[test]
    fn none_changes_nothing() {
        assert_eq!(augmented("none", 1, 2, 3), pixels());
    }
}
