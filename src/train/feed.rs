//! From samples to a network's input.

use crate::backend::{Backend, Input};
use crate::data::batches::{Augmentation, gather, gather_augmented};
use crate::data::normalize::Normalizer;
use crate::data::{Features, Samples};
use crate::error::Result;
use crate::nn::Batch;
use crate::real::Real;

/// Normalises (and augments) batches. Pixels without augmentation go to the backend as they are, which converts them where it packs
/// them; everything else is converted here into one buffer.
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

    /// The rows `rows` of `samples`, ready for the first block; `next` are those of the batch after it, if they are known.
    pub fn batch<'a>(
        &'a mut self,
        backend: &B,
        samples: &'a Samples,
        rows: &'a [u32],
        next: &'a [u32],
        augmentation: Option<&Augmentation<'_>>,
    ) -> Result<Batch<'a, B>> {
        if let (Features::U8(data), None) = (&samples.features, augmentation) {
            return Ok(Input::Pixels {
                data,
                rows,
                next,
                scale: &self.scale,
                shift: &self.shift,
            });
        }
        let host = &mut self.host[..rows.len() * samples.width];
        match augmentation {
            Some(augmentation) => {
                gather_augmented(samples, rows, &self.normalizer, *augmentation, host)
            }
            None => gather(samples, rows, &self.normalizer, host),
        }
        backend.upload(&mut self.device, host)?;
        Ok(Input::Values {
            buf: &self.device,
            rows: rows.len(),
        })
    }
}
