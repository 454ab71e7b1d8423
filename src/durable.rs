//! Writing files so that a crash at any moment leaves either the old file or the new one.
//!
//! A new file gets a temporary name that nobody can foresee, `.chainrule-<unique>.tmp`. It is renamed once it is on
//! disk. Its writer holds a kernel lock on it. A process that is killed leaves it behind unlocked, and whoever writes
//! next in the folder removes it.

pub(crate) mod device_name;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::lock;
use crate::lock::exclusive::{Opened, open_alone_to_rename};
use device_name::is_device_name;

const PREFIX: &str = ".chainrule-";
const SUFFIX: &str = ".tmp";

/// 128 random bits in hexadecimal.
pub(crate) fn unique() -> String {
    // The keys of a `RandomState` come from the system's source of randomness.
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// Writes `bytes` to a temporary file beside `path`, syncs it, and renames it to `path`. A device or a pipe is
/// written directly, because it holds nothing that could be lost.
///
/// # Errors
/// If the disk is full or the folder cannot be written. The old file is then unchanged, and the temporary file
/// is removed.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| {
        file.write_all(bytes)
            .map_err(|e| Error::io("write", path, e))
    })
}

/// As [`write()`], but `fill` writes the contents.
pub(crate) fn write_with(path: &Path, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let failed = |e| Error::io("write", path, e);
    if is_stream(path) {
        let opened = OpenOptions::new().append(true).open(path);
        return fill(&mut opened.map_err(failed)?);
    }
    let folder = folder_of(path);
    sweep(folder);
    let mut new = Temporary::create(folder).map_err(failed)?;
    let filled = fill(&mut new.file).and_then(|()| {
        let renamed = new.file.sync_all();
        renamed
            .and_then(|()| rename(&new.path, path))
            .map_err(failed)
    });
    if filled.is_err() {
        // The first failure is reported. A failure to remove the temporary file would add nothing.
        let _ = fs::remove_file(&new.path);
        return filled;
    }
    sync(folder)
}

/// For so long a file that another program has open is tried again to be replaced.
const PATIENCE: Duration = Duration::from_secs(2);

/// Renames a file, also to the name of another one, which it replaces. Windows refuses that while another program has
/// one of them open, as a virus scanner does for a moment. Then it is tried again for two seconds.
///
/// # Errors
/// If it cannot be renamed.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match fs::rename(from, to) {
            Err(e) if is_in_the_way(&e) => {
                if start.elapsed() >= PATIENCE {
                    let message = format!("another program may have it open: {e}");
                    return Err(io::Error::new(e.kind(), message));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Whether Windows refuses to touch a file because it is open: access denied, a sharing or a lock violation.
fn is_in_the_way(error: &io::Error) -> bool {
    cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32 | 33))
}

/// Whether a path leads to a device, a pipe, or what the process has open already, such as `/dev/stdout`.
fn is_stream(path: &Path) -> bool {
    let is_open = || {
        let folder = fs::canonicalize(folder_of(path));
        folder.is_ok_and(|folder| folder == Path::new("/dev") || folder.starts_with("/proc"))
    };
    is_device(path) || fs::metadata(path).is_ok_and(|m| !m.is_dir() && (!m.is_file() || is_open()))
}

/// Whether Windows takes a path for that of a device.
pub(crate) fn is_device(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    cfg!(windows) && name.is_some_and(is_device_name)
}

/// A file that is being written.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn create(folder: &Path) -> io::Result<Self> {
        loop {
            let path = folder.join(format!("{PREFIX}{}{SUFFIX}", unique()));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            // Another process may have swept it up before it was locked.
            if let Some(Opened { file, .. }) = open_alone_to_rename(&path, &mut options)?
                && lock::is_at(&file, &path)
            {
                return Ok(Temporary { path, file });
            }
        }
    }
}

/// Whether a file's name is that of a temporary file.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    name.is_some_and(|name| name.ends_with(SUFFIX))
}

