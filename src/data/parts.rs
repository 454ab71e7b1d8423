//! The parts that a reader finds, and the data set that is made of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Dataset, Features, ImageShape, Labels, Samples, Table, Task};
use crate::error::{Error, Result};
use crate::text::hex;

/// The parts of a data set, as its reader returns them.
pub(super) struct Parts {
    pub(super) train: Samples,
    pub(super) validation: Option<Samples>,
    pub(super) test: Option<Samples>,
    pub(super) task: Task,
    pub(super) class_names: Vec<String>,
    /// Labels of the other parts that the training part does not have.
    pub(super) unseen: Vec<String>,
    pub(super) table: Option<Table>,
    pub(super) image: Option<ImageShape>,
    pub(super) name: Option<&'static str>,
    pub(super) notices: Vec<String>,
}

impl Parts {
    /// Checks that there is something to learn.
    pub(super) fn check_classes(&self, path: &Path) -> Result<()> {
        match &self.class_names[..] {
            [_, _, ..] => Ok(()),
            [_] if self.task != Task::Classification => Ok(()),
            names => {
                let found = format!("only class {}", names.join(""));
                Err(Error::format(path, "labels", "at least two classes", found))
            }
        }
    }

    pub(super) fn into_dataset(self, path: PathBuf) -> Dataset {
        let name = self.name.map_or_else(|| name_of(&path), str::to_owned);
        Dataset {
            hash: fingerprint(
                &self.train,
                self.validation.as_ref(),
                self.table.as_ref(),
                &self.class_names,
            ),
            train: self.train,
            validation: self.validation,
            test: self.test,
            task: self.task,
            class_names: self.class_names,
            unseen: self.unseen,
            image: self.image,
            table: self.table,
            path,
            name,
            notices: self.notices,
        }
    }
}

impl Dataset {
    /// Computes the hash again, after the training part has changed.
    pub(super) fn refresh_hash(&mut self) {
        self.hash = fingerprint(
            &self.train,
            self.validation.as_ref(),
            self.table.as_ref(),
            &self.class_names,
        );
    }
}

impl Dataset {
    /// The data set with at least as many classes. Classes that are called by numbers below that keep their numbers as
    /// their places; otherwise numbers follow as names.
    pub fn with_classes(self: Arc<Self>, classes: usize) -> Arc<Self> {
        let old = self.classes();
        if classes <= old || self.task != Task::Classification {
            return self;
        }
        let mut data = Arc::unwrap_or_clone(self);
        let place = |name: &String| name.parse().ok().filter(|&place| place < classes);
        let places: Option<Vec<usize>> = data.class_names.iter().map(place).collect();
        let places = places.unwrap_or_else(|| {
            let names = std::mem::take(&mut data.class_names);
            let more = (old..classes).map(|class| class.to_string());
            data.class_names = names.into_iter().chain(more).collect();
            (0..old).collect()
        });
        if data.class_names.len() < classes {
            data.class_names = numbered_to(classes as u32);
        }
        let parts = [
            Some(&mut data.train),
            data.validation.as_mut(),
            data.test.as_mut(),
        ];
        for label in parts
            .into_iter()
            .flatten()
            .flat_map(|part| part.labels.classes_mut())
        {
            let unseen = || *label as usize - old + classes;
            *label = places.get(*label as usize).copied().unwrap_or_else(unseen) as u32;
        }
        Arc::new(data)
    }
}

/// Names for classes that have none: 0, 1, 2, … up to the largest label.
pub(super) fn numbered<'a>(labels: impl Iterator<Item = &'a u32>) -> Vec<String> {
    numbered_to(labels.max().map_or(0, |&label| label + 1))
}

fn numbered_to(classes: u32) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}

/// The name of a data set that is not a known one: that of its file or folder.
pub(super) fn name_of(path: &Path) -> String {
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

/// SHA-256 over number type, sizes, values and labels of both parts, the words of a table and classes that are numbers.
fn fingerprint(
    train: &Samples,
    validation: Option<&Samples>,
    table: Option<&Table>,
    class_names: &[String],
) -> String {
    let mut hasher = Sha256::new();
    let words = table.into_iter().flat_map(|table| table.train.words.iter());
    // Names that count from 0 are those of earlier versions, which had no others of numbers.
    let is_number = |name: &String| name.parse::<f64>().is_ok();
    let names = class_names.iter().filter(|_| {
        class_names.iter().all(is_number) && *class_names != numbered_to(class_names.len() as u32)
    });
    for word in words.chain(names.map(String::as_str)) {
        hasher.update((word.len() as u64).to_le_bytes());
        hasher.update(word);
    }
    for part in [Some(train), validation].into_iter().flatten() {
        hasher.update(part.features.dtype());
        hasher.update((part.width as u64).to_le_bytes());
        hasher.update((part.len() as u64).to_le_bytes());
        match &part.features {
            Features::U8(values) => hasher.update(values),
            Features::F32(values) => update(&mut hasher, values, |x| x.to_le_bytes()),
            Features::F64(values) => update(&mut hasher, values, |x| x.to_le_bytes()),
        }
        match &part.labels {
            Labels::Classes(classes) => update(&mut hasher, classes, |x| x.to_le_bytes()),
            Labels::Values { values, .. } => update(&mut hasher, values, |x| x.to_le_bytes()),
        }
        if let Some(weights) = &part.weights {
            update(&mut hasher, weights, |x| x.to_le_bytes());
        }
    }
    hex(hasher.finalize())
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

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn data(names: &[&str], labels: &[u32]) -> Arc<Dataset> {
        let x = Array2::<f32>::zeros((labels.len(), 2));
        let classes = labels.iter().map(|&label| label % 2);
        let mut data = Dataset::from_arrays(x.view(), &classes.collect::<Vec<u32>>()).unwrap();
        data.train.labels = labels.to_vec().into();
        data.class_names = names.iter().map(|&name| name.to_owned()).collect();
        Arc::new(data)
    }

    /// Weights from elsewhere number the classes.
    #[test]
    fn numbers_keep_their_place_among_more_classes() {
        let numbers = data(&["1", "3"], &[0, 1, 1]).with_classes(5);
        assert_eq!(numbers.class_names, ["0", "1", "2", "3", "4"]);
        assert_eq!(numbers.train.labels.classes(), [1, 3, 3]);
        let words = data(&["ant", "bee"], &[0, 1, 1]).with_classes(3);
        assert_eq!(words.class_names, ["ant", "bee", "2"]);
        assert_eq!(words.train.labels.classes(), [0, 1, 1]);
        let enough = data(&["1", "3"], &[0, 1, 1]).with_classes(2);
        assert_eq!(enough.class_names, ["1", "3"]);
    }
}
