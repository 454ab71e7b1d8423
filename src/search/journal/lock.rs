//! The lock file beside a study file. Writers hold it while they append; readers take no lock.
//!
//! The lock is the file `<journal>.lock`. Its creation fails if it exists. Optuna creates a file or a symbolic
//! link of that name, and each program respects the lock of the other. A process that was killed leaves its
//! lock behind. A waiting process removes a lock that has not changed for 30 s by its own monotonic clock,
//! which is safe because an append takes milliseconds. It removes the lock at once if the lock names a process
//! of this program on this host that no longer exists.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// A lock that has not changed for this time is abandoned.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// The identity of a lock: the file behind the name, and its time of modification.
type Identity = (u64, u64, Option<std::time::SystemTime>);

fn identity(metadata: &Metadata) -> Identity {
    #[cfg(unix)]
    let (device, inode) = {
        use std::os::unix::fs::MetadataExt;
        (metadata.dev(), metadata.ino())
    };
    #[cfg(not(unix))]
    let (device, inode) = (0, metadata.len());
    (device, inode, metadata.modified().ok())
}

/// The lock of a journal, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    identity: Identity,
}

impl Lock {
    /// Waits for the lock and takes it. The name of the holder is written into it.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub(super) fn acquire(journal: &Path, holder: &str, grace: Duration) -> Result<Self> {
        let path = path_of(journal);
        let mut pause = Duration::from_millis(1);
        let mut seen: Option<(Identity, Instant)> = None;
        loop {
            let made = OpenOptions::new().write(true).create_new(true).open(&path);
            match made {
                Ok(mut file) => {
                    let metadata = file
                        .write_all(holder.as_bytes())
                        .and_then(|()| file.metadata());
                    let metadata = metadata.map_err(|e| {
                        // Without a known identity the lock could not be released.
                        let _ = fs::remove_file(&path);
                        Error::io("lock", &path, e)
                    })?;
                    return Ok(Lock {
                        identity: identity(&metadata),
                        path,
                    });
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("lock", &path, e)),
            }
            match fs::symlink_metadata(&path).map(|m| identity(&m)) {
                Ok(now) => match seen {
                    Some((before, since)) if before == now => {
                        if since.elapsed() >= grace || holder_is_gone(&path) {
                            remove(&path, now).map_err(|e| Error::io("lock", &path, e))?;
                            seen = None;
                            continue;
                        }
                    }
                    _ => seen = Some((now, Instant::now())),
                },
                // The lock was released meanwhile: try again.
                Err(_) => {
                    seen = None;
                    continue;
                }
            }
            std::thread::sleep(pause.min(grace));
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Whether this process still holds the lock: another one may have removed it as abandoned.
    pub(super) fn is_held(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|m| identity(&m) == self.identity)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_held() {
            // If it cannot be removed, the next process waits for the grace period; nothing is lost.
            let _ = remove(&self.path, self.identity);
        }
    }
}

fn path_of(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn holder_is_gone(lock: &Path) -> bool {
    fs::read_to_string(lock).is_ok_and(|holder| super::worker::is_gone(&holder))
}

/// Removes a lock if it still has this identity. It is renamed first. Then only one of two processes gets it,
/// and neither can remove a newer lock.
fn remove(path: &Path, stale: Identity) -> io::Result<()> {
    if !fs::symlink_metadata(path).is_ok_and(|m| identity(&m) == stale) {
        return Ok(());
    }
    let mut renamed = path.as_os_str().to_owned();
    renamed.push(format!("{}.rename", super::worker::unique()));
    let renamed = PathBuf::from(renamed);
    match fs::rename(path, &renamed) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    if fs::symlink_metadata(&renamed).is_ok_and(|m| identity(&m) != stale) {
        // The lock was released and taken again between the check and the renaming. Put it back, unless a third
        // process has taken it by now.
        let _ = fs::hard_link(&renamed, path);
    }
    fs::remove_file(&renamed)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("study.journal");
        let (inside, most, total) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let lock = Lock::acquire(&journal, "test", GRACE).unwrap();
                        assert!(lock.is_held());
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        total.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!((most.into_inner(), total.into_inner()), (1, 100));
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is left behind"
        );
    }

    #[test]
    fn an_abandoned_lock_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("study.journal");
        let grace = Duration::from_millis(100);
        // Optuna's two kinds: a file, and a symbolic link that may dangle.
        fs::write(path_of(&journal), "killed").unwrap();
        let start = Instant::now();
        drop(Lock::acquire(&journal, "test", grace).unwrap());
        assert!(start.elapsed() >= grace);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("nowhere/study.journal", path_of(&journal)).unwrap();
            drop(Lock::acquire(&journal, "test", grace).unwrap());
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_lock_of_another_process_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("study.journal");
        let lock = Lock::acquire(&journal, "first", GRACE).unwrap();
        // Another process removed the lock as abandoned and took it.
        fs::remove_file(path_of(&journal)).unwrap();
        fs::write(path_of(&journal), "second, and longer").unwrap();
        assert!(!lock.is_held());
        drop(lock);
        assert_eq!(
            fs::read_to_string(path_of(&journal)).unwrap(),
            "second, and longer"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error =
            Lock::acquire(&dir.path().join("no").join("study.journal"), "test", GRACE).unwrap_err();
        assert_eq!(error.exit_code(), 1);
    }
}
