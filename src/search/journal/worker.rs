//! The workers that write to a study file, and whether they are alive.
//!
//! The journal itself does not show whether a worker is alive: a trial whose worker was killed stays running in
//! it for ever. So each worker of this program increments a counter in a file of its own,
//! `<journal>.alive/<worker>`. A worker is dead if its process no longer exists, or if its counter has not
//! changed for a minute by the monotonic clock of the process that watches it.
//!
//! Process numbers mean something only within one boot of a machine and one PID namespace: containers of one host
//! name have numbers of their own. So a worker's name holds both, as the *place* of its process.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::system::{System, beside};
use crate::durable::unique;
use crate::error::{Error, Result};
use crate::lock::host;

/// How often a worker increments its counter.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// A worker whose counter has not changed for this time is dead.
pub(super) const DEATH_TIMEOUT: Duration = Duration::from_secs(60);

/// A counter that has not changed for this time is removed. A worker that lives writes it anew.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The prefix of the names of this program's workers.
const NAME_PREFIX: &str = "chainrule-";

/// The ending of the name of the folder of the counters.
const FOLDER: &str = ".alive";

/// A new worker's name: `chainrule-<host>-<place>-<process>-<unique>`. It can also be the name of a file.
pub(super) fn name() -> String {
    format!("{}{}", *PROCESS, unique())
}

/// The beginning of the names of this process's workers.
static PROCESS: LazyLock<String> = LazyLock::new(|| {
    let host = host().replace(|c| !is_plain(c), "_");
    let process = std::process::id();
    format!("{NAME_PREFIX}{host}-{}-{process}-", *PLACE)
});

/// Where process numbers mean what they mean here: 64 bits of a hash of the boot and the PID namespace, in
/// hexadecimal. Where the system tells neither, the host alone counts.
static PLACE: LazyLock<String> = LazyLock::new(|| {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let text = format!("{} {} {}", host(), boot.trim(), namespace.display());
    let digest = Sha256::digest(text.as_bytes());
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
});

/// Whether the character may stand in a worker's name.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Whether a worker's name is one that this program gives. Others never become the name of a file: a name in a study
/// file may hold anything.
fn is_own(worker: &str) -> bool {
    worker.starts_with(NAME_PREFIX) && worker.chars().all(is_plain)
}

/// Whose a worker is, judging by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It works in this process.
    ThisProcess,
    /// It works in another process of this program.
    ThisProgram,
    /// It is of another program.
    OtherProgram,
}

impl Origin {
    /// Whose the worker of this name is.
    pub(in crate::search) fn of(worker: &str) -> Self {
        match worker {
            own if own.starts_with(PROCESS.as_str()) => Origin::ThisProcess,
            own if is_own(own) => Origin::ThisProgram,
            _ => Origin::OtherProgram,
        }
    }
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

/// Whether the name is that of a process of this program in this place, and the process no longer exists.
/// Process numbers are used again, and then the timeout decides.
pub(super) fn is_gone(worker: &str) -> bool {
    let Some(rest) = worker.strip_prefix(NAME_PREFIX) else {
        return false;
    };
    let mut parts = rest.rsplit('-');
    let (_unique, process, place) = (parts.next(), parts.next(), parts.next());
    place == Some(PLACE.as_str())
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
    use crate::search::journal::system::OperatingSystem;

    fn liveness(journal: &Path, timeout: Duration) -> Liveness {
        Liveness::new(Arc::new(OperatingSystem::new()), journal, timeout)
    }

    /// The name of a worker of a process in this place.
    fn worker_of(process: u32) -> String {
        format!("{NAME_PREFIX}host-{}-{process}-{}", *PLACE, unique())
    }

    /// The number of a process that no longer exists.
    #[cfg(unix)]
    fn gone() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
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
        let gone = gone();
        assert!(liveness.is_dead(&worker_of(gone)));
        assert!(!liveness.is_dead(&name()));
        // In another container or after another boot the number means another process, on any host.
        let host = host();
        for place in ["0123456789abcdef", "", "elsewhere"] {
            let worker = format!("{NAME_PREFIX}{host}-{place}-{gone}-{}", unique());
            assert!(!liveness.is_dead(&worker), "{worker}");
        }
        let old = format!("{NAME_PREFIX}{host}-{gone}-{}", unique());
        assert!(!liveness.is_dead(&old), "a name without a place");
    }

    #[test]
    fn a_name_tells_whose_the_worker_is() {
        assert_eq!(Origin::of(&name()), Origin::ThisProcess);
        assert_eq!(Origin::of(&worker_of(1)), Origin::ThisProgram);
        assert_eq!(Origin::of("f1af3dd8-f7ef"), Origin::OtherProgram);
        assert!(is_own(&name()));
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
