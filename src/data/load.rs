//! Loading a data set of any kind, decided by what the files hold.

use std::path::{Path, PathBuf};
use std::{fs, panic, thread};

use sha2::{Digest, Sha256};

use super::arrays::{Arrays, read_npy};
use super::known::{self, KnownFile};
use super::npy::{self, NpyValues};
use super::open::Source;
use super::{Dataset, Features, ImageShape, Samples, csv, idx, locate};
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
/// [`Error::Missing`] if a file is not there; [`Error::Format`] where it holds something else than it should, with place, expected and found;
/// [`Error::Setting`] for a label column that does not exist.
pub fn load(options: &LoadOptions<'_>) -> Result<Dataset> {
    let path = locate(options.path)?;
    let parts = if path.is_dir() {
        no_label_column(options, "a folder")?;
        load_folder(&path, options.test)?
    } else {
        load_file(&path, options)?
    };
    parts.into_dataset(path)
}

/// Reads samples without labels, to predict from: CSV (a label column may stand beside the features), NPY, NPZ (its `x`) or IDX images.
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
            let NpyValues {
                features, width, ..
            } = read_npy(path, "x", |array| array.read_values())?;
            (features, width)
        }
        FileKind::Npz => {
            let NpyValues {
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

/// A data set as its reader gives it.
pub(super) struct Parts {
    pub(super) train: Samples,
    pub(super) validation: Option<Samples>,
    pub(super) test: Option<Samples>,
    pub(super) class_names: Option<Vec<String>>,
    pub(super) image: Option<ImageShape>,
    pub(super) name: Option<&'static str>,
    pub(super) notices: Vec<String>,
}

impl Parts {
    pub(super) fn into_dataset(self, path: PathBuf) -> Result<Dataset> {
        let parts = [
            Some(&self.train),
            self.validation.as_ref(),
            self.test.as_ref(),
        ];
        let labels = parts.into_iter().flatten().flat_map(|part| &part.labels);
        let class_names = self.class_names.unwrap_or_else(|| {
            let classes = labels.max().map_or(0, |&label| label + 1);
            (0..classes).map(|class| class.to_string()).collect()
        });
        if class_names.len() < 2 {
            return Err(Error::format(
                &path,
                "labels",
                "at least two classes",
                format!("only class {}", class_names.join("")),
            ));
        }
        let name = self.name.map_or_else(|| name_of(&path), str::to_owned);
        Ok(Dataset {
            hash: fingerprint(&self.train, self.validation.as_ref()),
            train: self.train,
            validation: self.validation,
            test: self.test,
            class_names,
            image: self.image,
            path,
            name,
            notices: self.notices,
        })
    }
}

fn name_of(path: &Path) -> String {
    let name = match path.file_name() {
        Some(name) => Some(name.to_owned()),
        // "." and ".." have no name of their own.
        None => fs::canonicalize(path)
            .ok()
            .and_then(|path| Some(path.file_name()?.to_owned())),
    };
    name.map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn no_label_column(options: &LoadOptions<'_>, what: &str) -> Result<()> {
    match options.label {
        None => Ok(()),
        Some(label) => Err(Error::setting(
            "label",
            format!("only a CSV file has a label column, found \"{label}\" for {what}"),
        )),
    }
}

fn load_file(path: &Path, options: &LoadOptions<'_>) -> Result<Parts> {
    let mut source = Source::open(path)?;
    let not_a_data_set = |found: &str, instead: &str| {
        let expected = format!("a data set: {instead}");
        Err(Error::format(path, "byte 0", expected, found))
    };
    match kind_of(source.peek()?) {
        FileKind::Csv => load_csv(source, options.label),
        FileKind::Npz => {
            no_label_column(options, "an NPZ file")?;
            load_arrays(Arrays::open_npz(path)?, options.test)
        }
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

fn load_folder(path: &Path, test: bool) -> Result<Parts> {
    if idx_file(path, known::TRAIN_IMAGES).is_some() {
        return load_idx(path, test);
    }
    if path.join("x.npy").exists() {
        return load_arrays(Arrays::open_folder(path)?, test);
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

/// Images with their labels, and what known files they are.
struct Pair {
    samples: Samples,
    shape: ImageShape,
    official: bool,
}

fn load_idx(folder: &Path, test: bool) -> Result<Parts> {
    // Unpacking takes most of the time; the test part is read beside the training part.
    let (train, test) = thread::scope(|scope| {
        let train = scope.spawn(|| read_pair(folder, known::TRAIN_IMAGES, known::TRAIN_LABELS));
        let has_test = |name| idx_file(folder, name).is_some();
        let test = (test && (has_test(known::TEST_IMAGES) || has_test(known::TEST_LABELS)))
            .then(|| read_pair(folder, known::TEST_IMAGES, known::TEST_LABELS))
            .transpose();
        let train = train
            .join()
            .unwrap_or_else(|cause| panic::resume_unwind(cause));
        (train, test)
    });
    let (train, test) = (train?, test?);
    if let Some(test) = &test
        && test.shape != train.shape
    {
        return Err(Error::format(
            folder,
            known::TEST_IMAGES,
            format!("images of {} as for training", train.shape),
            test.shape.to_string(),
        ));
    }
    let official = train.official && test.as_ref().is_none_or(|test| test.official);
    let names: Vec<String> = if official {
        known::FASHION_CLASSES.map(str::to_owned).to_vec()
    } else {
        (0..idx::CLASSES).map(|class| class.to_string()).collect()
    };
    let notice = "not the official Fashion-MNIST files; classes are named 0 to 9";
    Ok(Parts {
        train: train.samples,
        validation: None,
        test: test.map(|test| test.samples),
        class_names: Some(names),
        image: Some(train.shape),
        name: official.then_some(known::FASHION_MNIST),
        notices: (!official).then(|| notice.to_owned()).into_iter().collect(),
    })
}

/// The file of that name, with or without `.gz`.
pub(super) fn idx_file(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")]
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.exists())
}

fn read_pair(folder: &Path, images: &str, labels: &str) -> Result<Pair> {
    let find = |name: &str, other: &str| {
        idx_file(folder, name).ok_or_else(|| Error::Missing {
            path: folder.join(name),
            hint: format!("it belongs to {other}; with or without .gz"),
        })
    };
    let (images_path, labels_path) = (find(images, labels)?, find(labels, images)?);
    let idx::IdxLabels {
        header,
        labels: classes,
    } = idx::read_labels(&labels_path)?;
    let labels_known = refuse_mnist(&labels_path, known::recognise(&[&header, &classes]))?;
    let read = idx::read_images(&images_path)?;
    let images_known = refuse_mnist(
        &images_path,
        known::recognise(&[&read.header, &read.pixels]),
    )?;
    if read.len() != classes.len() {
        return Err(Error::format(
            &labels_path,
            "byte 4",
            format!(
                "{} labels, one for each image of {}",
                read.len(),
                images_path.display()
            ),
            classes.len().to_string(),
        ));
    }
    let is = |known: Option<&KnownFile>, name: &str| known.is_some_and(|known| known.name == name);
    Ok(Pair {
        official: is(images_known, images) && is(labels_known, labels),
        shape: read.shape,
        samples: Samples {
            width: read.shape.pixels(),
            features: Features::U8(read.pixels),
            labels: classes.into_iter().map(u32::from).collect(),
        },
    })
}

/// Passes known files of Fashion-MNIST and unknown files, refuses MNIST's, which have the same names.
fn refuse_mnist(
    path: &Path,
    known: Option<&'static KnownFile>,
) -> Result<Option<&'static KnownFile>> {
    match known {
        Some(file) if file.dataset == known::MNIST => Err(Error::format(
            path,
            "contents",
            format!(
                "Fashion-MNIST or a data set of your own (Fashion-MNIST: {})",
                locate::HOW_TO_GET
            ),
            format!(
                "{} of MNIST, handwritten digits under the same file names (to train on MNIST on purpose, save it as an NPZ file with x and y)",
                file.name
            ),
        )),
        known => Ok(known),
    }
}

/// SHA-256 over number type, sizes, values and labels of both parts.
fn fingerprint(train: &Samples, validation: Option<&Samples>) -> String {
    let mut hasher = Sha256::new();
    for part in [Some(train), validation].into_iter().flatten() {
        hasher.update(part.features.dtype());
        hasher.update((part.width as u64).to_le_bytes());
        hasher.update((part.len() as u64).to_le_bytes());
        match &part.features {
            Features::U8(values) => hasher.update(values),
            Features::F32(values) => update(&mut hasher, values, |x| x.to_le_bytes()),
            Features::F64(values) => update(&mut hasher, values, |x| x.to_le_bytes()),
        }
        update(&mut hasher, &part.labels, |x| x.to_le_bytes());
    }
    known::hex(hasher)
}

fn update<T: Copy, const N: usize>(
    hasher: &mut Sha256,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) {
    let mut buffer = Vec::with_capacity(1024 * N);
    for chunk in values.chunks(1024) {
        buffer.clear();
        buffer.extend(chunk.iter().flat_map(|&value| bytes(value)));
        hasher.update(&buffer);
    }
}

impl Features {
    /// Converts to the other's number type if that is wider.
    fn widen_to(&mut self, other: &Features) {
        *self = match (std::mem::replace(self, Features::U8(Vec::new())), other) {
            (Features::U8(v), Features::F32(_)) => {
                Features::F32(v.into_iter().map(f32::from).collect())
            }
            (Features::U8(v), Features::F64(_)) => {
                Features::F64(v.into_iter().map(f64::from).collect())
            }
            (Features::F32(v), Features::F64(_)) => {
                Features::F64(v.into_iter().map(f64::from).collect())
            }
            (same, _) => same,
        };
    }
}

#[cfg(test)]
mod tests;
