//! Data sets: reading, checking, splitting, normalising and augmenting.
//!
//! Pictures are bytes, or arrays of three and more dimensions. Pixels stay `u8` in memory until a batch needs them;
//! floats keep the width that they have in the file. Everything else is a table: a CSV file, or a two-dimensional
//! array. [`Schema`] says how its columns become numbers.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};

#[cfg(feature = "zip")]
mod archive;
mod array_parts;
mod arrays;
pub mod augment;
pub mod batches;
mod classes;
mod columns;
mod csv;
mod csv_dialect;
mod csv_header;
mod csv_row;
mod csv_rows;
mod describe;
mod idx;
mod idx_folder;
#[cfg(feature = "png")]
mod image;
mod known;
mod label_meaning;
mod labels;
#[cfg(not(all(feature = "png", feature = "zip")))]
mod left_out;
mod load;
mod locate;
#[cfg(feature = "cli")]
mod matrices;
mod memory;
pub mod normalize;
mod npy;
mod npy_header;
mod npy_labels;
mod npy_number;
#[cfg(feature = "zip")]
mod npz;
mod open;
mod options;
mod parts;
#[cfg(feature = "cli")]
mod picture;
mod rows;
pub mod split;
mod table;
mod target_scale;
mod task;
mod test_part;
mod test_set;
mod text_cell;
mod verify;

pub use augment::Augment;
pub(crate) use classes::{match_names, number_notice};
pub use csv_dialect::{Decimal, DialectOptions, parse_delimiter};
pub use describe::{DatasetDescription, PartDescription, TargetDescription};
pub use labels::Labels;
pub use load::{FileKind, read_input};
pub use locate::{VARIABLE, locate};
#[cfg(feature = "cli")]
pub use matrices::{NamedMatrix, read_matrices};
pub use normalize::{Normalize, Normalizer};
pub use options::{LoadOptions, TableOptions};
#[cfg(feature = "cli")]
pub use picture::{class_picture, sample_picture};
pub use split::{Split, Validation};
pub use table::{
    Fitted, InputRows, MAX_BINS, RowSource, Schema, SchemaColumn, Table, TableColumn, TargetColumn,
    Treatment, WantedKind,
};
pub use target_scale::TargetScale;
pub use task::Task;
pub use test_part::{TestPart, load, load_for, load_test};
pub use test_set::TestSet;
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
    /// What the samples should give; those to be predicted have none.
    pub labels: Labels,
    /// How much each sample counts in training, ≥ 0; `None` is 1 for all.
    pub weights: Option<Vec<f64>>,
}

impl Samples {
    /// Checks that the samples are whole rows of `width` finite values.
    ///
    /// # Errors
    /// Says what was found instead.
    pub fn check_values(&self, width: usize) -> Result<()> {
        self.check_width(width)?;
        match self.features.first_not_finite() {
            None => Ok(()),
            Some((place, value)) => {
                let (row, column) = (place / width, place % width);
                let found = format!("{value} in row {row}, column {column}");
                Err(Error::shape("samples", "finite values", found))
            }
        }
    }

    /// Checks that the samples are whole rows of `width` values.
    fn check_width(&self, width: usize) -> Result<()> {
        if self.width != width || width == 0 {
            let expected = format!("{width} values each");
            return Err(Error::shape("samples", expected, self.width.to_string()));
        }
        if !self.features.len().is_multiple_of(width) {
            let expected = format!("a multiple of {width} values");
            let found = self.features.len().to_string();
            return Err(Error::shape("samples", expected, found));
        }
        Ok(())
    }

    /// Checks that there is one label per sample: a class below `outputs`, or `outputs` finite numbers.
    ///
    /// # Errors
    /// Says what was found instead.
    pub fn check_labels(&self, outputs: usize) -> Result<()> {
        if self.labels.len() != self.len() {
            let expected = format!("{}, one for each sample", self.len());
            return Err(Error::shape(
                "labels",
                expected,
                self.labels.len().to_string(),
            ));
        }
        let wrong = match &self.labels {
            Labels::Classes(classes) => {
                let outside = classes.iter().position(|&class| class as usize >= outputs);
                outside.map(|row| {
                    let expected = format!("classes below {outputs}");
                    (expected, format!("{} for sample {row}", classes[row]))
                })
            }
            Labels::Values { columns, .. } if *columns != outputs => {
                Some((format!("{outputs} numbers a sample"), columns.to_string()))
            }
            Labels::Values { values, columns } => {
                let place = values.iter().position(|x| !x.is_finite());
                place.map(|place| {
                    let found = format!("{} for sample {}", values[place], place / columns);
                    ("finite numbers".to_owned(), found)
                })
            }
        };
        match wrong {
            None => Ok(()),
            Some((expected, found)) => Err(Error::shape("labels", expected, found)),
        }
    }

    /// Checks that there is one weight ≥ 0 per sample, if there are weights.
    fn check_weights(&self) -> Result<()> {
        let Some(weights) = &self.weights else {
            return Ok(());
        };
        let is_weight = |x: &f64| x.is_finite() && *x >= 0.0;
        let wrong = weights.iter().position(|x| !is_weight(x));
        let (expected, found) = match wrong {
            Some(row) => (
                "numbers from 0 on".to_owned(),
                format!("{} for sample {row}", weights[row]),
            ),
            None if weights.len() != self.len() => (
                format!("{}, one for each sample", self.len()),
                weights.len().to_string(),
            ),
            None => return Ok(()),
        };
        Err(Error::shape("weights", expected, found))
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
    /// What is to be predicted.
    pub task: Task,
    /// One name per class of the training part; without classes one per number to predict, or per label.
    pub class_names: Vec<String>,
    /// Names of labels that only the validation or the test part has. Their numbers follow those of the classes; they
    /// count as errors.
    pub unseen: Vec<String>,
    /// Set if the rows are images.
    pub image: Option<ImageShape>,
    /// Set if the data are a table; the values of the samples are then its cells.
    pub table: Option<Table>,
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

impl Dataset {
    /// Whether it is a table: a CSV file, or a two-dimensional array of other numbers than bytes.
    pub fn is_table(&self) -> bool {
        self.table.is_some()
    }

    /// For each of the `names` that a file gives its labels, their number: the class that was found for it, else that
    /// of an unseen label.
    fn number_unseen(&mut self, names: &[String], classes: &[Option<usize>]) -> Vec<u32> {
        let (known, unseen) = (self.class_names.len(), &mut self.unseen);
        let mut number = |(name, class): (&String, &Option<usize>)| match class {
            Some(class) => *class as u32,
            None => {
                let place = unseen.iter().position(|other| other == name);
                let place = place.unwrap_or_else(|| {
                    unseen.push(name.clone());
                    unseen.len() - 1
                });
                (known + place) as u32
            }
        };
        names.iter().zip(classes).map(&mut number).collect()
    }

    /// The number of classes; without classes that of numbers or labels to predict.
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
        for (i, part) in parts.into_iter().flatten().enumerate() {
            match self.table {
                Some(_) => part.check_width(self.train.width)?,
                None => part.check_values(self.train.width)?,
            }
            let unseen = if i == 0 { 0 } else { self.unseen.len() };
            part.check_labels(self.classes() + unseen)?;
            part.check_weights()?;
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
