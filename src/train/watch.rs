//! What the layers do while a network learns: `train --watch`.
//!
//! After an epoch a second network gets a copy of the run's weights, running statistics and moments, and takes the step
//! that the run would take next, with the rate of the epoch's last update. It is a plain one ([`Plain`]), whatever
//! trains the run, so the run itself cannot notice. It computes in f32, or in f64 where the run does.
//!
//! | what | of which samples | network |
//! |---|---|---|
//! | activations, dead units | up to 512 training samples (a batch, if that is more) | in evaluation |
//! | gradients, updates | the first of these, as many as a batch has | in training: dropout, the batch's statistics |
//!
//! The samples are drawn once, by the run's seed, and are not augmented: a change from epoch to epoch is the network's.
//! They are more than a small batch, because a unit that is 0 for 16 samples need not be dead. So an epoch of
//! 48,000 samples takes 1 to 2 % longer, one of 1400 takes 40 % longer, and one of 140 more than twice as long.
//!
//! What stands before the first layer (`--embed-width`, the members' scales) is no layer here.

use super::record::LayerRecord;
use crate::backend::{Backend, Plain};
use crate::data::{Fitted, Samples, batches};
use crate::error::Result;
use crate::gemm::Element;
use crate::nn::{Feed, Layout, Mlp, NetworkSpec, Rows, Update};
use crate::ops::activation::Activation;
use crate::settings::Config;
use crate::threads::thread_count;

/// Samples whose activations are looked at.
const SAMPLES: usize = 512;

/// A sigmoid or tanh is flat where its slope is at most this share of the steepest.
const FLAT: f64 = 0.05;

/// The second network.
pub(super) struct Watch<R: Element> {
    mlp: Mlp<Plain<R>>,
    feed: Feed<Plain<R>>,
    rows: Rows<Plain<R>>,
}

/// Where a run is when its layers are looked at.
pub(super) struct Moment<'a, R> {
    pub(super) params: &'a [R],
    pub(super) running: &'a [R],
    /// The optimiser's two moments.
    pub(super) moments: [Vec<R>; 2],
    /// Finished updates.
    pub(super) update: u64,
    /// The rate of the last one.
    pub(super) lr: f64,
}

impl<R: Element> Watch<R> {
    /// A network of this kind, and samples of the training part `train`; `feed` is that of the run.
    pub(super) fn new<B: Backend<Real = R>>(
        config: &Config,
        data: &Fitted,
        spec: &NetworkSpec,
        feed: &Feed<B>,
        train: &[u32],
    ) -> Result<Self> {
        let mut order = train.to_vec();
        batches::order(&mut order, config.seed, 0);
        order.truncate(SAMPLES.max(config.batch_size));
        let backend = Plain::new(thread_count(config.threads)?);
        let mlp = Mlp::new(backend, spec.clone(), order.len())?;
        let feed = Feed::new(mlp.backend(), feed.normalizer().clone(), order.len())?
            .with_targets(feed.target_scale().cloned());
        let rows = feed.rows(mlp.backend(), data.train(), order)?;
        Ok(Watch { mlp, feed, rows })
    }

