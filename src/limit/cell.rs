//! The counter of one account, in 32 bytes: two share a line of memory, and none lies across two.

use std::num::NonZeroU64;

use super::algorithm::{self, Decision, State};
use super::latch::Latch;
use super::quota::Quota;
use super::rough::Rough;
use super::sync::{AtomicU64, Ordering};
use crate::Timestamp;

/// A limiter that can't tell. Nobody is let in on its word.
#[derive(Debug, thiserror::Error)]
#[error("a rate limit's table was left locked by a panic")]
pub(crate) struct LimitError;

/// What stands for an account, which is an identity under a quota: a keyed hash of the identity, mixed
/// with a number of the quota.
///
/// One counter for several quotas would have to cut its count to the smaller one, or to the shorter
/// window, and so give back what was taken of the other: who alternates would take without end.
///
/// Without the key nobody can look for two accounts with one hash. That two of ten million have one
/// by chance, and then share a count, is as likely as one in 370,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(NonZeroU64);

impl Tag {
    /// Of the hash of an identity that nobody can foresee, and the quota.
    #[inline]
    pub(super) fn new(identity: u64, quota: &Quota) -> Self {
        Self(NonZeroU64::new(identity ^ quota.mixed()).unwrap_or(NonZeroU64::MAX))
    }

    #[inline]
    pub(super) fn bits(self) -> u64 {
        self.0.get()
    }
}

/// Of a latch's bits so many are what was used, then the number of the tenancy; the others are of the
/// quota's rough limit.
const USED: u32 = 40;
const NUMBER: u32 = 14;
/// Of the word with what is past so many are that; the others are the rest of the rough quota.
const PAST: u32 = 55;

/// A place for a counter, which belongs to one account after another, or to none.
///
/// What it holds is read and written by whoever has its latch; whom it belongs to may be looked at by
/// anybody, and is only sure under the latch.
#[derive(Debug, Default)]
#[repr(align(32))]
pub(crate) struct Cell {
    latch: Latch,
    last: AtomicU64,
    past: AtomicU64,
    /// A [`Tag`], or 0.
    tag: AtomicU64,
}

impl Cell {
    /// Whom it belongs to, as far as can be told from outside.
    #[inline]
    pub(super) fn tag(&self) -> Option<Tag> {
        NonZeroU64::new(self.tag.load(Ordering::Relaxed)).map(Tag)
    }

    /// The counter, whosever it is, until that is dropped.
    #[inline]
    pub(super) fn lock(&self) -> Counter<'_> {
        Counter { cell: self, bits: self.latch.acquire() }
    }

    /// The counter, if it is that of `tag`.
    #[inline(always)]
    pub(super) fn lock_for(&self, tag: Tag) -> Option<Counter<'_>> {
        let counter = self.lock();
        (self.tag() == Some(tag)).then_some(counter)
    }

    /// Begins to count for `tag`, in the tenancy of this number.
    pub(super) fn begin(&self, tag: Tag, quota: Rough, number: Number) {
        let mut counter = self.lock();
        let (limit, rest) = quota.parts();
        self.last.store(0, Ordering::Relaxed);
        self.past.store(rest << PAST, Ordering::Relaxed);
        counter.bits = limit << (USED + NUMBER) | u64::from(number.0) << USED;
        counter.belong_to(Some(tag));
    }

    /// Counts for nobody any more.
    pub(super) fn end(&self) {
        self.lock().belong_to(None);
    }

    /// The same, if nothing is consumed of the quota. Tells what is, roughly, in 1/2^20: in one step,
    /// since who knows the place may count at any time.
    pub(super) fn end_unless_consumed(&self, now: Timestamp) -> u64 {
        let mut counter = self.lock();
        let consumed = counter.quota().consumed(counter.state(), now.as_nanos());
        if consumed == 0 {
            counter.belong_to(None);
        }
        consumed
    }

    /// Gives its counter, and all that it has counted, to a cell that counts for nobody.
    pub(super) fn move_to(&self, other: &Self) {
        let (mut from, mut to) = (self.lock(), other.lock());
        to.bits = from.bits;
        other.last.store(self.last.load(Ordering::Relaxed), Ordering::Relaxed);
        other.past.store(self.past.load(Ordering::Relaxed), Ordering::Relaxed);
        to.belong_to(self.tag());
        from.belong_to(None);
    }
}

/// Tells the tenancies of one account from each other: a counter that was dropped is not the one that
/// the account gets when it comes back. They are taken in turn, and begin again after 2^14.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) struct Number(u16);

impl Number {
    pub(super) fn next(self) -> Self {
        Self(low(u64::from(self.0) + 1, NUMBER) as u16)
    }
}

/// A [`State`] that nobody else sees meanwhile. It knows its quota only roughly, and is only ever asked
/// under the one of its account. It is never half written: what can fail comes before.
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

    /// The same without a fork for each algorithm: where the compiler knows it, it leaves the others out.
    #[inline(always)]
    pub(super) fn take_by(&mut self, quota: &Quota, now: Timestamp, cost: u64) -> Decision {
        let (state, decision) = algorithm::decide_by(quota, self.state(), now.as_nanos(), cost);
        self.keep(state);
        decision
    }

    #[inline]
    pub(super) fn keep(&mut self, state: State) {
        let past = self.cell.past.load(Ordering::Relaxed) >> PAST << PAST | low(state.past, PAST);
        self.cell.last.store(state.last, Ordering::Relaxed);
        self.cell.past.store(past, Ordering::Relaxed);
        self.bits = self.bits >> USED << USED | low(state.used, USED);
    }

    #[inline]
    pub(super) fn state(&self) -> State {
        State {
            last: self.cell.last.load(Ordering::Relaxed),
            used: low(self.bits, USED),
            past: low(self.cell.past.load(Ordering::Relaxed), PAST),
        }
    }

    #[inline]
    pub(super) fn number(&self) -> Number {
        Number(low(self.bits >> USED, NUMBER) as u16)
    }

    fn quota(&self) -> Rough {
        let rest = self.cell.past.load(Ordering::Relaxed) >> PAST;
        Rough::of_parts(self.bits >> (USED + NUMBER), rest)
    }

    fn belong_to(&mut self, tag: Option<Tag>) {
        self.cell.tag.store(tag.map_or(0, Tag::bits), Ordering::Relaxed);
    }
}

impl Drop for Counter<'_> {
    #[inline]
    fn drop(&mut self) {
        self.cell.latch.release(self.bits);
    }
}

#[inline]
const fn low(word: u64, bits: u32) -> u64 {
    word & ((1 << bits) - 1)
}
