//! A trained network as one file, `model.safetensors`: the weights, and in the metadata all that is needed to use them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::Evaluation;
use super::settings::{Precision, Settings};
use super::tensors::{self, TensorFile};
use super::{Config, Feed};
use crate::backend::{Backend, Mode};
use crate::data::{ImageShape, Normalizer, Samples};
use crate::error::{Error, Result};
use crate::nn::{Layout, Mlp, NetworkSpec};
use crate::ops::softmax_cross_entropy::{LossOptions, argmax, softmax};
use crate::real::Real;

/// The file's format; another number is refused.
const FORMAT: u32 = 1;
/// Rows evaluated at a time: enough for the product to be efficient, few enough to stay in cache.
pub const EVALUATION_ROWS: usize = 250;

/// Everything about a trained network but its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    format: u32,
    /// The network.
    pub spec: NetworkSpec,
    /// The normalisation fitted on its training part.
    pub normalizer: Normalizer,
    /// One name a class.
    pub class_names: Vec<String>,
    /// Set if a row is an image.
    pub image: Option<ImageShape>,
    /// The data set's name and hash.
    pub data: String,
    /// Hash of the data that it was trained on.
    pub data_hash: String,
    /// The epoch that the weights are from.
    pub epoch: u32,
    /// The run's settings.
    pub settings: Settings,
}

impl Description {
    /// Describes a network, in the current format.
    pub fn new(
        spec: NetworkSpec,
        normalizer: Normalizer,
        class_names: Vec<String>,
        image: Option<ImageShape>,
        data: (String, String),
        settings: Settings,
    ) -> Self {
        Description {
            format: FORMAT,
            spec,
            normalizer,
            class_names,
            image,
            data: data.0,
            data_hash: data.1,
            epoch: 0,
            settings,
        }
    }
}

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
        let path = &model_path(path);
        let file = TensorFile::read(path)?;
        let json = file.metadata("model")?;
        let invalid =
            |found: String| Error::format(path, "metadata", "the description of a model", found);
        let description: Description =
            serde_json::from_str(&json).map_err(|e| invalid(e.to_string()))?;
        if description.format != FORMAT {
            let (expected, found) = (
                format!("format {FORMAT}"),
                format!("format {}", description.format),
            );
            return Err(Error::format(path, "metadata", expected, found));
        }
        let spec = &description.spec;
        spec.validate().map_err(|e| invalid(e.to_string()))?;
        let normalizer = &description.normalizer;
        let lengths = [
            normalizer.scale.len(),
            normalizer.shift.len(),
            description.class_names.len(),
        ];
        if lengths != [spec.inputs, spec.inputs, spec.classes] {
            return Err(invalid(format!("lists of lengths {lengths:?}")));
        }
        let (params, running) = file.network(&Layout::new(spec))?;
        Ok(Model {
            description,
            params,
            running,
        })
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
        self.description
            .settings
            .train
            .precision
            .unwrap_or_default()
    }

    /// The network, loaded on a backend.
    pub fn load<B: Backend>(&self, backend: B) -> Result<Evaluator<B>> {
        let d = &self.description;
        let mut mlp = Mlp::new(backend, d.spec.clone(), EVALUATION_ROWS)?;
        let cast = |values: &[f64]| -> Vec<B::Real> {
            values.iter().map(|&x| B::Real::from_f64(x)).collect()
        };
        mlp.load(&cast(&self.params), &cast(&self.running))?;
        let feed = Feed::new(mlp.backend(), d.normalizer.clone(), EVALUATION_ROWS)?;
        Ok(Evaluator { mlp, feed })
    }
}

/// A network in evaluation mode with its input.
pub struct Evaluator<B: Backend> {
    mlp: Mlp<B>,
    feed: Feed<B>,
}

/// Class probabilities of some samples, and how they compare with the labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// Row-major `[samples, classes]`.
    pub probabilities: Vec<f64>,
    /// The most probable class of each sample.
    pub classes: Vec<u32>,
}

impl<B: Backend> Evaluator<B> {
    /// Mean cross-entropy and accuracy on the rows `rows` of `samples`, whose labels are below the network's number of classes.
    pub fn evaluate(&mut self, samples: &Samples, rows: &[u32]) -> Result<Evaluation> {
        evaluate(&mut self.mlp, &mut self.feed, samples, rows)
    }

    /// Probabilities and classes of all `samples`; labels are not looked at.
    pub fn predict(&mut self, samples: &Samples) -> Result<Predictions> {
        let classes = self.mlp.spec().classes;
        let count = samples.features.len() / samples.width;
        let rows: Vec<u32> = (0..count as u32).collect();
        let mut out = Predictions::default();
        for rows in rows.chunks(self.mlp.capacity()) {
            let batch = self.feed.batch(self.mlp.backend(), samples, rows, None)?;
            self.mlp.forward(batch, Mode::Eval)?;
            for row in self.mlp.logits(rows.len())?.chunks_exact_mut(classes) {
                out.classes.push(argmax(row) as u32);
                softmax(row);
                out.probabilities.extend(row.iter().map(|p| p.to_f64()));
            }
        }
        Ok(out)
    }
}

/// Mean cross-entropy and accuracy of a network on the rows `rows` of `samples`.
pub(super) fn evaluate<B: Backend>(
    mlp: &mut Mlp<B>,
    feed: &mut Feed<B>,
    samples: &Samples,
    rows: &[u32],
) -> Result<Evaluation> {
    let plain = LossOptions::default();
    let (mut loss, mut correct) = (0.0, 0);
    let mut labels = Vec::with_capacity(mlp.capacity());
    for rows in rows.chunks(mlp.capacity().min(EVALUATION_ROWS)) {
        labels.clear();
        labels.extend(rows.iter().map(|&row| samples.labels[row as usize]));
        let batch = feed.batch(mlp.backend(), samples, rows, None)?;
        mlp.forward(batch, Mode::Eval)?;
        let batch_loss = mlp.loss(&labels, &plain)?;
        loss += batch_loss.cross_entropy_sum;
        correct += batch_loss.correct;
    }
    let count = rows.len() as f64;
    Ok(Evaluation {
        loss: loss / count,
        accuracy: correct as f64 / count,
    })
}
