//! The names of the workers that write to a study file.
//!
//! A name tells whether the worker's process exists. Process numbers mean something only within one boot of a machine
//! and one PID namespace: containers of one host name have numbers of their own. So a name holds both, as the *place*
//! of the process.

use std::fs;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::durable::unique;
use crate::lock::host;
use crate::text::hex;

/// The prefix of the names of this program's workers.
const NAME_PREFIX: &str = "chainrule-";

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
    hex(&digest[..8])
});

/// Whether the character may stand in a worker's name.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Whether a worker's name is one that this program gives. Others never become the name of a file: a name in a study
/// file may hold anything.
pub(super) fn is_own(worker: &str) -> bool {
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
pub(super) mod tests {
    use super::*;

    /// The name of a worker of a process in this place.
    pub(in crate::search::journal) fn worker_of(process: u32) -> String {
        format!("{NAME_PREFIX}host-{}-{process}-{}", *PLACE, unique())
    }

    /// The number of a process that no longer exists.
    #[cfg(unix)]
    pub(in crate::search::journal) fn gone() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_is_gone_is_known_in_its_own_place_only() {
        let gone = gone();
        assert!(is_gone(&worker_of(gone)));
        assert!(!is_gone(&name()));
        // In another container or after another boot the number means another process, on any host.
        let host = host();
        for place in ["0123456789abcdef", "", "elsewhere"] {
            let worker = format!("{NAME_PREFIX}{host}-{place}-{gone}-{}", unique());
            assert!(!is_gone(&worker), "{worker}");
        }
        let old = format!("{NAME_PREFIX}{host}-{gone}-{}", unique());
        assert!(!is_gone(&old), "a name without a place");
    }

    #[test]
    fn a_name_tells_whose_the_worker_is() {
        assert_eq!(Origin::of(&name()), Origin::ThisProcess);
        assert_eq!(Origin::of(&worker_of(1)), Origin::ThisProgram);
        assert_eq!(Origin::of("f1af3dd8-f7ef"), Origin::OtherProgram);
        assert!(is_own(&name()));
        for hostile in ["../a", "/a", "a\\b", "a\0", ""] {
            let worker = format!("{NAME_PREFIX}{hostile}");
            assert!(
                !is_own(hostile) && (hostile.is_empty() || !is_own(&worker)),
                "{hostile:?}"
            );
        }
    }
}
