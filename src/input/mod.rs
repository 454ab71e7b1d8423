//! Opening files to read them.
//!
//! Everything that is read has an end: a file ends where it ended when it was opened, and a pipe at a limit. A file
//! that never ends (a device) and one that may never begin (a named pipe that nobody writes) are refused.

mod text;

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::durable;
use crate::error::{Error, Result};
pub(crate) use text::refuse_utf16;

/// The largest number of bytes that are read from a pipe.
const MAX_PIPED: u64 = 1 << 30;

/// An open file with a known end.
#[derive(Debug)]
pub(crate) struct BoundedFile {
    path: PathBuf,
    file: File,
    /// The size of a file; a pipe has none.
    size: Option<u64>,
    limit: u64,
    position: u64,
}

impl BoundedFile {
    /// Opens a file, or a pipe that the program was started with.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no such file. [`Error::Format`] if it is a folder, a device, a socket or a named
    /// pipe.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let wrong = |error: io::Error| match error.kind() {
            // A name below a file names nothing.
            ErrorKind::NotADirectory => Error::io("read", path, ErrorKind::NotFound.into()),
            _ => Error::io("read", path, error),
        };
        let refused = |found| Error::format(path, "input", "a file", found);
        #[cfg(windows)]
        if is_standard_input(path) {
            use std::io::IsTerminal;
            use std::os::windows::io::AsHandle;
            let input = io::stdin();
            if input.is_terminal() {
                return Err(refused("a device"));
            }
            let file = input.as_handle().try_clone_to_owned().map_err(wrong)?;
            return Ok(Self::new(path, file.into(), None));
        }
        if durable::is_device(path) {
            return Err(refused("a device"));
        }
        let metadata = fs::metadata(path).map_err(wrong)?;
        if let Some(found) = unreadable(path, &metadata) {
            return Err(refused(found));
        }
        let file = File::open(path).map_err(wrong)?;
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self::new(path, file, size))
    }

    fn new(path: &Path, file: File, size: Option<u64>) -> Self {
        BoundedFile {
            path: path.to_owned(),
            file,
            size,
            limit: size.unwrap_or(MAX_PIPED),
            position: 0,
        }
    }

    /// The size of a file; `None` for a pipe.
    pub(crate) fn size(&self) -> Option<u64> {
        self.size
    }

    /// The largest number of bytes that can be read.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// The file itself, to read it in any order.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Converts an error of reading.
    pub(crate) fn error(&self, error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::InvalidData => {
                Error::format(&self.path, "size", "the end of the file", error.to_string())
            }
            _ => Error::io("read", &self.path, error),
        }
    }
}

impl Read for BoundedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.position += count as u64;
        if self.position > self.limit {
            let limit = self.limit;
            let found = match self.size {
                Some(_) => format!("more than the {limit} bytes that it had when it was opened"),
                None => format!("more than {limit} bytes from a pipe"),
            };
            return Err(io::Error::new(ErrorKind::InvalidData, found));
        }
        Ok(count)
    }
}

/// Whether a path means standard input although there is no such file, which is so on Windows.
pub(crate) fn is_standard_input(path: &Path) -> bool {
    cfg!(windows) && path == Path::new("/dev/stdin")
}

/// Whether a file is one that a file manager leaves in the folders that it shows: `.DS_Store` and, for the attributes
/// of a file that the disk does not keep, `._name` on macOS; `desktop.ini` and `Thumbs.db` on Windows.
pub(crate) fn is_of_file_manager(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let others = [".DS_Store", "desktop.ini", "Thumbs.db"];
    name.starts_with("._") || others.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// What a path leads to if it cannot be read to an end.
fn unreadable(path: &Path, metadata: &Metadata) -> Option<&'static str> {
    if metadata.is_dir() {
        return Some("a folder");
    }
    #[cfg(not(unix))]
    let _ = path;
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            // A pipe that the program was started with is below /dev/fd, and has no name of its own.
            return fs::canonicalize(path).is_ok().then_some("a named pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
        if kind.is_block_device() || (kind.is_char_device() && path != Path::new("/dev/null")) {
            return Some("a device");
        }
    }
    None
}

