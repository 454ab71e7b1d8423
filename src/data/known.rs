//! Known files, recognised by the SHA-256 of their unpacked contents.

use sha2::{Digest, Sha256};

use crate::text::hex;

/// One of the files of a known data set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KnownFile {
    pub(super) dataset: &'static str,
    /// The official name, without `.gz`.
    pub(super) name: &'static str,
    sha256: &'static str,
}

pub(super) const FASHION_MNIST: &str = "Fashion-MNIST";
pub(super) const MNIST: &str = "MNIST";

pub(super) const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
pub(super) const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
pub(super) const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
pub(super) const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// Fashion-MNIST's classes in the order of their labels.
pub(super) const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

const fn file(dataset: &'static str, name: &'static str, sha256: &'static str) -> KnownFile {
    KnownFile {
        dataset,
        name,
        sha256,
    }
}

pub(super) const KNOWN: [KnownFile; 8] = [
    file(
        FASHION_MNIST,
        TRAIN_IMAGES,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    file(
        FASHION_MNIST,
        TRAIN_LABELS,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    file(
        FASHION_MNIST,
        TEST_IMAGES,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    file(
        FASHION_MNIST,
        TEST_LABELS,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    file(
        MNIST,
        TRAIN_IMAGES,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    file(
        MNIST,
        TRAIN_LABELS,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    file(
        MNIST,
        TEST_IMAGES,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    file(
        MNIST,
        TEST_LABELS,
        "ff7bcfd416de33731a308c3f266cd351222c34898ecbeaf847f06e48f7ec33f2",
    ),
];

/// Returns the known file with these contents, which are given in pieces.
pub(super) fn recognise(contents: &[&[u8]]) -> Option<&'static KnownFile> {
    let mut hasher = Sha256::new();
    contents.iter().for_each(|piece| hasher.update(piece));
    let digest = hex(hasher.finalize());
    KNOWN.iter().find(|file| file.sha256 == digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_contents_are_not_recognised() {
        assert_eq!(recognise(&[b"abc", b"def"]), None);
    }
}
