//! What a batch is to a backend: rows for the first block, targets for the loss, and data sets that lie on the device.

use std::convert::Infallible;
use std::ops::{Deref, Range};

use crate::data::batches::Augmentation;
use crate::error::{Error, Result};
use crate::ops::loss::Targets;
use crate::real::Real;

/// Rows for a block.
#[derive(Debug)]
pub enum Input<'a, Buf, R> {
    /// Pixels of the data set, converted to `$x s_j + t_j$` where they are used.
    Pixels {
        /// All samples, row-major `[samples, inputs]`.
        data: &'a [u8],
        /// The samples of this batch.
        rows: &'a [u32],
        /// Those of the batch after it, if they are known: a backend may prefetch them.
        next: &'a [u32],
        /// s `[inputs]`.
        scale: &'a [R],
        /// t `[inputs]`.
        shift: &'a [R],
    },
    /// Numbers: the first `rows` rows of a buffer.
    Values {
        /// Row-major `[at least rows, inputs]`.
        buf: &'a Buf,
        /// Rows in use.
        rows: usize,
    },
}

impl<Buf, R> Clone for Input<'_, Buf, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Buf, R> Copy for Input<'_, Buf, R> {}

impl<Buf, R> Input<'_, Buf, R> {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Input::Pixels { rows, .. } => rows.len(),
            Input::Values { rows, .. } => *rows,
        }
    }

    /// Refuses an input whose rows do not have `inputs` values.
    ///
    /// `buffer_len` gives how many numbers the buffer of [`Input::Values`] holds.
    pub(crate) fn check(&self, inputs: usize, buffer_len: impl Fn(&Buf) -> usize) -> Result<()> {
        match *self {
            Input::Values { buf, rows } => {
                let found = buffer_len(buf);
                if rows.checked_mul(inputs).is_some_and(|len| len <= found) {
                    return Ok(());
                }
                let expected = format!("{rows} rows of {inputs} values");
                Err(Error::shape("batch", expected, format!("{found} values")))
            }
            Input::Pixels {
                data,
                rows,
                next,
                scale,
                shift,
            } => {
                if (scale.len(), shift.len()) != (inputs, inputs) {
                    let expected = format!("{inputs} values each, the network's inputs");
                    let found = format!("{} and {}", scale.len(), shift.len());
                    return Err(Error::shape("scale and shift", expected, found));
                }
                let samples = data.len() / inputs;
                let mut all = rows.iter().chain(next);
                match all.find(|&&row| row as usize >= samples) {
                    None => Ok(()),
                    Some(row) => {
                        let expected = format!("rows below {samples}, the samples");
                        Err(Error::shape("batch", expected, format!("row {row}")))
                    }
                }
            }
        }
    }
}

impl<'a, Buf: Deref<Target = [R]>, R: Real> Input<'a, Buf, R> {
    /// Converts pixels to `converted` `[rows, inputs]`; numbers need no conversion.
    pub(super) fn convert(self, inputs: usize, converted: &mut [R]) {
        if let Input::Pixels {
            data,
            rows,
            scale,
            shift,
            ..
        } = self
        {
            for (out, &row) in converted.chunks_exact_mut(inputs).zip(rows) {
                let pixels = &data[row as usize * inputs..][..inputs];
                for j in 0..inputs {
                    out[j] = R::from_u8(pixels[j]) * scale[j] + shift[j];
                }
            }
        }
    }

    /// The rows as numbers `[rows, inputs]`: [`Input::convert`] has converted pixels.
    pub(super) fn numbers(self, inputs: usize, converted: &'a [R]) -> &'a [R] {
        let values = match self {
            Input::Pixels { .. } => converted,
            Input::Values { buf, .. } => buf,
        };
        &values[..self.rows() * inputs]
    }
}

/// The targets of a batch's rows.
#[derive(Debug)]
pub struct BatchTargets<'a, D> {
    host: Targets<'a>,
    members: usize,
    uploaded: Option<(&'a D, usize)>,
}

impl<'a, D> BatchTargets<'a, D> {
    /// `host`, which are also on the device if a data set was uploaded: with its order, from a place in it on.
    pub(crate) fn new(host: Targets<'a>, uploaded: Option<(&'a D, usize)>) -> Self {
        BatchTargets {
            host,
            members: 1,
            uploaded,
        }
    }

    /// For the outputs of one of so many members, the mean of whose losses is minimised.
    pub(crate) fn for_members(self, members: usize) -> Self {
        BatchTargets { members, ..self }
    }

    /// The members whose losses are averaged: the gradient of one's loss is divided by their number.
    pub fn members(&self) -> usize {
        self.members
    }

    /// The targets in this program's memory.
    pub fn host(&self) -> Targets<'a> {
        self.host
    }

    /// The data set on the device that holds them with its order, and from which place on.
    pub fn uploaded(&self) -> Option<(&'a D, usize)> {
        self.uploaded
    }
}

impl<D> Clone for BatchTargets<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for BatchTargets<'_, D> {}

impl<'a, D> From<Targets<'a>> for BatchTargets<'a, D> {
    fn from(host: Targets<'a>) -> Self {
        BatchTargets::new(host, None)
    }
}

/// Samples that were uploaded to the device once, and the order in which batches take them.
///
/// Backends that compute in this program's memory have none: theirs is [`Infallible`].
pub trait DeviceDataset<Buf>: Send + Sized {
    /// The same samples, not copied, with a second order.
    fn share(&self) -> Result<Self>;

    /// Sets the order: rows of the samples, and their targets.
    ///
    /// # Errors
    /// If there is no such row, or the device fails.
    fn set_order(&mut self, rows: &[u32], targets: Targets<'_>) -> Result<()>;

    /// Writes the samples at the places `batch` of the order to `x` `[batch.len(), inputs]`, normalised.
    ///
    /// With an augmentation they are augmented first.
    fn gather(
        &self,
        batch: Range<usize>,
        augmentation: Option<&Augmentation<'_>>,
        x: &mut Buf,
    ) -> Result<()>;
}

impl<Buf> DeviceDataset<Buf> for Infallible {
    fn share(&self) -> Result<Self> {
        match *self {}
    }

    fn set_order(&mut self, _: &[u32], _: Targets<'_>) -> Result<()> {
        match *self {}
    }

    fn gather(&self, _: Range<usize>, _: Option<&Augmentation<'_>>, _: &mut Buf) -> Result<()> {
        match *self {}
    }
}
