//! The locks of a study file. Writers hold them while they append; readers take no lock.
//!
//! There are two. The *kernel's lock* on the file itself ends with the process that holds it. The *lock file*
//! `<journal>.lock` is the one that Optuna knows: its creation fails if it exists, and Optuna creates a file or a
//! symbolic link of that name. A process that was killed leaves its lock file behind. A waiting process removes one
//! that has not changed for 30 s by its own monotonic clock, or at once if it names a process of this program on
//! this machine that no longer exists.
//!
//! No lock holds for ever: Optuna removes a lock file after 30 s, and a network disk may forget the kernel's lock of
//! a machine that was suspended. So a process that is paused between its check and its write can always write late.
//! The locks make that rare, and [`Journal::transaction`](super::Journal::transaction) makes it harmless.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::system::{Identity, JournalFile, System, beside};
use crate::durable::{folder_of, unique};
use crate::error::{Error, Result};

/// A lock that has not changed for this time is abandoned.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// The ending of the lock file's name.
const LOCK: &str = ".lock";

/// The ending of the name that a lock file gets before it is removed.
const RENAMED: &str = ".rename";

/// The lock file of a journal, held until it is dropped. The kernel's lock ends when the journal is closed.
#[derive(Debug)]
pub(super) struct Lock<'s> {
    system: &'s dyn System,
    path: PathBuf,
    identity: Identity,
}

impl<'s> Lock<'s> {
    /// Waits for both locks and takes them. The name of the holder is written into the lock file.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub(super) fn acquire(
        system: &'s dyn System,
        file: &dyn JournalFile,
        journal: &Path,
        holder: &str,
        grace: Duration,
    ) -> Result<Self> {
        wait_for_kernel(system, file, grace);
        let path = beside(journal, LOCK);
        let identity =
            create(system, &path, holder, grace).map_err(|e| Error::io("lock", &path, e))?;
        Ok(Lock {
            system,
            path,
            identity,
        })
    }

    /// Whether this process still holds the lock file: another one may have removed it as abandoned.
    pub(super) fn is_held(&self) -> bool {
        let found = self.system.identity(&self.path);
        found.is_ok_and(|found| found == self.identity)
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // If it cannot be removed, the next process waits for the grace period; nothing is lost.
        let _ = remove(self.system, &self.path, self.identity);
    }
}

/// Waits until the kernel's lock is free and takes it. It waits no longer than `grace`: a process that is stopped
/// keeps its lock, and must not stop the others for ever. Not every file system has such locks.
fn wait_for_kernel(system: &dyn System, file: &dyn JournalFile, grace: Duration) {
    let start = system.time();
    let mut pause = Pause::default();
    while let Ok(false) = file.try_lock() {
        if system.time() - start >= grace {
            return;
        }
        pause.wait(system);
    }
}

/// Creates the lock file, as soon as there is none or the one that there is was abandoned.
fn create(system: &dyn System, path: &Path, holder: &str, grace: Duration) -> io::Result<Identity> {
    let mut pause = Pause::default();
    let mut seen: Option<(Identity, Duration)> = None;
    loop {
        match system.create_new(path, holder) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            other => return other,
        }
        // If there is none now, it was released meanwhile.
        let Ok(now) = system.identity(path) else {
            seen = None;
            continue;
        };
        match seen {
            Some((before, since)) if before == now => {
                let is_gone = || system.read(path).is_ok_and(|name| system.is_gone(&name));
                if system.time() - since >= grace || is_gone() {
                    remove(system, path, now)?;
                    seen = None;
                    continue;
                }
            }
            _ => seen = Some((now, system.time())),
        }
        pause.wait(system);
    }
}

/// Waits that grow from a millisecond to a second.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Pause(Duration::from_millis(1))
    }
}

impl Pause {
    fn wait(&mut self, system: &dyn System) {
        system.sleep(self.0);
        self.0 = (self.0 * 2).min(Duration::from_secs(1));
    }
}

/// Removes a lock file if it still has this identity. It is renamed first. Then only one of two processes gets it,
/// and neither can remove a newer lock.
fn remove(system: &dyn System, path: &Path, stale: Identity) -> io::Result<()> {
    if !system.identity(path).is_ok_and(|found| found == stale) {
        return Ok(());
    }
    let renamed = beside(path, &format!("{}{RENAMED}", unique()));
    match system.rename(path, &renamed) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    if system.identity(&renamed).is_ok_and(|found| found != stale) {
        // The lock was released and taken again between the check and the renaming. Put it back, unless a third
        // process has taken it by now.
        let _ = system.hard_link(&renamed, path);
    }
    system.remove(&renamed)
}

/// Removes the lock files that a process renamed and could not remove, because it was killed.
pub(super) fn sweep(journal: &Path) {
    let prefix = beside(Path::new(journal.file_name().unwrap_or_default()), LOCK);
    let prefix = prefix.to_string_lossy();
    // What cannot be listed or removed only takes space.
    for entry in std::fs::read_dir(folder_of(journal))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let middle = name
            .strip_prefix(&*prefix)
            .and_then(|rest| rest.strip_suffix(RENAMED));
        if middle.is_some_and(|middle| !middle.is_empty()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
