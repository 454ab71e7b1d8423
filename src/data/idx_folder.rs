//! A folder of IDX files under the names of MNIST and the data sets that follow it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, panic, thread};

use super::classes::{Classes, LabelColumn};
use super::known::{self, KnownFile};
use super::open::InputFile;
use super::parts::{Parts, name_of};
use super::table::RowSource;
use super::test_set::TestSet;
use super::{Features, ImageShape, Labels, Samples, Task, idx, locate};
use crate::error::{Error, Result};
use crate::input::is_of_file_manager;

/// The number of classes of data sets whose labels are 0 to 9.
const DIGITS: u8 = 10;

/// One of the two parts of a set of files, with the names of its files.
struct IdxPart {
    /// How file names begin, the usual one first.
    starts: &'static [&'static str],
    images: &'static str,
    labels: &'static str,
}

const TRAIN: IdxPart = IdxPart {
    starts: &["train"],
    images: known::TRAIN_IMAGES,
    labels: known::TRAIN_LABELS,
};
const TEST: IdxPart = IdxPart {
    starts: &["t10k", "test"],
    images: known::TEST_IMAGES,
    labels: known::TEST_LABELS,
};
/// How the names of files go on.
const IMAGE_ENDS: [&str; 2] = ["-images-idx3-ubyte", "-images.idx3-ubyte"];
const LABEL_ENDS: [&str; 4] = [
    "-labels-idx1-ubyte",
    "-labels.idx1-ubyte",
    "-labels-idx2-int",
    "-labels.idx2-int",
];

/// The files of one data set. Their names have the same prefix: none, `qmnist-`, or `emnist-letters-` and so on.
struct IdxSet<'a> {
    folder: &'a Path,
    prefix: String,
}

impl<'a> IdxSet<'a> {
    /// Finds the set of a folder.
    ///
    /// # Errors
    /// [`Error::Format`] if there are several.
    fn find(folder: &'a Path) -> Result<Self> {
        let mut prefixes = prefixes(folder);
        if prefixes.len() > 1 {
            let images = |prefix: &String| format!("{prefix}{}", known::TRAIN_IMAGES);
            let found: Vec<String> = prefixes.iter().map(images).collect();
            let expected = "the files of one data set (each in a folder of its own)";
            return Err(Error::format(folder, "folder", expected, found.join(", ")));
        }
        let prefix = prefixes.pop_first().unwrap_or_default();
        Ok(IdxSet { folder, prefix })
    }

    /// The first file with one of the starts and one of the ends.
    fn file(&self, starts: &[&str], ends: &[&str]) -> Option<PathBuf> {
        let names = starts
            .iter()
            .flat_map(|start| ends.iter().map(move |end| format!("{start}{end}")));
        names
            .map(|name| format!("{}{name}", self.prefix))
            .find_map(|name| idx_file(self.folder, &name))
    }

    /// Reads a part; `None` if it has no file.
    fn read(&self, part: &IdxPart) -> Result<Option<LabelledImages>> {
        let (images, labels) = (
            self.file(part.starts, &IMAGE_ENDS),
            self.file(part.starts, &LABEL_ENDS),
        );
        let missing = |name: &str, other: &str| {
            Err(Error::Missing {
                path: self.folder.join(format!("{}{name}", self.prefix)),
                hint: format!("it belongs to {}{other}; with or without .gz", self.prefix),
            })
        };
        match (images, labels) {
            (Some(images), Some(labels)) => self.read_pair(part, &images, &labels).map(Some),
            (Some(_), None) => missing(part.labels, part.images),
            (None, Some(_)) => missing(part.images, part.labels),
            (None, None) => Ok(None),
        }
    }

