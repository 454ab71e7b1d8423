//! Loading a data set of any kind, decided by what the files hold.

use std::fs;
use std::path::{Path, PathBuf};

use super::arrays::{Arrays, read_npy};
use super::idx_folder::{self, idx_file};
use super::npy::{self, Values};
use super::open::Source;
use super::parts::{Parts, name_of, numbered};
use super::{Dataset, Features, ImageShape, Samples, TestSet, csv, idx, known, locate};
use crate::error::{Error, Result};

/// What to load.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// A folder of IDX or NPY files, an NPZ or a CSV file; where not given, [`locate()`] searches.
    pub path: Option<&'a Path>,
    /// The label column of a CSV file: its name, or its index from 0, negative from the end.
    pub label: Option<&'a str>,
    /// Whether to load the test part. Otherwise its files are not opened.
    pub test: bool,
}

/// What a file holds, by its first bytes (after unpacking gzip).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Anything that is none of the others.
    Csv,
    /// One NumPy array.
    Npy,
    /// NumPy arrays in a zip file.
    Npz,
    /// An IDX file of images or labels.
    Idx,
    /// A PNG image.
    Png,
}

/// Looks into a file to tell its kind.
pub fn file_kind(path: &Path) -> Result<FileKind> {
    Ok(kind_of(Source::open(path)?.peek()?))
}

fn kind_of(head: &[u8]) -> FileKind {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        FileKind::Npz
    } else if head.starts_with(npy::MAGIC) {
        FileKind::Npy
    } else if head.starts_with(b"\x89PNG") {
        FileKind::Png
    } else if idx::is_idx(head) {
        FileKind::Idx
    } else {
        FileKind::Csv
    }
}

/// Loads and checks a data set.
///
/// # Errors
/// [`Error::Missing`] if a file is not there; [`Error::Format`] where it holds something else than it should, with
/// place, expected and found; [`Error::Setting`] for a label column that does not exist.
pub fn load(options: &LoadOptions<'_>) -> Result<Dataset> {
    let path = locate(options.path)?;
    let parts = match Files::find(&path, options.label)? {
        Files::Csv(source) => load_csv(source, options.label)?,
        Files::Arrays(arrays) => load_arrays(arrays, options.test)?,
        Files::Idx => idx_folder::load(&path, options.test)?,
    };
    parts.into_dataset(path)
}

/// Loads and checks the test part of a data set, and opens the other parts' files no further than to tell what the test
/// part's values mean. `None` if there is no test part; a CSV file has none.
///
/// # Errors
/// As [`load`].
pub fn load_test(path: Option<&Path>, label: Option<&str>) -> Result<Option<TestSet>> {
    let path = locate(path)?;
    match Files::find(&path, label)? {
        Files::Csv(_) => Ok(None),
        Files::Arrays(arrays) => load_test_arrays(arrays, path),
        Files::Idx => idx_folder::load_test(&path),
    }
}

/// The files of a data set, opened as far as to tell their kind.
enum Files {
    Csv(Source),
    Arrays(Arrays),
    Idx,
}

impl Files {
    /// Looks at a file or folder. Only a CSV file may have a label column.
    fn find(path: &Path, label: Option<&str>) -> Result<Self> {
        let (files, what) = match path.is_dir() {
            true => (Self::in_folder(path), "a folder"),
            false => (Self::in_file(path), "an NPZ file"),
        };
        match (label, files) {
            (Some(label), Ok(Files::Arrays(_) | Files::Idx)) => Err(Error::setting(
                "label",
                format!("only a CSV file has a label column, found \"{label}\" for {what}"),
            )),
            (_, files) => files,
        }
    }

    fn in_file(path: &Path) -> Result<Self> {
        let mut source = Source::open(path)?;
        let not_a_data_set = |found: &str, instead: &str| {
            let expected = format!("a data set: {instead}");
            Err(Error::format(path, "byte 0", expected, found))
        };
        match kind_of(source.peek()?) {
            FileKind::Csv => Ok(Files::Csv(source)),
            FileKind::Npz => Arrays::open_npz(path).map(Files::Arrays),
            FileKind::Npy => not_a_data_set(
                "one NumPy array",
                "an NPZ file with x and y, or the folder that holds x.npy and y.npy",
            ),
            FileKind::Idx => not_a_data_set(
                "one IDX file",
                "the folder that holds the IDX files of images and labels",
            ),
            FileKind::Png => not_a_data_set("a PNG image", "a CSV or NPZ file, or a folder"),
        }
    }

