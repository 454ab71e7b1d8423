//! NumPy's NPY format: magic number, version, a Python dictionary as header, then the values.
//!
//! Format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1.0 to 3.0.

use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::Path;

use byteorder::{ByteOrder, LittleEndian};

use super::classes::LabelColumn;
use super::npy_header::{NpyHeader, ValueKind};
use super::npy_labels::LabelReader;
use super::npy_number::number_reader;
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

/// The number type in which samples are kept, from the narrowest to the widest.
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
    /// Bytes per number in the file.
    size: u64,
    fortran_order: bool,
}

impl NpySize {
    /// Bytes of the values in the file.
    pub(super) fn stored(&self) -> u64 {
        self.count.saturating_mul(self.size)
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
    /// Whether they are the cells of a table, in which NaN is a missing value. Else they are pictures.
    pub(super) is_table: bool,
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

    /// Reads samples, as numbers of the type that they suit or, if that is wider, of type `least`. The shape is `[n,
    /// d]`, or for images `[n, h, w]`, `[n, h, w, 1]` or `[n, 1, h, w]`. Two-dimensional arrays of other numbers than
    /// bytes are tables, in which values may be missing. All other values must be finite.
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
        let kept = self.number_type(&header)?.max(least);
        let number = number_reader(&header).expect("a number type was found");
        self.check_order(&header, count, kept)?;
        let features = match kept {
            NumberType::U8 if header.size == 1 && header.kind == ValueKind::Unsigned => {
                Features::U8(self.read_u8(count)?)
            }
            NumberType::U8 => Features::U8(self.read_pixels(&header, count, number)?),
            NumberType::F32 => {
                Features::F32(self.read_sized(count, header.size, |b| number(b) as f32)?)
            }
            NumberType::F64 => Features::F64(self.read_sized(count, header.size, number)?),
        };
        self.expect_end()?;
        let width = header.shape[1..].iter().product();
        let mut values = NpyValues {
            features: match header.fortran_order {
                true => in_row_order(features, &header.shape),
                false => features,
            },
            width,
            image,
            is_table: image.is_none() && kept != NumberType::U8,
        };
        self.check_values(&mut values)?;
        Ok(values)
    }

