//! One run's state, and one epoch of the loop.

mod next_step;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::check::Prepared;
use super::measure::{always_measured, measure};
use super::monitor::{Best, Patience, is_better};
use super::other_metrics::OtherMetrics;
use super::stopwatch::Stopwatch;
use super::watch::{Moment, Watch};
use super::{EpochRecord, Observer};
use crate::backend::Backend;
use crate::data::batches::{self, Augmentation};
use crate::data::{Dataset, Fitted, Split};
use crate::error::Result;
use crate::metrics::{Evaluation, Metric};
use crate::model::Model;
use crate::model::tensors::{self, Array, TensorFile};
use crate::model::{Description, EVALUATION_ROWS, known_rows, with_errors};
use crate::nn::{Feed, Rows};
use crate::nn::{Mlp, Update, init};
use crate::ops::loss::BatchLoss;
use crate::optim::{By, Plateau};
use crate::real::Real;
use crate::settings::Config;

pub use next_step::NextStep;

/// Where a run stands: all that resuming needs besides the numbers in the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Finished epochs.
    pub epoch: u32,
    /// Finished updates.
    pub update: u64,
    /// The epoch under way.
    pub partial: Partial,
    /// State of the plateau schedule.
    pub plateau: Option<Plateau>,
    /// The epoch whose weights are kept as the model.
    pub best: Option<Best>,
    /// How long the run has waited for a better epoch.
    #[serde(flatten)]
    patience: Patience,
    /// Patience ran out.
    pub stopped_early: bool,
    /// The loss, a weight or a running statistic stopped being a finite number.
    pub diverged: bool,
}

/// Sums over the batches of the epoch under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Partial {
    /// Finished batches.
    pub batches: usize,
    /// Their samples.
    pub samples: usize,
    /// Their samples' objectives.
    loss: f64,
    /// Their mean objectives.
    loss_sum: f64,
    /// Their correct samples.
    correct: usize,
    /// Seconds spent on them.
    seconds: f64,
    /// The rate of the last update.
    lr: f64,
}

impl Partial {
    /// The batches' mean objectives so far, summed.
    pub fn loss_sum(&self) -> f64 {
        self.loss_sum
    }

    /// Mean objective so far.
    pub fn loss(&self) -> f64 {
        self.loss / self.samples as f64
    }

    /// The rate of the last update.
    pub fn lr(&self) -> f64 {
        self.lr
    }

    /// A metric so far, on the training samples before their updates, if it is measured there; the loss is the
    /// objective.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Accuracy => Some(self.accuracy()),
            Metric::Loss => Some(self.loss()),
            _ => None,
        }
    }

    /// Share of correct samples so far.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples as f64
    }

    fn add(&mut self, loss: &BatchLoss, samples: usize) {
        self.batches += 1;
        self.samples += samples;
        self.loss += loss.objective * samples as f64;
        self.loss_sum += loss.objective;
        self.correct += loss.correct;
    }
}

/// How an epoch ended.
#[derive(Clone, Debug, PartialEq)]
pub enum EpochEnd {
    /// All batches are done.
    Finished(EpochRecord),
    /// The observer asked to stop; the state is that after the last batch.
    Interrupted,
    /// The loss, a weight or a running statistic is no finite number. The record covers what there was of the epoch,
    /// and has no loss.
    Diverged(EpochRecord),
}

/// Parameters and running statistics.
pub type Weights<R> = (Vec<R>, Vec<R>);

/// A run: network, data, and progress.
pub struct Trainer<B: Backend> {
    config: Config,
    data: Fitted,
    split: Split,
    mlp: Mlp<B>,
    feed: Feed<B>,
    /// Where the run stands.
    pub progress: Progress,
    /// The best epoch's numbers.
    pub best: Option<Weights<B::Real>>,
    training: Rows<B>,
    validation: Option<Rows<B>>,
    /// Looks at the layers after each epoch, if the settings ask for it.
    watch: Option<Watch<B::Real>>,
    /// Steps whose losses are pending or not counted yet.
    in_flight: VecDeque<StepInFlight>,
    /// Losses that were collected, and are to be counted.
    losses: Vec<BatchLoss>,
}

/// A step that was started.
struct StepInFlight {
    samples: usize,
    lr: f64,
}

