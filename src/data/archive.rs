//! ZIP archives, as far as NPZ files need them: stored or deflated members, of any size.
//!
//! Format: PKWARE's APPNOTE.TXT, 6.3.10, sections 4.3 and 4.5.3. The sizes and counts in a directory are those of
//! whoever wrote it. No memory is reserved for them: a directory has a largest size, and members are read as streams.

use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};

use byteorder::{ByteOrder, LittleEndian as Le};
use flate2::bufread::DeflateDecoder;

const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const END_64: &[u8] = b"PK\x06\x06";
const END_64_LENGTH: usize = 56;
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const LOCATOR_64_LENGTH: usize = 20;
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_LENGTH: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;
/// The id of the extra field with sizes that do not fit 32 bits.
const SIZES_64: u16 = 1;
/// Fields of 16 and 32 bits hold these if the number is elsewhere, in 64 bits.
const FULL_16: u64 = 0xffff;
const FULL_32: u64 = 0xffff_ffff;
const ENCRYPTED: u16 = 1;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// The largest directory, in bytes: room for thousands of members, where a data set has six.
const MAX_DIRECTORY: u64 = 1 << 20;

/// The members of an archive.
pub(super) struct Archive<R> {
    reader: R,
    members: Vec<ArchiveMember>,
}

/// What the directory says of a member.
struct ArchiveMember {
    name: String,
    flags: u16,
    method: u16,
    crc32: u32,
    packed: u64,
    size: u64,
    offset: u64,
}

/// Where the directory is.
struct DirectoryPlace {
    entries: u64,
    size: u64,
    offset: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] or [`ErrorKind::UnexpectedEof`] if the archive is damaged.
    pub(super) fn open(mut reader: R) -> io::Result<Self> {
        let DirectoryPlace {
            entries,
            size,
            offset,
        } = find_directory(&mut reader)?;
        if size > MAX_DIRECTORY {
            return invalid(format!(
                "a directory of {size} bytes, more than {MAX_DIRECTORY}"
            ));
        }
        let directory = read_at(&mut reader, offset, size as usize)?;
        let mut rest = &directory[..];
        let mut members: Vec<ArchiveMember> = Vec::new();
        for _ in 0..entries {
            members.push(ArchiveMember::parse(&mut rest)?);
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(same) = members.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return invalid(format!("two members named \"{}\"", same[0].name));
        }
        Ok(Archive { reader, members })
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
        if member.flags & ENCRYPTED != 0 {
            return invalid(format!("the encrypted member \"{name}\""));
        }
        let local = read_at(&mut self.reader, member.offset, LOCAL_LENGTH)?;
        if !local.starts_with(LOCAL) {
            return invalid(format!("no member \"{name}\" where the directory has it"));
        }
        let (name, extra) = (Le::read_u16(&local[26..]), Le::read_u16(&local[28..]));
        self.reader
            .seek_relative(i64::from(name) + i64::from(extra))?;
        let packed = BufReader::new((&mut self.reader).take(member.packed));
        let unpacked: Box<dyn Read + '_> = match member.method {
            STORED => Box::new(packed),
            DEFLATED => Box::new(DeflateDecoder::new(packed)),
            method => return invalid(format!("\"{name}\" packed by method {method}")),
        };
        let contents = CheckedContents {
            unpacked,
            left: member.size,
            expected: member.crc32,
            found: crc32fast::Hasher::new(),
        };
        Ok(Some((member.size, contents)))
    }
}

impl ArchiveMember {
    /// Reads one entry of the directory.
    fn parse(rest: &mut &[u8]) -> io::Result<Self> {
        let head = split(rest, ENTRY_LENGTH)?;
        if !head.starts_with(ENTRY) {
            return invalid("no entry where the directory has one");
        }
        let number = |at: usize| Le::read_u32(&head[at..]);
        let length = |at: usize| usize::from(Le::read_u16(&head[at..]));
        let name = split(rest, length(28))?;
        let extra = split(rest, length(30))?;
        split(rest, length(32))?;
        let mut member = ArchiveMember {
            name: String::from_utf8_lossy(name).into_owned(),
            flags: Le::read_u16(&head[8..]),
            method: Le::read_u16(&head[10..]),
            crc32: number(16),
            packed: number(20).into(),
            size: number(24).into(),
            offset: number(42).into(),
        };
        member.read_sizes_64(extra)?;
        Ok(member)
    }

