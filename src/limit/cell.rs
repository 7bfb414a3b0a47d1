//! The counter of one identity under one quota, and the lock around it.

use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard};

use super::algorithm::{self, Decision, State};
use super::identity::{Identity, Kept, Parts};
use super::quota::{Algorithm, Quota};
use crate::Timestamp;

/// A limiter that can't tell. Nobody is let in on its word.
#[derive(Debug, thiserror::Error)]
#[error("a rate limit's counter was left locked by a panic")]
pub(crate) struct LimitError;

/// What a counter is for: whom, and under which quota.
///
/// One counter for several quotas would have to cut its count to the smaller one, or to the shorter
/// window, and so give back what was taken of the other: who alternates would take without end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account<'a> {
    owner: Parts<'a>,
    quota: Quota,
}

impl<'a> Account<'a> {
    pub(crate) fn new(owner: &'a Identity<'_>, quota: &Quota) -> Self {
        Self { owner: owner.parts(), quota: *quota }
    }
}

impl Hash for Account<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.quota.mixed());
        self.owner.hash(state);
    }
}

/// The counter of one account, shared by all who hold it.
#[derive(Debug)]
pub(crate) struct Cell {
    identity: Kept,
    quota: PackedQuota,
    counter: Mutex<Counter>,
}

impl Cell {
    pub(crate) fn new(account: Account<'_>) -> Self {
        Self {
            identity: Kept::new(account.owner),
            quota: PackedQuota::new(&account.quota),
            counter: Mutex::default(),
        }
    }

    pub(crate) fn account(&self) -> Account<'_> {
        Account { owner: self.identity.parts(), quota: self.quota.get() }
    }

    /// True when it counts for that account.
    #[inline]
    pub(crate) fn is(&self, account: Account<'_>) -> bool {
        self.quota.get() == account.quota && self.identity.is(account.owner)
    }

    #[cfg(test)]
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
        let consumed = |state| algorithm::consumed(&self.quota.get(), state, now.as_nanos());
        self.lock().map_or(0, |counter| consumed(counter.state()))
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

/// A [`State`] in 21 bytes: a table of a million callers must stay small. It knows no quota, and is
/// only ever asked under the one of its cell.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    last: Packed<8>,
    past: Packed<7>,
    used: Packed<5>,
    evicted: bool,
}

impl Counter {
    /// True when the table has dropped it, so that what is counted here is counted nowhere.
    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted
    }

    /// What taking `cost` would give.
    #[inline(always)]
    pub(crate) fn decide(&self, quota: &Quota, now: Timestamp, cost: u64) -> (State, Decision) {
        algorithm::decide(quota, self.state(), now.as_nanos(), cost)
    }

    /// Takes `cost` if it fits.
    #[inline]
    pub(crate) fn take(&mut self, quota: &Quota, now: Timestamp, cost: u64) -> Decision {
        let (state, decision) = self.decide(quota, now, cost);
        self.keep(state);
        decision
    }

    #[inline]
    pub(super) fn keep(&mut self, state: State) {
        self.last = Packed::new(state.last);
        self.past = Packed::new(state.past);
        self.used = Packed::new(state.used);
    }

    #[inline]
    pub(super) fn state(&self) -> State {
        State { last: self.last.get(), used: self.used.get(), past: self.past.get() }
    }
}

/// A [`Quota`] in 11 bytes.
#[derive(Debug)]
struct PackedQuota {
    limit: Packed<5>,
    millis: Packed<5>,
    algorithm: Algorithm,
}

impl PackedQuota {
    fn new(quota: &Quota) -> Self {
        let (limit, millis) = (Packed::new(quota.limit()), Packed::new(quota.millis()));
        Self { limit, millis, algorithm: quota.algorithm() }
    }

    #[inline]
    fn get(&self) -> Quota {
        Quota::restored(self.limit.get(), self.millis.get(), self.algorithm)
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
