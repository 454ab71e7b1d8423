//! NumPy's arrays in a ZIP archive.

use std::io::{Read, Write};

use chainrule::data::LoadOptions;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::dataset::{fit, load};
use crate::files::Files;
use crate::memory::expanded;
use crate::npy::{self, read_rows, row_length};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";

/// Bytes of a local header before the name.
const LOCAL_BYTES: usize = 30;

/// The most bytes to which a member is unpacked here.
const MAX_UNPACKED: u64 = 1 << 16;

/// The input is an archive. It is read as a data set, and as rows to predict; then again with a directory made of its
/// local headers, with the checksums of what the members hold.
pub fn npz(input: &[u8]) -> bool {
    let members = members(input);
    let width = row_length(members.first().map_or(&[], |member| &member.contents));
    let accepted = read(input, expanded(input), width);
    let size = members.iter().map(|member| member.contents.len()).sum();
    read(&archive(&members), size, width) || accepted
}

fn read(archive: &[u8], expanded: usize, width: usize) -> bool {
    let files = Files::new();
    let path = files.write("data.npz", archive);
    let rows = read_rows(&path, expanded, width);
    let options = LoadOptions {
        path: Some(path),
        test: true,
        ..LoadOptions::default()
    };
    match load(&options, expanded) {
        Some(dataset) => fit(dataset).is_some() || dataset_is_pictures(),
        None => rows,
    }
}

/// A data set that no schema fits is one of pictures, which is accepted too.
const fn dataset_is_pictures() -> bool {
    true
}

struct Member<'a> {
    name: &'a [u8],
    is_deflated: bool,
    contents: Vec<u8>,
}

/// The members that local headers speak of, unpacked as far as they can be, each with the header of its array put
/// right.
fn members(archive: &[u8]) -> Vec<Member<'_>> {
    let places: Vec<usize> = (0..archive.len())
        .filter(|&at| archive[at..].starts_with(LOCAL) || archive[at..].starts_with(CENTRAL))
        .collect();
    let mut members = Vec::new();
    for (index, &at) in places.iter().enumerate() {
        let header = &archive[at..places.get(index + 1).copied().unwrap_or(archive.len())];
        if !header.starts_with(LOCAL) || header.len() < LOCAL_BYTES {
            continue;
        }
        let number = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let (name, extra) = (number(26), number(28));
        let Some(packed) = header.get(LOCAL_BYTES + name + extra..) else {
            continue;
        };
        let mut contents = Vec::new();
        let is_deflated = number(8) != 0;
        let unpacked = DeflateDecoder::new(packed)
            .take(MAX_UNPACKED)
            .read_to_end(&mut contents);
        if !is_deflated || unpacked.is_err() {
            contents = packed.to_vec();
        }
        members.push(Member {
            name: &header[LOCAL_BYTES..LOCAL_BYTES + name],
            is_deflated,
            contents: npy::repaired(&contents).unwrap_or(contents),
        });
    }
    members
}

/// A sound archive of these members.
fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let place = (out.len() as u32).to_le_bytes();
        let packed = match member.is_deflated {
            true => deflated(&member.contents),
            false => member.contents.clone(),
        };
        let method = [if member.is_deflated { 8 } else { 0 }, 0];
        let sizes = [
            crc32fast::hash(&member.contents),
            packed.len() as u32,
            member.contents.len() as u32,
        ];
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        let name_length = (member.name.len() as u16).to_le_bytes();
        // Version, flags, method, time and date, checksum and sizes, lengths of the name and of what follows it.
        let common = [
            &[20, 0, 0, 0][..],
            &method,
            &[0; 4],
            &sizes,
            &name_length,
            &[0; 2],
        ]
        .concat();
        out.extend([LOCAL, &common, member.name, &packed].concat());
        directory.extend([CENTRAL, &[20, 0], &common, &[0; 10], &place, member.name].concat());
    }
    let count = (members.len() as u16).to_le_bytes();
    let (size, place) = (directory.len() as u32, out.len() as u32);
    let end = [
        END,
        &[0; 4],
        &count,
        &count,
        &size.to_le_bytes(),
        &place.to_le_bytes(),
        &[0; 2],
    ];
    [out, directory, end.concat()].concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}