    /// Replaces sizes that do not fit 32 bits by those of the extra field, which has only these, in this order.
    fn read_sizes_64(&mut self, mut extra: &[u8]) -> io::Result<()> {
        while extra.len() >= 4 {
            let head = split(&mut extra, 4)?;
            let mut field = split(&mut extra, Le::read_u16(&head[2..]).into())?;
            if Le::read_u16(head) != SIZES_64 {
                continue;
            }
            for size in [&mut self.size, &mut self.packed, &mut self.offset] {
                if *size == FULL_32 {
                    *size = Le::read_u64(split(&mut field, 8)?);
                }
            }
        }
        Ok(())
    }
}

/// Finds the directory by the record at the end of the archive, which a comment may follow.
fn find_directory(reader: &mut (impl Read + Seek)) -> io::Result<DirectoryPlace> {
    let length = reader.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub((END_LENGTH + usize::from(u16::MAX)) as u64);
    let tail = read_at(reader, start, (length - start) as usize)?;
    let is_end = |&at: &usize| {
        let comment = tail.get(at + 20..at + END_LENGTH).map(Le::read_u16);
        tail[at..].starts_with(END)
            && comment.is_some_and(|comment| at + END_LENGTH + usize::from(comment) <= tail.len())
    };
    let Some(at) = (0..tail.len()).rev().find(is_end) else {
        return invalid("no directory at the end");
    };
    let end = &tail[at..];
    let place = DirectoryPlace {
        entries: Le::read_u16(&end[10..]).into(),
        size: Le::read_u32(&end[12..]).into(),
        offset: Le::read_u32(&end[16..]).into(),
    };
    if place.entries != FULL_16 && place.size != FULL_32 && place.offset != FULL_32 {
        return Ok(place);
    }
    let locator = at.checked_sub(LOCATOR_64_LENGTH).map(|at| &tail[at..]);
    let Some(locator) = locator.filter(|locator| locator.starts_with(LOCATOR_64)) else {
        return Ok(place);
    };
    let end = read_at(reader, Le::read_u64(&locator[8..]), END_64_LENGTH)?;
    if !end.starts_with(END_64) {
        return invalid("no directory where the end record has it");
    }
    Ok(DirectoryPlace {
        entries: Le::read_u64(&end[32..]),
        size: Le::read_u64(&end[40..]),
        offset: Le::read_u64(&end[48..]),
    })
}

/// Reads a record of known length.
fn read_at(reader: &mut (impl Read + Seek), offset: u64, length: usize) -> io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    reader.take(length as u64).read_to_end(&mut bytes)?;
    match bytes.len() == length {
        true => Ok(bytes),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Takes bytes from the front.
fn split<'a>(rest: &mut &'a [u8], length: usize) -> io::Result<&'a [u8]> {
    let Some((front, back)) = rest.split_at_checked(length) else {
        return invalid("a torn directory");
    };
    *rest = back;
    Ok(front)
}

fn invalid<T>(found: impl Into<String>) -> io::Result<T> {
    Err(io::Error::new(ErrorKind::InvalidData, found.into()))
}

/// Unpacked contents, with the size and the checksum that they must have.
struct CheckedContents<'a> {
    unpacked: Box<dyn Read + 'a>,
    left: u64,
    expected: u32,
    found: crc32fast::Hasher,
}

impl Read for CheckedContents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.unpacked.read(buffer)?;
        self.found.update(&buffer[..count]);
        let Some(left) = self.left.checked_sub(count as u64) else {
            return invalid("more bytes than the directory states");
        };
        self.left = left;
        let at_end = count == 0 && !buffer.is_empty();
        if at_end && left > 0 {
            return invalid(format!("{left} bytes fewer than the directory states"));
        }
        if at_end && self.found.clone().finalize() != self.expected {
            return invalid("contents with another checksum than the directory states");
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
