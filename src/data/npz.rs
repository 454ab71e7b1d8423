//! NPZ files: NPY files as the members of a zip file.

use std::io::{self, Read};
use std::path::Path;

use super::archive::Archive;
use super::npy::NpyArray;
use super::open::{InputFile, ReadSeek, bomb, damaged};
use crate::error::{Error, Result};

/// An open NPZ file.
pub(super) struct Npz {
    archive: Archive<Box<dyn ReadSeek>>,
    /// The largest number of bytes that the members may unpack to, and how many are left of them.
    limit: u64,
    left: u64,
}

impl Npz {
    /// Reads the directory of a file.
    pub(super) fn open(source: InputFile) -> Result<Self> {
        let (path, limit) = (source.path().to_owned(), source.unpacked_limit());
        let archive = Archive::open(source.into_seekable()?);
        Ok(Npz {
            archive: archive.map_err(|error| archive_error(&path, error))?,
            limit,
            left: limit,
        })
    }

    /// The names of the members.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.archive.names()
    }

    /// Reads the array of this name, which is the member `file`. Messages name `path`.
    pub(super) fn read<T>(
        &mut self,
        path: &Path,
        name: &str,
        file: &str,
        read: impl FnOnce(NpyArray<'_>) -> Result<T>,
    ) -> Result<T> {
        let wrong = |error| archive_error(path, error);
        let Some((size, contents)) = self.archive.member(file).map_err(wrong)? else {
            let (expected, found) = (format!("a member {file}"), name.to_owned());
            return Err(Error::format(path, "archive", expected, found));
        };
        let size = size.min(self.left);
        let mut contents = Unpacked {
            contents,
            limit: self.limit,
            left: &mut self.left,
        };
        read(NpyArray::new(path, name, &mut contents, size))
    }
}

/// The contents of a member, counted.
struct Unpacked<'a, R> {
    contents: R,
    limit: u64,
    left: &'a mut u64,
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.contents.read(buffer)?;
        let left = self.left.checked_sub(count as u64);
        *self.left = left.ok_or_else(|| bomb(self.limit))?;
        Ok(count)
    }
}

fn archive_error(path: &Path, error: io::Error) -> Error {
    damaged(error, |found| {
        Error::format(path, "archive", "an intact NPZ (zip) file", found)
    })
    .unwrap_or_else(|error| Error::io("read", path, error))
}
