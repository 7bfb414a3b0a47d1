//! One identity's counter, and the lock around it.

use std::sync::{Mutex, MutexGuard};

use super::algorithm::{self, Decision, State};
use super::identity::{Kept, Parts};
use super::quota::{Algorithm, Quota};
use crate::Timestamp;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// A limiter that can't tell. Nobody is let in on its word.
#[derive(Debug, thiserror::Error)]
#[error("a rate limit's counter was left locked by a panic")]
pub(crate) struct LimitError;

/// The counter of one identity, shared by all who hold it.
#[derive(Debug)]
pub(crate) struct Cell {
    identity: Kept,
    counter: Mutex<Counter>,
}

impl Cell {
    pub(crate) fn new(identity: Parts<'_>) -> Self {
        Self { identity: Kept::new(identity), counter: Mutex::default() }
    }

    pub(crate) fn identity(&self) -> &Kept {
        &self.identity
    }

    /// The counter, until the guard is dropped.
    #[inline]
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, Counter>, LimitError> {
        self.counter.lock().map_err(|_| LimitError)
    }

    /// What it has consumed of its quota; a counter that nobody can use any more counts as new.
    pub(super) fn consumed(&self, now: Timestamp) -> u64 {
        self.lock().map_or(0, |counter| counter.consumed(now))
    }

    /// Tells all holders to ask the table again.
    pub(super) fn evict(&self) {
        self.set_evicted(true);
    }

    /// Takes it back with the count it had.
    pub(super) fn restore(&self) {
        self.set_evicted(false);
    }

    fn set_evicted(&self, evicted: bool) {
        if let Ok(mut counter) = self.lock() {
            counter.evicted = evicted;
        }
    }

    #[cfg(test)]
    pub(super) fn poison(&self) {
        let spoil = || {
            let _guard = self.counter.lock();
            panic!("poisons the counter on purpose");
        };
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(spoil));
    }
}

/// A [`State`] and the quota under which it was counted, in 32 bytes: a table of a million callers
/// must stay small, and must be able to tell what each of its counters is worth.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    last: u64,
    past: Packed<7>,
    used: Packed<5>,
    limit: Packed<5>,
    window: Packed<5>,
    algorithm: Algorithm,
    evicted: bool,
}

impl Counter {
    /// True when the table has dropped it, so that what is counted here is counted nowhere.
    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted
    }

    /// What taking `cost` would give.
    #[inline]
    pub(crate) fn decide(&self, quota: &Quota, now: Timestamp, cost: u64) -> (State, Decision) {
        algorithm::decide(quota, self.state_under(quota), now.as_nanos(), cost)
    }

    /// Takes `cost` if it fits.
    #[inline]
    pub(crate) fn take(&mut self, quota: &Quota, now: Timestamp, cost: u64) -> Decision {
        let (state, decision) = self.decide(quota, now, cost);
        self.keep(quota, state);
        decision
    }

    #[inline]
    pub(crate) fn keep(&mut self, quota: &Quota, state: State) {
        self.last = state.last;
        self.past = Packed::new(state.past);
        self.used = Packed::new(state.used);
        self.limit = Packed::new(quota.limit());
        self.window = Packed::new(quota.millis());
        self.algorithm = quota.algorithm();
    }

    fn consumed(&self, now: Timestamp) -> u64 {
        let (limit, window) = (self.limit.get(), self.window.get());
        if limit == 0 {
            return 0;
        }
        let quota = Quota::restored(limit, window, self.algorithm);
        algorithm::consumed(&quota, self.state(), now.as_nanos())
    }

    fn state(&self) -> State {
        State { last: self.last, used: self.used.get(), past: self.past.get() }
    }

    /// What `past` says depends on the algorithm, and for GCRA on the window: where they differ it
    /// becomes permits taken. So a caller whose quota changes keeps its count, at most one permit
    /// too high, and clamped to the new limit.
    #[inline]
    fn state_under(&self, quota: &Quota) -> State {
        let state = self.state();
        let same_window = self.window.get() * NANOS_PER_MILLI == quota.nanos();
        match self.algorithm {
            Algorithm::Gcra if self.algorithm == quota.algorithm() && same_window => state,
            Algorithm::Gcra => State { used: state.used + state.past.min(1), past: 0, ..state },
            now if now == quota.algorithm() => state,
            _ => State { used: state.used + state.past, past: 0, ..state },
        }
    }
}

/// An unsigned integer of `BYTES` bytes.
#[derive(Clone, Copy, Debug)]
struct Packed<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Packed<BYTES> {
    #[inline]
    fn new(value: u64) -> Self {
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&value.to_le_bytes()[..BYTES]);
        Self(bytes)
    }

    #[inline]
    fn get(self) -> u64 {
        let mut bytes = [0; 8];
        bytes[..BYTES].copy_from_slice(&self.0);
        u64::from_le_bytes(bytes)
    }
}

impl<const BYTES: usize> Default for Packed<BYTES> {
    fn default() -> Self {
        Self([0; BYTES])
    }
}
