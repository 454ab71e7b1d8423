//! Losses on the device: those of many steps lie side by side until they are collected.

use std::sync::Arc;

use cudarc::driver::{DeviceRepr, ValidAsZeroBits};

use super::device::{Device, Memory, Pointer, launch};
use super::{KeptSamples, THREADS, size};
use crate::backend::Labels;
use crate::error::Result;
use crate::ops::loss::cross_entropy::{Loss, LossOptions};

/// Losses that may be outstanding: enough that steps of a fraction of a millisecond are not waited for often, few enough that an interrupt is answered soon.
pub(super) const SLOTS: usize = 128;
/// Rows that a block of threads takes in `kernels/softmax_cross_entropy.cu` and `kernels/evaluate.cu`, and its threads.
const BLOCK_ROWS: u32 = 8;
const ROW_THREADS: u32 = 128;

/// A loss as the kernels write it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    objective: f64,
    cross_entropy_sum: f64,
    correct: u64,
}

// SAFETY: plain numbers, laid out as `Loss` in kernels/common.cuh.
unsafe impl DeviceRepr for Sum {}
// SAFETY: plain numbers.
unsafe impl ValidAsZeroBits for Sum {}

impl From<Sum> for Loss {
    fn from(sum: Sum) -> Self {
        Loss {
            objective: sum.objective,
            cross_entropy_sum: sum.cross_entropy_sum,
            correct: sum.correct as usize,
        }
    }
}

/// The losses of a network's batches.
pub(super) struct Losses {
    /// One a batch that was started; the last one is of [`Losses::one`].
    slots: Memory<Sum>,
    started: usize,
    /// Where slots are read to.
    host: Vec<Sum>,
    /// 1 from a training step's loss that is not finite on.
    diverged: Memory<u32>,
    /// One a row of the batch.
    rows: Memory<Sum>,
    /// Classes of the rows, where they are not in the backend's keeping; also what [`Losses::argmax`] finds.
    classes: Memory<u32>,
    /// The weights that were uploaded, and where.
    weights: Option<(Vec<f64>, Memory<f64>)>,
}

impl Losses {
    pub(super) fn new(device: &Arc<Device>) -> Result<Self> {
        Ok(Losses {
            slots: device.alloc(SLOTS + 1)?,
            started: 0,
            host: vec![Sum::default(); SLOTS],
            diverged: device.alloc(1)?,
            rows: device.alloc(0)?,
            classes: device.alloc(0)?,
            weights: None,
        })
    }

    /// Makes room for batches of so many rows.
    pub(super) fn reserve(&mut self, device: &Arc<Device>, rows: usize) -> Result<()> {
        if rows > self.rows.len() {
            self.rows = device.alloc(rows)?;
            self.classes = device.alloc(rows)?;
        }
        Ok(())
    }

    /// The flag that is raised by a loss that is not finite.
    pub(super) fn diverged(&self) -> Pointer<u32> {
        self.diverged.start(1)
    }

    /// Computes a loss and waits for it.
    pub(super) fn one(
        &mut self,
        device: &Arc<Device>,
        logits: &Memory<f32>,
        classes: usize,
        labels: &[u32],
        options: &LossOptions,
        dlogits: Option<&mut Memory<f32>>,
    ) -> Result<Loss> {
        let slot = self.slots.at(SLOTS, 1);
        self.launch(
            device,
            (logits, dlogits),
            classes,
            labels.into(),
            options,
            (slot, Pointer::NULL),
        )?;
        let mut all = [Sum::default(); SLOTS + 1];
        self.slots.read(&mut all)?;
        Ok(all[SLOTS].into())
    }

    /// Starts a loss, to be collected later. With `dlogits` it is that of a training step, and raises the flag if it is not finite.
    pub(super) fn start(
        &mut self,
        device: &Arc<Device>,
        logits: &Memory<f32>,
        classes: usize,
        labels: Labels<'_, KeptSamples>,
        options: &LossOptions,
        dlogits: Option<&mut Memory<f32>>,
    ) -> Result<()> {
        if self.started == SLOTS {
            return Err(device.error(format!("more than {SLOTS} losses are outstanding")));
        }
        let diverged = match dlogits {
            Some(_) => self.diverged(),
            None => Pointer::NULL,
        };
        let slot = self.slots.at(self.started, 1);
        let numbers = (logits, dlogits);
        self.launch(device, numbers, classes, labels, options, (slot, diverged))?;
        self.started += 1;
        Ok(())
    }