/// Removes the temporary files of killed processes. What cannot be removed stays; it only takes space.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !is_temporary(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        // The lock is held until the file is gone, so that its writer cannot take it in between.
        let opened = open_alone_to_rename(&path, OpenOptions::new().read(true).write(true));
        if let Ok(Some(Opened {
            file: _held,
            is_exclusive: true,
        })) = opened
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes an empty file, unless it exists, and syncs the folder that holds it.
///
/// # Errors
/// If it cannot be made or written.
pub(crate) fn create(path: &Path) -> Result<()> {
    let is_new = !path.exists();
    let made = OpenOptions::new().append(true).create(true).open(path);
    made.map_err(|e| Error::io("open", path, e))?;
    match is_new {
        true => sync(folder_of(path)),
        false => Ok(()),
    }
}

/// Makes a folder and those above it, unless they exist, and syncs the folders that hold them.
///
/// # Errors
/// If one of them cannot be made.
pub(crate) fn create_dir_all(path: &Path) -> Result<()> {
    if is_device(path) {
        return Err(Error::format(path, "path", "a folder", "a device"));
    }
    let made = match fs::create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            create_dir_all(folder_of(path))?;
            fs::create_dir(path)
        }
        other => other,
    };
    match made {
        Ok(()) => sync(folder_of(path)),
        Err(_) if path.is_dir() => Ok(()),
        Err(e) => Err(Error::io("create", path, e)),
    }
}

/// Makes a folder and syncs the one that holds it. Returns `false` if there is something of this name already.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn create_dir(path: &Path) -> Result<bool> {
    match fs::create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(Error::io("create", path, e)),
        Ok(()) => sync(folder_of(path)).map(|()| true),
    }
}

/// The folder that holds a file.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Syncs a folder on systems that can, so that the names in it are durable too.
fn sync(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let synced = File::open(folder).and_then(|f| f.sync_all());
        synced.map_err(|e| Error::io("sync", folder, e))?;
    }
    Ok(())
}

/// Opens a file, asks `check` whether it may be written, and appends one line. A line that could not be written whole
/// is removed again. It outlives the process; [`sync_file`] makes it outlive the system.
///
/// # Errors
/// If the file cannot be opened or written, or those of `check`.
pub(crate) fn append_line(
    path: &Path,
    line: &str,
    check: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let failed = |e| Error::io("write", path, e);
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)?;
    check()?;
    let before = file.metadata().map_err(failed)?.len();
    if let Err(e) = file.write_all(format!("{line}\n").as_bytes()) {
        let _ = file.set_len(before);
        return Err(failed(e));
    }
    match before {
        0 => sync(folder_of(path)),
        _ => Ok(()),
    }
}

