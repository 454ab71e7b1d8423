//! Loading a data set of any kind. The contents of the files decide which kind it is.

use std::fs;
use std::path::{Path, PathBuf};

use super::arrays::{Arrays, read_npy};
use super::classes::Classes;
use super::idx_folder::{self, is_idx_folder};
use super::image::read_png;
use super::npy::{self, NpySize, NpyValues, NumberType};
use super::open::InputFile;
use super::parts::{Parts, name_of};
use super::{Dataset, Features, ImageShape, Samples, TestSet, csv, idx, known, locate};
use crate::error::{Error, Result};

/// What to load.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// A folder of IDX or NPY files, an NPZ file or a CSV file. Without a path [`locate()`] searches for the
    /// data set.
    pub path: Option<&'a Path>,
    /// The label column of a CSV file: its name, or its index from 0; a negative index counts from the end.
    pub label: Option<&'a str>,
    /// Whether to load the test part. If not, its files are not opened.
    pub test: bool,
}

/// The kind of a file, by its first bytes (after unpacking gzip).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Any file that is none of the other kinds.
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

/// Reads the first bytes of a file to tell its kind.
pub fn file_kind(path: &Path) -> Result<FileKind> {
    Ok(kind_of(InputFile::open(path)?.peek()))
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
/// [`Error::Missing`] if a file does not exist. [`Error::Format`] if a file does not hold what it should, with
/// place, expected and found. [`Error::Setting`] for a label column that does not exist.
pub fn load(options: &LoadOptions<'_>) -> Result<Dataset> {
    let path = locate(options.path)?;
    let parts = match Files::find(&path, options.label)? {
        Files::Csv(source) => load_csv(source, options.label)?,
        Files::Arrays(arrays) => load_arrays(arrays, options.test)?,
        Files::Idx => idx_folder::load(&path, options.test)?,
    };
    parts.into_dataset(path)
}

/// Loads and checks the test part of a data set. The files of the other parts are read only as far as the
/// values of the test part depend on them. `None` if there is no test part; a CSV file has none.
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

/// The files of a data set, opened as far as needed to tell their kind.
enum Files {
    Csv(InputFile),
    Arrays(Arrays),
    Idx,
}

impl Files {
    /// Finds out what a file or folder holds. Only a CSV file may have a label column.
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
        let source = InputFile::open(path)?;
        let not_a_data_set = |found: &str, instead: &str| {
            let expected = format!("a data set: {instead}");
            Err(Error::format(path, "byte 0", expected, found))
        };
        match kind_of(source.peek()) {
            FileKind::Csv => Ok(Files::Csv(source)),
            FileKind::Npz => Arrays::open_npz(source).map(Files::Arrays),
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
        if is_idx_folder(path) {
            return Ok(Files::Idx);
        }
        if Arrays::are_in(path) {
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

/// Reads samples without labels, to predict from: CSV (a label column may be present), NPY, NPZ (its `x`) or
/// IDX images.
///
/// The labels of the result are empty.
///
/// # Errors
/// As [`load`]; also if the rows do not have `width` values.
pub fn read_rows(path: &Path, width: usize, label: Option<&str>) -> Result<Samples> {
    read_input(path, width, None, label).map(|(_, samples)| samples)
}

/// As [`read_rows`], but the input may also be a PNG image, if rows are images.
///
/// # Errors
/// As [`read_rows`]; also if the image has another size.
pub fn read_input(
    path: &Path,
    width: usize,
    image: Option<ImageShape>,
    label: Option<&str>,
) -> Result<(FileKind, Samples)> {
    let source = InputFile::open(path)?;
    let kind = kind_of(source.peek());
    let (features, found) = match kind {
        FileKind::Csv => return Ok((kind, csv::read_rows(source, width, label)?)),
        FileKind::Npy => values(read_npy(source, "x", |array| {
            array.read_values(NumberType::U8)
        })?),
        FileKind::Npz => values(Arrays::open_npz(source)?.values("x", NumberType::U8)?),
        FileKind::Idx => {
            let images = idx::read_images(source)?;
            (Features::U8(images.pixels), images.shape.pixels())
        }
        FileKind::Png => match image {
            Some(shape) => (Features::U8(read_png(source, shape)?), shape.pixels()),
            None => {
                let expected = format!("rows of {width} values that are not an image");
                return Err(Error::format(path, "input", expected, "a PNG image"));
            }
        },
    };
    if found != width {
        let expected = format!("{width} values each");
        return Err(Error::format(path, "samples", expected, found.to_string()));
    }
    let samples = Samples {
        features,
        width,
        labels: Vec::new(),
    };
    Ok((kind, samples))
}

fn values(array: NpyValues) -> (Features, usize) {
    (array.features, array.width)
}

fn load_csv(source: InputFile, label: Option<&str>) -> Result<Parts> {
    let table = csv::read(source, label)?;
    let side = table.samples.width.isqrt();
    // A row of pixels is a square image. Smaller squares than 4×4 count as other features.
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
    let (kept, notices) = common_type(&mut arrays)?;
    let mut suffixes = vec![""];
    suffixes.extend(["_val"].iter().filter(|&&part| arrays.has_part(part)));
    suffixes.extend(
        ["_test"]
            .iter()
            .filter(|&&part| test && arrays.has_part(part)),
    );
    check_memory(&mut arrays, &suffixes, kept)?;
    let train = arrays.part("", kept)?;
    let image = train.image;
    let (mut classes, labels) = Classes::of(train.labels);
    let train = Samples {
        labels,
        ..train.samples
    };
    let mut other = |suffix: &str| -> Result<Option<Samples>> {
        if !suffixes.contains(&suffix) {
            return Ok(None);
        }
        let part = arrays.part(suffix, kept)?;
        let samples = Samples {
            labels: classes.number(part.labels),
            ..part.samples
        };
        if samples.width != train.width {
            return Err(Error::shape(
                format!("x{suffix}"),
                format!("{} values a sample, as in x", train.width),
                samples.width.to_string(),
            ));
        }
        Ok(Some(samples))
    };
    let (validation, test) = (other("_val")?, other("_test")?);
    Ok(Parts {
        train,
        validation,
        test,
        class_names: Some([classes.names, classes.unseen].concat()),
        image,
        name: None,
        notices,
    })
}

/// Loads the test part, in the number type that it has if the other parts are loaded too.
fn load_test_arrays(mut arrays: Arrays, path: PathBuf) -> Result<Option<TestSet>> {
    arrays.check_names()?;
    if !arrays.has_part("_test") {
        return Ok(None);
    }
    let (kept, _) = common_type(&mut arrays)?;
    check_memory(&mut arrays, &["_test"], kept)?;
    let part = arrays.part("_test", kept)?;
    let (classes, labels) = Classes::of(part.labels);
    Ok(Some(TestSet {
        class_names: classes.names,
        samples: Samples {
            labels,
            ..part.samples
        },
        image: part.image,
        name: name_of(&path),
        path,
        notices: Vec::new(),
    }))
}

/// The wider number type of the training and the validation part, in which all parts are kept, and what the user
/// should know about it.
fn common_type(arrays: &mut Arrays) -> Result<(NumberType, Vec<String>)> {
    let train = arrays.size("x")?.number_type;
    if !arrays.has_part("_val") {
        return Ok((train, Vec::new()));
    }
    let validation = arrays.size("x_val")?.number_type;
    let notice = format!("x is {train}, x_val is {validation}: both are kept in the wider type");
    let notices = (train != validation).then_some(notice);
    Ok((train.max(validation), notices.into_iter().collect()))
}

/// Refuses parts that would take a multiple of their size if they were kept in a much wider number type.
fn check_memory(arrays: &mut Arrays, suffixes: &[&str], kept: NumberType) -> Result<()> {
    const ALWAYS: u64 = 32 << 20;
    let sizes = suffixes
        .iter()
        .map(|suffix| arrays.size(&format!("x{suffix}")));
    let sizes: Vec<NpySize> = sizes.collect::<Result<_>>()?;
    let sum = |bytes: &dyn Fn(&NpySize) -> u64| {
        sizes
            .iter()
            .fold(0, |sum: u64, size| sum.saturating_add(bytes(size)))
    };
    let widened = sizes.iter().any(|size| size.number_type < kept);
    let (stored, needed) = (sum(&NpySize::stored), sum(&|size| size.needed(kept)));
    if widened && needed > stored.saturating_mul(4).saturating_add(ALWAYS) {
        return Err(Error::shape(
            "x, x_val and x_test",
            "arrays of one number type",
            format!("several, which would take {needed} bytes in place of {stored} as {kept}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