impl<B: Backend> Trainer<B> {
    /// Splits, normalises and draws (or takes from `init_from`) the initial weights.
    ///
    /// # Errors
    /// If settings and data do not fit each other.
    pub fn new(
        backend: B,
        config: Config,
        data: Arc<Dataset>,
        init_from: Option<&TensorFile<'_>>,
    ) -> Result<Self> {
        let Prepared {
            config,
            data,
            split,
            spec,
            normalizer,
            target_scale,
        } = Prepared::new(config, data, init_from)?;
        let capacity = config.batch_size.max(EVALUATION_ROWS);
        let mut mlp = Mlp::new(backend, spec, capacity)?;
        let (params, running) = match init_from {
            Some(file) => file.network(mlp.layout())?,
            None => init::draw(mlp.spec(), config.init, config.seed),
        };
        mlp.load(&params, &running)?;
        let feed = Feed::new(mlp.backend(), normalizer, capacity)?.with_targets(target_scale);
        let training = feed.rows(mlp.backend(), data.train(), split.train.clone())?;
        let known = known_rows(data.validation(), &split.validation, mlp.spec().outputs);
        let validation = match &data.data().validation {
            _ if known.is_empty() => None,
            Some(_) => Some(feed.rows(mlp.backend(), data.validation(), known)?),
            None => Some(training.share(data.train(), known)?),
        };
        let watch = (config.watch)
            .then(|| Watch::new(&config, &data, mlp.spec(), &feed, &split.train))
            .transpose()?;
        let progress = Progress {
            plateau: config.schedule.plateau(),
            ..Progress::default()
        };
        let trainer = Trainer {
            config,
            data,
            split,
            mlp,
            feed,
            progress,
            best: None,
            training,
            validation,
            watch,
            in_flight: VecDeque::with_capacity(B::PENDING_LOSSES),
            losses: Vec::with_capacity(B::PENDING_LOSSES),
        };
        trainer
            .config
            .schedule
            .validate_warmup(trainer.config.warmup, trainer.schedule_steps())
            .map_err(|e| crate::settings::within("schedule", e))?;
        Ok(trainer)
    }

    /// The checked settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The data set.
    pub fn data(&self) -> &Dataset {
        self.data.data()
    }

    /// The data set as the network takes it.
    pub fn fitted(&self) -> &Fitted {
        &self.data
    }

    /// Which training samples are learnt from and which are kept for validation.
    pub fn split(&self) -> &Split {
        &self.split
    }

    /// The network.
    pub fn mlp(&self) -> &Mlp<B> {
        &self.mlp
    }

    /// The network, to be changed.
    pub fn mlp_mut(&mut self) -> &mut Mlp<B> {
        &mut self.mlp
    }

    /// What a model file says about this run's network.
    pub fn description(&self) -> Description {
        let data = self.data.data();
        let origin = (data.name.clone(), data.hash.clone());
        let mut settings = self.config.resolved.clone();
        // A model is the same whether its training was watched or not.
        settings.train.watch = None;
        let normalizer = self.feed.normalizer().clone();
        let (spec, names) = (self.mlp.spec().clone(), data.class_names.clone());
        let image = data.image;
        let mut description = Description::new(spec, normalizer, names, image, origin, settings);
        description.task = self.config.task;
        description.target_scale = self.feed.target_scale().cloned();
        description.schema = self.data.schema().cloned();
        description
    }

    /// The network with the best epoch's weights; `None` before the first epoch has ended.
    pub fn model(&self) -> Option<Model> {
        let mut description = self.description();
        description.epoch = self.progress.best?.epoch;
        Some(widened(description, self.best.as_ref()?))
    }

    /// [`Trainer::model`], the trainer's own memory given back before.
    pub fn into_model(mut self) -> Option<Model> {
        let mut description = self.description();
        description.epoch = self.progress.best?.epoch;
        let best = self.best.take()?;
        drop(self);
        Some(widened(description, &best))
    }

    /// Batches of one epoch.
    pub fn batches(&self) -> usize {
        let (n, size) = (self.split.train.len(), self.config.batch_size);
        n / size + usize::from(self.keeps_leftover(n % size))
    }

    /// Whether the last, shorter batch takes part: a batch of one has no variance for a batch norm.
    fn keeps_leftover(&self, leftover: usize) -> bool {
        leftover > 0
            && !self.config.drop_last
            && !(leftover == 1 && self.mlp.spec().has_batch_norm())
    }

    /// Whether a leftover sample is dropped each epoch because a batch norm cannot learn from one.
    pub fn drops_single_leftover(&self) -> bool {
        self.split.train.len() % self.config.batch_size == 1
            && !self.config.drop_last
            && self.mlp.spec().has_batch_norm()
            && self.config.batch_size > 1
    }

    fn schedule_steps(&self) -> u64 {
        match self.config.by {
            By::Epoch => u64::from(self.config.epochs),
            By::Update => u64::from(self.config.epochs) * self.batches() as u64,
        }
    }

    /// The rate of the next update.
    pub fn rate(&self) -> f64 {
        let c = &self.config;
        let t = match c.by {
            By::Epoch => u64::from(self.progress.epoch),
            By::Update => self.progress.update + self.in_flight.len() as u64,
        };
        let scale = self.progress.plateau.as_ref().map_or(1.0, Plateau::scale);
        c.schedule.rate(c.lr, c.warmup, t, self.schedule_steps()) * scale
    }

