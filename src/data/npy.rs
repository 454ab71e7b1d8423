//! NumPy's NPY format: magic number, version, a Python dictionary as header, then the values.
//!
//! Format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1.0 to 3.0.

use std::fmt;
use std::io::{ErrorKind, Read};
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

/// The number type of samples, from the narrowest to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NumberType {
    U8,
    F32,
    F64,
}

impl NumberType {
    /// Bytes per number.
    fn size(self) -> u64 {
        match self {
            NumberType::U8 => 1,
            NumberType::F32 => 4,
            NumberType::F64 => 8,
        }
    }
}

impl fmt::Display for NumberType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NumberType::U8 => "u8",
            NumberType::F32 => "f32",
            NumberType::F64 => "f64",
        })
    }
}

/// What a header says of samples; nothing of it is checked.
pub(super) struct NpySize {
    pub(super) number_type: NumberType,
    count: u64,
    fortran_order: bool,
}

impl NpySize {
    /// Bytes of the values in the file.
    pub(super) fn stored(&self) -> u64 {
        self.count.saturating_mul(self.number_type.size())
    }

    /// Bytes of memory that reading the values in a number type takes.
    pub(super) fn needed(&self, kept: NumberType) -> u64 {
        let copies = if self.fortran_order { 2 } else { 1 };
        self.count.saturating_mul(copies * kept.size())
    }
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

    /// Reads samples of type u8, f32 or f64, as numbers of that type or, if that is wider, of type `least`. The shape
    /// is `[n, d]`, or for images `[n, h, w]`, `[n, h, w, 1]` or `[n, 1, h, w]`. All values must be finite.
    pub(super) fn read_values(mut self, least: NumberType) -> Result<NpyValues> {
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
        let number = self.number_reader(&header)?;
        let features = match self.number_type(&header)?.max(least) {
            NumberType::U8 => Features::U8(self.read_u8(count)?),
            NumberType::F32 => {
                Features::F32(self.read_sized(count, header.size, |b| number(b) as f32)?)
            }
            NumberType::F64 => Features::F64(self.read_sized(count, header.size, number)?),
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

    /// Reads what the header of samples says of their size.
    pub(super) fn read_size(mut self) -> Result<NpySize> {
        let header = self.read_header()?;
        let count = |count: u64, &size: &usize| count.saturating_mul(size as u64);
        Ok(NpySize {
            number_type: self.number_type(&header)?,
            count: header.shape.iter().fold(1, count),
            fortran_order: header.fortran_order,
        })
    }

    fn number_type(&self, header: &NpyHeader) -> Result<NumberType> {
        match (header.kind, header.size) {
            (NumberKind::Unsigned, 1) => Ok(NumberType::U8),
            (NumberKind::Float, 4) => Ok(NumberType::F32),
            (NumberKind::Float, 8) => Ok(NumberType::F64),
            _ => Err(self.wrong("descr", "values of type u1, f4 or f8", header.dtype_name())),
        }
    }

    /// How to read a number from its bytes. f64 holds each of the types without loss.
    fn number_reader(&self, header: &NpyHeader) -> Result<fn(&[u8]) -> f64> {
        Ok(match (self.number_type(header)?, header.big_endian) {
            (NumberType::U8, _) => |b| b[0].into(),
            (NumberType::F32, false) => |b| LittleEndian::read_f32(b).into(),
            (NumberType::F32, true) => |b| BigEndian::read_f32(b).into(),
            (NumberType::F64, false) => LittleEndian::read_f64,
            (NumberType::F64, true) => BigEndian::read_f64,
        })
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
        let label: fn(&[u8]) -> i128 = match (header.kind, header.big_endian) {
            (NumberKind::Unsigned, false) => |b| LittleEndian::read_uint(b, b.len()).into(),
            (NumberKind::Unsigned, true) => |b| BigEndian::read_uint(b, b.len()).into(),
            (NumberKind::Signed, false) => |b| LittleEndian::read_int(b, b.len()).into(),
            (NumberKind::Signed, true) => |b| BigEndian::read_int(b, b.len()).into(),
            (NumberKind::Float, _) => {
                return Err(self.wrong(
                    "descr",
                    "integer class numbers (regression is not supported)",
                    header.dtype_name(),
                ));
            }
        };
        let mut stranger = None;
        let mut position = 0;
        let labels = self.read_sized(count, header.size, |bytes| {
            let label = label(bytes);
            let class = u32::try_from(label).ok();
            let class = class.filter(|&class| (class as usize) < MAX_CLASSES);
            if class.is_none() && stranger.is_none() {
                stranger = Some((position, label));
            }
            position += 1;
            class.unwrap_or_default()
        })?;
        self.expect_end()?;
        match stranger {
            None => Ok(labels),
            Some((position, label)) => Err(self.wrong(
                &format!("position {position}"),
                &format!("a class from 0 to {}", MAX_CLASSES - 1),
                label.to_string(),
            )),
        }
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
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
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
        let mut values = Vec::new();
        let mut reader = (&mut *self.reader).take(count as u64);
        if let Err(error) = reader.read_to_end(&mut values) {
            return Err(self.read_error(error));
        }
        self.expect_values(count, values.len())?;
        Ok(values)
    }

    /// Reads items of `size` bytes. Memory grows with what is read.
    fn read_sized<T>(
        &mut self,
        count: usize,
        size: usize,
        mut item: impl FnMut(&[u8]) -> T,
    ) -> Result<Vec<T>> {
        let mut values = Vec::new();
        let mut chunk = vec![0; CHUNK.min(count * size)];
        while values.len() < count {
            let wanted = chunk.len().min((count - values.len()) * size);
            let found = self.fill(&mut chunk[..wanted])?;
            let room = values.try_reserve(found / size);
            room.map_err(|_| self.read_error(ErrorKind::OutOfMemory.into()))?;
            values.extend(chunk[..found].chunks_exact(size).map(&mut item));
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
fn to_row_major<T: Copy + Default>(values: &[T], shape: &[usize]) -> Vec<T> {
    let (samples, sizes) = (shape[0], &shape[1..]);
    let width = values.len() / samples;
    let mut rows = vec![T::default(); values.len()];
    for feature in 0..width {
        // The feature's indices, last index fastest, and with them where its values begin.
        let (mut rest, mut stride, mut start) = (feature, values.len(), 0);
        for &size in sizes.iter().rev() {
            stride /= size;
            start += rest % size * stride;
            rest /= size;
        }
        for (sample, &value) in values[start..][..samples].iter().enumerate() {
            rows[sample * width + feature] = value;
        }
    }
    rows
}

#[cfg(test)]
pub(super) mod tests;
