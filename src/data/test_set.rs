//! The test part of a data set by itself.

use std::path::PathBuf;

use super::table::RowSource;
use super::{Dataset, ImageShape, Samples};

/// The test part of a data set, checked, without the parts to learn from.
#[derive(Clone, Debug)]
pub struct TestSet {
    /// The labelled samples.
    pub samples: Samples,
    /// Where the rows come from.
    pub source: RowSource,
    /// The names of the labels.
    pub class_names: Vec<String>,
    /// Set if the rows are images.
    pub image: Option<ImageShape>,
    /// The path of the data set.
    pub path: PathBuf,
    /// A name for people, as [`Dataset::name`].
    pub name: String,
    /// What the user should know about how the source was read.
    pub notices: Vec<String>,
}

impl TestSet {
    /// All rows of a data set without parts.
    pub fn of_all_rows(data: Dataset) -> Self {
        let table = data.table.unwrap_or_default();
        TestSet {
            samples: data.train,
            source: table.train,
            class_names: data.class_names,
            image: data.image,
            path: data.path,
            name: data.name,
            notices: data.notices,
        }
    }

    /// The test part of a data set that has one.
    pub(super) fn of(data: Dataset) -> Self {
        let names = [data.class_names, data.unseen].concat();
        let table = data.table.unwrap_or_default();
        TestSet {
            samples: data.test.expect("a share was set aside"),
            source: table.test,
            class_names: names,
            image: data.image,
            path: data.path,
            name: data.name,
            notices: data.notices,
        }
    }
}
