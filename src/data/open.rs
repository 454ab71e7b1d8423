//! Opening input files, plain or compressed by gzip. The first two bytes decide which, never the name.

use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::input::BoundedFile;

const BUFFER: usize = 128 << 10;

/// As many bytes are read ahead when a file is opened, to tell what it holds.
pub(super) const HEAD: usize = 64 << 10;

/// How many times its size a file may unpack to, from [`ALWAYS_UNPACKED`] bytes on. Deflate reaches 1032:1 on zeros;
/// real data sets stay far below 200:1. More counts as a decompression bomb.
const MAX_RATIO: u64 = 200;

/// As many bytes may unpack from a file of any size.
const ALWAYS_UNPACKED: u64 = 256 << 20;

/// An input file, unpacked while it is read. It is opened once, so that it may be a pipe.
pub(super) struct InputFile {
    path: PathBuf,
    reader: InputReader,
    /// The first bytes of the contents.
    head: Vec<u8>,
    /// The size of the file on disk; a pipe has none.
    size: Option<u64>,
    limit: u64,
    /// How much of the contents is consumed.
    position: u64,
}

enum InputReader {
    Plain(BufReader<BoundedFile>),
    Gzip(Box<dyn BufRead>),
}

impl InputReader {
    fn get(&mut self) -> &mut dyn BufRead {
        match self {
            InputReader::Plain(reader) => reader,
            InputReader::Gzip(reader) => reader,
        }
    }
}

impl InputFile {
    /// Opens a file; [`Error::Missing`] if it does not exist.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = BoundedFile::open(path)?;
        let (size, limit) = (file.size(), file.limit());
        let mut file = BufReader::with_capacity(BUFFER, file);
        let gzip = match file.fill_buf() {
            Ok(head) => head.starts_with(&[0x1f, 0x8b]),
            Err(error) => return Err(file.get_ref().error(error)),
        };
        let reader = match gzip {
            true => InputReader::Gzip(gunzip(path, file)?),
            false => InputReader::Plain(file),
        };
        let mut source = InputFile {
            path: path.to_owned(),
            reader,
            head: Vec::new(),
            size,
            limit,
            position: 0,
        };
        if gzip {
            source.limit = source.unpacked_limit();
        }
        let head = source.reader.get().take(HEAD as u64);
        match { head }.read_to_end(&mut source.head) {
            Ok(_) => Ok(source),
            Err(error) => Err(source.error(error)),
        }
    }

    /// The path of the file, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The largest number of bytes that the contents can have: the file's size, or that to which it may unpack.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The largest number of bytes to which the contents may unpack, however often they are packed.
    pub(super) fn unpacked_limit(&self) -> u64 {
        let unpacked = |size: u64| size.saturating_mul(MAX_RATIO).max(ALWAYS_UNPACKED);
        self.size.map_or(self.limit, unpacked)
    }

    /// The contents, to read them in any order. Those of a plain file stay on disk.
    pub(super) fn into_seekable(mut self) -> Result<Box<dyn ReadSeek>> {
        match self.reader {
            InputReader::Plain(reader) if self.size.is_some() => {
                let mut file = reader.into_inner().into_file();
                match file.rewind() {
                    Ok(()) => Ok(Box::new(BufReader::new(file))),
                    Err(error) => Err(Error::io("read", &self.path, error)),
                }
            }
            _ => Ok(Box::new(Cursor::new(self.read_all()?))),
        }
    }

    /// The first bytes of the contents, without consuming them: all, if there are fewer than [`HEAD`].
    pub(super) fn peek(&self) -> &[u8] {
        let consumed = self.head.len().min(self.position as usize);
        &self.head[consumed..]
    }

    fn is_gzip(&self) -> bool {
        matches!(self.reader, InputReader::Gzip(_))
    }

    /// Reads `count` bytes, or fewer if the contents end before. Memory grows with what is read.
    pub(super) fn read_up_to(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.by_ref().take(count).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.error(error)),
        }
    }

    /// Reads all the contents.
    pub(super) fn read_all(&mut self) -> Result<Vec<u8>> {
        self.read_up_to(u64::MAX)
    }

    /// Converts an error of reading: contents that are damaged or too long are bad input, everything else is a failure
    /// of the system.
    pub(super) fn error(&self, error: io::Error) -> Error {
        damaged(error, |found| {
            let (contents, expected) = match self.is_gzip() {
                true => ("unpacked contents", "intact gzip data"),
                false => ("contents", "the end of the file"),
            };
            let place = self.position.max(self.head.len() as u64);
            let place = format!("byte {place} of the {contents}");
            Error::format(&self.path, place, expected, found)
        })
        .unwrap_or_else(|error| Error::io("read", &self.path, error))
    }
}

