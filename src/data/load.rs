//! Loading a data set of any kind. The contents of the files decide which kind it is.

use std::fs;
use std::path::Path;

use super::array_parts::load_arrays;
use super::arrays::{Arrays, read_npy};
use super::csv::{self, LabelledTable};
use super::idx_folder::{self, is_idx_folder};
#[cfg(feature = "png")]
use super::image::read_png;
#[cfg(not(feature = "png"))]
use super::left_out::read_png;
use super::npy::{self, NpyValues, NumberType};
use super::open::InputFile;
use super::options::{LoadOptions, TableOptions};
use super::parts::Parts;
use super::table::{InputRows, RowSource, Schema};
use super::{Dataset, Features, ImageShape, Labels, Samples, Task, idx, known, locate};
use crate::error::{Error, Result};

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

pub(super) fn kind_of(head: &[u8]) -> FileKind {
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

/// Reads a data set without a test part that the options set aside or take from elsewhere.
///
/// # Errors
/// [`Error::Missing`] if a file does not exist. [`Error::Format`] if a file does not hold what it should, with
/// place, expected and found. [`Error::Setting`] for a column that does not exist.
pub(super) fn read(options: &LoadOptions, schema: Option<&Schema>) -> Result<Dataset> {
    let path = locate(options.path.as_deref())?;
    let has_own_test = options.test && options.test_data.is_none();
    let parts = match Files::find(&path, &options.table)? {
        Files::Csv(source) => load_csv(source, &options.table, schema)?,
        Files::Arrays(arrays) => load_arrays(arrays, has_own_test, &options.table, schema)?,
        Files::Idx => idx_folder::load(&path, has_own_test)?,
    };
    // A model knows its classes.
    if schema.is_none() {
        parts.check_classes(&path)?;
    }
    Ok(parts.into_dataset(path))
}

/// The files of a data set, opened as far as needed to tell their kind.
pub(super) enum Files {
    Csv(InputFile),
    Arrays(Arrays),
    Idx,
}

impl Files {
    /// Finds out what a file or folder holds. Only a CSV file has a label column.
    pub(super) fn find(path: &Path, options: &TableOptions) -> Result<Self> {
        let (files, what) = match path.is_dir() {
            true => (Self::in_folder(path), "a folder"),
            false => (Self::in_file(path), "an NPZ file"),
        };
        match (options.labels.first(), files) {
            (Some(label), Ok(Files::Arrays(_) | Files::Idx)) => Err(Error::setting(
                "label",
                format!("only a CSV file has a label column, found \"{label}\" for {what}"),
            )),
            (None, Ok(Files::Idx))
                if options
                    .task
                    .is_some_and(|task| task != Task::Classification) =>
            {
                let message = "IDX files hold classes; numbers to predict and several labels need a CSV or NPZ file";
                Err(Error::setting("task", message))
            }
            (None, Ok(Files::Idx)) if !options.names_no_column() => Err(Error::setting(
                "data",
                format!(
                    "only a table has columns to drop or to treat, found pictures in {}",
                    path.display()
                ),
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

/// Reads samples without labels, to predict from, for a model with this schema: CSV (a label column may be present),
/// NPY, NPZ (its `x`), IDX images or, if rows are images, a PNG image.
///
/// # Errors
/// As for a data set; also if the rows do not have as many values as the schema has columns, or an image has another
/// size.
pub fn read_input(
    path: &Path,
    schema: &Schema,
    image: Option<ImageShape>,
    options: &TableOptions,
) -> Result<(FileKind, InputRows)> {
    let source = InputFile::open(path)?;
    let kind = kind_of(source.peek());
    let (features, width) = match kind {
        FileKind::Csv => return Ok((kind, csv::read_rows(source, schema, options)?)),
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
                let expected = format!(
                    "rows of {} values that are not an image",
                    schema.columns.len()
                );
                return Err(Error::format(path, "input", expected, "a PNG image"));
            }
        },
    };
    let samples = Samples {
        features,
        width,
        labels: Labels::default(),
        weights: None,
    };
    let ids = match &options.id[..] {
        [] => &schema.ids,
        ids => ids,
    };
    let rows = InputRows {
        ids: schema.array_ids(&samples, ids),
        samples: schema.select(samples, path)?,
        source: RowSource::of(path),
        notices: Vec::new(),
    };
    Ok((kind, rows))
}

fn values(array: NpyValues) -> (Features, usize) {
    (array.features, array.width)
}

pub(super) fn load_csv(
    source: InputFile,
    options: &TableOptions,
    schema: Option<&Schema>,
) -> Result<Parts> {
    let path = source.path().to_owned();
    let mut rows = match schema {
        Some(schema) => csv::read_for(source, schema, options)?,
        None => csv::read(source, options)?,
    };
    let meaning = rows.label(&path, options.task_for(schema))?;
    let LabelledTable {
        samples,
        table,
        notices,
        ..
    } = rows;
    Ok(Parts {
        train: samples,
        validation: None,
        test: None,
        task: meaning.task,
        class_names: meaning.classes.names,
        unseen: Vec::new(),
        image: None,
        table: Some(table),
        name: None,
        notices,
    })
}

#[cfg(test)]
mod tests;
