//! A trained network as one file, `model.safetensors`: the weights, and in the metadata all that is needed to use them.

pub mod tensors;

use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

#[cfg(feature = "cuda")]
use crate::backend::Cuda;
#[cfg(not(feature = "cuda"))]
use crate::backend::select::no_cuda;
use crate::backend::select::{Device, Precision};
use crate::backend::{Backend, Mode, Plain};
#[cfg(target_arch = "x86_64")]
use crate::backend::{Fused, ProductPrecision};
use crate::data::{Dataset, ImageShape, Normalizer, Samples};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::nn::{Feed, Rows};
use crate::nn::{Layout, Mlp, NetworkSpec};
use crate::ops::loss::cross_entropy::{LossOptions, argmax, softmax};
use crate::real::Real;
use crate::settings::{Config, Settings};
use crate::threads::thread_count;
use tensors::TensorFile;

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

    /// The data set with the labels that the network gives its classes. Classes with names are matched by name, so that a file in which one
    /// does not occur is read as it was meant; classes with numbers keep them.
    ///
    /// # Errors
    /// If the samples have another width, or belong to classes that the network does not know.
    pub fn fit(&self, mut data: Dataset) -> Result<Dataset> {
        let inputs = self.spec.inputs;
        if data.train.width != inputs {
            let expected = format!("{inputs} values each, the inputs of the model");
            let found = data.train.width.to_string();
            return Err(Error::format(&data.path, "samples", expected, found));
        }
        let own = &self.class_names;
        let by_name = data.class_names != *own && !numbered(&data.class_names) && !numbered(own);
        let translate: Vec<Option<usize>> = if by_name {
            let place = |name| own.iter().position(|known| known == name);
            data.class_names.iter().map(place).collect()
        } else {
            (0..data.class_names.len())
                .map(|class| (class < own.len()).then_some(class))
                .collect()
        };
        let parts = [
            Some(&mut data.train),
            data.validation.as_mut(),
            data.test.as_mut(),
        ];
        for label in parts.into_iter().flatten().flat_map(|p| &mut p.labels) {
            let Some(class) = translate[*label as usize] else {
                let expected = format!("classes of the model: {}", own.join(", "));
                let found = format!("\"{}\"", data.class_names[*label as usize]);
                return Err(Error::format(&data.path, "labels", expected, found));
            };
            *label = class as u32;
        }
        data.class_names.clone_from(own);
        Ok(data)
    }
}

