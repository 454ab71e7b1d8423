//! Samples on the device: uploaded once, gathered into batches there.

use std::ops::Range;
use std::sync::Arc;

use super::device::{CudaDevice, KernelArgument, Memory, Pointer, launch};
use super::{THREADS, loss, size};
use crate::backend::DeviceDataset;
use crate::data::batches::Augmentation;
use crate::data::{Features, ImageShape, Normalizer, Samples};
use crate::error::{Error, Result};
use crate::ops::loss::Targets;
use crate::rng;

/// Samples on a device, and the order in which batches take them.
pub struct CudaDataset {
    device: Arc<CudaDevice>,
    table: Arc<UploadedTable>,
    rows: Memory<u32>,
    classes: Memory<u32>,
}

/// The samples' values as they were stored, and how they are normalised.
struct UploadedTable {
    values: UploadedValues,
    width: usize,
    samples: usize,
    scale: Memory<f32>,
    shift: Memory<f32>,
}

/// Pixels or numbers in the device's memory.
enum UploadedValues {
    U8(Memory<u8>),
    F32(Memory<f32>),
}

/// An augmentation as the kernels take it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct AugmentArguments {
    seed: [u32; 2],
    epoch: u32,
    height: u32,
    width: u32,
    flip: u32,
    shift: u32,
    noise: f64,
}

// SAFETY: the layout of `Augment` in kernels/input.cu.
unsafe impl KernelArgument for AugmentArguments {}

impl CudaDataset {
    /// Uploads samples. Doubles stay on the host, which normalises them before it rounds them.
    pub(super) fn new(
        device: &Arc<CudaDevice>,
        samples: &Samples,
        normalizer: &Normalizer,
    ) -> Result<Option<Self>> {
        let values = match &samples.features {
            Features::U8(values) => UploadedValues::U8(device.upload(values)?),
            Features::F32(values) => UploadedValues::F32(device.upload(values)?),
            Features::F64(_) => return Ok(None),
        };
        let single = |values: &[f64]| -> Vec<f32> { values.iter().map(|&x| x as f32).collect() };
        let table = UploadedTable {
            values,
            width: samples.width,
            samples: samples.len(),
            scale: device.upload(&single(&normalizer.scale))?,
            shift: device.upload(&single(&normalizer.shift))?,
        };
        Self::of(device, Arc::new(table)).map(Some)
    }

    fn of(device: &Arc<CudaDevice>, table: Arc<UploadedTable>) -> Result<Self> {
        Ok(CudaDataset {
            device: device.clone(),
            table,
            rows: device.alloc(0)?,
            classes: device.alloc(0)?,
        })
    }

    /// Where the classes of `count` rows are, from the place `first` of the order on.
    pub(super) fn classes(&self, first: usize, count: usize) -> Pointer<u32> {
        self.classes.at(first, count)
    }
}

impl DeviceDataset<Memory<f32>> for CudaDataset {
    fn share(&self) -> Result<Self> {
        Self::of(&self.device, self.table.clone())
    }

    fn set_order(&mut self, rows: &[u32], targets: Targets<'_>) -> Result<()> {
        let samples = self.table.samples;
        if let Some(row) = rows.iter().find(|&&row| row as usize >= samples) {
            let expected = format!("rows below {samples}, the samples");
            return Err(Error::shape("order", expected, format!("row {row}")));
        }
        let classes = loss::classes(targets)?;
        if rows.len() > self.rows.len() {
            self.rows = self.device.alloc(rows.len())?;
            self.classes = self.device.alloc(rows.len())?;
        }
        self.rows.write(rows)?;
        self.classes.write(classes)
    }

    fn gather(
        &self,
        batch: Range<usize>,
        augmentation: Option<&Augmentation<'_>>,
        x: &mut Memory<f32>,
    ) -> Result<()> {
        let (device, table) = (&*self.device, &*self.table);
        let out = x.start(batch.len() * table.width);
        let rows = self.rows.at(batch.start, batch.len());
        let scale = table.scale.start(table.width);
        let shift = table.shift.start(table.width);
        let (grid, block) = ([size(device, batch.len())?, 1], [THREADS, 1]);
        let features = size(device, table.width)?;
        let k = &device.kernels;
        let (data, plain, augmented) = match &table.values {
            UploadedValues::U8(v) => (v.start(v.len()).untyped(), &k.input_u8, &k.augment_u8),
            UploadedValues::F32(v) => (v.start(v.len()).untyped(), &k.input_f32, &k.augment_f32),
        };
        let Some(augmentation) = augmentation else {
            // SAFETY: every row is one of the samples; the types are the kernel's, which is the one for these values.
            return unsafe {
                launch!(
                    device, plain, grid, block, out, data, rows, scale, shift, features
                )
            };
        };
        let changes = AugmentArguments::new(device, augmentation, table.width)?;
        // SAFETY: as above, and height × width is the number of an image's pixels.
        unsafe {
            launch!(
                device, augmented, grid, block, out, data, rows, scale, shift, features, changes
            )
        }
    }
}

impl AugmentArguments {
    fn new(device: &CudaDevice, augmentation: &Augmentation<'_>, width: usize) -> Result<Self> {
        let image = augmentation
            .image
            .unwrap_or(ImageShape { height: 1, width });
        assert_eq!(image.pixels(), width, "an image's pixels");
        let augment = augmentation.augment;
        Ok(AugmentArguments {
            seed: rng::key(augmentation.seed),
            epoch: augmentation.epoch,
            height: size(device, image.height)?,
            width: size(device, image.width)?,
            flip: augment.flip.into(),
            shift: size(device, augment.shift)?,
            noise: augment.noise,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kernels/input.cu says of `Augment`.
    #[test]
    fn augmentations_are_laid_out_as_in_the_kernels() {
        assert_eq!(size_of::<AugmentArguments>(), 40);
        assert_eq!(std::mem::offset_of!(AugmentArguments, noise), 32);
    }
}
