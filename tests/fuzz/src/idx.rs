//! Folders of IDX files, as MNIST has them.

use arbitrary::{Result, Unstructured};
use chainrule::data::LoadOptions;

use crate::dataset::load;
use crate::files::Files;
use crate::memory::expanded;
use crate::npy::read_rows;

/// Types of numbers: bytes and 32-bit integers.
const BYTE: u8 = 8;
const INT: u8 = 12;

/// The input is a folder, in this order: a byte that says which files there are, one that says what is left as it is,
/// height and width of an image, a byte for the number of samples, then pixels and labels. Magic numbers and sizes are
/// made from these; with an odd second byte the rest of the input replaces the header and pixels of the training
/// images.
pub fn idx(input: &[u8]) -> bool {
    folder(&mut Unstructured::new(input)).unwrap_or(false)
}

fn folder(input: &mut Unstructured<'_>) -> Result<bool> {
    let (kinds, raw): (u8, u8) = (input.arbitrary()?, input.arbitrary()?);
    let (height, width) = (
        input.int_in_range(1..=28_u8)?,
        input.int_in_range(1..=28_u8)?,
    );
    let pixels = usize::from(height) * usize::from(width);
    let files = Files::new();
    let is_qmnist = kinds & 1 == 1;
    let (train_images, train_labels) = match is_qmnist {
        true => (
            "qmnist-train-images-idx3-ubyte",
            "qmnist-train-labels-idx2-int",
        ),
        false => ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    };
    let has_test = kinds & 2 == 2;
    let mut parts = vec![(train_images, train_labels)];
    parts.extend(has_test.then_some(match is_qmnist {
        true => (
            "qmnist-test-images-idx3-ubyte",
            "qmnist-test-labels-idx2-int",
        ),
        false => ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    }));
    let mut size = 0;
    for (images_name, labels_name) in parts {
        let samples = usize::from(input.int_in_range(1..=12_u8)?);
        let labels = labels(input, samples, is_qmnist)?;
        let images = match raw & 1 == 1 {
            true => input.bytes(input.len())?.to_vec(),
            false => {
                let mut values = input.bytes(input.len().min(samples * pixels))?.to_vec();
                values.resize(samples * pixels, 7);
                file(BYTE, &[samples, height.into(), width.into()], &values)
            }
        };
        files.write(images_name, &images);
        files.write(labels_name, &labels);
        size += expanded(&images) + labels.len();
        read_rows(&files.path(images_name), expanded(&images), pixels);
    }
    let options = LoadOptions {
        path: Some(files.folder().to_owned()),
        test: true,
        ..LoadOptions::default()
    };
    let Some(dataset) = load(&options, size) else {
        return Ok(false);
    };
    assert!(dataset.image.is_some() && dataset.table.is_none());
    Ok(true)
}

/// A file of labels: bytes, or QMNIST's rows of eight numbers, of which the first is the label.
fn labels(input: &mut Unstructured<'_>, samples: usize, is_qmnist: bool) -> Result<Vec<u8>> {
    let classes = input.bytes(input.len().min(samples))?;
    let mut values = Vec::new();
    for sample in 0..samples {
        let class = classes.get(sample).copied().unwrap_or(sample as u8 % 2);
        match is_qmnist {
            true => values.extend([&[0, 0, 0, class][..], &[0; 28]].concat()),
            false => values.push(class),
        }
    }
    Ok(match is_qmnist {
        true => file(INT, &[samples, 8], &values),
        false => file(BYTE, &[samples], &values),
    })
}

fn file(number_type: u8, sizes: &[usize], values: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, number_type, sizes.len() as u8];
    out.extend(sizes.iter().flat_map(|&size| (size as u32).to_be_bytes()));
    out.extend(values);
    out
}
