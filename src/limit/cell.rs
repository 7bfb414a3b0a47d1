//! The counter of one identity under one quota, in 48 bytes.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use super::algorithm::{self, Decision, State};
use super::identity::Identity;
use super::latch::Latch;
use super::quota::{Algorithm, Quota};
use crate::Timestamp;

/// A limiter that can't tell. Nobody is let in on its word.
#[derive(Debug, thiserror::Error)]
#[error("a rate limit's table was left locked by a panic")]
pub(crate) struct LimitError;

/// What stands for an account, which is an identity under a quota: 95 bits of a keyed hash of the
/// identity, and the quota.
///
/// One counter for several quotas would have to cut its count to the smaller one, or to the shorter
/// window, and so give back what was taken of the other: who alternates would take without end.
///
/// Without the key nobody can look for two identities with one hash. That two of ten million have one
/// by chance is as likely as one in 800 million million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tag {
    hash: u64,
    /// The quota's limit, and more of the hash.
    limit: u64,
    /// The quota's window and algorithm, and more of the hash.
    window: u64,
}

/// A limit has 40 bits, a window in nanoseconds 55, an algorithm 2; the hash has the rest.
const LIMIT: u32 = 40;
const WINDOW: u32 = 55;
const QUOTA: u32 = WINDOW + 2;

impl Tag {
    /// Of nobody: no quota has a limit of 0.
    const VACANT: Self = Self { hash: 0, limit: 0, window: 0 };

    #[inline]
    pub(crate) fn new(owner: &Identity<'_>, quota: &Quota, key: &RandomState) -> Self {
        let mut hasher = key.build_hasher();
        owner.parts().hash(&mut hasher);
        let hash = hasher.finish() ^ quota.mixed();
        // A longer text, of which the hash is another.
        hasher.write_u8(1);
        let more = hasher.finish();
        let limit = quota.limit() | more << LIMIT;
        Self { hash, limit, window: window(quota) | (more >> 32) << QUOTA }
    }

    /// Where to look for it.
    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    #[inline]
    pub(crate) fn is_under(&self, quota: &Quota) -> bool {
        low(self.limit, LIMIT) == quota.limit() && low(self.window, QUOTA) == window(quota)
    }

    fn quota(&self) -> Quota {
        let algorithm = match low(self.window, QUOTA) >> WINDOW {
            0 => Algorithm::FixedWindow,
            1 => Algorithm::SlidingWindow,
            2 => Algorithm::Gcra,
            _ => Algorithm::CalendarMonth,
        };
        Quota::of_nanos(low(self.limit, LIMIT), low(self.window, WINDOW), algorithm)
    }
}

#[inline]
fn window(quota: &Quota) -> u64 {
    let algorithm: u64 = match quota.algorithm() {
        Algorithm::FixedWindow => 0,
        Algorithm::SlidingWindow => 1,
        Algorithm::Gcra => 2,
        Algorithm::CalendarMonth => 3,
    };
    quota.nanos() | algorithm << WINDOW
}

#[inline]
const fn low(word: u64, bits: u32) -> u64 {
    word & ((1 << bits) - 1)
}

/// Of a latch's bits so many are what was used; the others say how often the cell has changed hands.
const USED: u32 = 40;
const TURNS: u64 = (1 << (63 - USED)) - 1;

/// A place for a counter, which belongs to one account after another.
///
/// What it holds is read and written by whoever has its latch; only whom it belongs to may be read
/// under the lock of its shard too, without which it changes never.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    latch: Latch,
    last: AtomicU64,
    past: AtomicU64,
    hash: AtomicU64,
    limit: AtomicU64,
    window: AtomicU64,
}

impl Cell {
    /// Whom it belongs to.
    #[inline]
    pub(super) fn tag(&self) -> Tag {
        Tag {
            hash: self.hash(),
            limit: self.limit.load(Ordering::Relaxed),
            window: self.window.load(Ordering::Relaxed),
        }
    }

    #[inline]
    pub(super) fn hash(&self) -> u64 {
        self.hash.load(Ordering::Relaxed)
    }

    /// How often it has changed hands, as far as it counts that.
    pub(super) fn turn(&self) -> u32 {
        (self.latch.peek() >> USED) as u32
    }

    /// The counter, whosever it is, until that is dropped.
    #[inline]
    pub(super) fn lock(&self) -> Counter<'_> {
        Counter { cell: self, bits: self.latch.acquire() }
    }

    /// The counter, if it is still that of `tag`.
    #[inline(always)]
    pub(super) fn lock_for(&self, tag: &Tag) -> Option<Counter<'_>> {
        let counter = self.lock();
        (self.tag() == *tag).then_some(counter)
    }

    /// Begins to count for `tag`.
    pub(super) fn begin(&self, tag: Tag) {
        self.lock().change_hands(tag, 0);
    }

    /// Forgets whom it counted for, and keeps a number of its table's instead.
    pub(super) fn end(&self, kept: u32) {
        self.lock().change_hands(Tag::VACANT, kept.into());
    }

    /// The same, if nothing has been consumed of the quota. Tells what has: in one step, since who knows
    /// the place may count at any time.
    pub(super) fn end_unless_consumed(&self, now: Timestamp, kept: u32) -> u64 {
        let mut counter = self.lock();
        let quota = self.tag().quota();
        let consumed = algorithm::consumed(&quota, counter.state(), now.as_nanos());
        if consumed == 0 {
            counter.change_hands(Tag::VACANT, kept.into());
        }
        consumed
    }

    /// What [`end`](Self::end) was told to keep.
    pub(super) fn kept(&self) -> u32 {
        self.last.load(Ordering::Relaxed) as u32
    }
}

/// A [`State`] that nobody else sees meanwhile. It knows no quota, and is only ever asked under the
/// one of its account. It is never half written: what can fail comes before.
#[derive(Debug)]
pub(crate) struct Counter<'a> {
    cell: &'a Cell,
    bits: u64,
}

impl Counter<'_> {
    /// What taking `cost` would give.
    #[inline(always)]
    pub(crate) fn decide(&self, quota: &Quota, now: Timestamp, cost: u64) -> (State, Decision) {
        algorithm::decide(quota, self.state(), now.as_nanos(), cost)
    }

    /// Takes `cost` if it fits.
    #[inline(always)]
    pub(crate) fn take(&mut self, quota: &Quota, now: Timestamp, cost: u64) -> Decision {
        let (state, decision) = self.decide(quota, now, cost);
        self.keep(state);
        decision
    }

    #[inline]
    pub(super) fn keep(&mut self, state: State) {
        self.cell.last.store(state.last, Ordering::Relaxed);
        self.cell.past.store(state.past, Ordering::Relaxed);
        self.bits = self.bits >> USED << USED | low(state.used, USED);
    }

    #[inline]
    pub(super) fn state(&self) -> State {
        State {
            last: self.cell.last.load(Ordering::Relaxed),
            used: low(self.bits, USED),
            past: self.cell.past.load(Ordering::Relaxed),
        }
    }

    pub(super) fn turn(&self) -> u32 {
        (self.bits >> USED) as u32
    }

    fn change_hands(&mut self, tag: Tag, last: u64) {
        self.cell.hash.store(tag.hash, Ordering::Relaxed);
        self.cell.limit.store(tag.limit, Ordering::Relaxed);
        self.cell.window.store(tag.window, Ordering::Relaxed);
        self.bits = ((u64::from(self.turn()) + 1) & TURNS) << USED;
        self.keep(State { last, ..State::default() });
    }
}

impl Drop for Counter<'_> {
    #[inline]
    fn drop(&mut self) {
        self.cell.latch.release(self.bits);
    }
}
