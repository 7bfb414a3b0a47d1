//! What an operator wants to know of an issuer's keys.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How the keys of an issuer stand: gauges of now, and counters since they were made.
///
/// [`is_failing`](Self::is_failing) is the one to watch: while it is set, the provider can't be had,
/// and when [`usable_for`](Self::usable_for) has run out, every token is refused with 503.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteStats {
    /// Gauge: keys that are used, one for each algorithm that a JWK serves.
    pub keys: usize,
    /// Gauge: keys of the set that are not used; the event of the fetch says why.
    pub skipped: usize,
    /// Gauge: how long ago the provider was asked the question whose answer the keys are.
    pub age: Option<Duration>,
    /// Gauge: for how long the keys may be used still, if no fetch succeeds. `None`: no longer.
    pub usable_for: Option<Duration>,
    /// Gauge: whether the last fetch failed.
    pub is_failing: bool,
    /// Gauge: requests that wait for a fetch.
    pub waiting: usize,
    /// Fetches that were begun, of metadata and keys as one.
    pub fetches: u64,
    /// Of them, those that were answered with 304.
    pub not_modified: u64,
    /// Of them, those that brought no keys.
    pub failures: u64,
    /// Tokens that were refused because no key has their `kid`, of those whose claims are good. Many
    /// of them are an attack, or a provider that uses keys before it publishes them.
    pub unknown_kids: u64,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) fetches: Count,
    pub(super) not_modified: Count,
    pub(super) failures: Count,
    pub(super) unknown_kids: Count,
}

#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
