//! Networks as safetensors files, under the tensor names of a PyTorch `nn.Sequential`.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use super::header::TensorHeader;
use crate::data::MAX_CLASSES;
use crate::durable;
use crate::error::{Error, Result};
use crate::input::BoundedFile;
use crate::nn::Layout;
use crate::nn::params::Tensor;
use crate::real::Real;
use crate::text::hex;

/// The one key of a file's metadata that is ours; its value is JSON. One key only: several would be written in no fixed
/// order.
const METADATA_KEY: &str = "chainrule";
/// PyTorch's count of batches that a batch norm has seen; written for it, never needed.
const BATCHES_TRACKED: &str = "num_batches_tracked";
/// How the name of a batch norm's variances ends.
const VARIANCE: &str = ".running_var";
/// A file begins with the length of its header, in so many bytes.
const LENGTH_BYTES: u64 = 8;

/// A named array to be written. Its bytes are made when their turn comes, so that a file needs no second copy of all
/// its numbers in memory.
pub struct Array<'a> {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Box<dyn Fn() -> Vec<u8> + 'a>,
}

impl<'a> Array<'a> {
    /// Numbers in their own precision.
    pub fn new<R: Real>(name: impl Into<String>, shape: &[usize], values: &'a [R]) -> Self {
        let numbers = values.iter().map(|x| x.to_f64());
        let (dtype, bytes): (_, Box<dyn Fn() -> Vec<u8> + 'a>) = if R::NAME == "f32" {
            let single = move || numbers.clone().map(|x| (x as f32).to_le_bytes());
            (
                Dtype::F32,
                Box::new(move || single().collect::<Vec<_>>().into_flattened()),
            )
        } else {
            let double = move || numbers.clone().map(f64::to_le_bytes);
            (
                Dtype::F64,
                Box::new(move || double().collect::<Vec<_>>().into_flattened()),
            )
        };
        Array {
            name: name.into(),
            shape: shape.to_vec(),
            dtype,
            bytes,
        }
    }

    /// Its name, and the SHA-256 of its bytes in a file, in hexadecimal.
    pub(crate) fn hash(&self) -> (String, String) {
        (self.name.clone(), hex(Sha256::digest((self.bytes)())))
    }

    /// The number of its bytes.
    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Writes arrays with our metadata, whole or not at all.
pub fn write(path: &Path, arrays: &[Array<'_>], metadata: Option<String>) -> Result<()> {
    durable::write_with(path, |file| write_to(file, path, arrays, metadata))
}

/// As [`write()`], but into an open file, which messages call `path`.
pub(crate) fn write_to(
    file: &mut File,
    path: &Path,
    arrays: &[Array<'_>],
    metadata: Option<String>,
) -> Result<()> {
    serialize(file, arrays, metadata).map_err(|e| Error::io("write", path, e))
}

/// Writes what `safetensors::serialize` returns, without a copy of all the numbers in memory.
fn serialize(to: impl io::Write, arrays: &[Array<'_>], metadata: Option<String>) -> io::Result<()> {
    let metadata = metadata.map(|json| HashMap::from([(METADATA_KEY.to_owned(), json)]));
    let mut sorted: Vec<&Array<'_>> = arrays.iter().collect();
    sorted.sort_by(|a, b| b.dtype.cmp(&a.dtype).then(a.name.cmp(&b.name)));
    let mut end = 0;
    let info = |array: &&Array<'_>| {
        let start = end;
        end += array.data_len();
        let info = TensorInfo {
            dtype: array.dtype,
            shape: array.shape.clone(),
            data_offsets: (start, end),
        };
        (array.name.clone(), info)
    };
    let infos = sorted.iter().map(info).collect();
    let header = Metadata::new(metadata, infos).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut to = io::BufWriter::new(to);
    to.write_all(&(header.len() as u64).to_le_bytes())?;
    to.write_all(&header)?;
    for array in sorted {
        to.write_all(&(array.bytes)())?;
    }
    to.flush()
}

/// The tensors of a network.
pub fn network<'a, R: Real>(
    layout: &Layout,
    params: &'a [R],
    running: &'a [R],
    updates: u64,
) -> Vec<Array<'a>> {
    let slice = |tensors: &[Tensor], values: &'a [R]| -> Vec<Array<'a>> {
        tensors
            .iter()
            .map(|t| Array::new(&t.name, &t.shape, &values[t.range.clone()]))
            .collect()
    };
    let mut arrays = slice(&layout.params, params);
    arrays.extend(slice(&layout.running, running));
    arrays.extend(layout.batch_norms.iter().map(|position| Array {
        name: format!("{position}.{BATCHES_TRACKED}"),
        shape: Vec::new(),
        dtype: Dtype::I64,
        bytes: Box::new(move || updates.to_le_bytes().to_vec()),
    }));
    arrays
}

/// The largest header, in bytes: that of the format.
const MAX_HEADER: u64 = 100_000_000;

/// A safetensors file in memory.
pub struct TensorFile<'a> {
    path: &'a Path,
    header: TensorHeader,
    data: Vec<u8>,
}

