//! Opening input files, plain or compressed by gzip. The first two bytes decide which, never the name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};

const BUFFER: usize = 128 << 10;

/// The largest number of bytes to which `packed` bytes may unpack. Deflate reaches 1032:1 on zeros; real data
/// sets stay far below 200:1. A larger ratio, from a harmful size on, counts as a decompression bomb.
pub(super) fn unpacked_limit(packed: u64) -> u64 {
    packed.saturating_mul(200).max(256 << 20)
}

/// An input file, unpacked while it is read.
pub(super) struct InputFile {
    path: PathBuf,
    reader: BufReader<Box<dyn Read + Send>>,
    gzip: bool,
    limit: u64,
    position: u64,
}

impl InputFile {
    /// Opens a file; [`Error::Missing`] if it does not exist.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let wrong = |source| Error::io("read", path, source);
        let file = File::open(path).map_err(wrong)?;
        let size = file.metadata().map_err(wrong)?.len();
        let mut file = BufReader::with_capacity(BUFFER, file);
        let gzip = file.fill_buf().map_err(wrong)?.starts_with(&[0x1f, 0x8b]);
        let (reader, limit): (Box<dyn Read + Send>, u64) = if gzip {
            (Box::new(MultiGzDecoder::new(file)), unpacked_limit(size))
        } else {
            (Box::new(file), size)
        };
        Ok(InputFile {
            path: path.to_owned(),
            reader: BufReader::with_capacity(BUFFER, reader),
            gzip,
            limit,
            position: 0,
        })
    }

    /// The path of the file, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is compressed.
    pub(super) fn is_gzip(&self) -> bool {
        self.gzip
    }

    /// The largest number of bytes that the contents can have: the file's size, or that to which it may unpack.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The first bytes of the contents, without consuming them.
    pub(super) fn peek(&mut self) -> Result<&[u8]> {
        if let Err(error) = self.reader.fill_buf() {
            return Err(self.error(error));
        }
        Ok(self.reader.buffer())
    }

    /// Reads `count` bytes, or fewer if the contents end before. Allocates at most what the file can hold.
    pub(super) fn read_up_to(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count.min(self.limit) as usize);
        match self.by_ref().take(count).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.error(error)),
        }
    }

    /// Reads all the contents.
    pub(super) fn read_all(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.error(error)),
        }
    }

    /// Converts an error of reading: damaged gzip data is bad input, everything else is a failure of the
    /// system.
    pub(super) fn error(&self, error: io::Error) -> Error {
        damaged(error, |found| {
            Error::format(
                &self.path,
                format!("byte {} of the unpacked contents", self.position),
                "intact gzip data",
                found,
            )
        })
        .unwrap_or_else(|error| Error::io("read", &self.path, error))
    }
}

impl Read for InputFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.position += count as u64;
        if self.gzip && self.position > self.limit {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "more than 200 times the size of the file (a decompression bomb?)",
            ));
        }
        Ok(count)
    }
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
