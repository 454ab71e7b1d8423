//! From samples to a network's input.

use std::ops::Range;

use crate::backend::{Backend, Input, Kept, Labels};
use crate::data::batches::{Augmentation, gather, gather_augmented};
use crate::data::normalize::Normalizer;
use crate::data::{Features, Samples};
use crate::error::Result;
use crate::nn::Batch;
use crate::real::Real;

/// Rows of some samples in the order in which batches take them, with their classes; also where the backend keeps them, if it does.
pub struct Rows<B: Backend> {
    order: Vec<u32>,
    classes: Vec<u32>,
    kept: Option<B::Kept>,
}

impl<B: Backend> Rows<B> {
    /// The rows `order` of `samples`, already in the backend's keeping as `kept`.
    fn new(samples: &Samples, order: Vec<u32>, kept: Option<B::Kept>) -> Result<Self> {
        let classes = vec![0; order.len()];
        let mut rows = Rows {
            order,
            classes,
            kept,
        };
        rows.arrange(samples, |_| ())?;
        Ok(rows)
    }

    /// Rows that share what the backend keeps of the same samples, in an order of their own.
    pub fn share(&self, samples: &Samples, order: Vec<u32>) -> Result<Self> {
        let kept = self.kept.as_ref().map(Kept::share).transpose()?;
        Self::new(samples, order, kept)
    }

    /// Changes the order.
    pub fn arrange(&mut self, samples: &Samples, change: impl FnOnce(&mut [u32])) -> Result<()> {
        change(&mut self.order);
        for (class, &row) in self.classes.iter_mut().zip(&self.order) {
            // Samples to be predicted have no labels.
            *class = samples.labels.get(row as usize).copied().unwrap_or(0);
        }
        match &mut self.kept {
            Some(kept) => kept.arrange(&self.order, &self.classes),
            None => Ok(()),
        }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// No rows at all.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The classes of the rows at the places `batch`.
    pub fn labels(&self, batch: Range<usize>) -> Labels<'_, B::Kept> {
        Labels {
            kept: self.kept.as_ref().map(|kept| (kept, batch.start)),
            classes: &self.classes[batch],
        }
    }
}

/// Normalises (and augments) batches. Pixels without augmentation go to the backend as they are, which converts them where it packs
/// them; everything else is converted here into one buffer. What the backend keeps it gathers by itself.
pub struct Feed<B: Backend> {
    normalizer: Normalizer,
    scale: Vec<B::Real>,
    shift: Vec<B::Real>,
    host: Vec<B::Real>,
    device: B::Buf,
}

impl<B: Backend> Feed<B> {
    /// Room for batches of `capacity` rows.
    pub fn new(backend: &B, normalizer: Normalizer, capacity: usize) -> Result<Self> {
        let cast = |values: &[f64]| values.iter().map(|&x| B::Real::from_f64(x)).collect();
        let len = capacity * normalizer.scale.len();
        Ok(Feed {
            scale: cast(&normalizer.scale),
            shift: cast(&normalizer.shift),
            host: vec![B::Real::default(); len],
            device: backend.alloc(len)?,
            normalizer,
        })
    }

    /// The fitted normalisation.
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// The rows `order` of `samples`, in the keeping of a backend that keeps samples.
    pub fn rows(&self, backend: &B, samples: &Samples, order: Vec<u32>) -> Result<Rows<B>> {
        let kept = backend.keep(samples, &self.normalizer)?;
        Rows::new(samples, order, kept)
    }

    /// The rows at the places `batch`, ready for the first block.
    pub fn batch<'a>(
        &'a mut self,
        backend: &B,
        samples: &'a Samples,
        rows: &'a Rows<B>,
        batch: Range<usize>,
        augmentation: Option<&Augmentation<'_>>,
    ) -> Result<Batch<'a, B>> {
        let count = batch.len();
        if let Some(kept) = &rows.kept {
            kept.gather(batch, augmentation, &mut self.device)?;
            return Ok(Input::Values {
                buf: &self.device,
                rows: count,
            });
        }
        let (rows, later) = rows.order[batch.start..].split_at(count);
        if let (Features::U8(data), None) = (&samples.features, augmentation) {
            return Ok(Input::Pixels {
                data,
                rows,
                next: &later[..count.min(later.len())],
                scale: &self.scale,
                shift: &self.shift,
            });
        }
        let host = &mut self.host[..count * samples.width];
        match augmentation {
            Some(augmentation) => {
                gather_augmented(samples, rows, &self.normalizer, *augmentation, host)
            }
            None => gather(samples, rows, &self.normalizer, host),
        }
        backend.upload(&mut self.device, host)?;
        Ok(Input::Values {
            buf: &self.device,
            rows: count,
        })
    }
}