    /// Waits for the losses that were started, and takes the flag down.
    pub(super) fn collect(&mut self, losses: &mut Vec<Loss>) -> Result<()> {
        if self.started == 0 {
            return Ok(());
        }
        let host = &mut self.host[..self.started];
        self.slots.read(host)?;
        self.started = 0;
        losses.extend(host.iter().map(|&sum| Loss::from(sum)));
        match host.iter().all(|sum| sum.objective.is_finite()) {
            true => Ok(()),
            false => self.diverged.clear(),
        }
    }

    fn launch(
        &mut self,
        device: &Arc<Device>,
        (logits, dlogits): (&Memory<f32>, Option<&mut Memory<f32>>),
        classes: usize,
        labels: Labels<'_, KeptSamples>,
        options: &LossOptions,
        (slot, diverged): (Pointer<Sum>, Pointer<u32>),
    ) -> Result<()> {
        let rows = labels.classes.len();
        let all = rows * classes;
        self.reserve(device, rows)?;
        let label_row = match labels.kept {
            Some((kept, first)) => kept.classes(first, rows),
            None => {
                self.classes.write(labels.classes)?;
                self.classes.start(rows)
            }
        };
        let weights = self.weights(device, options)?;
        let weight = |c: usize| options.class_weights.as_ref().map_or(1.0, |w| w[c]);
        let weight_sum: f64 = (0..classes).map(weight).sum();
        let label_weights: f64 = labels.classes.iter().map(|&y| weight(y as usize)).sum();
        let inverse = if label_weights > 0.0 {
            1.0 / label_weights
        } else {
            0.0
        };
        let dlogits = dlogits.map_or(Pointer::NULL, |d| d.start(all));
        let [n, classes] = [size(device, rows)?, size(device, classes)?];
        let (each, total) = (
            &device.kernels.softmax_cross_entropy,
            &device.kernels.loss_total,
        );
        // SAFETY: memory of the sizes that rows and classes say, the classes below their number; the types are the kernels'.
        unsafe {
            launch!(
                device,
                each,
                [n.div_ceil(BLOCK_ROWS), 1],
                [ROW_THREADS, 1],
                dlogits,
                self.rows.start(rows),
                logits.start(all),
                label_row,
                weights,
                n,
                classes,
                options.label_smoothing,
                weight_sum,
                inverse
            )?;
            let rows = self.rows.start(rows);
            launch!(device, total, [1, 1], [THREADS, 1], slot, diverged, rows, n)
        }
    }

    /// Where the class weights are, uploaded when they change.
    fn weights(&mut self, device: &Arc<Device>, options: &LossOptions) -> Result<Pointer<f64>> {
        let Some(wanted) = &options.class_weights else {
            return Ok(Pointer::NULL);
        };
        let current = matches!(&self.weights, Some((known, _)) if known == wanted);
        if !current {
            self.weights = Some((wanted.clone(), device.upload(wanted)?));
        }
        let memory = self.weights.as_ref().map(|(_, m)| m.start(wanted.len()));
        Ok(memory.unwrap_or(Pointer::NULL))
    }

    /// The most probable class of each row.
    pub(super) fn argmax(
        &mut self,
        device: &Arc<Device>,
        logits: &Memory<f32>,
        classes: usize,
        winners: &mut [u32],
    ) -> Result<()> {
        let rows = winners.len();
        self.reserve(device, rows)?;
        let [n, width] = [size(device, rows)?, size(device, classes)?];
        let grid = [n.div_ceil(BLOCK_ROWS), 1];
        let (found, logits) = (self.classes.start(rows), logits.start(rows * classes));
        let kernel = &device.kernels.argmax;
        // SAFETY: memory of the sizes that rows and classes say; the types are the kernel's.
        unsafe {
            launch!(
                device,
                kernel,
                grid,
                [ROW_THREADS, 1],
                found,
                logits,
                n,
                width
            )?
        };
        self.classes.read(winners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kernels/common.cuh says of `Loss`.
    #[test]
    fn sums_are_laid_out_as_in_the_kernels() {
        assert_eq!(size_of::<Sum>(), 24);
        assert_eq!(std::mem::offset_of!(Sum, correct), 16);
    }
}
