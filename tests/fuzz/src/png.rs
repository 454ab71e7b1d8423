//! PNG images.

use chainrule::data::{self, Features, FileKind, ImageShape, Schema, TableOptions};

use crate::files::{Files, sound};
use crate::memory::bounded;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Length, kind and checksum of a chunk.
const CHUNK_BYTES: usize = 12;

/// Larger images are read as if they were of another size.
const MAX_SIDE: usize = 32;

/// The input is an image, which is read as a row to predict, of the size that it says; then again with the checksums
/// of its chunks put right.
pub fn png(input: &[u8]) -> bool {
    let accepted = read(input);
    match repaired(input) {
        Some(right) => read(&right) || accepted,
        None => accepted,
    }
}

fn read(image: &[u8]) -> bool {
    let files = Files::new();
    let path = files.write("image.png", image);
    let side = |at: usize| {
        let bytes = image
            .get(at..at + 4)
            .map_or([0; 4], |b| [b[0], b[1], b[2], b[3]]);
        (u32::from_be_bytes(bytes) as usize).clamp(1, MAX_SIDE)
    };
    let shape = ImageShape {
        width: side(SIGNATURE.len() + 8),
        height: side(SIGNATURE.len() + 12),
    };
    let columns = Schema::by_position(shape.pixels(), None);
    let options = TableOptions::default();
    // Four channels of two bytes each.
    let expanded = image.len() + 8 * shape.pixels();
    let read = || data::read_input(&path, &columns, Some(shape), &options);
    let rows = bounded(expanded, || sound(read()));
    rows.is_some_and(|(kind, rows)| {
        if kind != FileKind::Png {
            return false;
        }
        let Features::U8(pixels) = &rows.samples.features else {
            panic!(
                "an image has bytes, found {}",
                rows.samples.features.dtype()
            );
        };
        assert_eq!(pixels.len(), shape.pixels());
        true
    })
}

/// The image with the length of each chunk cut to what is there, and with its checksum.
fn repaired(image: &[u8]) -> Option<Vec<u8>> {
    let mut rest = image.strip_prefix(SIGNATURE)?;
    let mut out = SIGNATURE.to_vec();
    while rest.len() >= CHUNK_BYTES {
        let stated = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        let length = stated.min(rest.len() - CHUNK_BYTES);
        let chunk = &rest[4..8 + length];
        out.extend((length as u32).to_be_bytes());
        out.extend(chunk);
        out.extend(crc32fast::hash(chunk).to_be_bytes());
        rest = &rest[length + CHUNK_BYTES..];
    }
    Some(out)
}
