//! The counter of one identity under one quota, and the lock around it.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard};

use super::algorithm::{self, Decision, State};
use super::identity::{Identity, Parts};
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

/// What stands for an account where it is kept: 80 bits of a keyed hash of the owner, and the quota.
///
/// Without the key nobody can look for two owners with one hash. That two of a million have one by
/// chance is as likely as one in two million million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    hash: Packed<8>,
    more: Packed<2>,
    quota: PackedQuota,
}

impl Tag {
    pub(crate) fn new(account: Account<'_>, key: &RandomState) -> Self {
        let mut hasher = key.build_hasher();
        account.hash(&mut hasher);
        let hash = Packed::new(hasher.finish());
        // A longer text, of which the hash is another.
        hasher.write_u8(1);
        let quota = PackedQuota::new(&account.quota);
        Self { hash, more: Packed::new(hasher.finish()), quota }
    }

    /// Where to look for it.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.get()
    }
}

/// The counter of one account, shared by all who hold it.
#[derive(Debug)]
pub(crate) struct Cell {
    tag: Tag,
    counter: Mutex<Counter>,
}

impl Cell {
    pub(crate) fn new(tag: Tag) -> Self {
        Self { tag, counter: Mutex::default() }
    }

    pub(crate) fn tag(&self) -> &Tag {
        &self.tag
    }

    /// The counter, until the guard is dropped.
    #[inline]
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, Counter>, LimitError> {
        self.counter.lock().map_err(|_| LimitError)
    }

    /// What it has consumed of its quota; a counter that nobody can use any more counts as new.
    pub(super) fn consumed(&self, now: Timestamp) -> u64 {
        let consumed = |state| algorithm::consumed(&self.tag.quota.get(), state, now.as_nanos());
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

/// A [`Quota`] in 10 bytes: the longest window, in milliseconds, leaves 5 bits of its 40.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PackedQuota {
    limit: Packed<5>,
    window: Packed<5>,
}

const BITS_OF_WINDOW: u32 = 35;

impl PackedQuota {
    fn new(quota: &Quota) -> Self {
        let algorithm: u64 = match quota.algorithm() {
            Algorithm::FixedWindow => 0,
            Algorithm::SlidingWindow => 1,
            Algorithm::Gcra => 2,
            Algorithm::CalendarMonth => 3,
        };
        let window = quota.millis() | algorithm << BITS_OF_WINDOW;
        Self { limit: Packed::new(quota.limit()), window: Packed::new(window) }
    }

    fn get(self) -> Quota {
        let window = self.window.get();
        let algorithm = match window >> BITS_OF_WINDOW {
            0 => Algorithm::FixedWindow,
            1 => Algorithm::SlidingWindow,
            2 => Algorithm::Gcra,
            _ => Algorithm::CalendarMonth,
        };
        Quota::restored(self.limit.get(), window & ((1 << BITS_OF_WINDOW) - 1), algorithm)
    }
}

/// An unsigned integer of `BYTES` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
