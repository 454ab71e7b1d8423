//! A trained network in use: classes and probabilities of samples, and how good they are.

use ndarray::{Array2, ArrayView2};

use super::evaluation::{EVALUATION_ROWS, Predictions, batches, evaluate, known_rows, with_errors};
use super::file::Model;
use crate::backend::Backend;
use crate::backend::select::{Device, OnBackend, on_inference_backend};
use crate::data::{Labels, Samples, Task};
use crate::error::{Error, Result};
use crate::metrics::{Evaluation, Metric};
use crate::nn::{Feed, Mlp};
use crate::ops::loss::Loss;
use crate::real::Real;
use crate::threads::thread_count;

/// A trained network in use. It keeps its weights, buffers and threads from call to call, and can move to another
/// thread.
///
/// The values of samples are those of the data that the network was trained on, before normalisation.
pub struct Predictor {
    network: Box<dyn Network>,
    inputs: usize,
    classes: usize,
}

impl Predictor {
    /// Mean loss and accuracy on the rows `rows` of `samples`, and what is predicted for each row. A label
    /// that is none of the network's classes counts as an error, and not in the loss.
    ///
    /// # Errors
    /// If the samples have another width or a value that is not finite, if there are not as many labels as samples, if
    /// there is no row or a row is none of the samples, or if the device fails.
    pub fn evaluate(
        &mut self,
        samples: &Samples,
        rows: &[u32],
    ) -> Result<(Evaluation, Predictions)> {
        samples.check_values(self.inputs)?;
        samples.check_labels(match samples.labels {
            Labels::Classes(_) => (u32::MAX as usize).saturating_add(1),
            Labels::Values { .. } => self.classes,
        })?;
        if rows.is_empty() {
            return Err(Error::shape("rows", "at least one", "none"));
        }
        if let Some(row) = rows.iter().find(|&&row| row as usize >= samples.len()) {
            let expected = format!("rows of {} samples", samples.len());
            return Err(Error::shape("rows", expected, format!("row {row}")));
        }
        let known = known_rows(samples, rows, self.classes);
        if known.len() == rows.len() {
            return self.network.evaluate(samples, rows);
        }
        let evaluation = match known.is_empty() {
            true => Evaluation::new([(Metric::Accuracy, 0.0)]),
            false => self.network.evaluate(samples, &known)?.0,
        };
        let predictions = self.network.predict(samples, rows)?;
        Ok((
            with_errors(evaluation, known.len(), rows.len()),
            predictions,
        ))
    }

    /// Probabilities and classes of all `samples`. Labels are not looked at.
    ///
    /// # Errors
    /// If the samples have another width or a value that is not finite, or if the device fails.
    pub fn predict(&mut self, samples: &Samples) -> Result<Predictions> {
        samples.check_values(self.inputs)?;
        let rows: Vec<u32> = (0..samples.len() as u32).collect();
        self.network.predict(samples, &rows)
    }
}

impl Model {
    /// The network, ready for use on a device in the precision that it was trained in; one trained in bf16 is used in
    /// f32 where bf16 cannot be. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// If there is no such device, or it cannot compute in that precision; if a thread cannot be started; if the
    /// model's parts do not fit each other.
    pub fn predictor(&self, device: Device, threads: usize) -> Result<Predictor> {
        Ok(Predictor {
            network: on_inference_backend(device, self.precision(), threads, Load(self))?,
            inputs: self.description.spec.inputs,
            classes: self.description.spec.outputs,
        })
    }

    /// The probabilities of the classes, or of the labels, for the rows of `x` `[samples, inputs]`,
    /// `[samples, outputs]`. The values are those of the data that it was trained on, before normalisation; NaN is a
    /// missing value. Who predicts more than once keeps a [`Predictor`].
    ///
    /// # Errors
    /// If a row has another width, a value is not finite, or the model predicts numbers.
    pub fn predict_proba<R: Real>(&self, x: ArrayView2<'_, R>) -> Result<Array2<f64>> {
        self.expect_numbers(false)?;
        self.outputs(x)
    }

    /// The numbers that it predicts for the rows of `x`, in their own units, `[samples, targets]`; otherwise as
    /// [`Model::predict_proba`].
    ///
    /// # Errors
    /// If a row has another width, a value is not finite, or the model predicts no numbers.
    pub fn predict_values<R: Real>(&self, x: ArrayView2<'_, R>) -> Result<Array2<f64>> {
        self.expect_numbers(true)?;
        self.outputs(x)
    }

    /// Refuses to say what a model of another task says.
    fn expect_numbers(&self, wanted: bool) -> Result<()> {
        let task = self.description.task;
        let expected = match (task == Task::Regression, wanted) {
            (true, false) => "a model of classes or labels",
            (false, true) => "a model of numbers",
            _ => return Ok(()),
        };
        Err(Error::shape("model", expected, task.name()))
    }

