//! The next update of a run, looked at before it happens.

use std::ops::Range;

use super::{EpochEnd, Trainer, augmentation};
use crate::backend::Backend;
use crate::data::Labels;
use crate::data::batches::{gather, gather_augmented};
use crate::error::{Error, Result};
use crate::ops::loss::TargetKind;
use crate::real::Real;
use crate::settings::setting_error;
use crate::train::{Observer, Progress};

/// What the next update learns from.
#[derive(Clone, Debug)]
pub struct NextStep {
    /// Its number, from 0.
    pub update: u64,
    /// The epoch, from 0.
    pub epoch: u32,
    /// Its learning rate.
    pub lr: f64,
    /// Its samples: rows of the training data.
    pub samples: Vec<u32>,
    /// The batch `[samples, inputs]`, normalised and augmented.
    pub x: Vec<f64>,
    /// What the outputs should be, as the network learns it.
    pub labels: Labels,
    /// A weight a sample.
    pub weights: Option<Vec<f64>>,
}

/// Interrupts a run before an update.
struct Until {
    update: u64,
    done: u64,
}

impl Observer for Until {
    fn interrupted(&self) -> bool {
        self.done >= self.update
    }

    fn batch(&mut self, progress: &Progress, _batches: usize) {
        self.done = progress.update;
    }
}

impl<B: Backend> Trainer<B> {
    /// Trains until so many updates are done.
    ///
    /// # Errors
    /// If the run ends or diverges before, or the device fails.
    pub fn train_until(&mut self, update: u64) -> Result<()> {
        let mut until = Until {
            update,
            done: self.progress.update,
        };
        while self.progress.update < update {
            if self.progress.epoch >= self.config().epochs || self.progress.stopped_early {
                let last = self.progress.update;
                let message = format!(
                    "expected updates below {last}, where the run ends ({} epochs of {} batches), found {update}",
                    self.progress.epoch,
                    self.batches(),
                );
                return Err(Error::setting("--step", message));
            }
            if let EpochEnd::Diverged(_) = self.epoch(false, &mut until)? {
                let message = format!(
                    "the run diverged at update {}: its numbers are not finite from there on, with the rate {:e}",
                    self.progress.update.saturating_sub(1),
                    self.rate(),
                );
                return Err(setting_error("optimizer.lr", message));
            }
        }
        Ok(())
    }

    /// What the next update learns from, without doing it.
    ///
    /// # Errors
    /// If the run has ended, or the device fails.
    pub fn next_step(&mut self) -> Result<NextStep> {
        if self.progress.epoch >= self.config.epochs {
            let last = self.progress.update;
            let message =
                format!("expected updates below {last}, where the run ends, found {last}");
            return Err(Error::setting("--step", message));
        }
        self.set_order()?;
        let batch = self.next_batch();
        let targets = self.training.targets(batch.clone())?.host();
        let labels = match targets.kind {
            TargetKind::Classes(classes) => Labels::Classes(classes.to_vec()),
            TargetKind::Values { values, columns } => Labels::Values {
                values: values.to_vec(),
                columns,
            },
        };
        let weights = targets.weights.map(<[f64]>::to_vec);
        let rows = &self.training.order()[batch.clone()];
        let samples = self.data.train();
        let mut x = vec![B::Real::default(); batch.len() * samples.width];
        match augmentation(&self.config, &self.data, self.progress.epoch) {
            Some(augmentation) => {
                gather_augmented(samples, rows, self.feed.normalizer(), augmentation, &mut x);
            }
            None => gather(samples, rows, self.feed.normalizer(), &mut x),
        }
        Ok(NextStep {
            update: self.progress.update,
            epoch: self.progress.epoch,
            lr: self.rate(),
            samples: rows.to_vec(),
            x: x.iter().map(|x| x.to_f64()).collect(),
            labels,
            weights,
        })
    }

    /// The places of the next batch in the epoch's order.
    pub(super) fn next_batch(&self) -> Range<usize> {
        let size = self.config.batch_size;
        let first = (self.progress.partial.batches + self.in_flight.len()) * size;
        first..self.training.len().min(first + size)
    }
}