/// Reads a whole file of at most `most` bytes.
///
/// # Errors
/// As [`BoundedFile::open`], and if the file is larger.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open_up_to(path, most)?;
    read_all(file, u64::MAX)
}

/// Reads what a file of text holds now, of at most `most` bytes. Another process may append to it meanwhile.
///
/// # Errors
/// As [`read_text`].
pub(crate) fn read_growing_text(path: &Path, most: u64) -> Result<String> {
    let file = open_up_to(path, most)?;
    let now = file.limit;
    text::decode(path, read_all(file, now)?)
}

/// Opens a file of at most `most` bytes.
fn open_up_to(path: &Path, most: u64) -> Result<BoundedFile> {
    let mut file = BoundedFile::open(path)?;
    if let Some(size) = file.size.filter(|&size| size > most) {
        let (expected, found) = (format!("at most {most} bytes"), size.to_string());
        return Err(Error::format(path, "size", expected, found));
    }
    file.limit = file.limit.min(most);
    Ok(file)
}

/// Reads to the end, or as many bytes.
fn read_all(mut file: BoundedFile, count: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match file.by_ref().take(count).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(file.error(error)),
    }
}

/// Reads a whole file of text, of at most `most` bytes.
///
/// # Errors
/// As [`read`], and if the file is not UTF-8.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String> {
    text::decode(path, read(path, most)?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn refused(path: &Path) -> String {
        let errors = [
            BoundedFile::open(path).unwrap_err(),
            read(path, 9).unwrap_err(),
        ];
        assert!(
            errors.iter().all(|error| error.exit_code() == 2),
            "{errors:?}"
        );
        errors[0].to_string()
    }

    #[test]
    fn whole_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "text").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"text");
        assert_eq!(read_text(&path, 9).unwrap(), "text");
        let error = read(&path, 3).unwrap_err().to_string();
        assert!(
            error.ends_with("a: size: expected at most 3 bytes, found 4"),
            "{error}"
        );
        fs::write(&path, b"te\xffxt").unwrap();
        let error = read_text(&path, 9).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("byte 2 of the file: expected text in UTF-8"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(refused(dir.path()).contains("expected a file, found a folder"));
        let gone = dir.path().join("gone");
        fs::write(dir.path().join("file"), "").unwrap();
        for path in [gone, dir.path().join("file/below")] {
            assert!(refused(&path).contains("no such file"));
        }
        // Windows may say that there is none.
        if cfg!(unix) {
            let long = dir.path().join("x".repeat(300));
            assert!(refused(&long).contains("at most 255 bytes"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn devices_sockets_and_named_pipes_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for device in ["/dev/zero", "/dev/urandom"] {
            assert!(refused(Path::new(device)).contains("found a device"));
        }
        assert_eq!(read(Path::new("/dev/null"), 9).unwrap(), b"");
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(refused(&socket).contains("found a socket"));
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert!(refused(&pipe).contains("found a named pipe"));
    }

    #[cfg(windows)]
    #[test]
    fn devices_are_refused_by_their_names() {
        for device in ["NUL", "con", "aux.csv"] {
            assert!(refused(Path::new(device)).contains("found a device"));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_is_read_to_its_limit() {
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"through a pipe").unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let error = read(&path, 9).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(
            error.to_string().contains("more than 9 bytes from a pipe"),
            "{error}"
        );
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"through a pipe").unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        assert_eq!(read(&path, 99).unwrap(), b"through a pipe");
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_refused_unless_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "text").unwrap();
        let mut file = BoundedFile::open(&path).unwrap();
        let mut writer = fs::OpenOptions::new().append(true).open(&path).unwrap();
        writer.write_all(b"more").unwrap();
        let error = file.read_to_end(&mut Vec::new()).unwrap_err();
        let error = file.error(error);
        assert!(
            error
                .to_string()
                .contains("the 4 bytes that it had when it was opened"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 2);
        // Its beginning is whole.
        let mut file = open_up_to(&path, 99).unwrap();
        file.limit = 4;
        assert_eq!(read_all(file, 4).unwrap(), b"text");
        assert_eq!(read_growing_text(&path, 99).unwrap(), "textmore");
    }
}
