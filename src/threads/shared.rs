//! A slice that a team shares.

use std::marker::PhantomData;
use std::ops::Range;

use super::idle::on_team;

/// A slice whose parts the members of a team use.
///
/// A member writes its own parts, and reads what others wrote after a barrier.
#[derive(Clone, Copy)]
pub(crate) struct SharedSlice<'a, T = f32> {
    start: *mut T,
    len: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: a handle does nothing by itself. The caller of `part` promises that no other member uses that part.
unsafe impl<T: Send + Sync> Send for SharedSlice<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for SharedSlice<'_, T> {}

impl<'a, T: Send + Sync> SharedSlice<'a, T> {
    /// A slice that members may write.
    pub(crate) fn new(all: &'a mut [T]) -> Self {
        SharedSlice {
            start: all.as_mut_ptr(),
            len: all.len(),
            lifetime: PhantomData,
        }
    }

    /// A slice that members only read.
    pub(crate) fn read_only(all: &'a [T]) -> Self {
        SharedSlice {
            start: all.as_ptr().cast_mut(),
            len: all.len(),
            lifetime: PhantomData,
        }
    }

    /// A part, for members to share.
    pub(crate) fn within(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len);
        SharedSlice {
            start: self.start.wrapping_add(range.start),
            len: range.len(),
            lifetime: PhantomData,
        }
    }

    /// A part to write.
    ///
    /// # Safety
    /// The slice was not made by [`SharedSlice::read_only`].
    /// Until the next barrier no other member reads or writes any of the part.
    /// This member holds no other reference to any of it.
    pub(crate) unsafe fn part(self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the slice; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// A part to read.
    ///
    /// # Safety
    /// Until the next barrier no member writes any of it.
    pub(crate) unsafe fn read(self, range: Range<usize>) -> &'a [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the slice; unchanged by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }

    /// The address of an element.
    pub(crate) fn at(self, index: usize) -> *mut T {
        assert!(index <= self.len);
        self.start.wrapping_add(index)
    }
}

/// Divides slices of one length among a number of threads.
///
/// `body` runs once on each thread, with the range of its elements and that part of every slice. It runs on the calling
/// thread alone, with everything, where [`on_team`] does.
///
/// # Panics
/// If the slices have different lengths.
pub(crate) fn on_parts<T: Copy + Send + Sync, const N: usize>(
    threads: usize,
    slices: [&mut [T]; N],
    body: impl Fn(Range<usize>, [&mut [T]; N]) + Sync,
) {
    let len = slices.first().map_or(0, |slice| slice.len());
    assert!(slices.iter().all(|slice| slice.len() == len), "one length");
    let slices = slices.map(SharedSlice::new);
    on_team(threads, |member| {
        let own = member.share(len);
        // SAFETY: the shares of the members do not overlap.
        let parts = slices.map(|slice| unsafe { slice.part(own.clone()) });
        body(own, parts);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_one_owner() {
        for len in [0, 1, 7, 1000] {
            let (mut a, mut b) = (vec![0_u32; len], vec![0_u32; len]);
            on_parts(3, [&mut a, &mut b], |own, [a, b]| {
                for (i, (a, b)) in own.zip(a.iter_mut().zip(b)) {
                    *a += i as u32;
                    *b += 1;
                }
            });
            assert_eq!(a, (0..len as u32).collect::<Vec<_>>());
            assert!(b.iter().all(|&b| b == 1));
        }
    }
}
