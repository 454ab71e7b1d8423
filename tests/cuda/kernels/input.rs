//! Batches from the data set in device memory: conversion and augmentation have the CPU's bits, except Gaussian noise.

use chainrule::data::augment::Augment as CpuAugment;
use chainrule::data::batches::{Augmentation, gather, gather_augmented};
use chainrule::data::{Features, ImageShape, Normalizer, Samples};

use super::device::{Argument, Augment, Device, in_every_order};
use super::{U, assert_same, assert_within, numbers, scaled};

const SEED: u64 = 0x1234_5678_9abc_def0;
const EPOCH: u32 = 5;
const SAMPLES: usize = 60;

fn pixels(width: usize) -> Samples {
    let values = (0..SAMPLES * width).map(|i| (i * 31 % 257) as u8).collect();
    samples(Features::U8(values), width)
}

fn singles(width: usize) -> Samples {
    samples(Features::F32(scaled(SAMPLES * width, 1, 3.0)), width)
}

fn samples(features: Features, width: usize) -> Samples {
    Samples {
        features,
        width,
        labels: vec![0; SAMPLES].into(),
        weights: None,
    }
}

fn normalizer(width: usize) -> Normalizer {
    let wide = |salt| {
        numbers(width, salt)
            .iter()
            .map(|&x| f64::from(x) + 0.001)
            .collect()
    };
    Normalizer {
        scale: wide(2),
        shift: wide(3),
    }
}

/// The kernel's batch of these rows.
fn kernel(
    device: &Device,
    samples: &Samples,
    rows: &[u32],
    normalizer: &Normalizer,
    augment: Option<&Augment>,
) -> Vec<f32> {
    let single = |x: &[f64]| device.upload(&x.iter().map(|&x| x as f32).collect::<Vec<_>>());
    let (scale, shift, indices) = (
        single(&normalizer.scale),
        single(&normalizer.shift),
        device.upload(rows),
    );
    let out = device.uninitialised::<f32>(rows.len() * samples.width);
    let data: (Box<dyn Argument>, &str) = match &samples.features {
        Features::U8(values) => (Box::new(device.upload(values)), "u8"),
        Features::F32(values) => (Box::new(device.upload(values)), "f32"),
        Features::F64(_) => unreachable!("no kernel for f64"),
    };
    let width = samples.width as u32;
    let mut arguments: Vec<&dyn Argument> =
        vec![&out, data.0.as_ref(), &indices, &scale, &shift, &width];
    let what = match augment {
        Some(augment) => {
            arguments.push(augment);
            "augment"
        }
        None => "input",
    };
    device.launch(
        &format!("{what}_{}", data.1),
        [rows.len(), 1],
        [256, 1],
        &arguments,
    );
    device.download(&out)
}

fn rows() -> Vec<u32> {
    (0..SAMPLES as u32)
        .map(|i| i * 7 % SAMPLES as u32)
        .collect()
}

#[test]
fn conversion_has_the_cpus_bits() {
    in_every_order(|device| {
        for width in [1, 7, 63, 257, 784] {
            for samples in [pixels(width), singles(width)] {
                let (rows, normalizer) = (&rows()[..13], normalizer(width));
                let mut expected = vec![f32::NAN; rows.len() * width];
                gather(&samples, rows, &normalizer, &mut expected);
                assert_same(
                    &width.to_string(),
                    &kernel(device, &samples, rows, &normalizer, None),
                    &expected,
                );
            }
        }
    });
}

/// The CPU's and the kernel's batch.
fn both(device: &Device, samples: &Samples, image: ImageShape, text: &str) -> (Vec<f32>, Vec<f32>) {
    let augment: CpuAugment = text.parse().expect("a setting");
    let (rows, normalizer) = (rows(), normalizer(samples.width));
    let mut expected = vec![f32::NAN; rows.len() * samples.width];
    let augmentation = Augmentation {
        augment: &augment,
        image: Some(image),
        seed: SEED,
        epoch: EPOCH,
    };
    gather_augmented(samples, &rows, &normalizer, augmentation, &mut expected);
    let argument = Augment {
        seed: [SEED as u32, (SEED >> 32) as u32],
        epoch: EPOCH,
        height: image.height as u32,
        width: image.width as u32,
        flip: augment.flip.into(),
        shift: augment.shift as u32,
        noise: augment.noise,
    };
    (
        kernel(device, samples, &rows, &normalizer, Some(&argument)),
        expected,
    )
}

#[test]
fn flips_and_shifts_have_the_cpus_bits() {
    in_every_order(|device| {
        for (height, width) in [(3, 5), (28, 28), (9, 7)] {
            let image = ImageShape { height, width };
            for samples in [pixels(height * width), singles(height * width)] {
                for text in ["none", "flip", "shift=1", "shift=2", "flip,shift=2"] {
                    let (found, expected) = both(device, &samples, image, text);
                    assert_same(&format!("{text}, {image}"), &found, &expected);
                }
                let (plain, _) = both(device, &samples, image, "none");
                let (changed, _) = both(device, &samples, image, "flip,shift=2");
                assert_ne!(plain, changed);
            }
        }
    });
}

/// Pixels are rounded after the noise, which hides differences in the last bits of log, sin and cos. Floats show them.
#[test]
fn noise() {
    in_every_order(|device| {
        let image = ImageShape {
            height: 9,
            width: 7,
        };
        let (found, expected) = both(device, &pixels(63), image, "flip,shift=2,noise=0.1");
        assert_same("pixels", &found, &expected);
        let (found, expected) = both(device, &singles(63), image, "shift=1,noise=0.1");
        // The noise may be rounded to the next f32. Then follow a sum, a product and a sum of numbers below 4.
        assert_within("floats", &found, |e| expected[e].into(), |_| 8.0 * 4.0 * U);
        assert!(
            found
                .iter()
                .zip(&both(device, &singles(63), image, "shift=1").0)
                .any(|(a, b)| a != b)
        );
    });
}