/// Whether the classes are called 0, 1, 2, …: they have no names.
fn numbered(names: &[String]) -> bool {
    names.iter().enumerate().all(|(i, n)| *n == i.to_string())
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

    /// The class probabilities of the rows of `x` `[samples, inputs]`, `[samples, classes]`. The values are those of the data that it was trained
    /// on, before normalisation.
    ///
    /// # Errors
    /// If a row has another width, or a value is not finite.
    pub fn predict_proba<R: Real>(&self, x: ArrayView2<'_, R>) -> Result<Array2<f64>> {
        let spec = &self.description.spec;
        if x.ncols() != spec.inputs {
            let expected = format!("{} columns, the inputs of the model", spec.inputs);
            return Err(Error::shape("x", expected, x.ncols().to_string()));
        }
        let predictions = self
            .classifier(Device::Cpu, thread_count(None)?)?
            .predict(&Samples::from_array(x)?)?;
        let shape = (x.nrows(), spec.classes);
        let probabilities = Array2::from_shape_vec(shape, predictions.probabilities);
        Ok(probabilities.expect("one probability per row and class"))
    }

    /// The network, ready for use on a device and so many threads in the precision that it was trained in; one trained in bf16 is used in f32 where bf16 cannot be.
    ///
    /// # Errors
    /// If there is no such device, or it cannot compute in that precision.
    pub fn classifier(&self, device: Device, threads: usize) -> Result<Box<dyn Classifier>> {
        if let Device::Cuda(index) = device {
            return self.on_cuda(index);
        }
        match self.precision() {
            Precision::F64 => return Ok(Box::new(self.load(Plain::<f64>::new(threads))?)),
            #[cfg(target_arch = "x86_64")]
            Precision::Bf16 => {
                if let Some(fused) = Fused::new(threads, ProductPrecision::Bf16)? {
                    return Ok(Box::new(self.load(fused)?));
                }
            }
            _ => {}
        }
        Ok(Box::new(self.load(Plain::<f32>::new(threads))?))
    }

    #[cfg(feature = "cuda")]
    fn on_cuda(&self, index: usize) -> Result<Box<dyn Classifier>> {
        if self.precision() == Precision::F64 {
            let why = "expected cpu: the model was trained in f64, and a GPU computes in f32";
            return Err(Error::setting("device", why));
        }
        Ok(Box::new(self.load(Cuda::new(index)?)?))
    }

    #[cfg(not(feature = "cuda"))]
    fn on_cuda(&self, _: usize) -> Result<Box<dyn Classifier>> {
        Err(no_cuda("device"))
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
    /// What the probabilities are the softmax of, row-major `[samples, classes]`.
    pub logits: Vec<f64>,
    /// The most probable class of each sample.
    pub classes: Vec<u32>,
}

/// A trained network in use, whatever it computes with.
pub trait Classifier {
    /// Mean cross-entropy and accuracy on the rows `rows` of `samples`, whose labels are below the network's number of classes; and the
    /// most probable class of each row.
    fn evaluate(&mut self, samples: &Samples, rows: &[u32]) -> Result<(Evaluation, Vec<u32>)>;

    /// Probabilities and classes of all `samples`; labels are not looked at.
    fn predict(&mut self, samples: &Samples) -> Result<Predictions>;
}

impl<B: Backend> Classifier for Evaluator<B> {
    fn evaluate(&mut self, samples: &Samples, rows: &[u32]) -> Result<(Evaluation, Vec<u32>)> {
        let mut classes = Vec::with_capacity(rows.len());
        let (mlp, seen) = (&mut self.mlp, Some(&mut classes));
        let rows = self.feed.rows(mlp.backend(), samples, rows.to_vec())?;
        let evaluation = evaluate(mlp, &mut self.feed, samples, &rows, seen)?;
        Ok((evaluation, classes))
    }

    fn predict(&mut self, samples: &Samples) -> Result<Predictions> {
        let classes = self.mlp.spec().classes;
        let (mlp, feed) = (&mut self.mlp, &mut self.feed);
        let order = (0..samples.len() as u32).collect();
        let rows = feed.rows(mlp.backend(), samples, order)?;
        let mut out = Predictions::default();
        for batch in batches(rows.len(), mlp.capacity()) {
            let count = batch.len();
            mlp.forward(
                feed.batch(mlp.backend(), samples, &rows, batch, None)?,
                Mode::Eval,
            )?;
            for row in mlp.logits(count)?.chunks_exact_mut(classes) {
                out.classes.push(argmax(row) as u32);
                out.logits.extend(row.iter().map(|z| z.to_f64()));
                softmax(row);
                out.probabilities.extend(row.iter().map(|p| p.to_f64()));
            }
        }
        Ok(out)
    }
}

/// The places of `count` rows, `size` at a time.
fn batches(count: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count)
        .step_by(size)
        .map(move |start| start..count.min(start + size))
}

