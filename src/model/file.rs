//! `model.safetensors`: a trained network as one file.

use std::path::{Path, PathBuf};

use super::description::{Description, FORMAT};
use super::tensors::{self, TensorFile};
use crate::backend::select::Precision;
use crate::error::{Error, Result};
use crate::nn::Layout;
use crate::real::Real;
use crate::settings::Config;

/// A trained network.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What it is.
    pub description: Description,
    /// Parameters, laid out as [`Layout`] says.
    pub params: Vec<f64>,
    /// Running statistics of the batch norms.
    pub running: Vec<f64>,
}

/// The model file of a run's folder, or the path itself if it is a file.
pub fn model_path(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join("model.safetensors")
    } else {
        path.to_owned()
    }
}

impl Model {
    /// Reads `model.safetensors`, given as a file or as the folder of a run.
    ///
    /// # Errors
    /// If it is missing, torn, of another format, or its tensors are not those of its description.
    pub fn read(path: &Path) -> Result<Self> {
        let folder = path.is_dir();
        let path = &model_path(path);
        let file = TensorFile::read(path).map_err(|e| match e {
            Error::Missing { path, .. } if folder => Error::Missing {
                path,
                hint: "the folder of a run has it from the run's first checkpoint on".into(),
            },
            other => other,
        })?;
        let json = file.metadata("model")?;
        let invalid =
            |found: String| Error::format(path, "metadata", "the description of a model", found);
        let description: Description =
            serde_json::from_str(json).map_err(|e| invalid(e.to_string()))?;
        if description.format != FORMAT {
            let (expected, found) = (
                format!("format {FORMAT}"),
                format!("format {}", description.format),
            );
            return Err(Error::format(path, "metadata", expected, found));
        }
        description.check().map_err(|e| invalid(e.to_string()))?;
        let (params, running) = file.network(&Layout::new(&description.spec))?;
        let model = Model {
            description,
            params,
            running,
        };
        let numbers = model.params.iter().chain(&model.running);
        if let Some(found) = numbers.copied().find(|&x| !model.precision().holds(x)) {
            let expected = format!("numbers that {} holds", model.precision());
            return Err(Error::format(path, "weights", expected, found.to_string()));
        }
        Ok(model)
    }

    /// Writes the model in precision R, whole or not at all.
    pub fn write<R: Real>(
        path: &Path,
        description: &Description,
        params: &[R],
        running: &[R],
        updates: u64,
    ) -> Result<()> {
        let arrays = tensors::network(&Layout::new(&description.spec), params, running, updates);
        let json = serde_json::to_string(description).expect("a description is plain data");
        tensors::write(path, &arrays, Some(json))
    }

    /// The settings of its run, checked.
    pub fn config(&self) -> Result<Config> {
        Config::new(&self.description.settings)
    }

    /// The precision that it was trained in.
    pub fn precision(&self) -> Precision {
        self.description.precision()
    }
}
