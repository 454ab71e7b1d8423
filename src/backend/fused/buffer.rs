//! Buffers that begin on a cache line, and how the members of a team share them.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};

use crate::gemm::kernel::PANEL;
use crate::gemm::pack::Line;

/// Whole panel rows of f32: a vector of them never crosses a cache line.
#[derive(Clone, Debug, Default)]
pub struct Buffer(Vec<Line>);

impl Buffer {
    /// Zeros, `len` or somewhat more.
    pub(super) fn zeros(len: usize) -> Self {
        Buffer(vec![Line::default(); len.div_ceil(PANEL)])
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a line is 16 floats and nothing else (`repr(C)`, size 64, alignment 64).
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * PANEL) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * PANEL) }
    }
}

/// A buffer whose parts the members of a team use, each its own, and all only after a barrier.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: a handle does nothing by itself; whoever takes parts of it promises that they are not another member's.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(super) fn new(all: &'a mut [f32]) -> Self {
        Shared {
            start: all.as_mut_ptr(),
            len: all.len(),
            lifetime: PhantomData,
        }
    }

    /// A buffer that nobody takes a part of.
    pub(super) fn read_only(all: &'a [f32]) -> Self {
        Shared {
            start: all.as_ptr().cast_mut(),
            len: all.len(),
            lifetime: PhantomData,
        }
    }

    /// A part to write.
    ///
    /// # Safety
    /// Until the next barrier nobody else reads or writes any of it, and this member holds no other reference to any of it.
    pub(super) unsafe fn part(self, range: Range<usize>) -> &'a mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the buffer; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// All of it, to read.
    ///
    /// # Safety
    /// Until the next barrier nobody writes any of it.
    pub(super) unsafe fn all(self) -> &'a [f32] {
        // SAFETY: inside the buffer; unchanged by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    /// The address of an element.
    pub(super) fn at(self, index: usize) -> *mut f32 {
        assert!(index <= self.len);
        self.start.wrapping_add(index)
    }
}