    /// Reads numbers of any shape of at most two dimensions: one number is a matrix too, and a list is one row.
    pub(super) fn read_matrix(mut self) -> Result<([usize; 2], Vec<f64>)> {
        let header = self.read_header()?;
        let shape = match header.shape[..] {
            [] => [1, 1],
            [columns] => [1, columns],
            [rows, columns] => [rows, columns],
            _ => {
                let found = format!("{:?}", header.shape);
                return Err(self.wrong("shape", "at most two dimensions", found));
            }
        };
        let matrix = NpyHeader {
            shape: shape.to_vec(),
            ..header
        };
        let count = self.checked_count(&matrix)?;
        let Some(number) = number_reader(&matrix) else {
            let found = matrix.dtype_name();
            return Err(self.wrong("dtype", "numbers", found));
        };
        let values = self.read_sized(count, matrix.size, number)?;
        self.expect_end()?;
        let [rows, columns] = shape;
        let in_rows = (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c)));
        Ok(match matrix.fortran_order {
            true => (shape, in_rows.map(|(r, c)| values[c * rows + r]).collect()),
            false => (shape, values),
        })
    }

    /// Reads what the header of samples says of their size.
    pub(super) fn read_size(mut self) -> Result<NpySize> {
        let header = self.read_header()?;
        let count = |count: u64, &size: &usize| count.saturating_mul(size as u64);
        Ok(NpySize {
            number_type: self.number_type(&header)?,
            count: header.shape.iter().fold(1, count),
            size: header.size as u64,
            fortran_order: header.fortran_order,
        })
    }

    /// The narrowest type that holds all numbers of this type. Integers of pictures are bytes.
    fn number_type(&self, header: &NpyHeader) -> Result<NumberType> {
        let is_picture = header.shape.len() > 2;
        match (header.kind, header.size) {
            (ValueKind::Unsigned, 1) => Ok(NumberType::U8),
            (ValueKind::Float, 2 | 4) => Ok(NumberType::F32),
            (ValueKind::Float, _) => Ok(NumberType::F64),
            (ValueKind::Bytes | ValueKind::Text, _) => {
                Err(self.wrong("descr", "numbers", header.dtype_name()))
            }
            _ if is_picture => Ok(NumberType::U8),
            (_, 1 | 2) => Ok(NumberType::F32),
            _ => Ok(NumberType::F64),
        }
    }

    /// Refuses numbers whose other order takes a multiple of their size, since they are also kept in a wider type.
    fn check_order(&self, header: &NpyHeader, count: usize, kept: NumberType) -> Result<()> {
        const ALWAYS: usize = 8 << 20;
        let needed = 2 * kept.size();
        if header.fortran_order && count > ALWAYS && needed > 4 * header.size as u64 {
            let found = format!(
                "Fortran order, in which reading {} takes too much memory",
                header.dtype_name()
            );
            return Err(self.wrong("fortran_order", "C order (numpy.ascontiguousarray)", found));
        }
        Ok(())
    }

    /// Reads labels of shape `[n]` or `[n, 1]`: numbers, truth values or words. `[n, k]` is one-hot, with the classes 0
    /// to k − 1.
    pub(super) fn read_labels(mut self) -> Result<Vec<LabelColumn>> {
        let header = self.read_header()?;
        let is_text = matches!(header.kind, ValueKind::Bytes | ValueKind::Text);
        let is_one_a_sample = matches!(header.shape[..], [_] | [_, 1]);
        if !is_one_a_sample && (is_text || header.shape.len() != 2) {
            let found = format!("{:?}", header.shape);
            let expected = "one label a sample, [samples], or several numbers, [samples, labels]";
            return Err(self.wrong("shape", expected, found));
        }
        if let Some(columns) = header.shape.get(1).filter(|&&k| k > MAX_CLASSES) {
            let expected = format!("at most {MAX_CLASSES} labels a sample");
            return Err(self.wrong("shape", &expected, columns.to_string()));
        }
        let count = self.checked_count(&header)?;
        let mut labels = LabelReader::new(&header);
        let mut pushed = Ok(());
        self.read_chunks(count, header.size, |chunk| {
            if pushed.is_ok() {
                pushed = chunk
                    .chunks_exact(header.size)
                    .try_for_each(|bytes| labels.push(bytes));
            }
            Ok(())
        })?;
        self.expect_end()?;
        pushed.map_err(|wrong| self.wrong(&wrong.place, &wrong.expected, wrong.found))?;
        Ok(labels.finish())
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

    /// Reads the pixels of pictures that are stored as wider integers.
    fn read_pixels(
        &mut self,
        header: &NpyHeader,
        count: usize,
        number: fn(&[u8]) -> f64,
    ) -> Result<Vec<u8>> {
        let (mut stranger, mut index) = (None, 0);
        let pixels = self.read_sized(count, header.size, |bytes| {
            let value = number(bytes);
            if !(0.0..=255.0).contains(&value) && stranger.is_none() {
                stranger = Some((index, value));
            }
            index += 1;
            value as u8
        })?;
        match stranger {
            None => Ok(pixels),
            Some((index, value)) => Err(self.wrong(
                &format!("value {index}"),
                "a pixel from 0 to 255, as pictures of integers have them",
                value.to_string(),
            )),
        }
    }

    /// Reads items of `size` bytes. Memory grows with what is read.
    fn read_sized<T>(
        &mut self,
        count: usize,
        size: usize,
        mut item: impl FnMut(&[u8]) -> T,
    ) -> Result<Vec<T>> {
        let mut values = Vec::new();
        self.read_chunks(count, size, |chunk| {
            values.try_reserve(chunk.len() / size)?;
            values.extend(chunk.chunks_exact(size).map(&mut item));
            Ok(())
        })?;
        Ok(values)
    }

    /// Calls `add` with the bytes of some values at a time.
    fn read_chunks(
        &mut self,
        count: usize,
        size: usize,
        mut add: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<()> {
        let mut chunk = vec![0; (CHUNK / size).clamp(1, count) * size];
        let mut read = 0;
        while read < count {
            let wanted = chunk.len().min((count - read) * size);
            let found = self.fill(&mut chunk[..wanted])?;
            let whole = found - found % size;
            add(&chunk[..whole]).map_err(|error| self.read_error(error))?;
            read += whole / size;
            if found < wanted {
                break;
            }
        }
        self.expect_values(count, read)
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

    /// Refuses values that are not finite. In a table NaN stands for a missing value, and becomes the one NaN.
    fn check_values(&self, values: &mut NpyValues) -> Result<()> {
        let (width, is_table) = (values.width, values.is_table);
        let found: Option<(usize, &dyn fmt::Display)> = match &mut values.features {
            Features::U8(_) => None,
            Features::F32(v) => {
                let nans = v.iter_mut().filter(|x| is_table && x.is_nan());
                nans.for_each(|x| *x = f32::NAN);
                position_of(v, |x| !(x.is_finite() || is_table && x.is_nan()))
            }
            Features::F64(v) => {
                let nans = v.iter_mut().filter(|x| is_table && x.is_nan());
                nans.for_each(|x| *x = f64::NAN);
                position_of(v, |x| !(x.is_finite() || is_table && x.is_nan()))
            }
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

fn in_row_order(features: Features, shape: &[usize]) -> Features {
    match features {
        Features::U8(v) => Features::U8(to_row_major(&v, shape)),
        Features::F32(v) => Features::F32(to_row_major(&v, shape)),
        Features::F64(v) => Features::F64(to_row_major(&v, shape)),
    }
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
