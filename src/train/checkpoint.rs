//! `checkpoint.safetensors`: all that resuming needs, in one file that is replaced whole.

use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::trainer::{Progress, Trainer};
use crate::backend::Backend;
use crate::data::{Schema, SchemaColumn};
use crate::error::{Error, Result};
use crate::model::tensors::{self, Array, TensorFile};
use crate::nn::NetworkSpec;
use crate::settings::Settings;

/// The file's format; another number is refused.
const FORMAT: u32 = 1;

/// What the file says besides its arrays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    format: u32,
    spec: NetworkSpec,
    pub data_hash: String,
    /// The columns of its table. Earlier versions did not write them down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Schema>,
    /// The run's settings when it was written.
    pub settings: Settings,
    pub progress: Progress,
    /// Length of `metrics.jsonl` when it was written, in bytes.
    pub metrics_len: u64,
}

/// Writes a run's state into an open file, which messages call `path`.
pub(super) fn write_to<B: Backend>(
    file: &mut File,
    path: &Path,
    trainer: &Trainer<B>,
    metrics_len: u64,
) -> Result<()> {
    let header = Header {
        format: FORMAT,
        spec: trainer.mlp().spec().clone(),
        data_hash: trainer.data().hash.clone(),
        schema: trainer.fitted().schema().cloned(),
        settings: trainer.config().resolved.clone(),
        progress: trainer.progress.clone(),
        metrics_len,
    };
    let mlp = trainer.mlp();
    let (params, m) = (mlp.read(|s| &s.params)?, mlp.read(|s| &s.m)?);
    let (v, running) = (mlp.read(|s| &s.v)?, mlp.read_running()?);
    let mut arrays = vec![
        flat("params", &params),
        flat("m", &m),
        flat("v", &v),
        flat("running", &running),
    ];
    if let Some((params, running)) = &trainer.best {
        arrays.extend([flat("best.params", params), flat("best.running", running)]);
    }
    let json = serde_json::to_string(&header).expect("a header is plain data");
    tensors::write_to(file, path, &arrays, Some(json))
}

fn flat<'a, R: crate::real::Real>(name: &str, values: &'a [R]) -> Array<'a> {
    Array::new(name, &[values.len()], values)
}

/// Reads the header alone.
pub(super) fn header(path: &Path) -> Result<Header> {
    parse(path, &TensorFile::read(path)?)
}

fn parse(path: &Path, file: &TensorFile<'_>) -> Result<Header> {
    let json = file.metadata("checkpoint")?;
    let header: Header = serde_json::from_str(json)
        .map_err(|e| Error::format(path, "metadata", "the state of a run", e.to_string()))?;
    expect(path, "format version", &FORMAT, &header.format)?;
    Ok(header)
}

/// Puts a run into the state of a checkpoint.
///
/// # Errors
/// If the checkpoint is of another network, data set or format.
pub(super) fn restore<B: Backend>(path: &Path, trainer: &mut Trainer<B>) -> Result<Header> {
    let file = TensorFile::read(path)?;
    let header = parse(path, &file)?;
    if let (Some(schema), Some(found)) = (&header.schema, trainer.fitted().schema()) {
        expect_schema(path, schema, found)?;
    }
    expect(
        path,
        "network",
        &header.spec.describe(),
        &trainer.mlp().spec().describe(),
    )?;
    expect(path, "network", &header.spec, trainer.mlp().spec())?;
    expect(path, "data set", &header.data_hash, &trainer.data().hash)?;
    let parameters = trainer.mlp().layout().parameter_count();
    let statistics = trainer.mlp().layout().running_count();
    let params = file.get("params", &[parameters])?;
    let running = file.get("running", &[statistics])?;
    trainer.mlp_mut().load(&params, &running)?;
    let (m, v) = (file.get("m", &[parameters])?, file.get("v", &[parameters])?);
    trainer.mlp_mut().load_moments(&m, &v)?;
    if header.progress.best.is_some() {
        let best = (
            file.get("best.params", &[parameters])?,
            file.get("best.running", &[statistics])?,
        );
        trainer.best = Some(best);
    }
    trainer.progress = header.progress.clone();
    Ok(header)
}

/// Checks that the columns of a table are those of the run, and treated alike.
fn expect_schema(path: &Path, schema: &Schema, found: &Schema) -> Result<()> {
    let in_words = |column: &SchemaColumn| {
        let (place, treatment) = (column.position + 1, &column.treatment);
        let kind = treatment.kind();
        format!("a {kind} in column {place}; {}", treatment.in_words())
    };
    for (of_run, of_data) in schema.columns.iter().zip(&found.columns) {
        let name = format!("name of column {}", of_run.position + 1);
        expect(path, &name, &of_run.name, &of_data.name)?;
        if of_run != of_data {
            let (what, expected) = (format!("column \"{}\"", of_run.name), in_words(of_run));
            return Err(Error::format(path, what, expected, in_words(of_data)));
        }
    }
    expect(path, "columns", &schema.columns.len(), &found.columns.len())?;
    let labels = |schema: &Schema| {
        let names = schema.targets.iter().map(|target| target.name.clone());
        names.collect::<Vec<String>>()
    };
    expect(path, "label columns", &labels(schema), &labels(found))?;
    expect(path, "weight column", &schema.weight, &found.weight)
}

fn expect<T: PartialEq + std::fmt::Debug>(
    path: &Path,
    what: &str,
    expected: &T,
    found: &T,
) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::format(
        path,
        what,
        format!("{expected:?}"),
        format!("{found:?}"),
    ))
}
