//! The flags that name a model and its device, for `analyze`, `eval` and `predict`.

use std::path::PathBuf;

use clap::Args;

use crate::backend::select::Device;
use crate::error::Result;
use crate::model::{Model, Predictor};
use crate::settings::Label;
use crate::threads::{MAX_THREADS, thread_count};

/// The model's flags.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// Model: the folder of a run, or a model.safetensors file
    #[arg(long, value_name = "FILE|RUN")]
    pub(super) model: PathBuf,
    /// CSV column of the label: its name, or its index (from 0; negative counts from the end) [default: the label
    /// column of the model's run]
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    label: Option<String>,
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
    pub(super) fn read(&self) -> Result<Model> {
        Model::read(&self.model)
    }

    /// The model's path, as the user wrote it.
    pub(super) fn name(&self) -> String {
        self.model.display().to_string()
    }

    /// The label column of CSV files: the flag's, else that of the model's run.
    pub(super) fn label<'a>(&'a self, model: &'a Model) -> Option<&'a str> {
        let known = model.description.settings.data.label.as_ref();
        let known = known.and_then(Label::column);
        self.label.as_deref().or(known)
    }

    /// Whether the user named a label column.
    pub(super) fn names_label(&self) -> bool {
        self.label.is_some()
    }

    /// The model on the device that the user chose.
    pub(super) fn predictor(&self, model: &Model) -> Result<Predictor> {
        let threads = thread_count(self.threads.map(usize::from))?;
        model.predictor(self.device, threads)
    }
}
