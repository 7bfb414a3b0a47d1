//! What a cache counts. No other memory depends on it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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

    /// For the way of a hit: threads that meet here may count as one. To be exact would cost a fifth
    /// of a hit.
    #[inline]
    fn add_about(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Enough that few threads meet.
const STRIPES: usize = 16;

/// Answers from memory, counted by each thread in a place that seldom another one writes to: a
/// common one would cost two threads more than the rest of a hit.
#[derive(Default)]
pub(super) struct Hits([Stripe; STRIPES]);

/// In lines of its own; processors fetch two at a time.
#[derive(Default)]
#[repr(align(128))]
struct Stripe {
    known: Count,
    unknown: Count,
}

impl Hits {
    #[inline]
    pub(super) fn count(&self, is_known: bool) {
        let stripe = &self.0[stripe()];
        if is_known { &stripe.known } else { &stripe.unknown }.add_about();
    }

    pub(super) fn add_to(&self, totals: &mut Totals) {
        for stripe in &self.0 {
            totals.hits += stripe.known.total();
            totals.unknown_hits += stripe.unknown.total();
        }
    }
}

/// This thread's place.
#[inline]
fn stripe() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed));
    // A thread that is ending has none any more.
    NUMBER.try_with(|number| *number).unwrap_or_default() % STRIPES
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
