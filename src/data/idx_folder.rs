//! A folder of IDX files under the names of MNIST and Fashion-MNIST.

use std::path::{Path, PathBuf};
use std::{panic, thread};

use super::known::{self, KnownFile};
use super::open::InputFile;
use super::parts::{Parts, name_of};
use super::table::RowSource;
use super::test_part::TestSet;
use super::{Features, ImageShape, Samples, idx, locate};
use crate::error::{Error, Result};

/// Images with their labels, and whether they are the official files.
struct LabelledImages {
    samples: Samples,
    shape: ImageShape,
    official: bool,
}

/// Reads the training part and, if asked for, the test part.
pub(super) fn load(folder: &Path, test: bool) -> Result<Parts> {
    // Unpacking takes most of the time, so the test part is read in parallel with the training part.
    let (train, test) = thread::scope(|scope| {
        let train = scope.spawn(|| read_pair(folder, known::TRAIN_IMAGES, known::TRAIN_LABELS));
        let test = if test { read_test(folder) } else { Ok(None) };
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
    Ok(Parts {
        train: train.samples,
        validation: None,
        test: test.map(|test| test.samples),
        class_names: class_names(official),
        unseen: Vec::new(),
        table: None,
        image: Some(train.shape),
        name: official.then_some(known::FASHION_MNIST),
        notices: notices(official),
    })
}

/// Reads the test part alone; `None` if there is none.
pub(super) fn load_test(folder: &Path) -> Result<Option<TestSet>> {
    let test = read_test(folder)?;
    Ok(test.map(|test| TestSet {
        source: RowSource::of(folder),
        samples: test.samples,
        class_names: class_names(test.official),
        image: Some(test.shape),
        path: folder.to_owned(),
        name: match test.official {
            true => known::FASHION_MNIST.to_owned(),
            false => name_of(folder),
        },
        notices: notices(test.official),
    }))
}

fn read_test(folder: &Path) -> Result<Option<LabelledImages>> {
    let is_there = |name| idx_file(folder, name).is_some();
    let read = || read_pair(folder, known::TEST_IMAGES, known::TEST_LABELS);
    (is_there(known::TEST_IMAGES) || is_there(known::TEST_LABELS))
        .then(read)
        .transpose()
}

fn class_names(official: bool) -> Vec<String> {
    match official {
        true => known::FASHION_CLASSES.map(str::to_owned).to_vec(),
        false => (0..idx::CLASSES).map(|class| class.to_string()).collect(),
    }
}

fn notices(official: bool) -> Vec<String> {
    let notice = "not the official Fashion-MNIST files; classes are named 0 to 9";
    (!official).then(|| notice.to_owned()).into_iter().collect()
}

/// The file of that name, with or without `.gz`.
pub(super) fn idx_file(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")]
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.exists())
}

fn read_pair(folder: &Path, images: &str, labels: &str) -> Result<LabelledImages> {
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
    } = idx::read_labels(InputFile::open(&labels_path)?)?;
    let labels_known = refuse_mnist(&labels_path, known::recognise(&[&header, &classes]))?;
    let read = idx::read_images(InputFile::open(&images_path)?)?;
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
    Ok(LabelledImages {
        official: is(images_known, images) && is(labels_known, labels),
        shape: read.shape,
        samples: Samples {
            width: read.shape.pixels(),
            features: Features::U8(read.pixels),
            labels: classes.into_iter().map(u32::from).collect(),
        },
    })
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

#[cfg(test)]
mod tests {
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
}
