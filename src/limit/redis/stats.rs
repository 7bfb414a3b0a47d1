//! What became of the requests that a server was to count.

use std::sync::atomic::{AtomicU64, Ordering};

/// What [`RedisCounters::stats`](super::RedisCounters::stats) tells: counts since the start, of one
/// process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisStats {
    /// Round trips to the server that were answered, those of background work included.
    pub round_trips: u64,
    /// Round trips that failed or were not answered in time.
    pub failures: u64,
    /// How often the server was given up until it answers again.
    pub opened: u64,
    /// True while it is given up.
    pub is_away: bool,
    /// Requests that leased and approximate limits let in by themselves.
    pub local: u64,
    /// Requests refused because the server was away: [`Away::Refuse`](super::Away::Refuse), and failed
    /// authentications that could not be counted.
    pub refused: u64,
    /// Limits passed over because it was away: [`Away::Allow`](super::Away::Allow).
    pub allowed: u64,
    /// Limits counted in memory because it was away: [`Away::Share`](super::Away::Share).
    pub shared: u64,
    /// Units that slots have given back: of leased slices, and of reservations that approximate
    /// limits had told of.
    pub given_back: u64,
    /// Round trips beside the requests that failed or were not answered in a second, and were to
    /// settle estimates, to give back what was taken for a request that another limit refused, or to
    /// tell that one has ended. An estimate stays taken then until its window ends, what was spent
    /// beyond it is not taken, and a request is taken to run until its lease ends.
    pub unsettled: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) round_trips: Count,
    pub(super) failures: Count,
    pub(super) opened: Count,
    pub(super) local: Count,
    pub(super) refused: Count,
    pub(super) allowed: Count,
    pub(super) shared: Count,
    pub(super) given_back: Count,
    pub(super) unsettled: Count,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    pub(super) fn stats(&self, is_away: bool) -> RedisStats {
        RedisStats {
            round_trips: self.round_trips.get(),
            failures: self.failures.get(),
            opened: self.opened.get(),
            is_away,
            local: self.local.get(),
            refused: self.refused.get(),
            allowed: self.allowed.get(),
            shared: self.shared.get(),
            given_back: self.given_back.get(),
            unsettled: self.unsettled.get(),
        }
    }
}
