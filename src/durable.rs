//! Writing files so that a crash at any moment leaves either the old file or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes `bytes` to a temporary file beside `path`, syncs it, and renames it to `path`. A device or a pipe is
/// written directly, because it holds nothing that could be lost.
///
/// # Errors
/// If the disk is full or the folder cannot be written. The old file is then unchanged, and the temporary file
/// is removed.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |temporary| fs::write(temporary, bytes))
}

/// As [`write()`], but `make` writes the file, at the path that it is given.
pub(crate) fn write_with(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    if fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()) {
        return make(path).map_err(|e| Error::io("write", path, e));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary: PathBuf = path.with_file_name(name);
    let synced =
        make(&temporary).and_then(|()| OpenOptions::new().write(true).open(&temporary)?.sync_all());
    let written = synced.and_then(|()| fs::rename(&temporary, path));
    if let Err(e) = written {
        // The first failure is reported. A failure to remove the temporary file would add nothing.
        let _ = fs::remove_file(&temporary);
        return Err(Error::io("write", path, e));
    }
    sync_folder(path)
}

/// Syncs the folder on systems that can, so that the renaming is durable too.
fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let synced = File::open(folder).and_then(|f| f.sync_all());
        synced.map_err(|e| Error::io("sync", folder, e))?;
    }
    Ok(())
}

/// Appends one line and syncs. A line that could not be written whole is removed again. Returns the file's new
/// length.
///
/// # Errors
/// If the file cannot be opened or written.
pub(crate) fn append_line(path: &Path, line: &str) -> Result<u64> {
    let io = |e| Error::io("write", path, e);
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(io)?;
    let before = file.metadata().map_err(io)?.len();
    let written = file
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| file.sync_all());
    if let Err(e) = written {
        let _ = file.set_len(before);
        return Err(io(e));
    }
    Ok(file.metadata().map_err(io)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        write(&path, b"first, longer").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing left beside it"
        );
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

    #[test]
    fn appends_lines_and_reports_the_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        assert_eq!(append_line(&path, "{}").unwrap(), 3);
        assert_eq!(append_line(&path, "[1]").unwrap(), 7);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n[1]\n");
    }

    #[test]
    fn a_file_in_the_way_of_a_folder_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), b"").unwrap();
        let error = write(&dir.path().join("file").join("x"), b"1").unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
