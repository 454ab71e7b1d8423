//! The workers that write to a study file, and whether they are alive.
//!
//! The journal itself does not show whether a worker is alive: a trial whose worker was killed stays running in
//! it for ever. So each worker of this program increments a counter in a file of its own,
//! `<journal>.alive/<worker>`. A worker is dead if its process no longer exists, or if its counter has not
//! changed for a minute by the monotonic clock of the process that watches it.

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often a worker increments its counter.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// A worker whose counter has not changed for this time is dead.
pub(super) const DEATH_TIMEOUT: Duration = Duration::from_secs(60);

/// The prefix of the names of this program's workers.
const NAME_PREFIX: &str = "chainrule-";

/// 128 random bits in hexadecimal.
pub(super) fn unique() -> String {
    // Each `RandomState` has keys of its own, from the system's source of randomness.
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// A new worker's name: `chainrule-<host>-<process>-<unique>`.
pub(super) fn name() -> String {
    format!(
        "{NAME_PREFIX}{}-{}-{}",
        host(),
        std::process::id(),
        unique()
    )
}

fn host() -> String {
    #[cfg(unix)]
    return rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").unwrap_or_default();
}

/// The folder of the counters.
fn folder(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".alive");
    name.into()
}

/// Increments a worker's counter, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub(super) struct Heartbeat {
    path: PathBuf,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Creates the counter and starts the thread.
    ///
    /// # Errors
    /// If the counter cannot be written.
    pub(super) fn start(journal: &Path, worker: &str) -> Result<Self> {
        let folder = folder(journal);
        fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e))?;
        let path = folder.join(worker);
        fs::write(&path, "0").map_err(|e| Error::io("write", &path, e))?;
        let (stop, stopped) = channel();
        let file = path.clone();
        let thread = std::thread::spawn(move || {
            let mut beats = 0u64;
            while stopped.recv_timeout(HEARTBEAT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                beats += 1;
                // If the disk is full, this beat is lost. The next one may succeed.
                let _ = fs::write(&file, beats.to_string());
            }
        });
        Ok(Heartbeat {
            path,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
        // Succeeds only if the folder is empty: then this was the last worker.
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

/// Finds out which workers are dead.
#[derive(Debug)]
pub(super) struct Liveness {
    folder: PathBuf,
    timeout: Duration,
    /// The content of each worker's file, and since when it has been the same.
    seen: HashMap<String, (Option<String>, Instant)>,
}

impl Liveness {
    pub(super) fn new(journal: &Path, timeout: Duration) -> Self {
        Liveness {
            folder: folder(journal),
            timeout,
            seen: HashMap::new(),
        }
    }

    /// Whether this worker is one of this program's and dead. Workers of other programs never count as dead,
    /// because they have no counter.
    pub(super) fn is_dead(&mut self, worker: &str) -> bool {
        if !worker.starts_with(NAME_PREFIX) {
            return false;
        }
        if is_gone(worker) {
            return true;
        }
        let now = fs::read_to_string(self.folder.join(worker)).ok();
        let (count, since) = self
            .seen
            .entry(worker.to_owned())
            .or_insert_with(|| (now.clone(), Instant::now()));
        if *count != now {
            (*count, *since) = (now, Instant::now());
        }
        since.elapsed() >= self.timeout
    }

    /// Removes the counter of a dead worker.
    pub(super) fn forget(&mut self, worker: &str) {
        self.seen.remove(worker);
        // Another worker may have removed it, or it never existed.
        let _ = fs::remove_file(self.folder.join(worker));
    }
}

/// Whether the name is that of a process of this program on this host, and the process no longer exists.
/// Process numbers are used again, and then the timeout decides.
pub(super) fn is_gone(worker: &str) -> bool {
    let Some(rest) = worker.strip_prefix(NAME_PREFIX) else {
        return false;
    };
    let mut parts = rest.rsplitn(3, '-');
    let (_, process, on) = (parts.next(), parts.next(), parts.next());
    on == Some(host().as_str())
        && process
            .and_then(|p| p.parse().ok())
            .is_some_and(|process| !exists(process))
}

#[cfg(unix)]
fn exists(process: i32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let Some(process) = Pid::from_raw(process) else {
        return true;
    };
    // Another user's process exists too, although it may not be signalled.
    test_kill_process(process) != Err(rustix::io::Errno::SRCH)
}

#[cfg(not(unix))]
fn exists(_process: i32) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn living_silent_and_foreign_workers() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("study.journal");
        let timeout = Duration::from_millis(200);
        let (me, elsewhere) = (name(), format!("{NAME_PREFIX}other-host-1-{}", unique()));
        let mut liveness = Liveness::new(&journal, timeout);
        let beat = Heartbeat::start(&journal, &me).unwrap();
        assert!(!liveness.is_dead(&me) && !liveness.is_dead(&elsewhere));
        std::thread::sleep(timeout / 2);
        fs::write(folder(&journal).join(&me), "1").unwrap();
        assert!(!liveness.is_dead(&me));
        std::thread::sleep(timeout * 2 / 3);
        assert!(!liveness.is_dead(&me), "its count has changed");
        assert!(liveness.is_dead(&elsewhere), "it has no counter");
        assert!(
            !liveness.is_dead("f1af3dd8-f7ef-4654-aa51-c8a4ada8cfeb-140498668792704"),
            "of another program"
        );
        drop(beat);
        assert!(!folder(&journal).exists(), "nothing is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_is_gone_is_dead_at_once() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = child.id();
        child.wait().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut liveness = Liveness::new(&dir.path().join("study.journal"), DEATH_TIMEOUT);
        assert!(liveness.is_dead(&format!("{NAME_PREFIX}{}-{process}-{}", host(), unique())));
        assert!(!liveness.is_dead(&name()));
        assert!(!liveness.is_dead(&format!(
            "{NAME_PREFIX}{}-elsewhere-{process}-{}",
            host(),
            unique()
        )));
    }
}
