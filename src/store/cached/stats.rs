//! What a cache has counted.

use std::time::Duration;

use super::cache::Totals;

/// How a [`Cached`](super::Cached) store stands: gauges of now, and counters since it was made.
/// Read while requests go on, its numbers are of about one moment.
///
/// [`feed_silent_for`](Self::feed_silent_for) is the one to watch: while it is set, every read goes
/// to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Gauge: keys that are kept, whether still fresh or not.
    pub known: usize,
    /// Gauge: digests that are kept of which the store has no key.
    pub unknown: usize,
    /// Gauge: for how long the feed was not heard, once that is longer than its lease or it has said
    /// itself that it failed. `None` while it is heard, and without a feed.
    pub feed_silent_for: Option<Duration>,
    /// Requests for a key that were answered from memory. Of those that threads make in the same
    /// instant a few may be missing, here and in `unknown_hits`; all other counters are exact.
    pub hits: u64,
    /// Requests for a key that is not there, answered from memory.
    pub unknown_hits: u64,
    /// Requests that were not.
    pub misses: u64,
    /// Of the misses, those that found a question for the same key under way and waited for it.
    pub coalesced: u64,
    /// Of the misses, those for which memory was not looked at, because the feed was silent.
    pub read_throughs: u64,
    /// Answers of the store.
    pub fills: u64,
    /// Failures of the store.
    pub failures: u64,
    /// Entries that had to go for others.
    pub evictions: u64,
    /// Changes that were taken in, one for each [`Invalidation`](crate::store::feed::Invalidation).
    pub invalidations: u64,
    /// Requests that were served although the store was away; see
    /// [`danger_serve_verified_during_outage`](super::Cached::danger_serve_verified_during_outage).
    pub served_in_outage: u64,
}

impl From<Totals> for CacheStats {
    fn from(totals: Totals) -> Self {
        Self {
            known: totals.known,
            unknown: totals.unknown,
            feed_silent_for: totals.silent_for.map(Duration::from_nanos),
            hits: totals.hits,
            unknown_hits: totals.unknown_hits,
            misses: totals.misses,
            coalesced: totals.coalesced,
            read_throughs: totals.read_throughs,
            fills: totals.fills,
            failures: totals.failures,
            evictions: totals.evictions,
            invalidations: totals.invalidations,
            served_in_outage: totals.served_in_outage,
        }
    }
}
