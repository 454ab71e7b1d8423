//! The IDX format of MNIST and Fashion-MNIST: a big-endian header (a magic number and one size per dimension),
//! then the bytes.

use std::fmt;

use byteorder::{BigEndian, ByteOrder};

use super::ImageShape;
use super::open::InputFile;
use crate::error::{Error, Result};

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;
/// QMNIST's labels: i32 `[count, 8]`, of which the first is the class.
const LABEL_ROWS: u32 = 0x0c02;
const LABEL_COLUMNS: u32 = 8;

/// An image file: `[count, height, width]` pixels.
pub(super) struct IdxImages {
    pub(super) header: Vec<u8>,
    pub(super) pixels: Vec<u8>,
    pub(super) shape: ImageShape,
}

impl IdxImages {
    pub(super) fn len(&self) -> usize {
        self.pixels.len() / self.shape.pixels()
    }
}

/// A label file.
pub(super) struct IdxLabels {
    pub(super) header: Vec<u8>,
    pub(super) labels: Vec<u8>,
}

/// Whether a file with these first bytes is an IDX file.
pub(super) fn is_idx(head: &[u8]) -> bool {
    matches!(head, [0, 0, 0x08 | 0x09 | 0x0b..=0x0e, 1..=8, ..])
}

/// Reads an image file.
pub(super) fn read_images(mut source: InputFile) -> Result<IdxImages> {
    let (header, sizes) = read_header(&mut source, IMAGES)?;
    let [count, height, width] = sizes[..] else {
        unreachable!("an image header has three sizes")
    };
    let what = format!("{count} images of {height}×{width}");
    let pixels = read_bytes(&mut source, &header, &sizes, &what)?;
    let shape = ImageShape {
        height: height as usize,
        width: width as usize,
    };
    Ok(IdxImages {
        header,
        pixels,
        shape,
    })
}

/// Reads a label file: one byte a label, or QMNIST's rows of integers.
pub(super) fn read_labels(mut source: InputFile) -> Result<IdxLabels> {
    if source.peek().starts_with(&LABEL_ROWS.to_be_bytes()) {
        return read_label_rows(source);
    }
    let (header, sizes) = read_header(&mut source, LABELS)?;
    let what = format!("{} labels", sizes[0]);
    let labels = read_bytes(&mut source, &header, &sizes, &what)?;
    Ok(IdxLabels { header, labels })
}

fn read_label_rows(mut source: InputFile) -> Result<IdxLabels> {
    const INTEGER: u32 = 4;
    const ROW: usize = (INTEGER * LABEL_COLUMNS) as usize;
    let (header, sizes) = read_header(&mut source, LABEL_ROWS)?;
    let path = source.path().to_owned();
    let wrong = |place: usize, expected: &str, found: String| {
        Err(Error::format(
            &path,
            format!("byte {place}"),
            expected,
            found,
        ))
    };
    if sizes[1] != LABEL_COLUMNS {
        return wrong(
            8,
            "8 integers a label, as QMNIST has them",
            sizes[1].to_string(),
        );
    }
    let what = format!("{} labels of {LABEL_COLUMNS} integers", sizes[0]);
    let bytes = read_bytes(
        &mut source,
        &header,
        &[sizes[0], LABEL_COLUMNS, INTEGER],
        &what,
    )?;
    let mut labels = Vec::with_capacity(bytes.len() / ROW);
    for (row, integers) in bytes.chunks_exact(ROW).enumerate() {
        let class = BigEndian::read_i32(integers);
        match u8::try_from(class) {
            Ok(class) => labels.push(class),
            Err(_) => {
                return wrong(
                    header.len() + row * ROW,
                    "a class from 0 to 255",
                    class.to_string(),
                );
            }
        }
    }
    Ok(IdxLabels { header, labels })
}