    fn read_pair(&self, part: &IdxPart, images: &Path, labels: &Path) -> Result<LabelledImages> {
        let idx::IdxLabels {
            header,
            labels: classes,
        } = idx::read_labels(InputFile::open(labels)?)?;
        let labels_known = self.accept(labels, known::recognise(&[&header, &classes]))?;
        let read = idx::read_images(InputFile::open(images)?)?;
        let images_known = self.accept(images, known::recognise(&[&read.header, &read.pixels]))?;
        if read.len() != classes.len() {
            let images = images.display();
            let expected = format!("{} labels, one for each image of {images}", read.len());
            let found = classes.len().to_string();
            return Err(Error::format(labels, "byte 4", expected, found));
        }
        let is = |known: Option<&KnownFile>, name| known.is_some_and(|known| known.name == name);
        Ok(LabelledImages {
            official: is(images_known, part.images) && is(labels_known, part.labels),
            shape: read.shape,
            pixels: read.pixels,
            labels: classes,
        })
    }

    /// Accepts known files of Fashion-MNIST and unknown files. Refuses MNIST's, if it has the same names.
    fn accept(
        &self,
        path: &Path,
        known: Option<&'static KnownFile>,
    ) -> Result<Option<&'static KnownFile>> {
        match known.filter(|_| self.prefix.is_empty()) {
            Some(file) => refuse_mnist(path, Some(file)),
            None => Ok(known),
        }
    }

    fn notices(&self, official: bool, names: &[String]) -> Vec<String> {
        match names {
            [first, .., last] if !official && self.prefix.is_empty() => vec![format!(
                "not the official Fashion-MNIST files; classes are named {first} to {last}"
            )],
            _ => Vec::new(),
        }
    }
}

/// What stands before `train-images-idx3-ubyte` in the names of a folder's files.
fn prefixes(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let names = names.filter(|name| !is_of_file_manager(name));
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let prefix = |name: String| {
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let start = IMAGE_ENDS.iter().find_map(|end| name.strip_suffix(end))?;
        let prefix = start.strip_suffix(TRAIN.starts[0])?;
        (prefix.is_empty() || prefix.ends_with('-')).then(|| prefix.to_owned())
    };
    names.filter_map(prefix).collect()
}

/// Whether a folder holds training images in an IDX file.
pub(super) fn is_idx_folder(folder: &Path) -> bool {
    !prefixes(folder).is_empty()
}

/// Images with their labels, and whether they are the official files.
struct LabelledImages {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    shape: ImageShape,
    official: bool,
}

impl LabelledImages {
    /// The classes of these labels: ten if they are digits. Those of the official files have names.
    fn classes(&self, official: bool) -> Classes {
        let names = if official {
            known::FASHION_CLASSES.map(str::to_owned).to_vec()
        } else if self.labels.iter().all(|&label| label < DIGITS) {
            (0..DIGITS).map(|class| class.to_string()).collect()
        } else {
            return Classes::of(self.label_column()).0;
        };
        Classes {
            names,
            ..Classes::default()
        }
    }

    fn label_column(&self) -> LabelColumn {
        let mut column = LabelColumn::default();
        for &label in &self.labels {
            column.push_number(label.into());
        }
        column
    }

    /// The samples, with their classes. Labels of the official files are the numbers of their classes.
    fn samples(self, official: bool, classes: &mut Classes) -> Samples {
        Samples {
            width: self.shape.pixels(),
            labels: match official {
                true => Labels::Classes(self.labels.iter().map(|&label| label.into()).collect()),
                false => classes.number(self.label_column()).into(),
            },
            weights: None,
            features: Features::U8(self.pixels),
        }
    }
}

/// Reads the training part and, if asked for, the test part.
pub(super) fn load(folder: &Path, test: bool) -> Result<Parts> {
    let set = IdxSet::find(folder)?;
    // Unpacking takes most of the time, so the test part is read in parallel with the training part.
    let (train, test) = thread::scope(|scope| {
        let train = scope.spawn(|| set.read(&TRAIN));
        let test = if test { set.read(&TEST) } else { Ok(None) };
        let train = train
            .join()
            .unwrap_or_else(|cause| panic::resume_unwind(cause));
        (train, test)
    });
    let (train, test) = (train?.ok_or_else(|| no_images(folder))?, test?);
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
    let mut classes = train.classes(official);
    let (image, notices) = (train.shape, set.notices(official, &classes.names));
    let train = train.samples(official, &mut classes);
    let test = test.map(|test| test.samples(official, &mut classes));
    Ok(Parts {
        train,
        validation: None,
        test,
        task: Task::Classification,
        class_names: classes.names,
        unseen: classes.unseen,
        table: None,
        image: Some(image),
        name: official.then_some(known::FASHION_MNIST),
        notices,
    })
}

