//! From samples to a network's input.

use std::ops::Range;

use crate::backend::{Backend, BatchTargets, DeviceDataset, Input};
use crate::data::batches::{Augmentation, gather, gather_augmented};
use crate::data::normalize::Normalizer;
use crate::data::{Features, Labels, Samples, TargetScale};
use crate::error::{Error, Result};
use crate::nn::Batch;
use crate::ops::loss::{TargetKind, Targets};
use crate::real::Real;

/// Rows of some samples in the order in which batches take them, with their targets.
pub struct Rows<B: Backend> {
    order: Vec<u32>,
    /// The targets, in this order; values are standardised.
    targets: Labels,
    /// The samples' weights, in this order.
    weights: Option<Vec<f64>>,
    scale: Option<TargetScale>,
    /// The samples in this order on the device, if they were uploaded.
    uploaded: Option<B::Dataset>,
}

impl<B: Backend> Rows<B> {
    fn new(
        samples: &Samples,
        order: Vec<u32>,
        scale: Option<TargetScale>,
        uploaded: Option<B::Dataset>,
    ) -> Result<Self> {
        let mut rows = Rows {
            targets: Labels::Classes(Vec::new()),
            weights: None,
            order,
            scale,
            uploaded,
        };
        rows.arrange(samples, |_| ())?;
        Ok(rows)
    }

    /// Other rows of the same samples, which are uploaded once for both.
    ///
    /// # Errors
    /// If there is no such row, or the device fails.
    pub fn share(&self, samples: &Samples, order: Vec<u32>) -> Result<Self> {
        let uploaded = self.uploaded.as_ref().map(DeviceDataset::share);
        Self::new(samples, order, self.scale.clone(), uploaded.transpose()?)
    }

    /// Changes the order.
    ///
    /// # Errors
    /// If there is no such row, or the device fails.
    pub fn arrange(&mut self, samples: &Samples, change: impl FnOnce(&mut [u32])) -> Result<()> {
        change(&mut self.order);
        let count = samples.len();
        for (what, found) in [
            ("labels", samples.labels.len()),
            ("weights", samples.weights.as_ref().map_or(0, Vec::len)),
        ] {
            if found != 0 && found != count {
                let expected = format!("{count}, one a sample");
                return Err(Error::shape(what, expected, found.to_string()));
            }
        }
        if let Some(row) = self.order.iter().find(|&&row| row as usize >= count) {
            let expected = format!("rows below {count}, the samples");
            return Err(Error::shape("order", expected, format!("row {row}")));
        }
        self.arrange_targets(samples)?;
        let targets = targets_at(&self.targets, self.weights.as_deref(), 0..self.order.len());
        match &mut self.uploaded {
            Some(uploaded) => uploaded.set_order(&self.order, targets),
            None => Ok(()),
        }
    }

    fn arrange_targets(&mut self, samples: &Samples) -> Result<()> {
        self.targets = match samples.labels.is_empty() {
            // Samples to be predicted have none.
            true => Labels::Classes(vec![0; self.order.len()]),
            false => samples.labels.select(&self.order),
        };
        let weights = samples
            .weights
            .as_ref()
            .filter(|weights| !weights.is_empty());
        self.weights = weights.map(|weights| {
            let rows = self.order.iter();
            rows.map(|&row| weights[row as usize]).collect()
        });
        if let (Labels::Values { values, columns }, Some(scale)) = (&mut self.targets, &self.scale)
        {
            if scale.columns() != *columns {
                let expected = format!("{} numbers a sample", scale.columns());
                return Err(Error::shape("labels", expected, columns.to_string()));
            }
            scale.standardise(values);
        }
        Ok(())
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// No rows at all.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The rows, in the order in which batches take them.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The targets of the rows at the places `batch`.
    ///
    /// # Errors
    /// If `batch` is outside the order.
    pub fn targets(&self, batch: Range<usize>) -> Result<BatchTargets<'_, B::Dataset>> {
        self.check(&batch)?;
        let uploaded = self.uploaded.as_ref().map(|set| (set, batch.start));
        let targets = targets_at(&self.targets, self.weights.as_deref(), batch);
        Ok(BatchTargets::new(targets, uploaded))
    }

    fn check(&self, batch: &Range<usize>) -> Result<()> {
        if batch.start <= batch.end && batch.end <= self.len() {
            return Ok(());
        }
        let expected = format!("places below {}", self.len());
        Err(Error::shape("batch", expected, format!("{batch:?}")))
    }
}

