//! Buffers that begin on a cache line, and how the members of a team share them.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};

use crate::gemm::kernel::{Operand, PANEL};
use crate::gemm::pack::Line;

/// Whole panel rows of f32: a vector of them never crosses a cache line.
#[derive(Clone, Debug, Default)]
pub struct Buffer(Vec<Line>);

impl Buffer {
    /// Zeros, `len` or somewhat more.
    pub(super) fn zeros(len: usize) -> Self {
        Buffer(vec![Line::default(); len.div_ceil(PANEL)])
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

/// A buffer whose parts the members of a team use, each its own, and all only after a barrier.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a, E = f32> {
    start: *mut E,
    len: usize,
    lifetime: PhantomData<&'a mut [E]>,
}

// SAFETY: a handle does nothing by itself; whoever takes parts of it promises that they are not another member's.
unsafe impl<E: Operand> Send for Shared<'_, E> {}
// SAFETY: as above.
unsafe impl<E: Operand> Sync for Shared<'_, E> {}

impl<'a, E: Operand> Shared<'a, E> {
    pub(super) fn new(all: &'a mut [E]) -> Self {
        Shared {
            start: all.as_mut_ptr(),
            len: all.len(),
            lifetime: PhantomData,
        }
    }

    /// A buffer that nobody takes a part of.
    pub(super) fn read_only(all: &'a [E]) -> Self {
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
    pub(super) unsafe fn part(self, range: Range<usize>) -> &'a mut [E] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the buffer; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// A part to read.
    ///
    /// # Safety
    /// Until the next barrier nobody writes any of it.
    pub(super) unsafe fn read(self, range: Range<usize>) -> &'a [E] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the buffer; unchanged by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }

    /// The address of an element.
    pub(super) fn at(self, index: usize) -> *mut E {
        assert!(index <= self.len);
        self.start.wrapping_add(index)
    }
}
