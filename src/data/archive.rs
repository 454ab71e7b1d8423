//! ZIP archives, as far as NPZ files need them: stored or deflated members, of any size.
//!
//! The sizes and counts in a directory are those of whoever wrote it. No memory is reserved for them: a directory has a
//! largest size, and members are read as streams.

use std::cell::RefCell;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};

use flate2::bufread::DeflateDecoder;
use rawzip::{
    CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder,
    ZipLocator,
};

/// The largest directory, in bytes: room for thousands of members, where a data set has six.
const MAX_DIRECTORY: u64 = 1 << 20;

/// The members of an archive.
pub(super) struct Archive<R> {
    archive: ZipArchive<SeekableSource<R>>,
    members: Vec<ArchiveMember>,
}

/// A reader that reads from any place.
struct SeekableSource<R>(RefCell<R>);

impl<R: Read + Seek> ReaderAt for SeekableSource<R> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut reader = self.0.borrow_mut();
        reader.seek(SeekFrom::Start(offset))?;
        reader.read(buffer)
    }
}

/// What the directory says of a member.
struct ArchiveMember {
    name: String,
    is_encrypted: bool,
    method: CompressionMethod,
    size: u64,
    place: ZipArchiveEntryWayfinder,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] or [`ErrorKind::UnexpectedEof`] if the archive is damaged.
    pub(super) fn open(mut reader: R) -> io::Result<Self> {
        let length = reader.seek(SeekFrom::End(0))?;
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let located = ZipLocator::new().locate_in_reader(
            SeekableSource(RefCell::new(reader)),
            &mut buffer,
            length,
        );
        let archive = located.map_err(|(_, error)| converted(error))?;
        let size = archive
            .eocd_offset()
            .saturating_sub(archive.directory_offset());
        if size > MAX_DIRECTORY {
            return invalid(format!(
                "a directory of {size} bytes, more than {MAX_DIRECTORY}"
            ));
        }
        let mut members = Vec::new();
        let mut entries = archive.entries(&mut buffer);
        while let Some(entry) = entries.next_entry().map_err(converted)? {
            members.push(ArchiveMember {
                name: String::from_utf8_lossy(entry.file_path().as_ref()).into_owned(),
                is_encrypted: entry.flags().is_encrypted(),
                method: entry.compression_method(),
                size: entry.uncompressed_size_hint(),
                place: entry.wayfinder(),
            });
        }
        if members.len() as u64 != archive.entries_hint() {
            return invalid("another number of members than the directory states");
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(same) = members.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return invalid(format!("two members named \"{}\"", same[0].name));
        }
        Ok(Archive { archive, members })
    }

    /// The names of the members.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// The contents of a member with the size that the directory states; `None` if there is no member of that name.
    ///
    /// # Errors
    /// As [`Archive::open`]; also if the member is encrypted or packed in another way than by deflate. Reading to the
    /// end checks size and checksum.
    pub(super) fn member(&mut self, name: &str) -> io::Result<Option<(u64, impl Read)>> {
        let Some(member) = self.members.iter().find(|member| member.name == name) else {
            return Ok(None);
        };
        if member.is_encrypted {
            return invalid(format!("the encrypted member \"{name}\""));
        }
        let entry = self.archive.get_entry(member.place).map_err(converted)?;
        let packed = BufReader::with_capacity(RECOMMENDED_BUFFER_SIZE, entry.reader());
        let unpacked: Box<dyn Read + '_> = match member.method {
            CompressionMethod::STORE => Box::new(packed),
            CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(packed)),
            method => {
                let method = method.as_u16();
                return invalid(format!("\"{name}\" packed by method {method}"));
            }
        };
        Ok(Some((member.size, entry.verifying_reader(unpacked))))
    }
}

fn invalid<T>(found: impl Into<String>) -> io::Result<T> {
    Err(io::Error::new(ErrorKind::InvalidData, found.into()))
}

/// What is wrong with an archive. A failure of the disk stays one.
fn converted(error: rawzip::Error) -> io::Error {
    match error.into_kind() {
        rawzip::ErrorKind::IO(error) => error,
        rawzip::ErrorKind::Eof => ErrorKind::UnexpectedEof.into(),
        kind => io::Error::new(
            ErrorKind::InvalidData,
            rawzip::Error::from(kind).to_string(),
        ),
    }
}

#[cfg(test)]
mod tests;