    fn outputs<R: Real>(&self, x: ArrayView2<'_, R>) -> Result<Array2<f64>> {
        let spec = &self.description.spec;
        let samples = self.description.fit_array(Samples::from_array(x)?)?;
        let mut predictor = self.predictor(Device::Cpu, thread_count(None)?)?;
        let predictions = predictor.predict(&samples)?;
        let shape = (x.nrows(), spec.outputs);
        let outputs = Array2::from_shape_vec(shape, predictions.outputs);
        Ok(outputs.expect("one number per row and output"))
    }
}

/// A network on a backend. Samples and rows are checked.
trait Network: Send {
    fn evaluate(&mut self, samples: &Samples, rows: &[u32]) -> Result<(Evaluation, Predictions)>;

    fn predict(&mut self, samples: &Samples, rows: &[u32]) -> Result<Predictions>;
}

struct Loaded<B: Backend> {
    mlp: Mlp<B>,
    feed: Feed<B>,
    /// What it is judged by.
    plain: Loss,
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
        let spec = description.spec.clone();
        let mut mlp = Mlp::for_evaluation(backend, spec, EVALUATION_ROWS)?;
        mlp.load_from(params, running)?;
        let feed = Feed::new(mlp.backend(), normalizer, EVALUATION_ROWS)?
            .with_targets(description.target_scale.clone());
        let plain = self.0.plain_loss()?;
        Ok(Box::new(Loaded { mlp, feed, plain }))
    }
}

impl<B: Backend> Network for Loaded<B> {
    fn evaluate(&mut self, samples: &Samples, rows: &[u32]) -> Result<(Evaluation, Predictions)> {
        let mut predictions = Predictions::new(self.plain.task());
        let (mlp, seen) = (&mut self.mlp, Some(&mut predictions));
        let rows = self.feed.rows(mlp.backend(), samples, rows.to_vec())?;
        let evaluation = evaluate(mlp, &mut self.feed, samples, &rows, &self.plain, seen)?;
        Ok((evaluation, predictions))
    }

