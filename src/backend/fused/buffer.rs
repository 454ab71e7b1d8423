//! Buffers that begin on a cache line.

use std::ops::{Deref, DerefMut};

use crate::gemm::{Line, Operand, PANEL};

/// Whole panel rows of f32: a vector of them never crosses a cache line.
#[derive(Clone, Debug, Default)]
pub struct Buffer(Vec<Line>);

impl Buffer {
    /// Zeros, `len` or somewhat more.
    pub(super) fn zeros(len: usize) -> Self {
        // The system gives zeroed memory page by page, when it is first used.
        let lines = Box::<[Line]>::new_zeroed_slice(len.div_ceil(PANEL));
        // SAFETY: a line is an array of floats, and a float of zero bits is 0.
        Buffer(unsafe { lines.assume_init() }.into_vec())
    }

    /// What it holds, as operands of a product.
    pub(super) fn operands<E: Operand>(&self) -> &[E] {
        E::of(&self.0)
    }

    /// As [`Buffer::operands`], to write.
    pub(super) fn operands_mut<E: Operand>(&mut self) -> &mut [E] {
        E::of_mut(&mut self.0)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.operands()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.operands_mut()
    }
}
