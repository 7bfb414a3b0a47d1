//! Counts what a thread allocates, for tests and benches that hold such numbers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts. To be made the `#[global_allocator]`.
pub struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

/// What `work` gives, and how often it allocated on this thread. Growing in place counts too.
pub fn allocations<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = COUNT.get();
    let done = work();
    (done, COUNT.get() - before)
}

/// What `work` gives, and how many bytes more this thread has allocated and not freed since.
pub fn bytes<T>(work: impl FnOnce() -> T) -> (T, i64) {
    let before = BYTES.get();
    let done = work();
    (done, BYTES.get() - before)
}

fn count(taken: usize) {
    COUNT.set(COUNT.get() + 1);
    BYTES.set(BYTES.get() + taken as i64);
}

fn free(size: usize) {
    BYTES.set(BYTES.get() - size as i64);
}

// SAFETY: everything is handed to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        free(layout.size());
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        free(layout.size());
        unsafe { System.dealloc(memory, layout) }
    }
}
