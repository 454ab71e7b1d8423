//! Prefetching: asking for memory before it is needed.
//!
//! It is a hint, allowed at any address, and nothing where a processor has no instruction for it.

/// Numbers of 4 bytes in a cache line.
const LINE: usize = 16;

/// Prefetches a number of cache lines from an address on.
#[inline(always)]
pub(crate) fn prefetch(from: *const f32, lines: usize) {
    for line in 0..lines {
        let from = from.wrapping_add(line * LINE);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint, allowed at any address.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(from.cast());
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        unsafe {
            core::arch::asm!("prfm pldl1keep, [{}]", in(reg) from, options(nostack, preserves_flags, readonly));
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let _ = from;
    }
}

/// Prefetches the cache line at an address that will be written.
#[inline(always)]
pub(crate) fn prefetch_to_write(to: *mut f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, allowed at any address.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_ET0>(to.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}]", in(reg) to, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = to;
}
