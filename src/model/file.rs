//! `model.safetensors`: a trained network as one file.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::description::{Description, FORMAT};
use super::tensors::{self, TensorFile};
use crate::backend::select::Precision;

use crate::error::{Error, Result};
use crate::nn::Layout;
use crate::ops::loss::Loss;
use crate::real::Real;
use crate::settings::{Config, loss};

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

    /// Writes the model in precision R into an open file, which messages call `path`.
    pub(crate) fn write_to<R: Real>(
        file: &mut File,
        path: &Path,
        description: &Description,
        params: &[R],
        running: &[R],
        updates: u64,
    ) -> Result<()> {
        let arrays = tensors::network(&Layout::new(&description.spec), params, running, updates);
        let json = serde_json::to_string(description).expect("a description is plain data");
        tensors::write_to(file, path, &arrays, Some(json))
    }

    /// The names of the tensors whose bits are not those of another model, from the network's input to its output. Of
    /// another network all are named.
    pub fn differing_tensors(&self, other: &Model) -> Vec<String> {
        let spec = &self.description.spec;
        let is_same_network = *spec == other.description.spec;
        let layout = Layout::new(spec);
        let parts = [
            (&layout.params, &self.params, &other.params),
            (&layout.running, &self.running, &other.running),
        ];
        let differs =
            |a: &[f64], b: &[f64]| a.iter().zip(b).any(|(a, b)| a.to_bits() != b.to_bits());
        let mut names = Vec::new();
        for (tensors, ours, theirs) in parts {
            let named = tensors.iter().filter(|tensor| {
                let range = tensor.range.clone();
                !is_same_network || differs(&ours[range.clone()], &theirs[range])
            });
            names.extend(named.map(|tensor| tensor.name.clone()));
        }
        names
    }

    /// The settings of its run, checked.
    pub fn config(&self) -> Result<Config> {
        Config::new(&self.description.settings)
    }

    /// The loss that it is judged by: that of its training without smoothing and weights.
    ///
    /// # Errors
    /// If its settings are none, or those of another task.
    pub(super) fn plain_loss(&self) -> Result<Loss> {
        let Description { settings, task, .. } = &self.description;
        loss(&settings.train, *task).map(|loss| loss.plain())
    }

    /// The precision that it was trained in.
    pub fn precision(&self) -> Precision {
        self.description.precision()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Normalizer;
    use crate::durable;
    use crate::nn::FeatureEmbedding;
    use crate::nn::init::{self, Init};
    use crate::settings::Settings;

    fn model() -> Model {
        let mut settings = Settings::default();
        settings.model.widths = Some(vec![2]);
        let config = Config::new(&settings).unwrap();
        let spec = config.network(3, 2).unwrap();
        let (params, running) = init::draw::<f64>(&spec, config.init, 5);
        let names = ["a", "b"].map(str::to_owned).to_vec();
        let (normalizer, data) = (Normalizer::identity(3), Default::default());
        let resolved = config.resolved;
        Model {
            description: Description::new(spec, normalizer, names, None, data, resolved),
            params,
            running,
        }
    }

    fn write_and_read(model: &Model) -> Result<Model> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        durable::write_with(&path, |file| {
            let Model {
                description,
                params,
                running,
            } = model;
            Model::write_to(file, &path, description, params, running, 1)
        })?;
        Model::read(&path)
    }

    #[test]
    fn numbers_that_no_network_has_are_refused() {
        assert_eq!(write_and_read(&model()).unwrap(), model());
        let refused = |word: &str, change: fn(&mut Model)| {
            let mut model = model();
            change(&mut model);
            let error = write_and_read(&model).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(word), "{error}");
        };
        // The means come first, then the variances.
        refused(
            "1.running_var, value 1: expected a finite number of at least 0",
            |model| {
                model.running[3] = -0.5;
            },
        );
        refused("0.weight, value 4: expected a finite number", |model| {
            model.params[4] = f64::NAN;
        });
        refused("numbers that f32 holds, found 1", |model| {
            model.params[0] = 1e300
        });
        refused("normalizer: expected numbers that f32 holds", |model| {
            model.description.normalizer.scale[1] = 1e39;
        });
        let mut double = model();
        double.description.settings.train.precision = Some(Precision::F64);
        double.params[0] = 1e300;
        assert_eq!(write_and_read(&double).unwrap(), double);
    }

    #[test]
    fn an_ensemble_goes_round() {
        let mut model = model();
        model.description.spec.batch_norm = false;
        model.description.spec.members = 5;
        model.description.spec.embedding = Some(FeatureEmbedding {
            spans: vec![0..2],
            width: 4,
        });
        let (params, running) = init::draw::<f64>(&model.description.spec, Init::default(), 5);
        (model.params, model.running) = (params, running);
        assert_eq!(write_and_read(&model).unwrap(), model);
    }

    #[test]
    fn stray_tensors_are_refused() {
        let mut known = model();
        known.description.spec.batch_norm = false;
        let layout = Layout::new(&known.description.spec);
        known.params.truncate(layout.parameter_count());
        known.running.clear();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        let stray = [0.0_f32; 2];
        let mut arrays = tensors::network(&layout, &known.params, &known.running, 1);
        arrays.push(tensors::Array::new("7.num_batches_tracked", &[2], &stray));
        let json = serde_json::to_string(&known.description).unwrap();
        tensors::write(&path, &arrays, Some(json)).unwrap();
        let error = Model::read(&path).unwrap_err().to_string();
        assert!(error.contains("tensor 7.num_batches_tracked"), "{error}");
    }
}