#[cfg(feature = "gzip")]
fn gunzip(_: &Path, file: BufReader<BoundedFile>) -> Result<Box<dyn BufRead>> {
    let unpacked = flate2::bufread::MultiGzDecoder::new(file);
    Ok(Box::new(BufReader::with_capacity(BUFFER, unpacked)))
}

#[cfg(not(feature = "gzip"))]
fn gunzip(path: &Path, _: BufReader<BoundedFile>) -> Result<Box<dyn BufRead>> {
    Err(not_built_in(path, "a file packed by gzip", "gzip"))
}

/// The error of a file whose reader is a feature of the crate that was left out.
#[cfg(not(all(feature = "gzip", feature = "png", feature = "zip")))]
pub(super) fn not_built_in(path: &Path, found: &str, feature: &str) -> Error {
    let found = format!("{found}, which needs chainrule's Cargo feature `{feature}`");
    Error::format(path, "byte 0", "a file whose reader is built in", found)
}

/// Contents that can be read in any order.
pub(super) trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

impl Read for InputFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for InputFile {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position < self.head.len() as u64 {
            return Ok(&self.head[self.position as usize..]);
        }
        let (gzip, limit) = (self.is_gzip(), self.limit);
        let ready = self.reader.get().fill_buf()?;
        if gzip && self.position + ready.len() as u64 > limit {
            return Err(bomb(limit));
        }
        Ok(ready)
    }

    fn consume(&mut self, count: usize) {
        if self.position >= self.head.len() as u64 {
            self.reader.get().consume(count);
        }
        self.position += count as u64;
    }
}

/// The error of contents that unpack to more than they may.
pub(super) fn bomb(limit: u64) -> io::Error {
    let found = format!(
        "more than {limit} bytes, {MAX_RATIO} times the size of the file; unpack it first if it is no decompression bomb"
    );
    io::Error::new(io::ErrorKind::InvalidData, found)
}

/// Converts the errors with which decoders report bad data into an [`Error`], and returns others unchanged.
pub(super) fn damaged(
    error: io::Error,
    explain: impl FnOnce(String) -> Error,
) -> Result<Error, io::Error> {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            Ok(explain(error.to_string()))
        }
        _ => Err(error),
    }
}

#[cfg(feature = "gzip")]
#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    pub(in crate::data) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("input");
        std::fs::write(&path, bytes).unwrap();
        InputFile::open(&path)?.read_all()
    }

    const TEXT: &[u8] = b"the quick brown fox jumps over the lazy dog, the quick brown fox";

    #[test]
    fn plain_and_gzip_by_content() {
        assert_eq!(read(TEXT).unwrap(), TEXT);
        assert_eq!(read(&gzip(TEXT)).unwrap(), TEXT);
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(b"\x1f").unwrap(), b"\x1f");
        let members = [gzip(TEXT), gzip(b" and more")].concat();
        assert_eq!(read(&members).unwrap(), [TEXT, b" and more"].concat());
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_of_gzip_is_found() {
        let packed = gzip(TEXT);
        for length in 2..packed.len() {
            let error = read(&packed[..length]).unwrap_err();
            assert!(matches!(error, Error::Format { .. }), "{length}: {error}");
        }
        for byte in 10..packed.len() {
            let mut flipped = packed.clone();
            flipped[byte] ^= 4;
            let error = read(&flipped).unwrap_err();
            assert!(matches!(error, Error::Format { .. }), "{byte}: {error}");
            assert!(error.to_string().contains("input"), "{error}");
        }
    }

    #[test]
    fn junk_after_gzip_is_found() {
        for junk in [&b"x"[..], b"some more text that is no gzip member"] {
            let error = read(&[gzip(TEXT), junk.to_vec()].concat()).unwrap_err();
            assert!(matches!(error, Error::Format { .. }), "{error}");
        }
    }

    #[test]
    fn a_decompression_bomb_is_refused() {
        let bomb = gzip(&vec![0; 300 << 20]);
        let error = read(&bomb).unwrap_err();
        assert!(error.to_string().contains("bomb"), "{error}");
    }

    #[test]
    fn a_missing_file_is_bad_input() {
        let error = InputFile::open(Path::new("/nonexistent/file"))
            .err()
            .unwrap();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
