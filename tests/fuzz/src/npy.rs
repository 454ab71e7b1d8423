//! NumPy's arrays, each a file.

use std::ops::Range;

use chainrule::data::{self, ImageShape, LoadOptions, Schema, TableOptions};

use crate::dataset::{fit, load};
use crate::files::{Files, sound};
use crate::memory::{bounded, expanded};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The most bytes that an array is filled up to.
const MAX_FILLED: usize = 1 << 16;

/// The input is one array, which is read as rows to predict, or two behind each other, which are read as `x.npy` and
/// `y.npy` of a folder too.
pub fn npy(input: &[u8]) -> bool {
    let second = (1..input.len()).find(|&at| input[at..].starts_with(MAGIC));
    let (x, y) = input.split_at(second.unwrap_or(input.len()));
    let mut accepted = read(x, y);
    if let Some(right) = repaired(x) {
        accepted |= read(&right, &repaired(y).unwrap_or(y.to_vec()));
    }
    accepted
}

fn read(x: &[u8], y: &[u8]) -> bool {
    let files = Files::new();
    let path = files.write("x.npy", x);
    files.write("y.npy", y);
    let rows = read_rows(&path, expanded(x), row_length(x));
    if y.is_empty() {
        return rows;
    }
    let options = LoadOptions {
        path: Some(files.folder().to_owned()),
        test: true,
        ..LoadOptions::default()
    };
    let dataset = load(&options, expanded(x) + expanded(y));
    dataset.is_some_and(|dataset| {
        fit(dataset);
        true
    })
}

/// Reads rows to predict, as pixels, for a model of so many inputs. Returns whether they were accepted.
pub(crate) fn read_rows(path: &std::path::Path, expanded: usize, width: usize) -> bool {
    let columns = Schema::by_position(width, None);
    let image = ImageShape { height: 1, width };
    let options = TableOptions::default();
    let read = || data::read_input(path, &columns, Some(image), &options);
    let Some((_, rows)) = bounded(expanded, || sound(read())) else {
        return false;
    };
    assert_eq!(rows.samples.width, width);
    assert!(rows.samples.features.len().is_multiple_of(width));
    true
}

/// The number of values in a row, from 1 to 64, as far as the header tells.
pub(crate) fn row_length(array: &[u8]) -> usize {
    let sizes = Header::find(array).map(|header| header.sizes);
    let row: usize = sizes.iter().flatten().skip(1).product();
    row.clamp(1, 64)
}

/// An array with the length of its header put right, and with as many values as the header says.
pub(crate) fn repaired(array: &[u8]) -> Option<Vec<u8>> {
    let header = Header::find(array)?;
    let mut text = array[header.text.clone()].to_vec();
    let version = array[MAGIC.len()].clamp(1, 3);
    let length_bytes = if version == 1 { 2 } else { 4 };
    let before = MAGIC.len() + 2 + length_bytes;
    text.resize(
        (before + text.len() + 1).next_multiple_of(64) - before - 1,
        b' ',
    );
    text.push(b'\n');
    let mut out = [
        MAGIC,
        &[version, 0],
        &(text.len() as u32).to_le_bytes()[..length_bytes],
        &text,
    ]
    .concat();
    let values = &array[header.values..];
    let count = header
        .sizes
        .iter()
        .fold(header.item, |all, &size| all.saturating_mul(size));
    match count <= MAX_FILLED && !values.is_empty() {
        true => out.extend(values.iter().cycle().take(count)),
        false => out.extend(values),
    }
    Some(out)
}

/// Where the parts of an array are.
struct Header {
    /// The dictionary, braces included.
    text: Range<usize>,
    /// Where the values begin.
    values: usize,
    /// Bytes a value.
    item: usize,
    sizes: Vec<usize>,
}

impl Header {
    /// Finds the dictionary, wherever the lengths say that it is.
    fn find(array: &[u8]) -> Option<Self> {
        let start = array.iter().position(|&b| b == b'{')?;
        if !array.starts_with(MAGIC) || start > 16 {
            return None;
        }
        let end = start + array[start..].iter().position(|&b| b == b'}')? + 1;
        let line = array[end..].iter().position(|&b| b == b'\n');
        let text = std::str::from_utf8(&array[start..end]).ok()?;
        let behind = |key: &str| text.split_once(key).map(|(_, rest)| rest);
        let descr = behind("'descr': '")?.split('\'').next()?;
        let letters = descr.trim_end_matches(|c: char| c.is_ascii_digit());
        let item: usize = descr[letters.len()..].parse().ok()?;
        let sizes = behind("'shape': (")?.split(')').next()?;
        Some(Header {
            text: start..end,
            values: end + line.map_or(0, |line| line + 1),
            item: if letters.ends_with('U') {
                item.saturating_mul(4)
            } else {
                item
            },
            sizes: sizes
                .split(',')
                .filter_map(|size| size.trim().parse().ok())
                .collect(),
        })
    }
}