    /// Runs what is left of the current epoch, then validates. The record has the hashes of all tensors if they are
    /// wanted (`hashed`).
    pub fn epoch(&mut self, hashed: bool, observer: &mut dyn Observer) -> Result<EpochEnd> {
        self.set_order()?;
        let batches = self.batches();
        let (start, before) = (Stopwatch::start(), self.progress.partial.seconds);
        while self.progress.partial.batches < batches {
            let interrupted = observer.interrupted();
            if !interrupted {
                self.step()?;
            }
            let started = self.progress.partial.batches + self.in_flight.len();
            let full = self.mlp.pending_losses() == B::PENDING_LOSSES;
            if interrupted || started == batches || full {
                self.mlp.finish_losses(&mut self.losses)?;
            }
            let seconds = before + start.elapsed().as_secs_f64();
            if !self.count(seconds, observer, batches) {
                return Ok(self.diverge());
            }
            if interrupted {
                return Ok(EpochEnd::Interrupted);
            }
        }
        let weights = (self.mlp.read(|s| &s.params)?, self.mlp.read_running()?);
        if !is_finite(&weights) {
            return Ok(self.diverge());
        }
        let evaluation = self.validate()?;
        let mut record = self.record(evaluation);
        if hashed {
            record.sha256 = self.hashes(&weights);
            record.computed_on = self.mlp.backend().reproducible_on();
        }
        if let Some(watch) = &mut self.watch {
            let moment = Moment {
                params: &weights.0,
                running: &weights.1,
                moments: [self.mlp.read(|s| &s.m)?, self.mlp.read(|s| &s.v)?],
                update: self.progress.update,
                lr: record.lr,
            };
            record.layers = watch.look(&self.config, self.data.train(), &moment)?;
        }
        self.finish_epoch(evaluation, weights);
        Ok(EpochEnd::Finished(record))
    }

    /// The hash of each tensor, by name.
    fn hashes(&self, (params, running): &Weights<B::Real>) -> BTreeMap<String, String> {
        let update = self.progress.update;
        let arrays = tensors::network(self.mlp.layout(), params, running, update);
        arrays.iter().map(Array::hash).collect()
    }

    /// Ends the run in the epoch under way. The last update's loss may have been finite: it is that of the weights
    /// before. The record's loss is none, by which a reader of the records knows that the epoch diverged.
    fn diverge(&mut self) -> EpochEnd {
        let record = EpochRecord {
            train_loss: f64::NAN,
            ..self.record(None)
        };
        self.progress.diverged = true;
        // The sums may hold a NaN now, which no checkpoint could.
        self.progress.partial = Partial::default();
        EpochEnd::Diverged(record)
    }

    /// Counts the steps whose losses were collected, `seconds` into the epoch. False after one that is not finite, with
    /// which the run ends.
    fn count(&mut self, seconds: f64, observer: &mut dyn Observer, batches: usize) -> bool {
        let progress = &mut self.progress;
        let known = self.losses.len();
        for (loss, step) in self.losses.drain(..).zip(self.in_flight.drain(..known)) {
            progress.partial.add(&loss, step.samples);
            progress.partial.lr = step.lr;
            progress.partial.seconds = seconds;
            progress.update += 1;
            if !loss.objective.is_finite() {
                return false;
            }
            observer.batch(progress, batches);
        }
        true
    }

    /// Starts one update.
    fn step(&mut self) -> Result<()> {
        let lr = self.rate();
        let c = &self.config;
        let ahead = self.in_flight.len();
        let batch = self.next_batch();
        let samples = batch.len();
        let targets = self.training.targets(batch.clone())?;
        let augmentation = augmentation(c, &self.data, self.progress.epoch);
        let x = self.feed.batch(
            self.mlp.backend(),
            self.data.train(),
            &self.training,
            batch,
            augmentation.as_ref(),
        )?;
        let update = Update {
            number: self.progress.update + ahead as u64,
            lr,
            seed: c.seed,
            loss: &c.loss,
            optimizer: &c.optimizer,
            clip_norm: c.clip_norm,
        };
        self.mlp.start_step(x, targets, &update)?;
        self.in_flight.push_back(StepInFlight { samples, lr });
        Ok(())
    }

    /// Sets the order of the current epoch. It depends on seed and epoch alone, so that a resumed epoch continues it.
    fn set_order(&mut self) -> Result<()> {
        let (config, split, epoch) = (&self.config, &self.split, self.progress.epoch);
        self.training.arrange(self.data.train(), |order| {
            order.copy_from_slice(&split.train);
            if config.shuffle {
                batches::order(order, config.seed, epoch);
            }
        })
    }

