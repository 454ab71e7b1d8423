//! Losses on the device: the pending ones of many steps lie side by side until they are collected.

use std::sync::Arc;

use cudarc::driver::{DeviceRepr, ValidAsZeroBits};

use super::device::{CudaDevice, Memory, Pointer, launch};
use super::{CudaDataset, THREADS, size};
use crate::backend::BatchTargets;
use crate::error::{Error, Result};
use crate::ops::loss::cross_entropy::CrossEntropy;
use crate::ops::loss::{BatchLoss, Loss, TargetKind, Targets};

/// Losses that may be pending: enough that the host seldom waits for short steps, few enough that an interrupt is
/// answered soon.
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

impl From<Sum> for BatchLoss {
    fn from(sum: Sum) -> Self {
        BatchLoss {
            objective: sum.objective,
            plain_sum: sum.cross_entropy_sum,
            correct: sum.correct as usize,
        }
    }
}

/// The classes of targets; others, and sample weights, are refused: the kernels have cross-entropy alone.
pub(super) fn classes(targets: Targets<'_>) -> Result<&[u32]> {
    match targets {
        Targets {
            kind: TargetKind::Classes(classes),
            weights: None,
        } => Ok(classes),
        Targets {
            weights: Some(_), ..
        } => Err(refusal("sample weights (data.weight, --weight)")),
        Targets { .. } => Err(refusal("numbers or several labels (data.task, --task)")),
    }
}

fn refusal(found: &str) -> Error {
    let expected = "expected classes to learn, with cross-entropy and without sample weights";
    let message =
        format!("{expected}, found {found}; the GPU has nothing else yet, --device cpu has all");
    Error::setting("train.device (--device)", message)
}

/// The losses of a network's batches.
pub(super) struct Losses {
    /// One a pending loss.
    slots: Memory<Sum>,
    pending: usize,
    /// Where slots are read to.
    host: Vec<Sum>,
    /// 1 from a training step's loss that is not finite on.
    diverged: Memory<u32>,
    /// One a row of the batch.
    rows: Memory<Sum>,
    /// Classes of the rows, if they were not uploaded before; also what [`Losses::argmax`] finds.
    classes: Memory<u32>,
    /// The weights that were uploaded, and where.
    weights: Option<(Vec<f64>, Memory<f64>)>,
}

impl Losses {
    pub(super) fn new(device: &Arc<CudaDevice>) -> Result<Self> {
        Ok(Losses {
            slots: device.alloc(SLOTS)?,
            pending: 0,
            host: vec![Sum::default(); SLOTS],
            diverged: device.alloc(1)?,
            rows: device.alloc(0)?,
            classes: device.alloc(0)?,
            weights: None,
        })
    }

    /// Makes room for batches of this number of rows.
    pub(super) fn reserve(&mut self, device: &Arc<CudaDevice>, rows: usize) -> Result<()> {
        if rows > self.rows.len() {
            self.rows = device.alloc(rows)?;
            self.classes = device.alloc(rows)?;
        }
        Ok(())
    }

    /// The flag that a training step's loss raises if it is not finite.
    pub(super) fn flag(&self) -> Pointer<u32> {
        self.diverged.start(1)
    }

    /// Starts a loss, to be collected later. With `dlogits` it is that of a training step.
    pub(super) fn start(
        &mut self,
        device: &Arc<CudaDevice>,
        logits: &Memory<f32>,
        outputs: usize,
        targets: BatchTargets<'_, CudaDataset>,
        loss: &Loss,
        dlogits: Option<&mut Memory<f32>>,
    ) -> Result<()> {
        if self.pending == SLOTS {
            return Err(device.error(format!("more than {SLOTS} losses are pending")));
        }
        let labels = classes(targets.host())?;
        // The kernels trust the labels. A loss that fits classes is cross-entropy.
        loss.check(outputs, targets.host())?;
        let Loss::CrossEntropy(options) = loss else {
            return Err(refusal(&format!("the loss {}", loss.name())));
        };
        let uploaded = (targets.uploaded()).map(|(set, first)| set.classes(first, labels.len()));
        let numbers = (logits, dlogits);
        self.cross_entropy(device, numbers, outputs, (labels, uploaded), options)?;
        self.pending += 1;
        Ok(())
    }

    /// Waits for the pending losses, and takes the flag down.
    pub(super) fn finish(&mut self, losses: &mut Vec<BatchLoss>) -> Result<()> {
        if self.pending == 0 {
            return Ok(());
        }
        let host = &mut self.host[..self.pending];
        self.slots.read(host)?;
        self.pending = 0;
        losses.extend(host.iter().map(|&sum| BatchLoss::from(sum)));
        match host.iter().all(|sum| sum.objective.is_finite()) {
            true => Ok(()),
            false => self.diverged.clear(),
        }
    }

    /// Launches the kernels of the next slot's loss. `labels` are also on the device where `uploaded` says.
    fn cross_entropy(
        &mut self,
        device: &Arc<CudaDevice>,
        (logits, dlogits): (&Memory<f32>, Option<&mut Memory<f32>>),
        classes: usize,
        (labels, uploaded): (&[u32], Option<Pointer<u32>>),
        options: &CrossEntropy,
    ) -> Result<()> {
        let rows = labels.len();
        let all = rows * classes;
        self.reserve(device, rows)?;
        let label_row = match uploaded {
            Some(uploaded) => uploaded,
            None => {
                self.classes.write(labels)?;
                self.classes.start(rows)
            }
        };
        let weights = self.weights(device, options)?;
        let weight = |c: usize| options.class_weights.as_ref().map_or(1.0, |w| w[c]);
        let weight_sum: f64 = (0..classes).map(weight).sum();
        let label_weights: f64 = labels.iter().map(|&y| weight(y as usize)).sum();
        let inverse = if label_weights > 0.0 {
            1.0 / label_weights
        } else {
            0.0
        };
        let slot = self.slots.at(self.pending, 1);
        let (flag, dlogits) = match dlogits {
            Some(dlogits) => (self.flag(), dlogits.start(all)),
            None => (Pointer::NULL, Pointer::NULL),
        };
        let [n, classes] = [size(device, rows)?, size(device, classes)?];
        let each = &device.kernels.softmax_cross_entropy;
        let total = &device.kernels.loss_total;
        // SAFETY: memory of the sizes that rows and classes say, labels below the number of classes; the types are the
        // kernels'.
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
            launch!(device, total, [1, 1], [THREADS, 1], slot, flag, rows, n)
        }
    }

    /// Where the class weights are, uploaded when they change.
    fn weights(
        &mut self,
        device: &Arc<CudaDevice>,
        options: &CrossEntropy,
    ) -> Result<Pointer<f64>> {
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
        device: &Arc<CudaDevice>,
        logits: &Memory<f32>,
        outputs: usize,
        winners: &mut [u32],
    ) -> Result<()> {
        let rows = winners.len();
        self.reserve(device, rows)?;
        let [n, width] = [size(device, rows)?, size(device, outputs)?];
        let grid = [n.div_ceil(BLOCK_ROWS), 1];
        let (found, logits) = (self.classes.start(rows), logits.start(rows * outputs));
        let kernel = &device.kernels.argmax;
        // SAFETY: memory of the sizes that rows and outputs say; the types are the kernel's.
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
