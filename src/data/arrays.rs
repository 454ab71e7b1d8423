//! Named arrays: the members of an NPZ file or the NPY files of a folder.

use std::fs::{self, File};
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::npy::{NpyArray, NpyValues};
use super::open::{InputFile, unpacked_limit};
use super::{Features, ImageShape, Samples};
use crate::error::{Error, Result};

/// The arrays that a data set may hold: training part, validation part, test part.
const KNOWN_NAMES: [&str; 6] = ["x", "y", "x_val", "y_val", "x_test", "y_test"];
const EXTENSION: &str = ".npy";

trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

enum Store {
    Npz(ZipArchive<Box<dyn ReadSeek>>),
    Folder,
}

/// Arrays by name.
pub(super) struct Arrays {
    path: PathBuf,
    store: Store,
    names: Vec<String>,
}

impl Arrays {
    /// Opens an NPZ file.
    pub(super) fn open_npz(path: &Path) -> Result<Self> {
        let mut source = InputFile::open(path)?;
        let reader: Box<dyn ReadSeek> = if source.is_gzip() {
            Box::new(Cursor::new(source.read_all()?))
        } else {
            let file = File::open(path).map_err(|error| Error::io("read", path, error))?;
            Box::new(BufReader::new(file))
        };
        let archive = ZipArchive::new(reader).map_err(|error| zip_error(path, error))?;
        let names = archive.file_names().map(without_extension).collect();
        Ok(Arrays {
            path: path.to_owned(),
            store: Store::Npz(archive),
            names,
        })
    }

    /// Opens a folder with `x.npy` and so on.
    pub(super) fn open_folder(path: &Path) -> Result<Self> {
        let wrong = |error| Error::io("read", path, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(wrong)? {
            let name = entry.map_err(wrong)?.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(EXTENSION) {
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

    /// Refuses unknown names, so that a misspelt `x_val` does not go unnoticed.
    pub(super) fn check_names(&self) -> Result<()> {
        match self
            .names
            .iter()
            .find(|name| !KNOWN_NAMES.contains(&name.as_str()))
        {
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
        self.names.iter().any(|known| known == name)
    }

    /// Whether the array `x{suffix}` or `y{suffix}` exists.
    pub(super) fn has_part(&self, suffix: &str) -> bool {
        self.has(&format!("x{suffix}")) || self.has(&format!("y{suffix}"))
    }

    /// Reads `x{suffix}` and `y{suffix}`.
    pub(super) fn part(&mut self, suffix: &str) -> Result<(Samples, Option<ImageShape>)> {
        let (x, y) = (format!("x{suffix}"), format!("y{suffix}"));
        let values = self.values(&x)?;
        let labels = self.array(&y, |array| array.read_labels())?;
        let samples = Samples {
            features: values.features,
            width: values.width,
            labels,
        };
        if samples.len() != samples.labels.len() {
            return Err(Error::format(
                &self.path,
                format!("array {y}"),
                format!("{} labels, one for each sample of {x}", samples.len()),
                samples.labels.len().to_string(),
            ));
        }
        Ok((samples, values.image))
    }

    /// Reads samples without labels.
    pub(super) fn values(&mut self, name: &str) -> Result<NpyValues> {
        self.array(name, |array| array.read_values())
    }

    /// Reads the number type of samples, and returns it as features without values.
    pub(super) fn number_type(&mut self, name: &str) -> Result<Features> {
        self.array(name, |array| array.read_number_type())
    }

    fn array<T>(&mut self, name: &str, read: impl FnOnce(NpyArray<'_>) -> Result<T>) -> Result<T> {
        if !self.has(name) {
            let found = match self.names.len() {
                0 => "none".to_owned(),
                _ => self.names.join(", "),
            };
            let expected = format!("an array {name}");
            return Err(Error::format(&self.path, "arrays", expected, found));
        }
        let file = format!("{name}{EXTENSION}");
        match &mut self.store {
            Store::Npz(archive) => {
                let mut member = archive
                    .by_name(&file)
                    .map_err(|error| zip_error(&self.path, error))?;
                let limit = member.size().min(unpacked_limit(member.compressed_size()));
                read(NpyArray::new(&self.path, name, &mut member, limit))
            }
            Store::Folder => read_npy(&self.path.join(file), name, read),
        }
    }
}

/// Reads an NPY file, plain or compressed by gzip.
pub(super) fn read_npy<T>(
    path: &Path,
    name: &str,
    read: impl FnOnce(NpyArray<'_>) -> Result<T>,
) -> Result<T> {
    let mut source = InputFile::open(path)?;
    let limit = source.limit();
    read(NpyArray::new(path, name, &mut source, limit))
}

fn without_extension(name: &str) -> String {
    name.strip_suffix(EXTENSION).unwrap_or(name).to_owned()
}

fn zip_error(path: &Path, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::io("read", path, error)
        }
        other => Error::format(
            path,
            "archive",
            "an intact NPZ (zip) file",
            other.to_string(),
        ),
    }
}