fn no_images(folder: &Path) -> Error {
    let expected = format!("{}[.gz]", known::TRAIN_IMAGES);
    Error::format(folder, "folder", expected, "no such file")
}

/// Reads the test part alone; `None` if there is none.
pub(super) fn load_test(folder: &Path) -> Result<Option<TestSet>> {
    let set = IdxSet::find(folder)?;
    let Some(test) = set.read(&TEST)? else {
        return Ok(None);
    };
    let (official, image) = (test.official, test.shape);
    let mut classes = test.classes(official);
    Ok(Some(TestSet {
        notices: set.notices(official, &classes.names),
        samples: test.samples(official, &mut classes),
        source: RowSource::of(folder),
        class_names: classes.names,
        image: Some(image),
        path: folder.to_owned(),
        name: match official {
            true => known::FASHION_MNIST.to_owned(),
            false => name_of(folder),
        },
    }))
}

/// The file of that name, with or without `.gz`.
pub(super) fn idx_file(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")]
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.exists())
}

/// Accepts known files of Fashion-MNIST and unknown files. Refuses MNIST's, which have the same names.
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

#[cfg(feature = "gzip")]
#[cfg(test)]
mod tests {
    use super::super::idx::tests::{image_file, label_file, label_rows};
    use super::super::open::tests::gzip;
    use super::*;

    #[test]
    fn mnist_is_refused_under_these_names() {
        let path = Path::new("train-images-idx3-ubyte");
        for file in &known::KNOWN {
            match refuse_mnist(path, Some(file)) {
                Ok(passed) => assert_eq!(passed.unwrap().dataset, "Fashion-MNIST"),
                Err(error) => {
                    assert_eq!(file.dataset, "MNIST");
                    let message = error.to_string();
                    for part in ["handwritten digits", file.name, "apt-get install", "NPZ"] {
                        assert!(message.contains(part), "{message}");
                    }
                }
            }
        }
        assert_eq!(refuse_mnist(path, None).unwrap(), None);
    }

    /// Writes label and image files of one pixel an image.
    fn write(folder: &Path, files: &[(&str, &[u8])]) {
        for (name, labels) in files {
            let bytes = match name.contains("images") {
                true => image_file([labels.len() as u32, 1, 1], labels),
                false if name.contains("idx2") => {
                    let classes: Vec<i32> = labels.iter().map(|&label| label.into()).collect();
                    label_rows(&classes)
                }
                false => label_file(labels.len() as u32, labels),
            };
            let bytes = if name.ends_with(".gz") {
                gzip(&bytes)
            } else {
                bytes
            };
            fs::write(folder.join(name), bytes).unwrap();
        }
    }