/// Mean cross-entropy and accuracy of a network on rows of `samples`. The most probable class of each row is appended to `classes`, if
/// anybody asks.
pub(crate) fn evaluate<B: Backend>(
    mlp: &mut Mlp<B>,
    feed: &mut Feed<B>,
    samples: &Samples,
    rows: &Rows<B>,
    mut classes: Option<&mut Vec<u32>>,
) -> Result<Evaluation> {
    let plain = LossOptions::default();
    let mut losses = Vec::with_capacity(rows.len().div_ceil(EVALUATION_ROWS));
    let mut outstanding = 0;
    for batch in batches(rows.len(), mlp.capacity().min(EVALUATION_ROWS)) {
        let labels = rows.labels(batch.clone());
        let (first, count) = (batch.start, batch.len());
        mlp.forward(
            feed.batch(mlp.backend(), samples, rows, batch, None)?,
            Mode::Eval,
        )?;
        match mlp.start_loss(labels, &plain)? {
            Some(loss) => losses.push(loss),
            None => outstanding += 1,
        }
        if let Some(classes) = &mut classes {
            classes.resize(first + count, 0);
            mlp.argmax(&mut classes[first..])?;
        }
        if outstanding > 0 && outstanding == B::LATE_LOSSES {
            mlp.late_losses(&mut losses)?;
            outstanding = 0;
        }
    }
    mlp.late_losses(&mut losses)?;
    let count = rows.len() as f64;
    let loss: f64 = losses.iter().fold(0.0, |sum, l| sum + l.cross_entropy_sum);
    let correct: usize = losses.iter().map(|l| l.correct).sum();
    Ok(Evaluation {
        loss: loss / count,
        accuracy: correct as f64 / count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Features;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&n| n.to_owned()).collect()
    }

    fn description(inputs: usize, class_names: &[&str]) -> Description {
        let config = Config::new(&Settings::default()).unwrap();
        let spec = config.network(inputs, class_names.len()).unwrap();
        let (normalizer, data) = (Normalizer::identity(inputs), Default::default());
        let class_names = names(class_names);
        Description::new(spec, normalizer, class_names, None, data, config.resolved)
    }

    fn data(class_names: &[&str], labels: &[u32]) -> Dataset {
        let samples = Samples {
            features: Features::U8(vec![1; labels.len() * 3]),
            width: 3,
            labels: labels.to_vec(),
        };
        Dataset {
            train: samples.clone(),
            validation: None,
            test: Some(samples),
            class_names: names(class_names),
            image: None,
            path: "made-up.csv".into(),
            name: "made-up".into(),
            hash: String::new(),
            notices: Vec::new(),
        }
    }

    #[test]
    fn named_classes_are_matched_by_name() {
        let model = description(3, &["ant", "bee", "cat"]);
        let fitted = model.fit(data(&["bee", "cat"], &[1, 0, 1])).unwrap();
        assert_eq!(fitted.train.labels, [2, 1, 2]);
        assert_eq!(fitted.test.unwrap().labels, [2, 1, 2]);
        assert_eq!(fitted.class_names, ["ant", "bee", "cat"]);
        let error = model.fit(data(&["bee", "dog"], &[0, 1])).unwrap_err();
        let expected =
            "made-up.csv: labels: expected classes of the model: ant, bee, cat, found \"dog\"";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn numbered_classes_keep_their_numbers() {
        let model = description(3, &["ant", "bee", "cat"]);
        let fitted = model.fit(data(&["0", "1"], &[1, 0])).unwrap();
        assert_eq!(fitted.train.labels, [1, 0]);
        // Names without samples do no harm: IDX files always have ten.
        let numbers = ["0", "1", "2", "3", "4"];
        assert_eq!(
            model.fit(data(&numbers, &[2, 0])).unwrap().train.labels,
            [2, 0]
        );
        let error = model.fit(data(&numbers, &[0, 4])).unwrap_err();
        assert!(error.to_string().ends_with("found \"4\""), "{error}");
        assert_eq!(error.exit_code(), 2);
        let reversed = description(3, &["0", "1"]);
        let fitted = reversed.fit(data(&["ant", "bee"], &[1, 0])).unwrap();
        assert_eq!(fitted.train.labels, [1, 0]);
    }

    #[test]
    fn another_width_is_refused() {
        let error = description(4, &["0", "1"])
            .fit(data(&["0", "1"], &[1, 0]))
            .unwrap_err();
        assert!(error.to_string().contains("expected 4"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
