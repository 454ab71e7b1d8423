//! Networks as safetensors files, under the tensor names of a PyTorch `nn.Sequential`.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::{fs, io};

use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};

use crate::durable;
use crate::error::{Error, Result};
use crate::nn::Layout;
use crate::nn::params::Tensor;
use crate::real::Real;

/// The one key of a file's metadata that is ours; its value is JSON. One key only: several would be written in no fixed
/// order.
const METADATA_KEY: &str = "chainrule";
/// PyTorch's count of batches that a batch norm has seen; written for it, never needed.
const BATCHES_TRACKED: &str = "num_batches_tracked";

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
            let single = move || numbers.clone().flat_map(|x| (x as f32).to_le_bytes());
            (Dtype::F32, Box::new(move || single().collect()))
        } else {
            let double = move || numbers.clone().flat_map(f64::to_le_bytes);
            (Dtype::F64, Box::new(move || double().collect()))
        };
        Array {
            name: name.into(),
            shape: shape.to_vec(),
            dtype,
            bytes,
        }
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

/// A safetensors file in memory.
pub struct TensorFile<'a> {
    path: &'a Path,
    bytes: Vec<u8>,
}

impl<'a> TensorFile<'a> {
    /// Reads a file and checks its structure.
    pub fn read(path: &'a Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|e| Error::io("read", path, e))?;
        let file = TensorFile { path, bytes };
        file.parse()?;
        Ok(file)
    }

    fn parse(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).map_err(|e| {
            Error::format(
                self.path,
                "header",
                "a whole safetensors file",
                e.to_string(),
            )
        })
    }

    /// Our metadata, or an error that says what the file is not.
    pub fn metadata(&self, kind: &str) -> Result<String> {
        let metadata = SafeTensors::read_metadata(&self.bytes).ok();
        let value = metadata.and_then(|(_, m)| m.metadata().as_ref()?.get(METADATA_KEY).cloned());
        value.ok_or_else(|| {
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
        let mut values = Vec::with_capacity(shape.iter().product());
        self.append(&mut values, name, shape)?;
        Ok(values)
    }

    /// Appends the numbers of one array of a known shape.
    fn append<R: Real>(&self, to: &mut Vec<R>, name: &str, shape: &[usize]) -> Result<()> {
        let place = || format!("tensor {name}");
        let parsed = self.parse()?;
        let tensor = parsed.tensor(name).map_err(|_| {
            let mut names: Vec<&str> = parsed.names().into_iter().collect();
            names.sort_unstable();
            Error::format(
                self.path,
                place(),
                format!("shape {shape:?}"),
                format!("no such tensor among {}", names.join(", ")),
            )
        })?;
        if tensor.shape() != shape {
            let found = format!("shape {:?}", tensor.shape());
            return Err(Error::format(
                self.path,
                place(),
                format!("shape {shape:?}"),
                found,
            ));
        }
        match tensor.dtype() {
            Dtype::F32 => append_numbers(to, tensor.data(), |b| f32::from_le_bytes(b).into()),
            Dtype::F64 => append_numbers(to, tensor.data(), f64::from_le_bytes),
            other => {
                return Err(Error::format(
                    self.path,
                    place(),
                    "dtype F32 or F64",
                    format!("{other:?}"),
                ));
            }
        }
        Ok(())
    }

    /// The length of a one-dimensional array, if it is there.
    pub fn len_of(&self, name: &str) -> Option<usize> {
        let parsed = self.parse().ok()?;
        let shape = parsed.tensor(name).ok()?.shape().to_vec();
        (shape.len() == 1).then(|| shape[0])
    }

    /// The outputs of the last Linear: the length of the bias at the highest position.
    pub fn last_layer_outputs(&self) -> Option<usize> {
        let parsed = self.parse().ok()?;
        let positions = parsed
            .names()
            .into_iter()
            .filter_map(|n| n.strip_suffix(".bias")?.parse::<usize>().ok());
        self.len_of(&format!("{}.bias", positions.max()?))
    }

    /// Parameters and running statistics, laid out flat. Every tensor must be there with its shape and finite values,
    /// and no other.
    pub fn network<R: Real>(&self, layout: &Layout) -> Result<(Vec<R>, Vec<R>)> {
        let known = |name: &str| {
            name.ends_with(BATCHES_TRACKED)
                || layout
                    .params
                    .iter()
                    .chain(&layout.running)
                    .any(|t| t.name == name)
        };
        let mut names: Vec<String> = self
            .parse()?
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        if let Some(stranger) = names.iter().find(|name| !known(name)) {
            let expected = "no such tensor in this network";
            return Err(Error::format(
                self.path,
                format!("tensor {stranger}"),
                expected,
                "it",
            ));
        }
        let collect = |tensors: &[Tensor]| -> Result<Vec<R>> {
            let count = tensors.iter().map(|t| t.range.len()).sum();
            let mut all = Vec::with_capacity(count);
            for tensor in tensors {
                let start = all.len();
                self.append(&mut all, &tensor.name, &tensor.shape)?;
                let values: &[R] = &all[start..];
                if let Some(at) = values.iter().position(|x| !x.is_finite()) {
                    let place = format!("tensor {}, value {at}", tensor.name);
                    let found = values[at].to_string();
                    return Err(Error::format(self.path, place, "a finite number", found));
                }
            }
            Ok(all)
        };
        Ok((collect(&layout.params)?, collect(&layout.running)?))
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
