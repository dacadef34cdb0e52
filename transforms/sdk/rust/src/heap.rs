//! The allocator of modules: Rust's own, which counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Rust's allocator, counting how often it gave memory.
pub struct Heap(Cell<u64>);

// A module has one thread.
unsafe impl Sync for Heap {}

impl Heap {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Heap(Cell::new(0))
    }

    /// leat_allocations.
    pub fn allocations(&self) -> u64 {
        self.0.get()
    }

    #[inline]
    fn count(&self) {
        self.0.set(self.0.get() + 1)
    }
}

unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count();
        System.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count();
        System.alloc_zeroed(layout)
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.count();
        System.realloc(at, layout, size)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        System.dealloc(at, layout)
    }
}
