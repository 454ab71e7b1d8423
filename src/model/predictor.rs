//! A trained network in use: classes and probabilities of samples, and how good they are.

use ndarray::{Array2, ArrayView2};

use super::evaluation::{EVALUATION_ROWS, batches, evaluate};
use super::file::Model;
use crate::backend::select::{Device, OnBackend, on_inference_backend};
use crate::backend::{Backend, Mode};
use crate::data::Samples;
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::nn::{Feed, Mlp};
use crate::ops::loss::cross_entropy::{argmax, softmax};
use crate::real::Real;
use crate::threads::thread_count;

/// Class probabilities of some samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// Row-major `[samples, classes]`.
    pub probabilities: Vec<f64>,
    /// What the probabilities are the softmax of, row-major `[samples, classes]`.
    pub logits: Vec<f64>,
    /// The most probable class of each sample.
    pub classes: Vec<u32>,
}

/// A trained network in use. It keeps its weights, buffers and threads from call to call, and can move to another thread.
///
/// The values of samples are those of the data that the network was trained on, before normalisation.
pub struct Predictor {
    network: Box<dyn Network>,
    inputs: usize,
    classes: usize,
}

impl Predictor {
    /// Mean cross-entropy and accuracy on the rows `rows` of `samples`, and the most probable class of each row.
    ///
    /// # Errors
    /// If the samples have another width, a value that is not finite or a label that is none of the network's classes, if there are not as many
    /// labels as samples, if there is no row or a row is none of the samples, or if the device fails.
    pub fn evaluate(&mut self, samples: &Samples, rows: &[u32]) -> Result<(Evaluation, Vec<u32>)> {
        samples.check_values(self.inputs)?;
        samples.check_labels(self.classes)?;
        if rows.is_empty() {
            return Err(Error::shape("rows", "at least one", "none"));
        }
        if let Some(row) = rows.iter().find(|&&row| row as usize >= samples.len()) {
            let expected = format!("rows of {} samples", samples.len());
            return Err(Error::shape("rows", expected, format!("row {row}")));
        }
        self.network.evaluate(samples, rows)
    }

    /// Probabilities and classes of all `samples`. Labels are not looked at.
    ///
    /// # Errors
    /// If the samples have another width or a value that is not finite, or if the device fails.
    pub fn predict(&mut self, samples: &Samples) -> Result<Predictions> {
        samples.check_values(self.inputs)?;
        self.network.predict(samples)
    }
}

impl Model {
    /// The network, ready for use on a device in the precision that it was trained in; one trained in bf16 is used in f32 where bf16 cannot be.
    /// The result does not depend on the number of threads.
    ///
    /// # Errors
    /// If there is no such device, or it cannot compute in that precision; if a thread cannot be started; if the model's parts do not fit each other.
    pub fn predictor(&self, device: Device, threads: usize) -> Result<Predictor> {
        Ok(Predictor {
            network: on_inference_backend(device, self.precision(), threads, Load(self))?,
            inputs: self.description.spec.inputs,
            classes: self.description.spec.classes,
        })
    }

    /// The class probabilities of the rows of `x` `[samples, inputs]`, `[samples, classes]`. The values are those of the data that it was trained
    /// on, before normalisation. Who predicts more than once keeps a [`Predictor`].
    ///
    /// # Errors
    /// If a row has another width, or a value is not finite.
    pub fn predict_proba<R: Real>(&self, x: ArrayView2<'_, R>) -> Result<Array2<f64>> {
        let spec = &self.description.spec;
        if x.ncols() != spec.inputs {
            let expected = format!("{} columns, the inputs of the model", spec.inputs);
            return Err(Error::shape("x", expected, x.ncols().to_string()));
        }
        let samples = Samples::from_array(x)?;
        let mut predictor = self.predictor(Device::Cpu, thread_count(None))?;
        let predictions = predictor.predict(&samples)?;
        let shape = (x.nrows(), spec.classes);
        let probabilities = Array2::from_shape_vec(shape, predictions.probabilities);
        Ok(probabilities.expect("one probability per row and class"))
    }
}

/// A network on a backend. Samples and rows are checked.
trait Network: Send {
    fn evaluate(&mut self, samples: &Samples, rows: &[u32]) -> Result<(Evaluation, Vec<u32>)>;

    fn predict(&mut self, samples: &Samples) -> Result<Predictions>;
}

struct Loaded<B: Backend> {
    mlp: Mlp<B>,
    feed: Feed<B>,
}

/// Loads a model on whichever backend is chosen.
struct Load<'a>(&'a Model);

impl OnBackend for Load<'_> {
    type Output = Box<dyn Network>;

    fn run<B: Backend>(self, backend: B) -> Result<Box<dyn Network>> {
        let Model {
            description,
            params,
            running,
        } = self.0;
        let normalizer = description.normalizer.clone();
        let inputs = description.spec.inputs;
        if [normalizer.scale.len(), normalizer.shift.len()] != [inputs; 2] {
            let found = normalizer.scale.len().to_string();
            return Err(Error::shape("normalizer", inputs.to_string(), found));
        }
        let mut mlp = Mlp::new(backend, description.spec.clone(), EVALUATION_ROWS)?;
        let cast = |values: &[f64]| -> Vec<B::Real> {
            values.iter().map(|&x| B::Real::from_f64(x)).collect()
        };
        mlp.load(&cast(params), &cast(running))?;
        let feed = Feed::new(mlp.backend(), normalizer, EVALUATION_ROWS)?;
        Ok(Box::new(Loaded { mlp, feed }))
    }
}

impl<B: Backend> Network for Loaded<B> {
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