impl<'a> TensorFile<'a> {
    /// Reads a file and checks its structure. Nothing is read of a file that is shorter or longer than its header says.
    pub fn read(path: &'a Path) -> Result<Self> {
        let wrong =
            |found: String| Error::format(path, "header", "a whole safetensors file", found);
        let mut file = BoundedFile::open(path)?;
        let start = read_up_to(&mut file, LENGTH_BYTES)?;
        let length: [u8; LENGTH_BYTES as usize] = start
            .try_into()
            .map_err(|start: Vec<u8>| wrong(format!("{} bytes", start.len())))?;
        let length = u64::from_le_bytes(length);
        let rest = file.limit() - LENGTH_BYTES;
        if length > MAX_HEADER || length > rest {
            return Err(wrong(format!("a header of {length} bytes")));
        }
        let json = read_up_to(&mut file, length)?;
        let header: TensorHeader =
            serde_json::from_slice(&json).map_err(|e| wrong(e.to_string()))?;
        drop(json);
        let expected = header.tensors.data_len() as u64;
        let differs = |found: u64| wrong(format!("{found} bytes of {expected} after the header"));
        if let Some(found) = file.size().map(|size| size - LENGTH_BYTES - length)
            && found != expected
        {
            return Err(differs(found));
        }
        let data = read_up_to(&mut file, expected)?;
        let more = read_up_to(&mut file, 1)?;
        match (data.len() + more.len()) as u64 {
            found if found == expected => Ok(TensorFile { path, header, data }),
            found => Err(differs(found)),
        }
    }

    /// Our metadata, or an error that says what the file is not.
    pub fn metadata(&self, kind: &str) -> Result<&str> {
        self.header.description.as_deref().ok_or_else(|| {
            let expected = format!("a {kind} written by this program");
            Error::format(
                self.path,
                "metadata",
                expected,
                "a file without its metadata",
            )
        })
    }

    /// One array of a known shape.
    pub fn get<R: Real>(&self, name: &str, shape: &[usize]) -> Result<Vec<R>> {
        let info = self.info(name, shape)?;
        let mut values = Vec::with_capacity(shape.iter().product());
        self.append(&mut values, info);
        Ok(values)
    }

    /// What the header says of an array of a known shape.
    fn info(&self, name: &str, shape: &[usize]) -> Result<&TensorInfo> {
        let wrong = |expected: String, found: String| {
            Err(Error::format(
                self.path,
                format!("tensor {name}"),
                expected,
                found,
            ))
        };
        let Some(info) = self.header.tensors.info(name) else {
            let mut names = self.header.tensors.offset_keys();
            names.sort_unstable();
            let found = format!("no such tensor among {}", names.join(", "));
            return wrong(format!("shape {shape:?}"), found);
        };
        if info.shape != shape {
            return wrong(
                format!("shape {shape:?}"),
                format!("shape {:?}", info.shape),
            );
        }
        match info.dtype {
            Dtype::F32 | Dtype::F64 => Ok(info),
            other => wrong("dtype F32 or F64".into(), format!("{other:?}")),
        }
    }

    /// Appends the numbers of an array.
    fn append<R: Real>(&self, to: &mut Vec<R>, info: &TensorInfo) {
        let bytes = &self.data[info.data_offsets.0..info.data_offsets.1];
        match info.dtype {
            Dtype::F64 => append_numbers(to, bytes, f64::from_le_bytes),
            _ => append_numbers(to, bytes, |b| f32::from_le_bytes(b).into()),
        }
    }

