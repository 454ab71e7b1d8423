//! One process at a time in a folder: a lock that names its holder.
//!
//! The lock is a file in the folder. The kernel holds it and ends it with the process, so that a killed process blocks
//! nobody. The file says who holds the lock.

pub(crate) mod exclusive;

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use exclusive::{Opened, open, open_alone};

/// How often a process looks whether a lock is free before it is refused. Who only looks for the holder has the lock
/// for a moment too.
const ATTEMPTS: u32 = 10;
/// The time between two attempts.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest name of a holder that is shown.
const LONGEST_NAME: u64 = 200;

/// The lock of a folder, held until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    folder: PathBuf,
    path: PathBuf,
    /// There until the lock is dropped.
    file: Option<File>,
    /// False on a file system without locks.
    is_exclusive: bool,
}

impl FolderLock {
    /// Takes the lock of a folder, which is the file `name` in it. On a file system without locks nothing is locked,
    /// see [`FolderLock::is_exclusive`].
    ///
    /// # Errors
    /// [`Error::InUse`] if another process holds it, or if the file cannot be made.
    pub(crate) fn acquire(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let failed = |e| Error::io("lock", &path, e);
        let mut attempts = 0;
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true);
            let Some(opened) = open_alone(&path, &mut options).map_err(failed)? else {
                if attempts == ATTEMPTS {
                    return Err(in_use(folder, &path));
                }
                attempts += 1;
                std::thread::sleep(PAUSE);
                continue;
            };
            let Opened {
                mut file,
                is_exclusive,
            } = opened;
            // The holder before may have removed the file after it was opened here.
            if !is_at(&file, &path) {
                continue;
            }
            // A lock without its holder's name is one too.
            let _ = file
                .set_len(0)
                .and_then(|()| file.write_all(own_name().as_bytes()));
            return Ok(FolderLock {
                folder: folder.to_owned(),
                path,
                file: Some(file),
                is_exclusive,
            });
        }
    }

    /// Whether no other process can have the lock too.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }

    /// Checks that the folder is still the one that was locked.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process has removed it and made it anew.
    pub(crate) fn check(&self) -> Result<()> {
        let is_there = |file| is_at(file, &self.path);
        if !self.is_exclusive || self.file.as_ref().is_some_and(is_there) {
            return Ok(());
        }
        match self.path.symlink_metadata() {
            Ok(_) => Err(in_use(&self.folder, &self.path)),
            Err(e) => Err(Error::io("lock", &self.path, e)),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        if self.check().is_ok()
            && let Some(file) = self.file.take()
        {
            exclusive::remove(&self.path, file);
        }
    }
}

/// Who holds the lock of a folder, if anybody does.
pub(crate) fn holder(folder: &Path, name: &str) -> Option<String> {
    let path = folder.join(name);
    exclusive::is_taken(&path).then(|| name_in(&path))
}

/// Whether a path leads to this very file.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let found = file.metadata().and_then(|own| {
        let there = std::fs::symlink_metadata(path)?;
        Ok(number(&own) == number(&there))
    });
    found.unwrap_or(false)
}

/// Device and number of a file. They are 0 where the standard library does not tell them. On Windows a file that was
/// opened for one process alone, or that keeps its name, can be neither removed nor replaced as long as it is open.
pub(crate) fn number(metadata: &Metadata) -> (u64, u64) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (metadata.dev(), metadata.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        (0, 0)
    }
}

fn in_use(folder: &Path, lock: &Path) -> Error {
    Error::InUse {
        path: folder.to_owned(),
        holder: name_in(lock),
    }
}

/// The name in a lock's file.
fn name_in(path: &Path) -> String {
    let mut text = Vec::new();
    // A name that cannot be read is as good as none.
    let _ = open(path, OpenOptions::new().read(true))
        .and_then(|file| file.take(LONGEST_NAME).read_to_end(&mut text));
    let name = String::from_utf8_lossy(&text).replace(char::is_control, " ");
    match name.trim() {
        "" => "another process".into(),
        name => name.to_owned(),
    }
}

fn own_name() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    format!("process {} on {} since {now}", std::process::id(), host())
}

/// The name of this machine.
pub(crate) fn host() -> String {
    #[cfg(unix)]
    return rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const NAME: &str = "test.lock";

    #[test]
    fn the_second_is_refused_and_told_who_is_the_first() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path(), NAME), None);
        let first = FolderLock::acquire(dir.path(), NAME).unwrap();
        assert!(first.is_exclusive());
        let error = FolderLock::acquire(dir.path(), NAME).unwrap_err();
        let process = format!("process {} on ", std::process::id());
        assert!(error.to_string().contains(&process), "{error}");
        assert!(error.to_string().contains(" since 2"), "{error}");
        assert_eq!(error.exit_code(), 1);
        assert!(holder(dir.path(), NAME).unwrap().starts_with(&process));
        drop(first);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing left");
        FolderLock::acquire(dir.path(), NAME).unwrap();
    }

    #[test]
    fn the_lock_of_a_killed_process_is_free() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join(NAME),
            "process 1 on a longer name than ours, since ever",
        )
        .unwrap();
        assert_eq!(holder(dir.path(), NAME), None);
        let lock = FolderLock::acquire(dir.path(), NAME).unwrap();
        let name = fs::read_to_string(&lock.path).unwrap();
        let own = format!("process {} on ", std::process::id());
        assert!(name.starts_with(&own) && !name.ends_with("ever"), "{name}");
    }

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while total.load(Ordering::SeqCst) < 200 {
                        let Ok(_lock) = FolderLock::acquire(dir.path(), NAME) else {
                            continue;
                        };
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        total.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing left");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_was_made_anew_is_not_the_locked_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run");
        fs::create_dir(&folder).unwrap();
        let paused = FolderLock::acquire(&folder, NAME).unwrap();
        paused.check().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(paused.check().unwrap_err().exit_code(), 1);
        fs::create_dir(&folder).unwrap();
        let other = FolderLock::acquire(&folder, NAME).unwrap();
        let error = paused.check().unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
        drop(paused);
        other.check().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed_and_a_hostile_name_is_not_printed() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, path) = (dir.path().join("victim"), dir.path().join(NAME));
        fs::write(&victim, "kept").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        FolderLock::acquire(dir.path(), NAME).unwrap_err();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");

        fs::remove_file(&path).unwrap();
        fs::write(&path, "\x1b[2J".repeat(1000)).unwrap();
        let held = File::open(&path).unwrap();
        held.try_lock().unwrap();
        let shown = holder(dir.path(), NAME).unwrap();
        assert!(shown.len() <= 200 && !shown.contains('\x1b'), "{shown}");
    }
}