    /// What the layers do at this moment.
    pub(super) fn look(
        &mut self,
        config: &Config,
        samples: &Samples,
        moment: &Moment<'_, R>,
    ) -> Result<Vec<LayerRecord>> {
        let Watch { mlp, feed, rows } = self;
        let (params, running) = (moment.params, moment.running);
        let [m, v] = &moment.moments;
        mlp.load(params, running)?;
        mlp.load_moments(m, v)?;

        let all = feed.batch(mlp.backend(), samples, rows, 0..rows.len(), None)?;
        let mut outputs: Vec<LayerOutputs> = (mlp.layout().blocks.iter())
            .map(|block| LayerOutputs::new(block.outputs, block.hidden().map(|h| h.activation)))
            .collect();
        let count = rows.len();
        mlp.look_at_outputs(all, |layer, values| outputs[layer].add(values, count))?;

        let batch = 0..config.batch_size.min(rows.len());
        let targets = rows.targets(batch.clone())?;
        let x = feed.batch(mlp.backend(), samples, rows, batch, None)?;
        let update = Update {
            number: moment.update,
            lr: moment.lr,
            seed: config.seed,
            loss: &config.loss,
            optimizer: &config.optimizer,
            clip_norm: config.clip_norm,
        };
        mlp.start_step(x, targets, &update)?;
        let mut losses = Vec::new();
        mlp.finish_losses(&mut losses)?;
        // A step whose loss is not finite has no gradients.
        let is_step = losses.iter().all(|loss| loss.objective.is_finite());

        let (grads, updated) = (mlp.read(|s| &s.grads)?, mlp.read(|s| &s.params)?);
        let changes: Vec<R> = updated
            .iter()
            .zip(params)
            .map(|(&w, &old)| w - old)
            .collect();
        let records = outputs.iter().enumerate().map(|(place, outputs)| {
            let rms = |values: &[R]| weights_rms(mlp.layout(), place, values);
            let [gradients, updates] = [&grads, &changes].map(|x| rms(x).filter(|_| is_step));
            let weights = rms(params);
            let ratio = |(update, weight): (f64, f64)| Some(update / weight);
            LayerRecord {
                layer: place + 1,
                activations: finite(outputs.squares.root_mean()),
                gradients,
                updates,
                weights,
                update_ratio: updates.zip(weights).and_then(ratio).and_then(finite),
                dead_units: outputs.dead_units(),
            }
        });
        Ok(records.collect())
    }
}

fn finite(x: f64) -> Option<f64> {
    Some(x).filter(|x| x.is_finite())
}

/// The root mean square of a layer's W among `values`, which lie as the parameters do.
fn weights_rms<R: Element>(layout: &Layout, layer: usize, values: &[R]) -> Option<f64> {
    let mut squares = Squares::default();
    for head in layout.blocks[layer].heads() {
        squares.add(&values[head.weight]);
    }
    finite(squares.root_mean())
}

/// A sum of squares.
#[derive(Default)]
struct Squares {
    sum: f64,
    count: usize,
}

impl Squares {
    fn add<R: Element>(&mut self, values: &[R]) {
        let squares = values.iter().map(|x| x.to_f64() * x.to_f64());
        self.sum += squares.sum::<f64>();
        self.count += values.len();
    }

    fn root_mean(&self) -> f64 {
        (self.sum / self.count as f64).sqrt()
    }
}

/// What a layer's units give.
struct LayerOutputs {
    activation: Option<Activation>,
    units: usize,
    squares: Squares,
    /// Whether a unit was flat for every sample of a member, member by member; empty where that has no meaning.
    flat: Vec<bool>,
}

impl LayerOutputs {
    fn new(units: usize, activation: Option<Activation>) -> Self {
        LayerOutputs {
            activation,
            units,
            squares: Squares::default(),
            flat: Vec::new(),
        }
    }

    /// Takes the outputs of a member for `samples` samples, row by row.
    fn add<R: Element>(&mut self, values: &[R], samples: usize) {
        let values = &values[..samples * self.units];
        self.squares.add(values);
        let Some(is_flat) = self.activation.and_then(flatness) else {
            return;
        };
        let mut flat = vec![true; self.units];
        for row in values.chunks_exact(self.units) {
            for (flat, y) in flat.iter_mut().zip(row) {
                *flat &= is_flat(y.to_f64());
            }
        }
        self.flat.append(&mut flat);
    }

    fn dead_units(&self) -> Option<f64> {
        let dead = self.flat.iter().filter(|&&flat| flat).count();
        (!self.flat.is_empty()).then(|| dead as f64 / self.flat.len() as f64)
    }
}

/// Whether an activation is flat, by its output; `None` for those that have a slope everywhere that matters.
fn flatness(activation: Activation) -> Option<fn(f64) -> bool> {
    match activation {
        Activation::Relu => Some(|y| y == 0.0),
        // The steepest slopes are ¼ and 1.
        Activation::Sigmoid => Some(|y| y * (1.0 - y) <= 0.25 * FLAT),
        Activation::Tanh => Some(|y| 1.0 - y * y <= FLAT),
        Activation::LeakyRelu
        | Activation::Gelu
        | Activation::Silu
        | Activation::Elu
        | Activation::Identity => None,
    }
}
