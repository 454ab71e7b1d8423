//! Files that one process has to itself, on each system.
//!
//! Except on Windows it takes the kernel's lock on the file. Others can read the file, and say who holds it.
//!
//! On Windows a locked file cannot be read. There the file is opened so that others can read it and do nothing else:
//! it keeps its name, and a second process that wants it is refused. The system ends this with the process too.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// A file that this process has opened for itself.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The file.
    pub(crate) file: File,
    /// Whether no other process can have it too. False on a file system without locks.
    pub(crate) is_exclusive: bool,
}

#[cfg(not(windows))]
mod system {
    use std::fs::TryLockError;

    use super::*;

    /// Opens a file for this process alone, but not one behind a link. `None` if another process has it.
    pub(crate) fn open_alone(path: &Path, options: &mut OpenOptions) -> io::Result<Option<Opened>> {
        let file = open(path, options)?;
        let is_exclusive = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) if is_unsupported(&e) => false,
            Err(TryLockError::Error(e)) => return Err(e),
        };
        Ok(Some(Opened { file, is_exclusive }))
    }

    /// As [`open_alone`], for a file that this process will rename or remove while it is open.
    pub(crate) fn open_alone_to_rename(
        path: &Path,
        options: &mut OpenOptions,
    ) -> io::Result<Option<Opened>> {
        open_alone(path, options)
    }

    /// Whether another process has the file to itself.
    pub(crate) fn is_taken(path: &Path) -> bool {
        let file = open(path, OpenOptions::new().read(true));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Removes a file that this process has to itself.
    pub(crate) fn remove(path: &Path, file: File) {
        // A file that stays is locked by nobody.
        let _ = fs::remove_file(path);
        drop(file);
    }

    /// Opens a file, but not one behind a link.
    pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            // A pipe in the file's place must not keep the program waiting.
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            options.custom_flags(flags.bits() as i32);
        }
        options.open(path)
    }

    /// Does nothing here: whether an open file was replaced is seen by its number.
    #[cfg(feature = "cli")]
    pub(crate) fn keep_name(_: &mut OpenOptions) {}

    fn is_unsupported(error: &io::Error) -> bool {
        #[cfg(unix)]
        if error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error()) {
            return true;
        }
        error.kind() == io::ErrorKind::Unsupported
    }
}

#[cfg(windows)]
mod system {
    use std::os::windows::fs::OpenOptionsExt;

    use super::*;

    // What others may do with an open file: read it, write it, rename or remove it.
    const READ: u32 = 1;
    const WRITE: u32 = 2;
    const RENAME: u32 = 4;

    /// The system's error if others may not do with a file what one of them already does.
    const SHARING_VIOLATION: i32 = 32;

    /// Opens a file for this process alone. Nobody can rename or remove it. `None` if another process has it.
    pub(crate) fn open_alone(path: &Path, options: &mut OpenOptions) -> io::Result<Option<Opened>> {
        open_sharing(path, options, READ)
    }

    /// As [`open_alone`], for a file that this process will rename or remove while it is open.
    pub(crate) fn open_alone_to_rename(
        path: &Path,
        options: &mut OpenOptions,
    ) -> io::Result<Option<Opened>> {
        open_sharing(path, options, READ | RENAME)
    }

    fn open_sharing(
        path: &Path,
        options: &mut OpenOptions,
        share: u32,
    ) -> io::Result<Option<Opened>> {
        match options.share_mode(share).open(path) {
            Err(e) if e.raw_os_error() == Some(SHARING_VIOLATION) => Ok(None),
            Err(e) => Err(e),
            Ok(file) => Ok(Some(Opened {
                file,
                is_exclusive: true,
            })),
        }
    }

    /// Whether another process has the file to itself.
    pub(crate) fn is_taken(path: &Path) -> bool {
        let mut reader = OpenOptions::new();
        let opened = open_sharing(path, reader.read(true), READ | RENAME);
        matches!(opened, Ok(None))
    }

    /// Removes a file that this process has to itself.
    pub(crate) fn remove(path: &Path, file: File) {
        drop(file);
        // If another process has it by now, it stays.
        let _ = fs::remove_file(path);
    }

    /// Opens a file.
    pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
        options.open(path)
    }

    /// Keeps others from renaming, removing and replacing the file as long as it is open.
    #[cfg(feature = "cli")]
    pub(crate) fn keep_name(options: &mut OpenOptions) {
        options.share_mode(READ | WRITE);
    }
}

#[cfg(feature = "cli")]
pub(crate) use system::keep_name;
pub(crate) use system::{is_taken, open, open_alone, open_alone_to_rename, remove};