/// Waits until what was written to a file outlives the system; a file that does not exist has nothing to keep.
///
/// # Errors
/// If the system says that it could not be written.
pub(crate) fn sync_file(path: &Path) -> Result<()> {
    let open = OpenOptions::new().append(true).open(path);
    let synced = open.and_then(|file| file.sync_all());
    match synced {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("write", path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_whole_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        write(&path, b"first, longer").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(dir.path()), ["a.bin"], "nothing left beside it");
    }

    #[test]
    fn a_failure_leaves_the_old_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        write(&path, b"old").unwrap();
        let refused = |file: &mut File| {
            file.write_all(b"half").unwrap();
            Err(Error::Check("stop".into()))
        };
        assert_eq!(write_with(&path, refused).unwrap_err().to_string(), "stop");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    #[test]
    fn left_overs_of_killed_processes_are_swept_up_and_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let living = Temporary::create(dir.path()).unwrap();
        let name = living.path.file_name().unwrap().to_str().unwrap();
        fs::write(at(&format!("{PREFIX}{}{SUFFIX}", unique())), "half").unwrap();
        for other in ["b.tmp", ".b.tmp", ".chainrule.txt"] {
            fs::write(at(other), "").unwrap();
        }
        write(&at("a.bin"), b"whole").unwrap();
        assert_eq!(
            names(dir.path()),
            [".b.tmp", name, ".chainrule.txt", "a.bin", "b.tmp"]
        );
        drop(living);
        write(&at("a.bin"), b"whole").unwrap();
        assert_eq!(names(dir.path()).len(), 4);
    }

    #[test]
    fn writers_that_sweep_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = dir.path().join(writer.to_string());
                scope.spawn(move || (0..100).for_each(|_| write(&path, b"whole").unwrap()));
            }
        });
        assert_eq!(names(dir.path()), ["0", "1", "2", "3"]);
    }

    #[cfg(unix)]
    #[test]
    fn planted_links_are_not_followed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let (victim, path) = (dir.path().join("victim"), dir.path().join("a.bin"));
        fs::write(&victim, "kept").unwrap();
        for name in ["a.bin.tmp", ".a.bin.tmp", ".chainrule-0.tmp"] {
            symlink(&victim, dir.path().join(name)).unwrap();
        }
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"kept");
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_not_replaced() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        // Through a link, so that a bug does not replace the device itself.
        let path = dir.path().join("null");
        symlink("/dev/null", &path).unwrap();
        write(&path, b"gone").unwrap();
        assert!(fs::metadata(&path).unwrap().file_type().is_char_device());
    }

    /// A program that does not let others replace a file that it has open, as most do on Windows.
    #[cfg(windows)]
    fn open_elsewhere(path: &Path) -> File {
        use std::os::windows::fs::OpenOptionsExt;
        const READ_AND_WRITE: u32 = 3;
        let mut options = OpenOptions::new();
        options.read(true).share_mode(READ_AND_WRITE);
        options.open(path).unwrap()
    }

    #[cfg(windows)]
    #[test]
    fn a_file_that_is_open_elsewhere_is_replaced_once_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        write(&path, b"old").unwrap();
        let reader = open_elsewhere(&path);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(PATIENCE / 4);
                drop(reader);
            });
            write(&path, b"new").unwrap();
        });
        assert_eq!(fs::read(&path).unwrap(), b"new");

        let reader = open_elsewhere(&path);
        let error = write(&path, b"newer").unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let message = error.to_string();
        assert!(
            message.contains("a.bin: another program may have it open"),
            "{message}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"new");
        drop(reader);
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    #[cfg(windows)]
    #[test]
    fn a_device_is_written_and_is_no_folder() {
        write(Path::new("NUL"), b"gone").unwrap();
        let error = create_dir_all(Path::new("nul")).unwrap_err().to_string();
        assert_eq!(error, "nul: path: expected a folder, found a device");
    }

    /// `/dev/stdout` leads to a file after `>> file`: it is neither replaced nor cut.
    #[cfg(target_os = "linux")]
    #[test]
    fn open_files_are_appended_to() {
        use std::os::fd::AsRawFd;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("all.csv");
        fs::write(&path, "before,").unwrap();
        let open = OpenOptions::new().append(true).open(&path).unwrap();
        let name = format!("/proc/self/fd/{}", open.as_raw_fd());
        write(Path::new(&name), b"after").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before,after");
        assert!(lock::is_at(&open, &path));
    }

    #[test]
    fn appends_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        append_line(&path, "{}", || Ok(())).unwrap();
        append_line(&path, "[1]", || Ok(())).unwrap();
        append_line(&path, "[2]", || Err(Error::Check("stop".into()))).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n[1]\n");
    }

    #[test]
    fn makes_folders_in_folders() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/../c");
        create_dir_all(&path).unwrap();
        create_dir_all(&path).unwrap();
        assert!(dir.path().join("a/c").is_dir());
        assert!(!create_dir(&path).unwrap());
        assert!(create_dir(&path.join("d")).unwrap());
    }

    #[test]
    fn a_file_in_the_way_of_a_folder_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), b"").unwrap();
        let inside = dir.path().join("file").join("x");
        for error in [write(&inside, b"1"), create_dir_all(&inside)] {
            assert_eq!(error.unwrap_err().exit_code(), 2);
        }
        let error = create_dir_all(&dir.path().join("file")).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
