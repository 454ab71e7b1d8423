//! Data sets: reading, checking, splitting, normalising and augmenting.
//!
//! Pixels stay `u8` in memory until a batch needs them. Floats keep the width that they have in the file.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};

mod archive;
mod arrays;
pub mod augment;
pub mod batches;
mod classes;
mod csv;
mod csv_dialect;
mod csv_header;
mod csv_row;
mod csv_rows;
mod describe;
mod idx;
mod idx_folder;
mod image;
mod known;
mod load;
mod locate;
mod memory;
pub mod normalize;
mod npy;
mod npy_header;
mod npy_labels;
mod npy_number;
mod open;
mod parts;
mod picture;
pub mod split;
mod text_cell;
mod verify;

pub use augment::Augment;
pub use csv_dialect::{Decimal, DialectOptions, parse_delimiter};
pub use describe::{DatasetDescription, PartDescription};
pub use load::{FileKind, LoadOptions, file_kind, load, load_test, read_input, read_rows};
pub use locate::{VARIABLE, locate};
pub use normalize::{Normalize, Normalizer};
pub use picture::{class_picture, sample_picture};
pub use split::Split;
pub use verify::{FileCheck, verify};

/// The largest number of classes of a data set. A larger label counts as a mistake.
pub const MAX_CLASSES: usize = 65536;

/// The values of all samples of one part, row-major `[samples, features]`, as they were stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Features {
    /// Pixels, 0..=255.
    U8(Vec<u8>),
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

impl Features {
    /// The number of values.
    pub fn len(&self) -> usize {
        match self {
            Features::U8(values) => values.len(),
            Features::F32(values) => values.len(),
            Features::F64(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first value that is not finite, and its index.
    fn first_not_finite(&self) -> Option<(usize, f64)> {
        match self {
            Features::U8(_) => None,
            Features::F32(values) => {
                let place = values.iter().position(|x| !x.is_finite())?;
                Some((place, values[place].into()))
            }
            Features::F64(values) => {
                let place = values.iter().position(|x| !x.is_finite())?;
                Some((place, values[place]))
            }
        }
    }

    /// The number type's name: "u8", "f32" or "f64".
    pub fn dtype(&self) -> &'static str {
        match self {
            Features::U8(_) => "u8",
            Features::F32(_) => "f32",
            Features::F64(_) => "f64",
        }
    }
}

/// Samples with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// `[samples, features]`.
    pub features: Features,
    /// Values per sample.
    pub width: usize,
    /// One class per sample, in `0..classes`.
    pub labels: Vec<u32>,
}

impl Samples {
    /// Checks that the samples are whole rows of `width` finite values.
    ///
    /// # Errors
    /// Says what was found instead.
    pub fn check_values(&self, width: usize) -> Result<()> {
        if self.width != width || width == 0 {
            let expected = format!("{width} values each");
            return Err(Error::shape("samples", expected, self.width.to_string()));
        }
        if !self.features.len().is_multiple_of(width) {
            let expected = format!("a multiple of {width} values");
            let found = self.features.len().to_string();
            return Err(Error::shape("samples", expected, found));
        }
        if let Some((place, value)) = self.features.first_not_finite() {
            let (row, column) = (place / width, place % width);
            let found = format!("{value} in row {row}, column {column}");
            return Err(Error::shape("samples", "finite values", found));
        }
        Ok(())
    }

    /// Checks that there is one label per sample, each below `classes`.
    ///
    /// # Errors
    /// Says what was found instead.
    pub fn check_labels(&self, classes: usize) -> Result<()> {
        if self.labels.len() != self.len() {
            let expected = format!("{}, one for each sample", self.len());
            return Err(Error::shape(
                "labels",
                expected,
                self.labels.len().to_string(),
            ));
        }
        let outside = |&label: &u32| label as usize >= classes;
        if let Some(row) = self.labels.iter().position(outside) {
            let found = format!("{} for sample {row}", self.labels[row]);
            return Err(Error::shape(
                "labels",
                format!("classes below {classes}"),
                found,
            ));
        }
        Ok(())
    }

    /// The number of samples (rows).
    pub fn len(&self) -> usize {
        self.features.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Height and width of the images that the rows hold, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels per row.
    pub width: usize,
}

impl ImageShape {
    /// Pixels per image: height · width, or the largest number if that is larger.
    pub fn pixels(self) -> usize {
        self.height.saturating_mul(self.width)
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.height, self.width)
    }
}

/// A data set, checked: as many labels as samples, labels in range, finite values.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The part to learn from. The validation part is split off it, unless the source has its own.
    pub train: Samples,
    /// The source's own validation part (`x_val`, `y_val`), which replaces the split.
    pub validation: Option<Samples>,
    /// The source's test part, if it has one that was asked for.
    pub test: Option<Samples>,
    /// One name per class.
    pub class_names: Vec<String>,
    /// Set if the rows are images.
    pub image: Option<ImageShape>,
    /// The path that it was read from.
    pub path: PathBuf,
    /// A name for people: "Fashion-MNIST" if recognised by checksum, else the file or folder name.
    pub name: String,
    /// SHA-256 over the training and validation values and labels, hexadecimal. A resumed run compares it.
    pub hash: String,
    /// What the user should know about how the source was read, such as the label column, or that files are not
    /// the official ones.
    pub notices: Vec<String>,
}

/// The test part of a data set, checked, without the parts to learn from.
#[derive(Clone, Debug)]
pub struct TestSet {
    /// The labelled samples.
    pub samples: Samples,
    /// One name per class.
    pub class_names: Vec<String>,
    /// Set if the rows are images.
    pub image: Option<ImageShape>,
    /// The path of the data set.
    pub path: PathBuf,
    /// A name for people, as [`Dataset::name`].
    pub name: String,
    /// What the user should know about how the source was read.
    pub notices: Vec<String>,
}

impl Dataset {
    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// Checks that the parts are not empty, and that they match each other and the classes. A data set that was
    /// loaded passes; one whose fields were set by hand may not.
    ///
    /// # Errors
    /// Says what was found instead.
    pub fn check(&self) -> Result<()> {
        let parts = [
            Some(&self.train),
            self.validation.as_ref(),
            self.test.as_ref(),
        ];
        for part in parts.into_iter().flatten() {
            part.check_values(self.train.width)?;
            part.check_labels(self.classes())?;
            if part.is_empty() {
                return Err(Error::shape("samples", "at least one", "none"));
            }
        }
        match self
            .image
            .filter(|image| image.pixels() != self.train.width)
        {
            None => Ok(()),
            Some(image) => {
                let expected = format!("{} pixels, the values of a sample", self.train.width);
                Err(Error::shape("image", expected, image.to_string()))
            }
        }
    }
}