fn read_header(source: &mut InputFile, magic: u32) -> Result<(Vec<u8>, Vec<u32>)> {
    let dimensions = (magic & 0xff) as usize;
    let length = 4 + 4 * dimensions;
    let header = source.read_up_to(length as u64)?;
    let wrong = |place: usize, expected: String, found: String| {
        Error::format(source.path(), format!("byte {place}"), expected, found)
    };
    if header.len() >= 4 {
        let found = BigEndian::read_u32(&header);
        if found != magic {
            return Err(wrong(0, Magic(magic).to_string(), Magic(found).to_string()));
        }
    }
    if header.len() < length {
        return Err(wrong(
            header.len(),
            format!("a header of {length} bytes"),
            "the end of the file".to_owned(),
        ));
    }
    let sizes: Vec<u32> = header[4..].chunks(4).map(BigEndian::read_u32).collect();
    if let Some(dimension) = sizes.iter().position(|&size| size == 0) {
        return Err(wrong(
            4 + 4 * dimension,
            "a size of at least 1".to_owned(),
            "0".to_owned(),
        ));
    }
    Ok((header, sizes))
}

/// Reads the bytes that the header states. Fewer or more bytes are an error.
fn read_bytes(source: &mut InputFile, header: &[u8], sizes: &[u32], what: &str) -> Result<Vec<u8>> {
    let header = header.len() as u64;
    let product = sizes
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size.into()));
    let Some((expected, total)) = product.and_then(|n| Some((n, n.checked_add(header)?))) else {
        return Err(Error::format(
            source.path(),
            "byte 4",
            "sizes whose product is below 2⁶⁴",
            what,
        ));
    };
    let mut bytes = source.read_up_to(expected)?;
    let found = bytes.len() as u64;
    if found < expected {
        return Err(Error::format(
            source.path(),
            format!("byte {}", header + found),
            format!("{what}: {total} bytes in all"),
            "the end of the file",
        ));
    }
    // Reading past the end also checks the checksum of a gzip file.
    if !source.read_up_to(1)?.is_empty() {
        return Err(Error::format(
            source.path(),
            format!("byte {total}"),
            format!("the end of the file after {what}"),
            "more bytes",
        ));
    }
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// A magic number in words.
struct Magic(u32);

impl fmt::Display for Magic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.to_be_bytes();
        match self.0 {
            IMAGES => f.write_str("IDX images of u8")?,
            LABELS => f.write_str("IDX labels of u8")?,
            LABEL_ROWS => f.write_str("IDX labels of i32")?,
            _ if is_idx(&bytes) => {
                let dtype = match bytes[2] {
                    0x08 => "u8",
                    0x09 => "i8",
                    0x0b => "i16",
                    0x0c => "i32",
                    0x0d => "f32",
                    _ => "f64",
                };
                write!(f, "an IDX file of {dtype} in {} dimensions", bytes[3])?;
            }
            _ => f.write_str("no IDX file")?,
        }
        write!(f, " (magic number 0x{:08x})", self.0)
    }
}