    fn validate(&mut self) -> Result<Option<Evaluation>> {
        let Some(rows) = &self.validation else {
            return Ok(None);
        };
        let samples = self.data.validation();
        let mut metrics = always_measured(self.config.task);
        metrics.extend(self.config.measured_on_request());
        let (mlp, feed, plain) = (&mut self.mlp, &mut self.feed, self.config.loss.plain());
        let evaluation = measure(mlp, feed, samples, rows, &plain, &metrics)?;
        let all = self.split.validation.len();
        Ok(Some(with_errors(evaluation, rows.len(), all)))
    }

    fn record(&self, evaluation: Option<Evaluation>) -> EpochRecord {
        let p = &self.progress.partial;
        EpochRecord {
            epoch: self.progress.epoch + 1,
            train_loss: p.loss(),
            train_loss_sum: p.loss_sum,
            train_accuracy: Metric::Accuracy
                .is_of(self.config.task)
                .then(|| p.accuracy()),
            val_loss: evaluation.and_then(|e| e.get(Metric::Loss)),
            val_accuracy: evaluation.and_then(|e| e.get(Metric::Accuracy)),
            val_others: OtherMetrics::of(evaluation),
            lr: p.lr,
            train_seconds: p.seconds,
            samples_per_second: match p.seconds > 0.0 {
                true => p.samples as f64 / p.seconds,
                false => 0.0,
            },
            sha256: BTreeMap::new(),
            computed_on: None,
            layers: Vec::new(),
        }
    }

    /// Counts the epoch, keeps the weights if they are the best, and moves plateau and patience.
    fn finish_epoch(&mut self, evaluation: Option<Evaluation>, weights: Weights<B::Real>) {
        let c = &self.config;
        let monitor = c.monitor.metric();
        let progress = &mut self.progress;
        progress.epoch += 1;
        progress.partial = Partial::default();
        if let Some(evaluation) = evaluation {
            let past_warmup = c.by == By::Update || u64::from(progress.epoch) > c.warmup;
            if let Some(plateau) = progress.plateau.as_mut().filter(|_| past_warmup) {
                let monitor = c.schedule_monitor.metric();
                let value = evaluation.get(monitor).unwrap_or(f64::NAN);
                plateau.observe(monitor.direction().cost(value), c.lr);
            }
            progress.stopped_early =
                progress
                    .patience
                    .runs_out(monitor, &evaluation, c.min_delta, c.patience);
        }
        let new = Best::new(progress.epoch, progress.update, evaluation);
        if progress
            .best
            .is_none_or(|best| is_better(monitor, new.validation(), best.validation()))
        {
            progress.best = Some(new);
            self.best = Some(weights);
        }
    }

    /// Evaluates the best weights on the test part, if there is one. The network holds its last weights again
    /// afterwards.
    pub fn test(&mut self) -> Result<Option<Evaluation>> {
        let Some(test) = self.data.test() else {
            return Ok(None);
        };
        let Some(best) = self.best.take() else {
            return Ok(None);
        };
        let last = (self.mlp.read(|s| &s.params)?, self.mlp.read_running()?);
        self.mlp.load(&best.0, &best.1)?;
        let all: Vec<u32> = (0..test.len() as u32).collect();
        let known = known_rows(test, &all, self.mlp.spec().outputs);
        let evaluation = match known.len() {
            0 => Evaluation::new([(Metric::Accuracy, 0.0)]),
            count => {
                let (mlp, feed, plain) = (&mut self.mlp, &mut self.feed, self.config.loss.plain());
                let rows = feed.rows(mlp.backend(), test, known)?;
                let metrics = always_measured(self.config.task);
                let known = measure(mlp, feed, test, &rows, &plain, &metrics)?;
                with_errors(known, count, all.len())
            }
        };
        self.mlp.load(&last.0, &last.1)?;
        self.best = Some(best);
        Ok(Some(evaluation))
    }
}

/// How an epoch changes its images, if it does.
fn augmentation<'a>(config: &'a Config, data: &Fitted, epoch: u32) -> Option<Augmentation<'a>> {
    (!config.augment.is_none()).then_some(Augmentation {
        augment: &config.augment,
        image: data.data().image,
        seed: config.seed,
        epoch,
    })
}

/// Whether a network with these weights can compute anything: what is infinite or NaN stays so.
fn is_finite<R: Real>((params, running): &Weights<R>) -> bool {
    params.iter().chain(running).all(|x| x.is_finite())
}

/// A network with these weights.
fn widened<R: Real>(description: Description, (params, running): &Weights<R>) -> Model {
    let widen = |values: &[R]| values.iter().map(|x| x.to_f64()).collect();
    Model {
        description,
        params: widen(params),
        running: widen(running),
    }
}