    fn predict(&mut self, samples: &Samples, rows: &[u32]) -> Result<Predictions> {
        let (mlp, feed) = (&mut self.mlp, &mut self.feed);
        let rows = feed.rows(mlp.backend(), samples, rows.to_vec())?;
        let mut out = Predictions::new(self.plain.task());
        for batch in batches(rows.len(), mlp.capacity()) {
            let count = batch.len();
            let x = feed.batch(mlp.backend(), samples, &rows, batch, None)?;
            mlp.evaluate(x, self.plain.task())?;
            out.append(mlp, count, feed.target_scale())?;
            let logits = mlp.logits(count)?;
            out.logits.extend(logits.into_iter().map(Real::to_f64));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Plain;
    use crate::data::{Features, Normalizer};
    use crate::model::Description;
    use crate::nn::init;
    use crate::settings::{Config, Settings};

    const INPUTS: usize = 19;

    fn model(settings: &Settings) -> Model {
        let config = Config::new(settings).unwrap();
        let spec = config.network(INPUTS, 3).unwrap();
        let (params, running) = init::draw::<f32>(&spec, config.init, 5);
        let normalizer = Normalizer {
            scale: vec![1.0 / 255.0; INPUTS],
            shift: vec![-0.25; INPUTS],
        };
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let resolved = config.resolved.clone();
        let widen = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        Model {
            description: Description::new(
                spec,
                normalizer,
                names,
                None,
                Default::default(),
                resolved,
            ),
            params: widen(params),
            running: widen(running),
        }
    }

    fn small() -> Model {
        let mut settings = Settings::default();
        settings.model.widths = Some(vec![33, 17]);
        model(&settings)
    }

    /// More than one batch, the last one not whole.
    fn pixels(rows: usize) -> Samples {
        Samples {
            features: Features::U8((0..rows * INPUTS).map(|i| (i * 97 % 251) as u8).collect()),
            width: INPUTS,
            labels: Labels::Classes((0..rows).map(|i| (i % 3) as u32).collect()),
            weights: None,
        }
    }

    fn cpu(model: &Model, threads: usize) -> Predictor {
        model.predictor(Device::Cpu, threads).unwrap()
    }

    /// Whatever computes, and however often.
    #[test]
    fn plain_and_fused_give_the_same_bits_call_after_call() {
        let mut deep = Settings::default();
        deep.model.width = Some(24);
        deep.model.depth = Some(5);
        deep.model.batch_norm = Some(false);
        for settings in [Settings::default(), deep] {
            let (model, samples) = (model(&settings), pixels(530));
            let mut plain = Load(&model).run(Plain::<f32>::new(1)).unwrap();
            let expected = plain
                .predict(&samples, &(0..530).collect::<Vec<u32>>())
                .unwrap();
            let rows: Vec<u32> = (0..530).rev().step_by(2).collect();
            let evaluated = plain.evaluate(&samples, &rows).unwrap();
            for threads in [1, 3] {
                let mut predictor = cpu(&model, threads);
                for _ in 0..2 {
                    assert!(predictor.predict(&samples).unwrap() == expected);
                    assert!(predictor.evaluate(&samples, &rows).unwrap() == evaluated);
                }
            }
        }
    }

    #[test]
    fn a_predictor_moves_to_another_thread() {
        let (mut predictor, samples) = (cpu(&small(), 2), pixels(9));
        let here = predictor.predict(&samples).unwrap();
        let there = std::thread::spawn(move || predictor.predict(&samples).unwrap());
        assert_eq!(there.join().unwrap(), here);
    }

    #[test]
    fn wrong_samples_are_refused() {
        let mut predictor = cpu(&small(), 1);
        let mut refused = |word: &str, change: fn(&mut Samples)| {
            let mut samples = pixels(4);
            change(&mut samples);
            let errors = [
                predictor.predict(&samples).err(),
                predictor.evaluate(&samples, &[0]).err(),
            ];
            for error in errors.map(|e| e.unwrap().to_string()) {
                assert!(error.contains(word), "{error}");
            }
        };
        refused("19 values each", |samples| samples.width = 18);
        refused("19 values each", |samples| samples.width = 0);
        refused("a multiple of 19", |samples| {
            samples.features = Features::U8(vec![0; 20]);
        });
        refused("NaN in row 1, column 0", |samples| {
            let mut values = vec![0.0; 2 * INPUTS];
            values[INPUTS] = f32::NAN;
            samples.features = Features::F32(values);
        });
        let nothing = predictor.predict(&pixels(0)).unwrap();
        assert_eq!(nothing, Predictions::default());
    }

    #[test]
    fn wrong_labels_and_rows_are_refused() {
        let mut predictor = cpu(&small(), 1);
        let mut refused = |word: &str, samples: &Samples, rows: &[u32]| {
            let error = predictor.evaluate(samples, rows).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        let sound = pixels(4);
        refused("row 4", &sound, &[0, 4]);
        refused("at least one", &sound, &[]);
        let few = Samples {
            labels: vec![0; 3].into(),
            weights: None,
            ..pixels(4)
        };
        refused("one for each sample", &few, &[0]);
        let strange = Samples {
            labels: vec![0, 1, 2, 3].into(),
            weights: None,
            ..pixels(4)
        };
        let (evaluation, predictions) = predictor.evaluate(&strange, &[0, 1, 2, 3]).unwrap();
        let (known, _) = predictor.evaluate(&strange, &[0, 1, 2]).unwrap();
        let accuracy = known.get(Metric::Accuracy).unwrap() * 3.0 / 4.0;
        assert_eq!(evaluation.get(Metric::Accuracy), Some(accuracy));
        assert_eq!(evaluation.get(Metric::Loss), known.get(Metric::Loss));
        assert_eq!(
            predictions.classes,
            predictor.predict(&strange).unwrap().classes
        );
        // Labels are not needed to predict.
        let unlabelled = Samples {
            labels: Vec::new().into(),
            weights: None,
            ..pixels(4)
        };
        predictor.predict(&unlabelled).unwrap();
    }

    #[test]
    fn models_put_together_wrongly_are_refused() {
        let refused = |change: fn(&mut Model)| {
            let mut model = small();
            change(&mut model);
            assert!(model.predictor(Device::Cpu, 1).is_err());
        };
        refused(|model| model.params.truncate(7));
        refused(|model| model.running.push(0.0));
        refused(|model| model.description.normalizer.scale.clear());
        refused(|model| model.description.normalizer.shift.clear());
        refused(|model| model.description.spec.outputs = 0);
        assert!(small().predictor(Device::Cpu, 0).is_err());
        assert!(small().predictor(Device::Cpu, usize::MAX).is_err());
    }

    #[test]
    fn probabilities_of_an_array() {
        let model = small();
        let x = Array2::from_shape_fn((5, INPUTS), |(i, j)| (i + j) as f64);
        let probabilities = model.predict_proba(x.view()).unwrap();
        let predictions = cpu(&model, 1).predict(&Samples::from_array(x.view()).unwrap());
        assert_eq!(
            probabilities.as_slice().unwrap(),
            predictions.unwrap().outputs
        );
        assert_eq!(
            model
                .predict_proba(Array2::<f32>::zeros((0, INPUTS)).view())
                .unwrap()
                .dim(),
            (0, 3)
        );
        assert!(
            model
                .predict_proba(Array2::<f32>::zeros((2, 3)).view())
                .is_err()
        );
        assert!(
            model
                .predict_proba(x.mapv(|_| f64::INFINITY).view())
                .is_err()
        );
    }
}