    /// The outputs of the last Linear: the length of the bias at the highest position, or of each member's bias. More
    /// than there can be classes count as a mistake.
    pub fn last_layer_outputs(&self) -> Option<usize> {
        let names = self.header.tensors.offset_keys();
        let position = |name: &String| name.strip_suffix(".bias")?.parse::<usize>().ok();
        let last = names.iter().filter_map(position).max()?;
        let bias = self.header.tensors.info(&format!("{last}.bias"))?;
        let outputs = match bias.shape[..] {
            [outputs] | [_, outputs] => outputs,
            _ => return None,
        };
        (outputs <= MAX_CLASSES).then_some(outputs)
    }

    /// Parameters and running statistics, laid out flat. Every tensor must be there with its shape, finite values and
    /// variances that are not negative, and no other.
    pub fn network<R: Real>(&self, layout: &Layout) -> Result<(Vec<R>, Vec<R>)> {
        let tensors = || layout.params.iter().chain(&layout.running);
        let mut known: HashSet<String> = tensors().map(|t| t.name.clone()).collect();
        let counts = layout.batch_norms.iter();
        known.extend(counts.map(|position| format!("{position}.{BATCHES_TRACKED}")));
        let names = self.header.tensors.offset_keys();
        if let Some(stranger) = names.iter().filter(|name| !known.contains(*name)).min() {
            let place = format!("tensor {stranger}");
            return Err(Error::format(
                self.path,
                place,
                "no such tensor in this network",
                "it",
            ));
        }
        // All are there before memory is reserved for any.
        for tensor in tensors() {
            self.info(&tensor.name, &tensor.shape)?;
        }
        Ok((
            self.collect(&layout.params)?,
            self.collect(&layout.running)?,
        ))
    }

    fn collect<R: Real>(&self, tensors: &[Tensor]) -> Result<Vec<R>> {
        let mut all = Vec::with_capacity(tensors.iter().map(|t| t.range.len()).sum());
        for tensor in tensors {
            let start = all.len();
            self.append(&mut all, self.info(&tensor.name, &tensor.shape)?);
            let (least, expected) = match tensor.name.ends_with(VARIANCE) {
                true => (R::from_f64(0.0), "a finite number of at least 0"),
                false => (R::from_f64(f64::NEG_INFINITY), "a finite number"),
            };
            let values: &[R] = &all[start..];
            if let Some(at) = values.iter().position(|&x| !x.is_finite() || x < least) {
                let place = format!("tensor {}, value {at}", tensor.name);
                return Err(Error::format(
                    self.path,
                    place,
                    expected,
                    values[at].to_string(),
                ));
            }
        }
        Ok(all)
    }
}

/// Reads `count` bytes, or fewer if the file ends before. Memory grows with what is read.
fn read_up_to(file: &mut BoundedFile, count: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match file.by_ref().take(count).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(file.error(error)),
    }
}

fn append_numbers<R: Real, const N: usize>(
    to: &mut Vec<R>,
    bytes: &[u8],
    value: impl Fn([u8; N]) -> f64,
) {
    let (chunks, _) = bytes.as_chunks::<N>();
    to.extend(chunks.iter().map(|&chunk| R::from_f64(value(chunk))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    #[test]
    fn the_bytes_are_those_of_the_crate() {
        let (single, double) = ([0.5_f32, -1.0, 2.0], [1.0_f64, 2.0]);
        let count = Array {
            name: "count".into(),
            shape: Vec::new(),
            dtype: Dtype::I64,
            bytes: Box::new(|| 7_u64.to_le_bytes().to_vec()),
        };
        let arrays = [
            Array::new("z", &[3, 1], &single),
            count,
            Array::new("b", &[2], &double),
            Array::new("a", &[0], &single[..0]),
        ];
        for json in [None, Some("{\"format\":1}".to_owned())] {
            let mut written = Vec::new();
            serialize(&mut written, &arrays, json.clone()).unwrap();
            let bytes: Vec<Vec<u8>> = arrays.iter().map(|a| (a.bytes)()).collect();
            let views = arrays.iter().zip(&bytes).map(|(a, bytes)| {
                let view = TensorView::new(a.dtype, a.shape.clone(), bytes).unwrap();
                (a.name.as_str(), view)
            });
            let metadata = json.map(|json| HashMap::from([(METADATA_KEY.to_owned(), json)]));
            assert_eq!(written, safetensors::serialize(views, metadata).unwrap());
        }
    }
}