#[cfg(feature = "gzip")]
#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::super::open::tests::gzip;
    use super::*;

    pub(in crate::data) fn image_file(sizes: [u32; 3], pixels: &[u8]) -> Vec<u8> {
        let mut bytes = IMAGES.to_be_bytes().to_vec();
        sizes.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
        bytes.extend(pixels);
        bytes
    }

    pub(in crate::data) fn label_file(count: u32, labels: &[u8]) -> Vec<u8> {
        let mut bytes = LABELS.to_be_bytes().to_vec();
        bytes.extend(count.to_be_bytes());
        bytes.extend(labels);
        bytes
    }

    fn with_file<T>(bytes: &[u8], read: impl Fn(&Path) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.idx");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn images(path: &Path) -> Result<IdxImages> {
        read_images(InputFile::open(path)?)
    }

    fn labels(path: &Path) -> Result<IdxLabels> {
        read_labels(InputFile::open(path)?)
    }

    fn images_error(bytes: &[u8]) -> String {
        let error = with_file(bytes, images).err().unwrap();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        error
            .to_string()
            .split_once("file.idx: ")
            .unwrap()
            .1
            .to_owned()
    }

    fn labels_error(bytes: &[u8]) -> String {
        let error = with_file(bytes, labels).err().unwrap();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        error
            .to_string()
            .split_once("file.idx: ")
            .unwrap()
            .1
            .to_owned()
    }

    #[test]
    fn reads_images_and_labels() {
        let pixels: Vec<u8> = (0..24).collect();
        let bytes = image_file([2, 3, 4], &pixels);
        for bytes in [gzip(&bytes), bytes.clone()] {
            let images = with_file(&bytes, images).unwrap();
            assert_eq!(images.len(), 2);
            assert_eq!((images.shape.height, images.shape.width), (3, 4));
            assert_eq!(images.pixels, pixels);
        }
        let labels = with_file(&label_file(3, &[0, 9, 4]), labels).unwrap();
        assert_eq!(labels.labels, [0, 9, 4]);
    }

    #[test]
    fn truncated_and_too_long_files() {
        let bytes = image_file([2, 3, 4], &[7; 24]);
        assert_eq!(
            images_error(&bytes[..30]),
            "byte 30: expected 2 images of 3×4: 40 bytes in all, found the end of the file"
        );
        assert_eq!(
            images_error(&bytes[..9]),
            "byte 9: expected a header of 16 bytes, found the end of the file"
        );
        assert!(images_error(&[]).starts_with("byte 0: "));
        let long = [bytes, vec![1]].concat();
        let expected =
            "byte 40: expected the end of the file after 2 images of 3×4, found more bytes";
        assert_eq!(images_error(&long), expected);
        assert_eq!(images_error(&gzip(&long)), expected);
        assert!(labels_error(&label_file(3, &[1, 2])).starts_with("byte 10: expected 3 labels"));
        assert!(labels_error(&label_file(1, &[1, 2])).starts_with("byte 9: "));
    }

    #[test]
    fn sizes_that_the_file_cannot_hold_are_refused() {
        let promise = image_file([1 << 20, 1 << 20, 1 << 20], &[7; 24]);
        let found = "byte 40: expected 1048576 images of 1048576×1048576: 1152921504606846992 bytes in all, found the end of the file";
        assert_eq!(images_error(&promise), found);
        assert_eq!(images_error(&gzip(&promise)), found);
        let overflow = image_file([u32::MAX; 3], &[]);
        assert!(images_error(&overflow).starts_with("byte 4: expected sizes whose product"));
        let zero = image_file([2, 0, 4], &[]);
        assert_eq!(
            images_error(&zero),
            "byte 8: expected a size of at least 1, found 0"
        );
    }

    #[test]
    fn wrong_magic_numbers_are_named() {
        let labels = label_file(1, &[1]);
        assert_eq!(
            images_error(&labels),
            "byte 0: expected IDX images of u8 (magic number 0x00000803), found IDX labels of u8 (magic number 0x00000801)"
        );
        let floats = [&[0, 0, 0x0d, 2][..], &[0; 20]].concat();
        assert!(images_error(&floats).contains("found an IDX file of f32 in 2 dimensions"));
        assert!(images_error(b"hello, this is text").contains("found no IDX file"));
        let swapped = [&[3, 8, 0, 0][..], &[0; 20]].concat();
        assert!(images_error(&swapped).contains("0x03080000"));
    }

    #[test]
    fn labels_of_more_classes_and_rows_of_integers() {
        let bytes = label_file(3, &[0, 10, 255]);
        assert_eq!(with_file(&bytes, labels).unwrap().labels, [0, 10, 255]);
        let rows = label_rows(&[7, 0, 9]);
        assert_eq!(with_file(&rows, labels).unwrap().labels, [7, 0, 9]);
        assert_eq!(
            labels_error(&label_rows(&[7, -1])),
            "byte 44: expected a class from 0 to 255, found -1"
        );
        assert!(labels_error(&rows[..50]).contains("3 labels of 8 integers: 108 bytes in all"));
        let mut narrow = rows;
        narrow[11] = 10;
        assert!(labels_error(&narrow).contains("byte 8: expected 8 integers a label"));
    }

    /// A label file as QMNIST has it.
    pub(in crate::data) fn label_rows(classes: &[i32]) -> Vec<u8> {
        let mut bytes = LABEL_ROWS.to_be_bytes().to_vec();
        bytes.extend((classes.len() as u32).to_be_bytes());
        bytes.extend(LABEL_COLUMNS.to_be_bytes());
        for class in classes {
            bytes.extend(class.to_be_bytes());
            bytes.extend([1; 28]);
        }
        bytes
    }
}
