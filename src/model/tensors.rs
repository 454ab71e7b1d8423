//! Networks as safetensors files, under the tensor names of a PyTorch `nn.Sequential`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

use safetensors::{Dtype, SafeTensorError, SafeTensors, View};

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
}

impl View for &Array<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        (self.bytes)().into()
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Writes arrays with our metadata, whole or not at all.
pub fn write(path: &Path, arrays: &[Array<'_>], metadata: Option<String>) -> Result<()> {
    let metadata = metadata.map(|json| HashMap::from([(METADATA_KEY.to_owned(), json)]));
    durable::write_with(path, |aside| {
        let views = arrays.iter().map(|a| (a.name.as_str(), a));
        safetensors::serialize_to_file(views, metadata, aside).map_err(|e| match e {
            SafeTensorError::IoError(e) => e,
            other => io::Error::other(other),
        })
    })
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
