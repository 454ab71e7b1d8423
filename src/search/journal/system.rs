//! What the journal asks of the operating system: files, the kernel's lock, and the time.
//!
//! The tests put a simulated system in its place, in which a process may pause or die at every call.

use std::fmt::Debug;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::worker_name;
use crate::durable;
use crate::input;
use crate::lock::exclusive::keep_name;
use crate::lock::number;

/// The largest small file, in bytes: a worker's name or its counter.
const MAX_SMALL: u64 = 4096;

/// The identity of a file: its device and number, and its time of modification.
pub(in crate::search) type Identity = (u64, u64, Option<Duration>);

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::search) enum Access {
    /// It is only read.
    Read,
    /// It is read, and lines are appended.
    Append,
}

/// The files, the locks and the time of a machine.
pub(in crate::search) trait System: Debug + Send + Sync {
    /// Opens an existing journal.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn JournalFile>>;

    /// Makes a file with this text. Fails if there is a file or a link of this name.
    fn create_new(&self, path: &Path, text: &str) -> io::Result<Identity>;

    /// The identity of the file or link of this name.
    fn identity(&self, path: &Path) -> io::Result<Identity>;

    /// Reads a small file.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Renames a file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name. Fails if there is a file of that name.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Whether the worker of this name is a process that no longer exists.
    fn is_gone(&self, worker: &str) -> bool;

    /// The time since some fixed moment.
    fn time(&self) -> Duration;

    /// Waits.
    fn sleep(&self, duration: Duration);
}

/// An open journal.
pub(in crate::search) trait JournalFile: Debug {
    /// Takes the kernel's lock unless another process has it, and tells whether it did. The lock ends when the file
    /// is closed, and so with the process at the latest.
    fn try_lock(&self) -> io::Result<bool>;

    /// Reads from this place to the end of the file.
    fn read_from(&self, offset: u64) -> io::Result<Vec<u8>>;

    /// The size of the file.
    fn size(&self) -> io::Result<u64>;

    /// Appends at the end of the file, wherever that is by now.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Puts spaces in the place of bytes. The file does not become shorter or longer.
    fn blank(&self, offset: u64, length: usize) -> io::Result<()>;

    /// Waits until all that was written is on the disk.
    fn sync(&self) -> io::Result<()>;

    /// Whether this is still the file of this name.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
}

/// The system that the program runs on.
#[derive(Debug)]
pub(super) struct OperatingSystem {
    start: Instant,
}

impl OperatingSystem {
    pub(super) fn new() -> Self {
        OperatingSystem {
            start: Instant::now(),
        }
    }
}

fn identity(metadata: &Metadata) -> Identity {
    let (device, number) = number(metadata);
    let modified = metadata.modified().ok();
    let modified = modified.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    (device, number, modified)
}

impl System for OperatingSystem {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn JournalFile>> {
        let appends = access == Access::Append;
        let open = |options: &mut OpenOptions| {
            if appends {
                keep_name(options);
            }
            options.open(path)
        };
        let file = open(OpenOptions::new().read(true).write(appends))?;
        let appender = appends.then(|| open(OpenOptions::new().append(true)));
        let appender = appender.transpose()?;
        let opened = OpenedJournal { file, appender };
        if appends && !opened.is_at(path)? {
            return Err(io::Error::other("it was replaced while it was opened"));
        }
        Ok(Box::new(opened))
    }

    fn create_new(&self, path: &Path, text: &str) -> io::Result<Identity> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let metadata = file
            .write_all(text.as_bytes())
            .and_then(|()| file.metadata());
        // On Windows the time of modification is final once the file is closed.
        drop(file);
        let identity = metadata.and_then(|own| {
            let (device, number) = number(&own);
            Ok((device, number, self.identity(path)?.2))
        });
        identity.inspect_err(|_| {
            // A file that could not be written whole is of no use.
            let _ = fs::remove_file(path);
        })
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        fs::symlink_metadata(path).map(|m| identity(&m))
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        input::read_text(path, MAX_SMALL).map_err(io::Error::other)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        durable::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn is_gone(&self, worker: &str) -> bool {
        worker_name::is_gone(worker)
    }

    fn time(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A journal that is open for reading, and for appending if there is an appender.
#[derive(Debug)]
struct OpenedJournal {
    file: File,
    /// Its writes go to the end of the file, wherever that is.
    appender: Option<File>,
}

impl JournalFile for OpenedJournal {
    fn try_lock(&self) -> io::Result<bool> {
        // On Windows the lock of a whole file would also keep others from reading it. There the lock file alone counts.
        if cfg!(windows) {
            return Ok(true);
        }
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    fn read_from(&self, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.take(self.size()?.saturating_sub(offset))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.metadata().map(|m| m.len())
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut appender = self.appender.as_ref().ok_or(ErrorKind::PermissionDenied)?;
        appender.write_all(bytes)
    }

    fn blank(&self, offset: u64, length: usize) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(&vec![b' '; length])
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let here = number(&fs::metadata(path)?);
        let files = [Some(&self.file), self.appender.as_ref()];
        for file in files.into_iter().flatten() {
            if number(&file.metadata()?) != here {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A file beside the journal: its name with this ending.
pub(in crate::search) fn beside(journal: &Path, ending: &str) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
