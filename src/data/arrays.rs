//! Named arrays: the members of an NPZ file or the NPY files of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::classes::LabelColumn;
#[cfg(not(feature = "zip"))]
use super::left_out::NoNpz as Npz;
use super::npy::{NpyArray, NpySize, NpyValues, NumberType};
#[cfg(feature = "zip")]
use super::npz::Npz;
use super::open::InputFile;
use super::{ImageShape, Labels, Samples};
use crate::error::{Error, Result};
use crate::input::is_of_file_manager;

/// The arrays that a data set may hold: training part, validation part, test part. Their names may be in any case, and
/// those of the training part may end in [`TRAINING`].
const KNOWN_NAMES: [&str; 6] = ["x", "y", "x_val", "y_val", "x_test", "y_test"];
const TRAINING: &str = "_train";
const EXTENSION: &str = ".npy";

enum Store {
    Npz(Npz),
    Folder,
}

/// Arrays by name.
pub(super) struct Arrays {
    path: PathBuf,
    store: Store,
    names: Vec<String>,
}

/// One part of a data set: its samples with their labels.
pub(super) struct ArrayPart {
    /// Without labels.
    pub(super) samples: Samples,
    /// The columns of the labels, without the rows of which one is missing.
    pub(super) labels: Vec<LabelColumn>,
    pub(super) image: Option<ImageShape>,
    /// Whether the samples are the rows of a table, in which NaN is a missing value.
    pub(super) is_table: bool,
}

impl Arrays {
    /// Opens an NPZ file.
    pub(super) fn open_npz(source: InputFile) -> Result<Self> {
        let path = source.path().to_owned();
        let npz = Npz::open(source)?;
        let names = npz.names().map(without_extension).collect();
        Ok(Arrays {
            path,
            store: Store::Npz(npz),
            names,
        })
    }

    /// Opens a folder with `x.npy` and so on.
    pub(super) fn open_folder(path: &Path) -> Result<Self> {
        let wrong = |error| Error::io("read", path, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(wrong)? {
            let file = entry.map_err(wrong)?.file_name();
            let name = file.to_string_lossy();
            if name.ends_with(EXTENSION) && !is_of_file_manager(&file) {
                names.push(without_extension(&name));
            }
        }
        names.sort_unstable();
        Ok(Arrays {
            path: path.to_owned(),
            store: Store::Folder,
            names,
        })
    }

    /// Whether a folder holds the NPY file of a training part.
    pub(super) fn are_in(folder: &Path) -> bool {
        Self::open_folder(folder).is_ok_and(|arrays| arrays.has("x"))
    }

    /// The file or folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses unknown names, so that a misspelt `x_val` does not go unnoticed.
    pub(super) fn check_names(&self) -> Result<()> {
        match self.names.iter().find(|name| known_name(name).is_none()) {
            None => Ok(()),
            Some(unknown) => Err(Error::format(
                &self.path,
                "arrays",
                format!("only {}", KNOWN_NAMES.join(", ")),
                format!("\"{unknown}\""),
            )),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|found| known_name(found) == Some(name))
    }

    /// The name under which there is an array of this known name.
    fn found_name(&self, name: &str) -> Result<String> {
        let wrong = |expected: String, found: String| {
            Err(Error::format(&self.path, "arrays", expected, found))
        };
        let names = self.names.iter();
        let found: Vec<&String> = names
            .filter(|found| known_name(found) == Some(name))
            .collect();
        match found[..] {
            [found] => Ok(found.clone()),
            [] if self.names.is_empty() => wrong(format!("an array {name}"), "none".to_owned()),
            [] => wrong(format!("an array {name}"), self.names.join(", ")),
            [one, other, ..] => wrong(format!("one array {name}"), format!("{one} and {other}")),
        }
    }

    /// Whether the array `x{suffix}` or `y{suffix}` exists.
    pub(super) fn has_part(&self, suffix: &str) -> bool {
        self.has(&format!("x{suffix}")) || self.has(&format!("y{suffix}"))
    }

    /// Reads `x{suffix}`, in a number type of at least `least`, and `y{suffix}`.
    pub(super) fn part(&mut self, suffix: &str, least: NumberType) -> Result<ArrayPart> {
        let x = self.found_name(&format!("x{suffix}"))?;
        let values = self.read(&x, |array| array.read_values(least))?;
        let y = self.found_name(&format!("y{suffix}"))?;
        let labels = self.read(&y, |array| array.read_labels())?;
        let samples = Samples {
            features: values.features,
            width: values.width,
            labels: Labels::default(),
            weights: None,
        };
        let (rows, missing) = match labels.first() {
            Some(column) => (column.rows(), column.missing()),
            None => (0, &[][..]),
        };
        if samples.len() != rows {
            return Err(Error::format(
                &self.path,
                format!("array {y}"),
                format!("{} labels, one for each sample of {x}", samples.len()),
                rows.to_string(),
            ));
        }
        let samples = match missing {
            [] => samples,
            [first, ..] if !values.is_table => {
                let place = format!("array {y}, position {first}");
                return Err(Error::format(&self.path, place, "a class", "NaN"));
            }
            missing => samples.without(missing),
        };
        Ok(ArrayPart {
            samples,
            labels,
            image: values.image,
            is_table: values.is_table,
        })
    }

    /// Reads samples without labels, in a number type of at least `least`.
    pub(super) fn values(&mut self, name: &str, least: NumberType) -> Result<NpyValues> {
        self.array(name, |array| array.read_values(least))
    }

    /// Reads what the header of samples says of their size.
    pub(super) fn size(&mut self, name: &str) -> Result<NpySize> {
        self.array(name, |array| array.read_size())
    }

    fn array<T>(&mut self, name: &str, read: impl FnOnce(NpyArray<'_>) -> Result<T>) -> Result<T> {
        let name = self.found_name(name)?;
        self.read(&name, read)
    }

    /// Reads the array under the name that it was found by.
    fn read<T>(&mut self, name: &str, read: impl FnOnce(NpyArray<'_>) -> Result<T>) -> Result<T> {
        let file = format!("{name}{EXTENSION}");
        match &mut self.store {
            Store::Npz(npz) => npz.read(&self.path, name, &file, read),
            Store::Folder => read_npy(InputFile::open(&self.path.join(file))?, name, read),
        }
    }
}

/// Reads an NPY file, plain or compressed by gzip.
pub(super) fn read_npy<T>(
    mut source: InputFile,
    name: &str,
    read: impl FnOnce(NpyArray<'_>) -> Result<T>,
) -> Result<T> {
    let (path, limit) = (source.path().to_owned(), source.limit());
    read(NpyArray::new(&path, name, &mut source, limit))
}

/// The known name that a name stands for.
fn known_name(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let known = lower.strip_suffix(TRAINING).unwrap_or(&lower);
    let is_part = known.len() == lower.len() || !known.contains('_');
    KNOWN_NAMES
        .into_iter()
        .find(|&name| is_part && name == known)
}

fn without_extension(name: &str) -> String {
    name.strip_suffix(EXTENSION).unwrap_or(name).to_owned()
}