    fn in_folder(path: &Path) -> Result<Self> {
        if idx_file(path, known::TRAIN_IMAGES).is_some() {
            return Ok(Files::Idx);
        }
        if path.join("x.npy").exists() {
            return Arrays::open_folder(path).map(Files::Arrays);
        }
        let mut found: Vec<String> = fs::read_dir(path)
            .map_err(|error| Error::io("read", path, error))?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        found.sort_unstable();
        found.truncate(6);
        Err(Error::format(
            path,
            "folder",
            format!(
                "{}[.gz] and its labels, or x.npy and y.npy",
                known::TRAIN_IMAGES
            ),
            if found.is_empty() {
                "no files".to_owned()
            } else {
                found.join(", ")
            },
        ))
    }
}

/// Reads samples without labels, to predict from: CSV (a label column may stand beside the features), NPY, NPZ (its
/// `x`) or IDX images.
///
/// The labels of the result are empty.
///
/// # Errors
/// As [`load`]; also if the rows are not `width` values wide.
pub fn read_rows(path: &Path, width: usize, label: Option<&str>) -> Result<Samples> {
    let mut source = Source::open(path)?;
    let (features, found) = match kind_of(source.peek()?) {
        FileKind::Csv => return csv::read_rows(source, width, label),
        FileKind::Npy => {
            let Values {
                features, width, ..
            } = read_npy(path, "x", |array| array.read_values())?;
            (features, width)
        }
        FileKind::Npz => {
            let Values {
                features, width, ..
            } = Arrays::open_npz(path)?.values("x")?;
            (features, width)
        }
        FileKind::Idx => {
            let images = idx::read_images(path)?;
            (Features::U8(images.pixels), images.shape.pixels())
        }
        FileKind::Png => {
            return Err(Error::format(
                path,
                "byte 0",
                "rows of values",
                "a PNG image",
            ));
        }
    };
    if found != width {
        return Err(Error::format(
            path,
            "samples",
            format!("{width} values each"),
            found.to_string(),
        ));
    }
    Ok(Samples {
        features,
        width,
        labels: Vec::new(),
    })
}

fn load_csv(source: Source, label: Option<&str>) -> Result<Parts> {
    let table = csv::read(source, label)?;
    let side = table.samples.width.isqrt();
    // Tables of pixels are square images; smaller ones than 4×4 are taken for other features.
    let image = (side >= 4 && side * side == table.samples.width).then_some(ImageShape {
        height: side,
        width: side,
    });
    Ok(Parts {
        train: table.samples,
        validation: None,
        test: None,
        class_names: table.class_names,
        image,
        name: None,
        notices: table.notices,
    })
}

fn load_arrays(mut arrays: Arrays, test: bool) -> Result<Parts> {
    arrays.check_names()?;
    let (mut train, image) = arrays.part("")?;
    let mut notices = Vec::new();
    let mut other = |suffix: &str| -> Result<Option<Samples>> {
        if !arrays.has_part(suffix) {
            return Ok(None);
        }
        let (samples, _) = arrays.part(suffix)?;
        if samples.width != train.width {
            return Err(Error::shape(
                format!("x{suffix}"),
                format!("{} values a sample, as in x", train.width),
                samples.width.to_string(),
            ));
        }
        Ok(Some(samples))
    };
    let mut validation = other("_val")?;
    let mut test = if test { other("_test")? } else { None };
    if let Some(validation) = &mut validation {
        if validation.features.dtype() != train.features.dtype() {
            notices.push(format!(
                "x is {}, x_val is {}: both are kept in the wider type",
                train.features.dtype(),
                validation.features.dtype()
            ));
        }
        train.features.widen_to(&validation.features);
        validation.features.widen_to(&train.features);
    }
    if let Some(test) = &mut test {
        test.features.widen_to(&train.features);
    }
    Ok(Parts {
        train,
        validation,
        test,
        class_names: None,
        image,
        name: None,
        notices,
    })
}

/// The test part, in the number type that it would have beside the other parts.
fn load_test_arrays(mut arrays: Arrays, path: PathBuf) -> Result<Option<TestSet>> {
    arrays.check_names()?;
    if !arrays.has_part("_test") {
        return Ok(None);
    }
    let (mut samples, image) = arrays.part("_test")?;
    samples.features.widen_to(&arrays.number_type("x")?);
    if arrays.has_part("_val") {
        samples.features.widen_to(&arrays.number_type("x_val")?);
    }
    Ok(Some(TestSet {
        class_names: numbered(samples.labels.iter()),
        samples,
        image,
        name: name_of(&path),
        path,
        notices: Vec::new(),
    }))
}

#[cfg(test)]
mod tests;
