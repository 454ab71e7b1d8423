//! What comes before the first block: each feature's own linear map, and the scales of an ensemble's members.
//!
//! Its numbers are row-major on every backend. Those that compute in this program's memory share these functions.

use std::ops::{DerefMut, Range};

use ndarray::{ArrayView2, ArrayViewMut2, s};

use super::{Backend, Input, LinearSlices};
use crate::error::Result;
use crate::gemm::Element;
use crate::ops::feature_linear::{
    feature_linear_backward_input, feature_linear_backward_parameters, feature_linear_forward,
};
use crate::optim::clip::SquareSum;

/// The layers before the first block, and where their tensors lie. One of the two at least is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Stem {
    /// Values in a row that comes in.
    pub inputs: usize,
    /// Values in a row that goes out.
    pub width: usize,
    /// The parts of a row, in order; empty if features are not embedded.
    pub parts: Vec<RowPart>,
    /// r `[members, width]` in the parameter buffer, if there are members.
    pub scale: Option<Range<usize>>,
    /// All of its parameters: they lie side by side.
    pub parameters: Range<usize>,
}

/// Neighbouring values of a row: those of one feature, which a linear map takes, or some that stay as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct RowPart {
    /// Where they come from.
    pub inputs: Range<usize>,
    /// Where they go to.
    pub outputs: Range<usize>,
    /// The feature's W `[outputs, inputs]` and b `[outputs]`.
    pub linear: Option<LinearSlices>,
}

/// What a stem's forward keeps for its backward, and the gradients that pass through it. All are row-major.
#[derive(Clone, Debug, Default)]
pub struct StemSaved<Buf> {
    /// The input as numbers `[capacity, inputs]`, if it came as pixels.
    input: Buf,
    /// The first block's input `[capacity, width]`, if features are embedded.
    pub out: Buf,
    /// Its gradient, the sum of the members'.
    pub d_out: Buf,
    /// That of a member after the first.
    pub d_member: Buf,
}

impl<Buf> StemSaved<Buf> {
    /// Room for batches of up to `capacity` rows, and for gradients if the network is `trained`.
    pub(super) fn new<B: Backend<Buf = Buf>>(
        backend: &B,
        stem: &Stem,
        capacity: usize,
        trained: bool,
    ) -> Result<Self> {
        let alloc = |on: bool, len: usize| backend.alloc(if on { len } else { 0 });
        let (embeds, out) = (!stem.parts.is_empty(), capacity * stem.width);
        Ok(StemSaved {
            input: alloc(embeds, capacity * stem.inputs)?,
            out: alloc(embeds, out)?,
            d_out: alloc(trained, out)?,
            d_member: alloc(trained && stem.scale.is_some(), out)?,
        })
    }
}

impl RowPart {
    /// Its linear map as a matrix.
    fn weight<'p, R>(&self, slices: &LinearSlices, params: &'p [R]) -> ArrayView2<'p, R> {
        let shape = (self.outputs.len(), self.inputs.len());
        let weight = &params[slices.weight.clone()];
        ArrayView2::from_shape(shape, weight).expect("the layout gives W its size")
    }
}

impl Stem {
    /// Fills [`StemSaved::out`].
    pub(super) fn forward<R: Element, Buf: DerefMut<Target = [R]>>(
        &self,
        x: Input<'_, Buf, R>,
        params: &[R],
        saved: &mut StemSaved<Buf>,
    ) {
        x.convert(self.inputs, &mut saved.input);
        let (len, x) = (x.rows() * self.width, x.numbers(self.inputs, &saved.input));
        self.embed(&mut saved.out[..len], x, params);
    }

    /// From [`StemSaved::d_out`] to the parameters' gradients, and to the input's if `dx` is given.
    pub(super) fn backward<R: Element, Buf: DerefMut<Target = [R]>>(
        &self,
        x: Input<'_, Buf, R>,
        [params, grads]: [&mut Buf; 2],
        saved: &StemSaved<Buf>,
        dx: Option<&mut Buf>,
    ) {
        let rows = x.rows();
        let dy = &saved.d_out[..rows * self.width];
        let dx = dx.map(|dx| &mut dx[..rows * self.inputs]);
        if self.parts.is_empty() {
            if let Some(dx) = dx {
                dx.copy_from_slice(dy);
            }
            return;
        }
        let x = x.numbers(self.inputs, &saved.input);
        self.embed_backward(x, dy, params, grads, dx);
    }

    /// Embeds the features of rows `[rows, inputs]`.
    fn embed<R: Element>(&self, y: &mut [R], x: &[R], params: &[R]) {
        let rows = x.len() / self.inputs;
        let mut y = matrix_mut(y, rows);
        let x = matrix(x, rows);
        for part in &self.parts {
            let mut y = y.slice_mut(s![.., part.outputs.clone()]);
            let x = x.slice(s![.., part.inputs.clone()]);
            match &part.linear {
                None => y.assign(&x),
                Some(slices) => {
                    let bias = &params[slices.bias.clone()];
                    feature_linear_forward(y, x, part.weight(slices, params), bias);
                }
            }
        }
    }

    /// The reverse of [`Stem::embed`].
    fn embed_backward<R: Element>(
        &self,
        x: &[R],
        dy: &[R],
        params: &[R],
        grads: &mut [R],
        dx: Option<&mut [R]>,
    ) {
        let rows = x.len() / self.inputs;
        let (x, dy) = (matrix(x, rows), matrix(dy, rows));
        let mut dx = dx.map(|dx| matrix_mut(dx, rows));
        for part in &self.parts {
            let x = x.slice(s![.., part.inputs.clone()]);
            let dy = dy.slice(s![.., part.outputs.clone()]);
            let dx = (dx.as_mut()).map(|dx| dx.slice_mut(s![.., part.inputs.clone()]));
            if let Some(slices) = &part.linear {
                let (dw, db) = grads.split_at_mut(slices.bias.start);
                let dw = &mut dw[slices.weight.clone()];
                let dw = matrix_mut(dw, part.outputs.len());
                let db = &mut db[..part.outputs.len()];
                feature_linear_backward_parameters(dw, db, dy, x);
            }
            match (dx, &part.linear) {
                (None, _) => {}
                (Some(mut dx), None) => dx.assign(&dy),
                (Some(dx), Some(slices)) => {
                    feature_linear_backward_input(dx, dy, part.weight(slices, params));
                }
            }
        }
    }

    /// Adds its gradients to the square of a norm.
    pub(super) fn add_squares<R: Element>(&self, sum: &mut SquareSum, grads: &[R]) {
        for part in &self.parts {
            if let Some(slices) = &part.linear {
                sum.add_rows(&grads[slices.weight.clone()], part.inputs.len());
                sum.add_rows(&grads[slices.bias.clone()], 1);
            }
        }
        if let Some(scale) = &self.scale {
            sum.add_rows(&grads[scale.clone()], self.width);
        }
    }
}

fn matrix<R>(values: &[R], rows: usize) -> ArrayView2<'_, R> {
    ArrayView2::from_shape((rows, values.len() / rows), values).expect("whole rows")
}

fn matrix_mut<R>(values: &mut [R], rows: usize) -> ArrayViewMut2<'_, R> {
    ArrayViewMut2::from_shape((rows, values.len() / rows), values).expect("whole rows")
}