/// The targets of the rows at the places `batch`.
fn targets_at<'a>(
    targets: &'a Labels,
    weights: Option<&'a [f64]>,
    batch: Range<usize>,
) -> Targets<'a> {
    let kind = match targets {
        Labels::Classes(classes) => TargetKind::Classes(&classes[batch.clone()]),
        Labels::Values { values, columns } => TargetKind::Values {
            values: &values[batch.start * columns..batch.end * columns],
            columns: *columns,
        },
    };
    Targets {
        kind,
        weights: weights.map(|weights| &weights[batch]),
    }
}

/// Normalises (and augments) batches.
///
/// Pixels without augmentation go to the backend as they are, which converts them where it packs them. Everything else
/// is converted here into one buffer. Samples that were uploaded are gathered on the device.
pub struct Feed<B: Backend> {
    normalizer: Normalizer,
    target_scale: Option<TargetScale>,
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
            target_scale: None,
        })
    }

    /// The same, with values to predict that are standardised.
    pub fn with_targets(self, target_scale: Option<TargetScale>) -> Self {
        Feed {
            target_scale,
            ..self
        }
    }

    /// What standardises the values to predict, if there are such.
    pub fn target_scale(&self) -> Option<&TargetScale> {
        self.target_scale.as_ref()
    }

    /// The fitted normalisation.
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// The rows `order` of `samples`, uploaded if the backend has a device for them.
    ///
    /// # Errors
    /// If samples have another width than the normaliser, there is no such row, or the device fails.
    pub fn rows(&self, backend: &B, samples: &Samples, order: Vec<u32>) -> Result<Rows<B>> {
        self.check_width(samples)?;
        let uploaded = backend.upload_samples(samples, &self.normalizer)?;
        Rows::new(samples, order, self.target_scale.clone(), uploaded)
    }

    fn check_width(&self, samples: &Samples) -> Result<()> {
        let width = self.scale.len();
        if samples.width == width {
            return Ok(());
        }
        let expected = format!("{width} values each, the network's inputs");
        Err(Error::shape("samples", expected, samples.width.to_string()))
    }

    /// The rows at the places `batch`, ready for the first block.
    ///
    /// # Errors
    /// If `batch` is outside the order or larger than the capacity, or the device fails.
    pub fn batch<'a>(
        &'a mut self,
        backend: &B,
        samples: &'a Samples,
        rows: &'a Rows<B>,
        batch: Range<usize>,
        augmentation: Option<&Augmentation<'_>>,
    ) -> Result<Batch<'a, B>> {
        rows.check(&batch)?;
        self.check_width(samples)?;
        let count = batch.len();
        let room = self.host.len().checked_div(samples.width).unwrap_or(0);
        if count > room {
            let expected = format!("at most {room} rows");
            return Err(Error::shape("batch", expected, count.to_string()));
        }
        if let Some(uploaded) = &rows.uploaded {
            uploaded.gather(batch, augmentation, &mut self.device)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Plain;

    fn samples(width: usize, labels: Vec<u32>) -> Samples {
        let features = Features::U8(vec![1; width * 3]);
        Samples {
            features,
            width,
            labels: labels.into(),
            weights: None,
        }
    }

    #[test]
    fn rows_and_batches_are_checked() {
        let backend = Plain::<f32>::new(1);
        let mut feed = Feed::new(&backend, Normalizer::identity(2), 2).unwrap();
        let three = samples(2, vec![0, 1, 0]);
        let rows = feed.rows(&backend, &three, vec![2, 0, 1]).unwrap();
        assert!(rows.targets(1..3).is_ok() && rows.targets(1..4).is_err());
        let mut batch = |samples, places| {
            let found = feed.batch(&backend, samples, &rows, places, None);
            found.map(|x| x.rows()).map_err(|e| e.exit_code())
        };
        assert_eq!(batch(&three, 1..3), Ok(2));
        assert_eq!(batch(&three, 2..4), Err(2), "no such places");
        assert_eq!(batch(&three, 0..3), Err(2), "no room");
        assert_eq!(batch(&samples(1, Vec::new()), 0..1), Err(2), "width");
        assert!(feed.rows(&backend, &three, vec![3]).is_err());
        let few_labels = samples(2, vec![0]);
        assert!(feed.rows(&backend, &few_labels, vec![0]).is_err());
        let narrow = samples(1, Vec::new());
        assert!(feed.rows(&backend, &narrow, vec![0]).is_err());
    }
}
