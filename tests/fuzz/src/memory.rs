//! The memory that reading takes, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, with a count of the bytes in use and of the most that were.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    let used = USED.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(used, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What reading may take besides 4 times the expanded size of a file, in bytes.
const FIXED: usize = 50_000_000;

/// How much Deflate packs at most.
const MAX_RATIO: usize = 1032;

/// The most bytes to which a file may expand: what is not packed by gzip or in a ZIP archive has its own size.
pub(crate) fn expanded(file: &[u8]) -> usize {
    let is_packed = file.starts_with(b"\x1f\x8b") || file.starts_with(b"PK");
    file.len() * if is_packed { MAX_RATIO } else { 1 }
}

/// Calls `read`, and checks that it takes at most 4 times the expanded size of what it reads, plus 50 MB.
pub(crate) fn bounded<T>(expanded: usize, read: impl FnOnce() -> T) -> T {
    let before = USED.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = read();
    let taken = PEAK.load(Ordering::Relaxed).saturating_sub(before);
    assert!(
        taken <= 4 * expanded + FIXED,
        "{taken} bytes of memory for {expanded} bytes"
    );
    result
}
