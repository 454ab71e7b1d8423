//! Prefetching: asking for memory before it is needed.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// Numbers of 4 bytes in a cache line.
const LINE: usize = 16;

/// Prefetches a number of cache lines from an address on. It is a hint, allowed at any address.
#[inline(always)]
pub(crate) fn prefetch(from: *const f32, lines: usize) {
    for line in 0..lines {
        // SAFETY: a hint, allowed at any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(line * LINE).cast()) };
    }
}
