//! NumPy's NPY format: magic number, version, a Python dictionary as header, then the values.
//!
//! Format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1.0 to 3.0.

use std::fmt;
use std::io::Read;
use std::path::Path;

use byteorder::{BigEndian, ByteOrder, LittleEndian};

use super::npy_header::{NpyHeader, NumberKind};
use super::open::damaged;
use super::{Features, ImageShape, MAX_CLASSES};
use crate::error::{Error, Result};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
const CHUNK: usize = 64 << 10;

/// An open NPY file, or an open member of an NPZ file.
pub(super) struct NpyArray<'a> {
    path: &'a Path,
    name: &'a str,
    reader: &'a mut dyn Read,
    /// The largest number of bytes that it can hold.
    limit: u64,
}

/// Samples without labels.
pub(super) struct NpyValues {
    pub(super) features: Features,
    pub(super) width: usize,
    pub(super) image: Option<ImageShape>,
}

impl<'a> NpyArray<'a> {
    pub(super) fn new(path: &'a Path, name: &'a str, reader: &'a mut dyn Read, limit: u64) -> Self {
        NpyArray {
            path,
            name,
            reader,
            limit,
        }
    }

    /// Reads samples of type u8, f32 or f64. The shape is `[n, d]`, or for images `[n, h, w]`, `[n, h, w, 1]`
    /// or `[n, 1, h, w]`. All values must be finite.
    pub(super) fn read_values(mut self) -> Result<NpyValues> {
        let header = self.read_header()?;
        let image = match header.shape[..] {
            [_, _] => None,
            [_, height, width] | [_, height, width, 1] | [_, 1, height, width] => {
                Some(ImageShape { height, width })
            }
            _ => {
                return Err(self.wrong(
                    "shape",
                    "[samples, features] or [samples, height, width]",
                    format!("{:?}", header.shape),
                ));
            }
        };
        let count = self.checked_count(&header)?;
        let features = match self.number_type(&header)? {
            Features::U8(_) => Features::U8(self.read_u8(count)?),
            Features::F32(_) => Features::F32(if header.big_endian {
                self.read_items(count, BigEndian::read_f32)?
            } else {
                self.read_items(count, LittleEndian::read_f32)?
            }),
            Features::F64(_) => Features::F64(if header.big_endian {
                self.read_items(count, BigEndian::read_f64)?
            } else {
                self.read_items(count, LittleEndian::read_f64)?
            }),
        };
        self.expect_end()?;
        let width = header.shape[1..].iter().product();
        let features = if header.fortran_order {
            match features {
                Features::U8(v) => Features::U8(to_row_major(&v, &header.shape)),
                Features::F32(v) => Features::F32(to_row_major(&v, &header.shape)),
                Features::F64(v) => Features::F64(to_row_major(&v, &header.shape)),
            }
        } else {
            features
        };
        self.check_finite(&features, width)?;
        Ok(NpyValues {
            features,
            width,
            image,
        })
    }

    /// Reads the number type of samples, and returns it as features without values.
    pub(super) fn read_number_type(mut self) -> Result<Features> {
        let header = self.read_header()?;
        self.number_type(&header)
    }

    fn number_type(&self, header: &NpyHeader) -> Result<Features> {
        match (header.kind, header.size) {
            (NumberKind::Unsigned, 1) => Ok(Features::U8(Vec::new())),
            (NumberKind::Float, 4) => Ok(Features::F32(Vec::new())),
            (NumberKind::Float, 8) => Ok(Features::F64(Vec::new())),
            _ => Err(self.wrong("descr", "values of type u1, f4 or f8", header.dtype_name())),
        }
    }

    /// Reads class numbers of any integer type and shape `[n]` or `[n, 1]`.
    pub(super) fn read_labels(mut self) -> Result<Vec<u32>> {
        let header = self.read_header()?;
        if !matches!(header.shape[..], [_] | [_, 1]) {
            return Err(self.wrong(
                "shape",
                "one class number a sample: [samples]",
                format!("{:?}", header.shape),
            ));
        }
        let count = self.checked_count(&header)?;
        let size = header.size;
        let labels: Vec<i128> = match (header.kind, header.big_endian) {
            (NumberKind::Unsigned, false) => {
                self.read_sized(count, size, |b| LittleEndian::read_uint(b, size).into())?
            }
            (NumberKind::Unsigned, true) => {
                self.read_sized(count, size, |b| BigEndian::read_uint(b, size).into())?
            }
            (NumberKind::Signed, false) => {
                self.read_sized(count, size, |b| LittleEndian::read_int(b, size).into())?
            }
            (NumberKind::Signed, true) => {
                self.read_sized(count, size, |b| BigEndian::read_int(b, size).into())?
            }
            (NumberKind::Float, _) => {
                return Err(self.wrong(
                    "descr",
                    "integer class numbers (regression is not supported)",
                    header.dtype_name(),
                ));
            }
        };
        self.expect_end()?;
        let to_label = |(position, label): (usize, i128)| {
            u32::try_from(label)
                .ok()
                .filter(|&label| (label as usize) < MAX_CLASSES)
                .ok_or_else(|| {
                    self.wrong(
                        &format!("position {position}"),
                        &format!("a class from 0 to {}", MAX_CLASSES - 1),
                        label.to_string(),
                    )
                })
        };
        labels.into_iter().enumerate().map(to_label).collect()
    }

    fn wrong(&self, place: &str, expected: &str, found: impl Into<String>) -> Error {
        let place = format!("array {}, {place}", self.name);
        Error::format(self.path, place, expected, found)
    }

