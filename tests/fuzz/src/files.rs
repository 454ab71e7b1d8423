//! The files of an input.

use std::fs;
use std::path::{Path, PathBuf};

use chainrule::Result;
use tempfile::TempDir;

/// A folder of files, which is deleted at the end.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Files(tempfile::tempdir().expect("a folder for temporary files"))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("room for temporary files");
        path
    }
}

/// The value, or `None` after an error that is the file's fault or the system's, and says something.
#[track_caller]
pub(crate) fn sound<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert!([1, 2].contains(&error.exit_code()), "{error}");
            assert!(!error.to_string().is_empty());
            None
        }
    }
}
