//! All counters of one limit: found by identity and quota, never more of them than its capacity.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::{Counter, LimitError, Number, Tag};
use super::hash_key::HashKey;
use super::identity::Identity;
use super::quota::Quota;
use super::rough::Rough;
use super::shard::{self, Shard};
use crate::{KeyDigest, Timestamp};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Counters by identity and quota. The hash is keyed, so that nobody can choose identities that
/// collide.
pub(crate) struct Table {
    id: u64,
    key: HashKey,
    shards: Box<[Shard]>,
}

/// The counter that an account had when that was last asked for. It may have had to go since: whoever
/// wants the counter has to ask [whether](Table::lock) it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    tag: Tag,
    quota: Rough,
    number: Number,
}

impl Table {
    /// Room for `capacity` counters, at least 1.
    pub(crate) fn new(capacity: u32) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { id, key: HashKey::new(), shards: shard::shards(capacity.max(1)) }
    }

    /// Tells tables apart, and gives them the order in which their counters are locked.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// With what accounts are hashed.
    #[inline]
    pub(super) fn key(&self) -> &HashKey {
        &self.key
    }

    fn tag(&self, identity: &Identity<'_>, quota: &Quota) -> Tag {
        Tag::new(self.key.of(identity), quota)
    }

    /// Where `identity` is counted under `quota`: a new place if there is none.
    #[cfg(any(test, feature = "redis"))]
    pub(crate) fn place(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
        now: Timestamp,
    ) -> Result<Place, LimitError> {
        self.place_of(self.tag(identity, quota), quota.into(), now)
    }

    /// What `count` does to the counter of `identity` under `quota`, a new one if there is none.
    pub(crate) fn count<T>(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
        now: Timestamp,
        count: impl FnOnce(Counter<'_>) -> T,
    ) -> Result<T, LimitError> {
        self.counter(self.tag(identity, quota), quota, now).map(count)
    }

    /// What `look` finds in the counter of `identity` under `quota`; `None` if there is none.
    pub(crate) fn look<T>(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
        look: impl FnOnce(Counter<'_>) -> T,
    ) -> Result<Option<T>, LimitError> {
        let tag = self.tag(identity, quota);
        Ok(self.shard(tag)?.find(tag)?.map(look))
    }

    /// The counter of `tag`, which is an account under `quota`; a new one if there is none.
    #[inline(always)]
    pub(super) fn counter(
        &self,
        tag: Tag,
        quota: &Quota,
        now: Timestamp,
    ) -> Result<Counter<'_>, LimitError> {
        match self.shard(tag)?.seek(tag) {
            Some(counter) => Ok(counter),
            None => self.admit(tag, quota, now),
        }
    }

    #[cold]
    fn admit(&self, tag: Tag, quota: &Quota, now: Timestamp) -> Result<Counter<'_>, LimitError> {
        let shard = self.shard(tag)?;
        loop {
            shard.admit(tag, quota.into(), now)?;
            if let Some(counter) = shard.seek(tag) {
                return Ok(counter);
            }
        }
    }

    /// The same as [`place`](Self::place), for the account of `tag`, which is one under `quota`.
    pub(super) fn place_of(
        &self,
        tag: Tag,
        quota: Rough,
        now: Timestamp,
    ) -> Result<Place, LimitError> {
        let shard = self.shard(tag)?;
        let number = match shard.seek(tag) {
            Some(counter) => counter.number(),
            None => shard.admit(tag, quota, now)?,
        };
        Ok(Place { tag, quota, number })
    }

    /// Where the account of `lost` is counted now: where it always was, if it was just being moved, or
    /// else where it has consumed nothing.
    #[cold]
    pub(crate) fn readmit(&self, lost: &Place, now: Timestamp) -> Result<Place, LimitError> {
        self.place_of(lost.tag, lost.quota, now)
    }

    /// The counter of that place; `None` if it had to go, or is just being moved.
    #[inline]
    pub(crate) fn lock(&self, place: &Place) -> Result<Option<Counter<'_>>, LimitError> {
        let counter = self.shard(place.tag)?.seek(place.tag);
        Ok(counter.filter(|counter| counter.number() == place.number))
    }

    /// Lets `settle` change the counter of that place; nothing if it had to go: one that came instead
    /// knows nothing of what is to be settled.
    pub(crate) fn settle(
        &self,
        place: &Place,
        settle: impl FnOnce(Counter<'_>),
    ) -> Result<(), LimitError> {
        let found = self.shard(place.tag)?.find(place.tag)?;
        found.filter(|counter| counter.number() == place.number).map(settle);
        Ok(())
    }

    #[inline]
    fn await_tag(&self, tag: Tag) {
        if let Ok(shard) = self.shard(tag) {
            shard.await_tag(tag);
        }
    }

    /// True while all of it is near the processor in any case.
    #[inline]
    fn is_near(&self) -> bool {
        self.shards.first().is_none_or(Shard::is_near)
    }

    /// The shard of `tag`, unless a panic has left its lock.
    #[inline]
    fn shard(&self, tag: Tag) -> Result<&Shard, LimitError> {
        // The low bits place a counter inside the shard.
        let index = ((tag.bits() >> 32) * self.shards.len() as u64) >> 32;
        self.shards.get(index as usize).filter(|shard| shard.is_sound()).ok_or(LimitError)
    }

    #[cfg(test)]
    pub(super) fn find(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
    ) -> Result<Option<Place>, LimitError> {
        let tag = self.tag(identity, quota);
        let found = self.shard(tag)?.find(tag)?;
        Ok(found.map(|counter| Place { tag, quota: quota.into(), number: counter.number() }))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.shards.iter().map(Shard::allocated).sum()
    }

    #[cfg(test)]
    pub(super) fn poison(&self) {
        self.shards.iter().for_each(Shard::poison);
    }
}

/// The way from a key's digest to its counter, where nothing else is asked for.
#[derive(Clone, Debug)]
pub(super) struct Lead {
    pub(super) table: Arc<Table>,
    pub(super) quota: Quota,
}

impl Lead {
    /// Begins to read the counter: if it is far away, it is there when the key's record is, which takes
    /// as long to come.
    #[inline]
    pub(super) fn follow(&self, digest: &KeyDigest) {
        let Self { table, quota } = self;
        if !table.is_near() {
            table.await_tag(Tag::new(table.key.of_key(digest), quota));
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("id", &self.id).finish_non_exhaustive()
    }
}
