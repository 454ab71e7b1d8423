//! Whether the workers that write to a study file are alive.
//!
//! The journal itself does not show whether a worker is alive: a trial whose worker was killed stays running in
//! it for ever. So each worker of this program increments a counter in a file of its own,
//! `<journal>.alive/<worker>`. A worker is dead if its process no longer exists, or if its counter has not
//! changed for a minute by the monotonic clock of the process that watches it.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::system::{System, beside};
use super::worker_name::{is_gone, is_own};
use crate::error::{Error, Result};

/// How often a worker increments its counter.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// A worker whose counter has not changed for this time is dead.
pub(super) const DEATH_TIMEOUT: Duration = Duration::from_secs(60);

/// A counter that has not changed for this time is removed. A worker that lives writes it anew.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The ending of the name of the folder of the counters.
const FOLDER: &str = ".alive";

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
        let folder = beside(journal, FOLDER);
        let path = folder.join(worker);
        loop {
            fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e))?;
            match fs::write(&path, "0") {
                // Another worker was the last one, and has removed the folder.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("write", &path, e)),
                Ok(()) => break,
            }
        }
        sweep(&folder, &path);
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

/// Removes the counters of workers whose processes no longer exist, and those that are much older than the one at
/// `newest`. A counter that stays only takes space.
fn sweep(folder: &Path, newest: &Path) {
    let modified = |path: &Path| fs::metadata(path).and_then(|m| m.modified());
    let Ok(now) = modified(newest) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = modified(&entry.path()).map(|then| now.duration_since(then));
        let is_old = matches!(age, Ok(Ok(age)) if age > FORGET_AFTER);
        if is_old || entry.file_name().to_str().is_some_and(is_gone) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Finds out which workers are dead.
#[derive(Debug)]
pub(super) struct Liveness {
    system: Arc<dyn System>,
    folder: PathBuf,
    timeout: Duration,
    /// The content of each worker's file, and since when it has been the same.
    seen: HashMap<String, (Option<String>, Duration)>,
}

impl Liveness {
    pub(super) fn new(system: Arc<dyn System>, journal: &Path, timeout: Duration) -> Self {
        Liveness {
            system,
            folder: beside(journal, FOLDER),
            timeout,
            seen: HashMap::new(),
        }
    }

    /// Whether this worker is one of this program's and dead. Workers of other programs never count as dead,
    /// because they have no counter.
    pub(super) fn is_dead(&mut self, worker: &str) -> bool {
        if !is_own(worker) {
            return false;
        }
        if self.system.is_gone(worker) {
            return true;
        }
        let count = self.system.read(&self.folder.join(worker)).ok();
        let now = self.system.time();
        let seen = self.seen.entry(worker.to_owned());
        let (before, since) = seen.or_insert_with(|| (count.clone(), now));
        if *before != count {
            (*before, *since) = (count, now);
        }
        now - *since >= self.timeout
    }

    /// Removes the counter of a dead worker.
    pub(super) fn forget(&mut self, worker: &str) {
        self.seen.remove(worker);
        if is_own(worker) {
            // Another worker may have removed it, or it never existed.
            let _ = self.system.remove(&self.folder.join(worker));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::unique;
    use crate::search::journal::system::OperatingSystem;
    use crate::search::journal::worker_name::name;
    #[cfg(unix)]
    use crate::search::journal::worker_name::tests::{gone, worker_of};

    const NAME_PREFIX: &str = "chainrule-";

    fn liveness(journal: &Path, timeout: Duration) -> Liveness {
        Liveness::new(Arc::new(OperatingSystem::new()), journal, timeout)
    }

    #[test]
    fn living_silent_and_foreign_workers() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("study.journal");
        let timeout = Duration::from_millis(200);
        let (me, elsewhere) = (name(), format!("{NAME_PREFIX}other-host-1-{}", unique()));
        let mut liveness = liveness(&journal, timeout);
        let beat = Heartbeat::start(&journal, &me).unwrap();
        assert!(!liveness.is_dead(&me) && !liveness.is_dead(&elsewhere));
        std::thread::sleep(timeout / 2);
        fs::write(beside(&journal, FOLDER).join(&me), "1").unwrap();
        assert!(!liveness.is_dead(&me));
        std::thread::sleep(timeout * 2 / 3);
        assert!(!liveness.is_dead(&me), "its count has changed");
        assert!(liveness.is_dead(&elsewhere), "it has no counter");
        assert!(
            !liveness.is_dead("f1af3dd8-f7ef-4654-aa51-c8a4ada8cfeb-140498668792704"),
            "of another program"
        );
        drop(beat);
        assert!(!beside(&journal, FOLDER).exists(), "nothing is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_is_gone_is_dead_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut liveness = liveness(&dir.path().join("study.journal"), DEATH_TIMEOUT);
        assert!(liveness.is_dead(&worker_of(gone())));
        assert!(!liveness.is_dead(&name()));
    }

    /// A name in a study file is never a path.
    #[test]
    fn a_hostile_name_removes_and_reads_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("study.journal");
        let _beat = Heartbeat::start(&journal, &name()).unwrap();
        let outside = dir.path().join("thesis.txt");
        fs::write(&outside, "years of work").unwrap();
        let mut liveness = liveness(&journal, Duration::ZERO);
        let names = [
            format!("{NAME_PREFIX}/../../thesis.txt"),
            format!("{NAME_PREFIX}x/../../thesis.txt"),
            "../thesis.txt".into(),
            outside.display().to_string(),
            format!("{NAME_PREFIX}..\\..\\thesis.txt"),
            String::new(),
        ];
        for name in &names {
            assert!(!liveness.is_dead(name), "{name}");
            liveness.forget(name);
            assert!(outside.exists(), "{name}");
        }
        liveness.forget(NAME_PREFIX);
        liveness.forget(&format!("{NAME_PREFIX}{}", "x".repeat(300)));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn counters_of_killed_processes_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("study.journal");
        let folder = beside(&journal, FOLDER);
        fs::create_dir(&folder).unwrap();
        let elsewhere = |number| format!("{NAME_PREFIX}other-{number}-ab");
        let workers = [worker_of(gone()), elsewhere(1), elsewhere(2)];
        for worker in &workers {
            fs::write(folder.join(worker), "3").unwrap();
        }
        let old = fs::File::options()
            .write(true)
            .open(folder.join(&workers[1]));
        let long_ago = std::time::SystemTime::now() - 2 * FORGET_AFTER;
        old.unwrap().set_modified(long_ago).unwrap();
        let _beat = Heartbeat::start(&journal, &name()).unwrap();
        let left = workers.map(|worker| folder.join(worker).exists());
        assert_eq!(left, [false, false, true]);
    }
}
