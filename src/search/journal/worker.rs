//! Who writes to a study file, and whether they are still alive.
//!
//! The journal itself has no sign of life: a trial whose worker was killed stays running in it for ever. So each of our workers bumps a counter in a file of its own,
//! `<journal>.alive/<worker>`. Whoever has seen the same count for a minute, by its own steady clock, or knows that the process is gone, takes the worker for dead.

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often a worker shows that it lives.
const BEAT: Duration = Duration::from_secs(15);

/// After so long without a beat it is dead.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// How the names of our workers begin.
const PROJECT: &str = "chainrule-";

/// 128 random bits in hexadecimal.
pub(super) fn unique() -> String {
    // Every such state has keys of its own, from the system's source of randomness.
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// A new worker's name: `chainrule-<host>-<process>-<unique>`.
pub(super) fn name() -> String {
    format!("{PROJECT}{}-{}-{}", host(), std::process::id(), unique())
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

/// A worker's sign of life, on a thread of its own until it is dropped.
#[derive(Debug)]
pub(super) struct Heartbeat {
    path: PathBuf,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
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
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                beats += 1;
                // A full disk costs a beat; the next one may find room.
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
        // Only if it is empty: then this was the last worker.
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

/// Tells the dead from the living.
#[derive(Debug)]
pub(super) struct Watch {
    folder: PathBuf,
    silence: Duration,
    /// What each worker's file held, and since when.
    seen: HashMap<String, (Option<String>, Instant)>,
}

impl Watch {
    pub(super) fn new(journal: &Path, silence: Duration) -> Self {
        Watch {
            folder: folder(journal),
            silence,
            seen: HashMap::new(),
        }
    }

    /// Whether this worker is one of ours and dead. Other programs' workers never are: they give no sign of life.
    pub(super) fn is_dead(&mut self, worker: &str) -> bool {
        if !worker.starts_with(PROJECT) {
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
        since.elapsed() >= self.silence
    }

    /// Removes the sign of life of a worker that is dead.
    pub(super) fn bury(&mut self, worker: &str) {
        self.seen.remove(worker);
        // Another one may have done so, or it never gave a sign.
        let _ = fs::remove_file(self.folder.join(worker));
    }
}

/// Whether a name is that of one of our processes on this host, and there is no such process. A process number can be used again: then its silence decides.
pub(super) fn is_gone(worker: &str) -> bool {
    let Some(rest) = worker.strip_prefix(PROJECT) else {
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
    // Another user's process exists too, but may not be asked.
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
    fn the_living_the_silent_and_the_foreign() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("study.journal");
        let silence = Duration::from_millis(200);
        let (me, elsewhere) = (name(), format!("{PROJECT}other-host-1-{}", unique()));
        let mut watch = Watch::new(&journal, silence);
        let beat = Heartbeat::start(&journal, &me).unwrap();
        assert!(!watch.is_dead(&me) && !watch.is_dead(&elsewhere));
        std::thread::sleep(silence / 2);
        fs::write(folder(&journal).join(&me), "1").unwrap();
        assert!(!watch.is_dead(&me));
        std::thread::sleep(silence * 2 / 3);
        assert!(!watch.is_dead(&me), "its count has changed");
        assert!(watch.is_dead(&elsewhere), "it never gave a sign");
        assert!(
            !watch.is_dead("f1af3dd8-f7ef-4654-aa51-c8a4ada8cfeb-140498668792704"),
            "not ours"
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
        let mut watch = Watch::new(&dir.path().join("study.journal"), SILENCE);
        assert!(watch.is_dead(&format!("{PROJECT}{}-{process}-{}", host(), unique())));
        assert!(!watch.is_dead(&name()));
        assert!(!watch.is_dead(&format!(
            "{PROJECT}{}-elsewhere-{process}-{}",
            host(),
            unique()
        )));
    }
}