    /// Fills the buffer, or the part of it for which there are bytes, and returns the length of that part.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.read_error(error)),
            }
        }
        Ok(filled)
    }

    fn read_error(&self, error: std::io::Error) -> Error {
        damaged(error, |found| {
            self.wrong("contents", "intact packed data", found)
        })
        .unwrap_or_else(|error| Error::io("read", self.path, error))
    }

    fn read_header(&mut self) -> Result<NpyHeader> {
        let mut start = [0; 12];
        let found = self.fill(&mut start[..10])?;
        if found < 10 || !start.starts_with(MAGIC) {
            return Err(self.wrong("byte 0", "an NPY header", "something else"));
        }
        let length = match start[6] {
            1 => LittleEndian::read_u16(&start[8..]).into(),
            2 | 3 => {
                self.fill(&mut start[10..])?;
                LittleEndian::read_u32(&start[8..])
            }
            version => {
                return Err(self.wrong("byte 6", "version 1, 2 or 3", version.to_string()));
            }
        };
        if length > 1 << 16 {
            let found = format!("{length} bytes");
            return Err(self.wrong("byte 8", "a header of at most 65536 bytes", found));
        }
        let mut text = vec![0; length as usize];
        let found = self.fill(&mut text)?;
        if found < text.len() {
            return Err(self.wrong(
                "header",
                &format!("{length} bytes"),
                format!("the end of the data after {found}"),
            ));
        }
        NpyHeader::parse(&String::from_utf8_lossy(&text))
            .map_err(|(expected, found)| self.wrong("header", &expected, found))
    }

    /// The number of values. It is an error if a size is 0, if u32 cannot count the samples, or if the data are
    /// too short to hold the values.
    fn checked_count(&self, header: &NpyHeader) -> Result<usize> {
        let shape = &header.shape;
        if shape.contains(&0) || shape[0] > u32::MAX as usize {
            return Err(self.wrong(
                "shape",
                "sizes of at least 1 and fewer than 2³² samples",
                format!("{shape:?}"),
            ));
        }
        let product = shape
            .iter()
            .try_fold(1usize, |n, &size| n.checked_mul(size));
        product
            .filter(|count| {
                let bytes = count.checked_mul(header.size);
                bytes.is_some_and(|bytes| bytes as u64 <= self.limit)
            })
            .ok_or_else(|| {
                self.wrong(
                    "shape",
                    &format!("values that fit into its {} bytes", self.limit),
                    format!("{shape:?} of {}", header.dtype_name()),
                )
            })
    }

    fn read_u8(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut values = Vec::with_capacity(count);
        let mut reader = (&mut *self.reader).take(count as u64);
        if let Err(error) = reader.read_to_end(&mut values) {
            return Err(self.read_error(error));
        }
        self.expect_values(count, values.len())?;
        Ok(values)
    }

    fn read_items<T>(&mut self, count: usize, item: fn(&[u8]) -> T) -> Result<Vec<T>> {
        self.read_sized(count, size_of::<T>(), item)
    }

    fn read_sized<T>(
        &mut self,
        count: usize,
        size: usize,
        item: impl Fn(&[u8]) -> T,
    ) -> Result<Vec<T>> {
        let mut values = Vec::with_capacity(count);
        let mut chunk = vec![0; CHUNK.min(count * size)];
        while values.len() < count {
            let wanted = chunk.len().min((count - values.len()) * size);
            let found = self.fill(&mut chunk[..wanted])?;
            values.extend(chunk[..found].chunks_exact(size).map(&item));
            if found < wanted {
                break;
            }
        }
        self.expect_values(count, values.len())?;
        Ok(values)
    }

    fn expect_values(&self, expected: usize, found: usize) -> Result<()> {
        if found < expected {
            return Err(self.wrong(
                &format!("value {found}"),
                &format!("{expected} values"),
                "the end of the data",
            ));
        }
        Ok(())
    }

    /// Checks that the data end here. Reading to the end also verifies the checksum, if there is one.
    fn expect_end(&mut self) -> Result<()> {
        match self.fill(&mut [0])? {
            0 => Ok(()),
            _ => Err(self.wrong("end", "no bytes after the last value", "more bytes")),
        }
    }

    fn check_finite(&self, features: &Features, width: usize) -> Result<()> {
        let found: Option<(usize, &dyn fmt::Display)> = match features {
            Features::U8(_) => None,
            Features::F32(v) => position_of(v, |x| !x.is_finite()),
            Features::F64(v) => position_of(v, |x| !x.is_finite()),
        };
        match found {
            None => Ok(()),
            Some((index, value)) => Err(self.wrong(
                &format!("sample {}, feature {}", index / width, index % width),
                "a finite number",
                value.to_string(),
            )),
        }
    }
}

fn position_of<T: fmt::Display>(
    values: &[T],
    is_wanted: impl Fn(&T) -> bool,
) -> Option<(usize, &dyn fmt::Display)> {
    let index = values.iter().position(is_wanted)?;
    Some((index, &values[index]))
}

/// Converts from Fortran order (first index fastest) to C order (last index fastest).
fn to_row_major<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    // The offset of each feature, last index fastest. Samples have stride 1.
    let mut offsets = vec![0];
    for (&size, &stride) in shape.iter().zip(&strides).skip(1) {
        offsets = offsets
            .iter()
            .flat_map(|&offset| (0..size).map(move |index| offset + index * stride))
            .collect();
    }
    (0..shape[0])
        .flat_map(|sample| offsets.iter().map(move |&offset| values[sample + offset]))
        .collect()
}

#[cfg(test)]
pub(super) mod tests;
