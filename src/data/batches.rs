//! Batches: the order of the samples in an epoch, and copying samples out, augmented and normalised.

use super::augment::noisy_pixel;
use super::{Augment, Features, ImageShape, Normalizer, Samples};
use crate::real::Real;
use crate::rng::{self, Purpose};

/// Puts the training indices into the order of one epoch. Start from the ascending list, so that the order
/// depends on seed and epoch alone.
pub fn order(indices: &mut [u32], seed: u64, epoch: u32) {
    rng::shuffle(indices, &mut rng::stream(seed, Purpose::Shuffle { epoch }));
}

/// Augmentation of the samples of one epoch.
#[derive(Clone, Copy, Debug)]
pub struct Augmentation<'a> {
    /// What to change; checked with [`Augment::check`].
    pub augment: &'a Augment,
    /// The data set's image shape; `None` for rows that are not images, which can only get noise.
    pub image: Option<ImageShape>,
    /// The run's seed.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: u32,
}

/// Copies the given rows into `out` (`[rows.len(), width]`), normalised.
///
/// Pixels and `f32` values are normalised in `R`. `f64` values are normalised in `f64` and then rounded to `R`.
/// The product and the sum are each rounded.
///
/// # Panics
/// If `out` has another size or a row does not exist.
pub fn gather<R: Real>(samples: &Samples, rows: &[u32], normalizer: &Normalizer, out: &mut [R]) {
    let width = samples.width;
    assert_eq!(out.len(), rows.len() * width, "one output row a sample");
    for (&row, out) in rows.iter().zip(out.chunks_exact_mut(width)) {
        let start = row as usize * width;
        let columns = out.iter_mut().zip(&normalizer.scale).zip(&normalizer.shift);
        match &samples.features {
            Features::U8(values) => {
                for (((out, &scale), &shift), &x) in columns.zip(&values[start..][..width]) {
                    *out = in_real(R::from_f64(f64::from(x)), scale, shift);
                }
            }
            Features::F32(values) => {
                for (((out, &scale), &shift), &x) in columns.zip(&values[start..][..width]) {
                    *out = in_real(R::from_f64(f64::from(x)), scale, shift);
                }
            }
            Features::F64(values) => {
                for (((out, &scale), &shift), &x) in columns.zip(&values[start..][..width]) {
                    *out = R::from_f64(x * scale + shift);
                }
            }
        }
    }
}

/// [`gather`], with each row augmented before it is normalised.
///
/// # Panics
/// As [`gather`].
pub fn gather_augmented<R: Real>(
    samples: &Samples,
    rows: &[u32],
    normalizer: &Normalizer,
    augmentation: Augmentation<'_>,
    out: &mut [R],
) {
    let width = samples.width;
    assert_eq!(out.len(), rows.len() * width, "one output row a sample");
    let Augmentation {
        augment,
        image,
        seed,
        epoch,
    } = augmentation;
    let image = image.unwrap_or(ImageShape { height: 1, width });
    let Normalizer { scale, shift } = normalizer;
    for (&row, out) in rows.iter().zip(out.chunks_exact_mut(width)) {
        let start = row as usize * width;
        match &samples.features {
            Features::U8(values) => {
                let src = &values[start..][..width];
                augment.for_each_pixel(seed, epoch, row, image, |to, from, noise| {
                    let x = noisy_pixel(from.map_or(0, |from| src[from]), noise);
                    out[to] = in_real(R::from_f64(f64::from(x)), scale[to], shift[to]);
                });
            }
            Features::F32(values) => {
                let src = &values[start..][..width];
                augment.for_each_pixel(seed, epoch, row, image, |to, from, noise| {
                    let x = R::from_f64(f64::from(from.map_or(0.0, |from| src[from])));
                    out[to] = in_real(x + R::from_f64(noise), scale[to], shift[to]);
                });
            }
            Features::F64(values) => {
                let src = &values[start..][..width];
                augment.for_each_pixel(seed, epoch, row, image, |to, from, noise| {
                    let x = from.map_or(0.0, |from| src[from]) + noise;
                    out[to] = R::from_f64(x * scale[to] + shift[to]);
                });
            }
        }
    }
}