    #[test]
    fn file_names_of_other_data_sets() {
        for names in [
            [
                "train-images.idx3-ubyte",
                "train-labels.idx1-ubyte",
                "t10k-images.idx3-ubyte",
                "t10k-labels.idx1-ubyte",
            ],
            [
                "emnist-letters-train-images-idx3-ubyte.gz",
                "emnist-letters-train-labels-idx1-ubyte.gz",
                "emnist-letters-test-images-idx3-ubyte.gz",
                "emnist-letters-test-labels-idx1-ubyte.gz",
            ],
            [
                "qmnist-train-images-idx3-ubyte",
                "qmnist-train-labels-idx2-int.gz",
                "qmnist-test-images-idx3-ubyte",
                "qmnist-test-labels-idx2-int",
            ],
            [
                "train-images-idx3-ubyte.gz",
                "train-labels.idx1-ubyte",
                "test-images-idx3-ubyte",
                "test-labels-idx1-ubyte",
            ],
        ] {
            let dir = tempfile::tempdir().unwrap();
            let labels: [&[u8]; 4] = [&[0, 0, 0], &[7, 0, 9], &[0], &[9]];
            let files: Vec<(&str, &[u8])> = names.into_iter().zip(labels).collect();
            write(dir.path(), &files);
            assert!(is_idx_folder(dir.path()));
            let parts = load(dir.path(), true).unwrap();
            assert_eq!(parts.train.labels.classes(), [7, 0, 9], "{names:?}");
            assert_eq!(parts.test.unwrap().labels.classes(), [9]);
            assert_eq!((parts.class_names.len(), parts.unseen.len()), (10, 0));
            assert_eq!(
                load_test(dir.path())
                    .unwrap()
                    .unwrap()
                    .samples
                    .labels
                    .classes(),
                [9]
            );
            let is_plain = !names[0].contains("mnist");
            assert_eq!(parts.notices.len(), usize::from(is_plain));
        }
    }

    #[test]
    fn labels_above_nine_name_the_classes_that_occur() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("emnist-letters-train-images-idx3-ubyte", &[5, 6, 7]),
                ("emnist-letters-train-labels-idx1-ubyte", &[26, 1, 255]),
                ("emnist-letters-test-images-idx3-ubyte", &[5, 6]),
                ("emnist-letters-test-labels-idx1-ubyte", &[3, 255]),
            ],
        );
        let parts = load(dir.path(), true).unwrap();
        assert_eq!(parts.class_names, ["1", "26", "255"]);
        assert_eq!(parts.train.labels.classes(), [1, 0, 2]);
        assert_eq!(
            (parts.unseen, parts.test.unwrap().labels),
            (vec!["3".to_owned()], vec![3, 2].into())
        );
        let test = load_test(dir.path()).unwrap().unwrap();
        assert_eq!(
            (test.class_names, test.samples.labels),
            (vec!["3".into(), "255".into()], vec![0, 1].into())
        );
    }

    #[test]
    fn several_sets_in_a_folder_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        for set in ["emnist-digits-", "emnist-letters-", ""] {
            fs::write(
                dir.path().join(format!("{set}train-images-idx3-ubyte.gz")),
                "",
            )
            .unwrap();
        }
        let error = load(dir.path(), false).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        let error = error.to_string();
        assert!(
            error.contains("expected the files of one data set"),
            "{error}"
        );
        let all = "train-images-idx3-ubyte, emnist-digits-train-images-idx3-ubyte, emnist-letters-train-images-idx3-ubyte";
        assert!(error.ends_with(all), "{error}");
        assert!(load_test(dir.path()).is_err());
    }

    /// macOS puts a file with the attributes beside each file on a disk that does not keep them.
    #[test]
    fn what_a_file_manager_leaves_is_no_data() {
        let dir = tempfile::tempdir().unwrap();
        let (images, labels) = (
            "emnist-digits-train-images-idx3-ubyte",
            "emnist-digits-train-labels-idx1-ubyte",
        );
        write(dir.path(), &[(images, &[0, 1]), (labels, &[0, 1])]);
        for name in [
            ".DS_Store",
            "._.DS_Store",
            &format!("._{images}"),
            "Thumbs.db",
        ] {
            fs::write(dir.path().join(name), "attributes").unwrap();
        }
        assert_eq!(load(dir.path(), false).unwrap().train.labels.len(), 2);
    }

    #[test]
    fn a_missing_file_is_named_with_its_prefix() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[("emnist-digits-train-images-idx3-ubyte", &[1])],
        );
        let error = load(dir.path(), false).err().unwrap().to_string();
        assert!(
            error.contains("emnist-digits-train-labels-idx1-ubyte: no such file"),
            "{error}"
        );
    }
}
