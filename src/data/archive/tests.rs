use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

/// How the records of an archive begin (APPNOTE.TXT, section 4.3).
const ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";

const TEXT: &[u8] = b"the same words, the same words, the same words";

/// An archive with the members a (stored) and b (deflated), both with the same contents.
fn archive(large: bool) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, method) in [
        ("a", CompressionMethod::Stored),
        ("b", CompressionMethod::Deflated),
    ] {
        let options = SimpleFileOptions::default();
        let options = options.compression_method(method).large_file(large);
        writer.start_file(name, options).unwrap();
        writer.write_all(TEXT).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn open(bytes: &[u8]) -> io::Result<Archive<Cursor<&[u8]>>> {
    Archive::open(Cursor::new(bytes))
}

fn read(bytes: &[u8], name: &str) -> io::Result<Vec<u8>> {
    let mut archive = open(bytes)?;
    let (_, mut contents) = archive.member(name)?.expect("the member is there");
    let mut found = Vec::new();
    contents.read_to_end(&mut found)?;
    Ok(found)
}

fn error(bytes: &[u8], name: &str) -> String {
    let error = read(bytes, name).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::InvalidInput
        ),
        "{error}"
    );
    error.to_string()
}

/// Where a record of that kind begins, the last one of several.
fn last(bytes: &[u8], kind: &[u8]) -> usize {
    bytes.windows(4).rposition(|window| window == kind).unwrap()
}

/// The archive with some bytes of its last directory entry, which is that of b, replaced.
fn with_entry(at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = archive(false);
    let at = last(&bytes, ENTRY) + at;
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// An end record with these numbers in 64 bits, its locator, and an end record that refers to them.
fn end_64(entries: u64, size: u64, offset: u64, at: u64) -> Vec<u8> {
    let mut bytes = END_64.to_vec();
    bytes.extend(44_u64.to_le_bytes());
    bytes.extend([0; 12]);
    for number in [entries, entries, size, offset] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(LOCATOR_64);
    bytes.extend([0; 4]);
    bytes.extend(at.to_le_bytes());
    bytes.extend([1, 0, 0, 0]);
    bytes.extend(END);
    bytes.extend([0; 4]);
    bytes.extend([0xff; 12]);
    bytes.extend([0; 2]);
    bytes
}

#[test]
fn stored_and_deflated_members_of_any_size() {
    for large in [false, true] {
        let bytes = archive(large);
        assert_eq!(
            open(&bytes).unwrap().names().collect::<Vec<_>>(),
            ["a", "b"]
        );
        for name in ["a", "b"] {
            assert_eq!(read(&bytes, name).unwrap(), TEXT);
            let mut archive = open(&bytes).unwrap();
            assert_eq!(archive.member(name).unwrap().unwrap().0, TEXT.len() as u64);
        }
        assert!(open(&bytes).unwrap().member("c").unwrap().is_none());
    }
    assert_eq!(
        open(
            &ZipWriter::new(Cursor::new(Vec::new()))
                .finish()
                .unwrap()
                .into_inner()
        )
        .unwrap()
        .names()
        .count(),
        0
    );
}

#[test]
fn a_directory_in_64_bits() {
    let mut bytes = archive(false);
    let (entries, end) = (
        bytes.windows(4).position(|w| w == ENTRY).unwrap(),
        last(&bytes, END),
    );
    bytes.truncate(end);
    bytes.extend(end_64(
        2,
        (end - entries) as u64,
        entries as u64,
        end as u64,
    ));
    assert_eq!(read(&bytes, "b").unwrap(), TEXT);
}

#[test]
fn a_comment_follows_the_directory() {
    let mut bytes = archive(false);
    let end = last(&bytes, END);
    bytes[end + 20] = 5;
    bytes.extend(b"words");
    assert_eq!(read(&bytes, "b").unwrap(), TEXT);
}

/// Nothing is reserved for what a directory states: a test that would, would abort.
#[test]
fn vast_numbers_in_a_directory() {
    for numbers in [
        [1 << 40, 47, 0],
        [u64::MAX, 47, 0],
        [1, 1 << 50, 0],
        [1, u64::MAX, u64::MAX],
        [1, 47, 1 << 62],
    ] {
        let mut bytes = archive(false);
        let end = bytes.len() as u64;
        bytes.extend(end_64(numbers[0], numbers[1], numbers[2], end));
        error(&bytes, "a");
    }
    let mut bytes = archive(false);
    bytes.extend(end_64(1, 47, 0, u64::MAX - 3));
    error(&bytes, "a");
    let vast = [0xff; 4];
    assert!(error(&with_entry(24, &vast), "b").contains("size"));
    error(&with_entry(42, &vast), "b");
    // More packed bytes than there are: the data end where deflate ends.
    assert_eq!(read(&with_entry(20, &vast), "b").unwrap(), TEXT);
    error(&with_entry(28, &[0xff; 2]), "b");
    error(&with_entry(30, &[0xff; 2]), "b");
}

#[test]
fn a_directory_has_a_largest_size() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..20_000 {
        writer
            .start_file(format!("member-{number}"), SimpleFileOptions::default())
            .unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let error = open(&bytes).err().unwrap().to_string();
    assert!(
        error.contains("a directory of") && error.contains("1048576"),
        "{error}"
    );
}

#[test]
fn members_that_cannot_be_read() {
    assert!(error(&with_entry(8, &[1, 0]), "b").contains("encrypted"));
    assert!(error(&with_entry(10, &[93, 0]), "b").contains("method 93"));
    assert!(error(&with_entry(16, &[0; 4]), "b").contains("checksum"));
    assert!(error(&with_entry(24, &[7, 0, 0, 0]), "b").contains("size: expected 7"));
    assert!(error(&with_entry(24, &[99, 0, 0, 0]), "b").contains("size: expected 99"));
    error(&with_entry(20, &[3, 0, 0, 0]), "b");
    // Both entries lead to the same bytes, which are not those that deflate wrote.
    error(&with_entry(42, &[0; 4]), "b");
    assert!(error(&with_entry(42, &[1, 0, 0, 0]), "b").contains("signature"));
    // The name follows the entry's 46 bytes.
    assert!(error(&with_entry(46, b"a"), "a").contains("two members named \"a\""));
}

#[test]
fn torn_and_flipped_archives_never_panic() {
    for bytes in [archive(false), archive(true)] {
        for length in 0..bytes.len() {
            assert!(open(&bytes[..length]).is_err(), "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            for name in ["a", "b"] {
                let Ok(mut archive) = open(&flipped) else {
                    continue;
                };
                if let Ok(Some((_, mut contents))) = archive.member(name) {
                    let mut found = Vec::new();
                    let read = contents.read_to_end(&mut found);
                    assert!(read.is_err() || found == TEXT, "bit {bit}");
                }
            }
        }
    }
}
