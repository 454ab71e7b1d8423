use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::*;
use crate::search::journal::system::{Access, OperatingSystem};

fn path_of(journal: &Path) -> PathBuf {
    beside(journal, LOCK)
}

/// An empty journal in a folder of its own.
fn journal() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    fs::write(&path, "").unwrap();
    (dir, path)
}

/// Takes both locks, tells `inside`, and releases them.
fn locked(journal: &Path, holder: &str, grace: Duration, inside: impl FnOnce(&Lock<'_>)) {
    let system = OperatingSystem::new();
    let file = system.open(journal, Access::Append).unwrap();
    let lock = Lock::acquire(&system, &*file, journal, holder, grace).unwrap();
    inside(&lock);
}

fn entries(dir: &tempfile::TempDir) -> usize {
    fs::read_dir(dir.path()).unwrap().count()
}

#[test]
fn one_at_a_time() {
    let (dir, journal) = journal();
    let [inside, most, total] = [const { AtomicUsize::new(0) }; 3];
    let work = || {
        for _ in 0..25 {
            locked(&journal, "test", GRACE, |lock| {
                assert!(lock.is_held());
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                total.fetch_add(1, Ordering::SeqCst);
                inside.fetch_sub(1, Ordering::SeqCst);
            });
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    assert_eq!((most.into_inner(), total.into_inner()), (1, 100));
    assert_eq!(entries(&dir), 1, "nothing is left behind");
}

#[test]
fn an_abandoned_lock_is_taken_over() {
    let (dir, journal) = journal();
    let grace = Duration::from_millis(100);
    // Optuna's two kinds: a file, and a symbolic link that may dangle.
    fs::write(path_of(&journal), "killed").unwrap();
    let start = Instant::now();
    locked(&journal, "test", grace, |_| ());
    assert!(start.elapsed() >= grace);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere/study.journal", path_of(&journal)).unwrap();
        locked(&journal, "test", grace, |_| ());
    }
    assert_eq!(entries(&dir), 1);
}

#[test]
fn the_lock_of_another_process_is_left_alone() {
    let (_dir, journal) = journal();
    locked(&journal, "first", GRACE, |lock| {
        // Another process removed the lock as abandoned and took it.
        fs::remove_file(path_of(&journal)).unwrap();
        fs::write(path_of(&journal), "second, and longer").unwrap();
        assert!(!lock.is_held());
    });
    let left = fs::read_to_string(path_of(&journal)).unwrap();
    assert_eq!(left, "second, and longer");
}

/// The kernel's lock is held beside the lock file, and a process that is stopped with it does not stop the others.
#[cfg(unix)]
#[test]
fn the_kernel_s_lock_is_held_and_waited_for_but_not_for_ever() {
    let (_dir, journal) = journal();
    let other = fs::File::open(&journal).unwrap();
    locked(&journal, "test", GRACE, |_| {
        assert!(other.try_lock().is_err(), "it is held");
    });
    other.try_lock().unwrap();
    let (start, grace) = (Instant::now(), Duration::from_millis(100));
    locked(&journal, "test", grace, |lock| assert!(lock.is_held()));
    assert!(start.elapsed() >= grace);
}

#[test]
fn what_a_killed_process_renamed_is_swept() {
    let (dir, journal) = journal();
    let left = beside(&path_of(&journal), &format!("{}{RENAMED}", unique()));
    let others = dir.path().join("study.journal.lock.note");
    fs::write(&left, "killed").unwrap();
    fs::write(&others, "").unwrap();
    sweep(&journal);
    assert!(!left.exists() && others.exists() && journal.exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let (dir, journal) = journal();
    let system = OperatingSystem::new();
    let file = system.open(&journal, Access::Append).unwrap();
    let elsewhere = dir.path().join("no").join("study.journal");
    let error = Lock::acquire(&system, &*file, &elsewhere, "test", GRACE).unwrap_err();
    assert_eq!(error.exit_code(), 1);
}
