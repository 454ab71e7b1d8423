//! The flags that name a model and its device, for `analyze`, `eval` and `predict`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::backend::select::Device;
use crate::data::{Decimal, DialectOptions, LoadOptions, TableOptions};
use crate::error::{Error, Result};
use crate::model::{Model, Predictor};
use crate::settings::Delimiter;
use crate::threads::{MAX_THREADS, thread_count};
use crate::train::FoldsDir;

/// The model's flags.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// Model: the folder of a run, or a model.safetensors file
    #[arg(long, value_name = "FILE|RUN")]
    pub(super) model: PathBuf,
    /// CSV columns of the labels, separated by commas: names, or indices (from 0; negative counts from the end)
    /// [default: those of the model's run]
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    label: Option<String>,
    /// CSV columns that name rows, separated by commas, to keep beside predictions [default: those of the model's run]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    id: Vec<String>,
    /// Words for a missing value, separated by commas [default: those of the model's run]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    missing: Option<Vec<String>>,
    /// Character between the columns of a CSV file, or "tab" [default: that of the model's run, else found in the file]
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true)]
    delimiter: Option<Delimiter>,
    /// Decimal separator of a CSV file: . or , [default: that of the model's run, else found in the file]
    #[arg(long, value_name = "CHAR")]
    decimal: Option<Decimal>,
    /// Whether the first row of a CSV file has the names of the columns [default: found in the file]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    header: Option<bool>,
    /// Number of threads; it does not change the result [default: $RAYON_NUM_THREADS, else one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_THREADS as i64), allow_hyphen_values = true)]
    threads: Option<u16>,
    /// Where to compute: cpu, cuda or cuda:N (the N-th NVIDIA GPU, from 0)
    #[arg(long, value_name = "NAME", default_value_t)]
    device: Device,
    /// Print one JSON object, and nothing else, on standard output
    #[arg(long)]
    pub(super) json: bool,
}

impl ModelArgs {
    /// Reads the model.
    ///
    /// # Errors
    /// As [`Model::read`]; also for a folder of several models.
    pub(super) fn read(&self) -> Result<Model> {
        if let Some(folds) = FoldsDir::open(&self.model) {
            let found = format!("{}, which has a model a fold", self.name());
            let first = folds.run_dir(1);
            let message = format!(
                "expected one model, as {}, found {found}; predict averages them",
                first.display()
            );
            return Err(Error::setting("model", message));
        }
        Model::read(&self.model)
    }

    /// Reads the model, or those of all folds of a cross-validation.
    ///
    /// # Errors
    /// As [`Model::read`]; also if a fold is missing.
    pub(super) fn read_all(&self) -> Result<Vec<Model>> {
        let Some(folds) = FoldsDir::open(&self.model) else {
            return Ok(vec![Model::read(&self.model)?]);
        };
        let count = folds.settings()?.data.folds.unwrap_or(1);
        let models = (1..=count).map(|fold| Model::read(&folds.run_dir(fold)));
        models.collect()
    }

    /// The model's path, as the user wrote it.
    pub(super) fn name(&self) -> String {
        self.model.display().to_string()
    }

    /// What to load: these data, or without a path those of the model's run, with their test part. Which column is
    /// what, the model's schema knows.
    pub(super) fn load_options(&self, model: &Model, path: Option<&Path>) -> Result<LoadOptions> {
        let of_run = model.description.settings.data.load_options()?;
        let table = TableOptions {
            task: Some(model.description.task),
            labels: self.label.iter().cloned().collect(),
            weight: None,
            id: self.id.clone(),
            numeric: Vec::new(),
            categorical: Vec::new(),
            missing: self.missing.clone().or(of_run.table.missing),
            dialect: DialectOptions {
                delimiter: self
                    .delimiter
                    .map(|d| d.0)
                    .or(of_run.table.dialect.delimiter),
                decimal: self.decimal.or(of_run.table.dialect.decimal),
                header: self.header.or(of_run.table.dialect.header),
            },
            drop: of_run.table.drop,
        };
        Ok(match path {
            Some(path) => LoadOptions {
                path: Some(path.to_owned()),
                test: true,
                table,
                ..LoadOptions::default()
            },
            None => LoadOptions {
                test: true,
                table,
                ..of_run
            },
        })
    }

    /// The model on the device that the user chose.
    pub(super) fn predictor(&self, model: &Model) -> Result<Predictor> {
        let threads = thread_count(self.threads.map(usize::from))?;
        model.predictor(self.device, threads)
    }
}
