//! What a cache counts. No other memory depends on it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted off the way of a hit.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) misses: Count,
    pub(super) coalesced: Count,
    pub(super) read_throughs: Count,
    pub(super) fills: Count,
    pub(super) failures: Count,
    pub(super) evictions: Count,
    pub(super) invalidations: Count,
    pub(super) served_in_outage: Count,
}

#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// For the way of a hit: two threads that meet here may count as one. To be exact would cost a
    /// fifth of a hit.
    #[inline]
    pub(super) fn add_about(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All that was counted, at about one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) known: usize,
    pub(crate) unknown: usize,
    pub(crate) hits: u64,
    pub(crate) unknown_hits: u64,
    pub(crate) misses: u64,
    pub(crate) coalesced: u64,
    pub(crate) read_throughs: u64,
    pub(crate) fills: u64,
    pub(crate) failures: u64,
    pub(crate) evictions: u64,
    pub(crate) invalidations: u64,
    pub(crate) served_in_outage: u64,
    pub(crate) silent_for: Option<u64>,
}