#[inline(always)]
fn in_real<R: Real>(x: R, scale: f64, shift: f64) -> R {
    x * R::from_f64(scale) + R::from_f64(shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Normalize;

    fn samples(features: Features) -> Samples {
        Samples {
            labels: vec![0; features.len() / 3].into(),
            weights: None,
            features,
            width: 3,
        }
    }

    fn normalizer() -> Normalizer {
        Normalizer {
            scale: vec![2.0, 0.5, 1.0],
            shift: vec![0.0, -1.0, 10.0],
        }
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch() {
        let ordered = |seed, epoch| {
            let mut indices: Vec<u32> = (10..60).collect();
            order(&mut indices, seed, epoch);
            indices
        };
        let one = ordered(1, 0);
        assert_eq!(one, ordered(1, 0));
        assert_ne!(one, ordered(1, 1));
        assert_ne!(one, ordered(2, 0));
        let mut sorted = one;
        sorted.sort_unstable();
        assert_eq!(sorted, (10..60).collect::<Vec<u32>>());
    }

    #[test]
    fn gathers_rows_of_each_type() {
        let kinds = [
            Features::U8((1..=9).collect()),
            Features::F32((1u8..=9).map(f32::from).collect()),
            Features::F64((1u8..=9).map(f64::from).collect()),
        ];
        for features in kinds {
            let s = samples(features);
            let mut singles = [0.0f32; 6];
            gather(&s, &[2, 0], &normalizer(), &mut singles);
            assert_eq!(singles, [14.0, 3.0, 19.0, 2.0, 0.0, 13.0]);
            let mut doubles = [0.0f64; 6];
            gather(&s, &[2, 0], &normalizer(), &mut doubles);
            assert_eq!(doubles, [14.0, 3.0, 19.0, 2.0, 0.0, 13.0]);
        }
    }

    #[test]
    fn doubles_are_normalised_before_they_are_rounded() {
        let s = samples(Features::F64(vec![1e8 + 1.0; 3]));
        let n = Normalizer {
            scale: vec![1.0; 3],
            shift: vec![-1e8; 3],
        };
        let mut out = [0.0f32; 3];
        gather(&s, &[0], &n, &mut out);
        assert_eq!(out, [1.0; 3]);
    }

    #[test]
    fn gathering_agrees_with_normalising_in_place() {
        let s = samples(Features::U8((0..=251).collect()));
        let n = Normalizer::fit(Normalize::Auto, &s, &[0]);
        let rows: Vec<u32> = (0..84).collect();
        let mut out = vec![0.0f32; 252];
        gather(&s, &rows, &n, &mut out);
        for (x, row) in (0u8..).step_by(3).zip(out.chunks(3)) {
            let mut expected = [f32::from(x), f32::from(x + 1), f32::from(x + 2)];
            n.apply_row(&mut expected);
            assert_eq!(row, expected);
        }
    }

    #[test]
    fn augmented_rows_are_the_augmented_samples_normalised() {
        let augment: Augment = "flip,shift=1,noise=0.3".parse().unwrap();
        let image = ImageShape {
            height: 1,
            width: 3,
        };
        let augmentation = Augmentation {
            augment: &augment,
            image: Some(image),
            seed: 8,
            epoch: 5,
        };
        let n = normalizer();

        let pixels: Vec<u8> = (100..109).collect();
        let mut out = [0.0f32; 6];
        let s = samples(Features::U8(pixels.clone()));
        gather_augmented(&s, &[2, 1], &n, augmentation, &mut out);
        for (sample, out) in [2u32, 1].into_iter().zip(out.chunks(3)) {
            let mut changed = [0; 3];
            let src = &pixels[sample as usize * 3..][..3];
            augment.apply_u8(8, 5, sample, image, src, &mut changed);
            let mut expected = changed.map(f32::from);
            n.apply_row(&mut expected);
            assert_eq!(out, expected);
        }

        let floats: Vec<f64> = pixels.iter().map(|&x| f64::from(x)).collect();
        let singles = samples(Features::F32(floats.iter().map(|&x| x as f32).collect()));
        let doubles = samples(Features::F64(floats.clone()));
        for s in [singles, doubles] {
            let mut out = [0.0f64; 3];
            gather_augmented(&s, &[1], &n, augmentation, &mut out);
            let mut expected = [0.0; 3];
            augment.apply(8, 5, 1, image, &floats[3..6], &mut expected);
            n.apply_row(&mut expected);
            assert_eq!(out, expected);
        }
    }
}
