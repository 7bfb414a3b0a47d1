//! All counters of one limit: found by identity and quota, never more of them than its capacity.

use std::fmt;
use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::{Counter, LimitError, Number, Tag};
use super::identity::Identity;
use super::quota::Quota;
use super::rough::Rough;
use super::shard::{self, Shard};
use crate::Timestamp;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Counters by identity and quota. The hash is keyed, so that nobody can choose identities that
/// collide.
pub(crate) struct Table {
    id: u64,
    key: RandomState,
    shards: Box<[Shard]>,
}

/// Where an account was counted when that was last asked for. It is there no more when others needed
/// the room: whoever wants the counter has to ask [whether](Table::lock) it still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) tag: Tag,
    quota: Rough,
    pub(super) spot: Spot,
}

/// A slot of a shard, and the number of a tenancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    shard: u16,
    number: Number,
    slot: u32,
}

impl Place {
    pub(super) fn new(tag: Tag, quota: &Quota, spot: Spot) -> Self {
        Self { tag, quota: quota.into(), spot }
    }
}

impl From<Spot> for u64 {
    #[inline]
    fn from(spot: Spot) -> Self {
        let high = u32::from(spot.shard) << 16 | u32::from(spot.number.bits());
        Self::from(high) << 32 | Self::from(spot.slot)
    }
}

impl From<u64> for Spot {
    #[inline]
    fn from(word: u64) -> Self {
        let number = Number::of_bits((word >> 32) as u16);
        Self { shard: (word >> 48) as u16, number, slot: word as u32 }
    }
}

impl Table {
    /// Room for `capacity` counters, at least 1.
    pub(crate) fn new(capacity: u32) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { id, key: RandomState::new(), shards: shard::shards(capacity.max(1)) }
    }

    /// Tells tables apart, and gives them the order in which their counters are locked.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Where `identity` is counted under `quota`: a new place if there is none.
    pub(crate) fn place(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
        now: Timestamp,
    ) -> Result<Place, LimitError> {
        self.place_of(Tag::new(identity, quota, &self.key), quota.into(), now)
    }

    /// What `count` does to the counter of `identity` under `quota`, a new one if there is none.
    #[inline]
    pub(crate) fn count<T>(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
        now: Timestamp,
        count: impl FnOnce(Counter<'_>) -> T,
    ) -> Result<T, LimitError> {
        let tag = Tag::new(identity, quota, &self.key);
        let shard = self.sound(self.shard_of(tag))?;
        loop {
            if let Some((_, counter)) = shard.seek(tag) {
                return Ok(count(counter));
            }
            shard.admit(tag, quota.into(), now)?;
        }
    }

    /// What `look` finds in the counter of `identity` under `quota`; `None` if there is none.
    pub(crate) fn look<T>(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
        look: impl FnOnce(Counter<'_>) -> T,
    ) -> Result<Option<T>, LimitError> {
        let tag = Tag::new(identity, quota, &self.key);
        let found = self.sound(self.shard_of(tag))?.find(tag)?;
        Ok(found.map(|(_, counter)| look(counter)))
    }

    /// Where the account of `lost` is counted now: where it was moved to, in a place that it was given
    /// since, or else in a new one, where it has consumed nothing.
    #[cold]
    pub(crate) fn readmit(&self, lost: &Place, now: Timestamp) -> Result<Place, LimitError> {
        self.place_of(lost.tag, lost.quota, now)
    }

    /// The counter of the account whose place it is; `None` if it is not there any more, or had to go
    /// meanwhile.
    #[inline]
    pub(crate) fn lock(&self, place: &Place) -> Result<Option<Counter<'_>>, LimitError> {
        let counter = self.lock_at(place.spot, place.tag)?;
        Ok(counter.filter(|counter| counter.number() == place.spot.number))
    }

    /// The counter in a slot, if it is that of `tag`, in whatever tenancy.
    #[inline(always)]
    pub(super) fn lock_at(&self, spot: Spot, tag: Tag) -> Result<Option<Counter<'_>>, LimitError> {
        Ok(self.shard(spot.shard)?.cell(spot.slot)?.lock_for(tag))
    }

    /// Lets `settle` change the very counter that had the place, wherever it is now; nothing if that
    /// had to go: one that came in its place knows nothing of what is to be settled.
    pub(crate) fn settle(
        &self,
        place: &Place,
        settle: impl FnOnce(Counter<'_>),
    ) -> Result<(), LimitError> {
        let found = match self.lock_at(place.spot, place.tag)? {
            Some(counter) => Some(counter),
            None => self.shard(place.spot.shard)?.find(place.tag)?.map(|(_, counter)| counter),
        };
        found.filter(|counter| counter.number() == place.spot.number).map(settle);
        Ok(())
    }

    fn place_of(&self, tag: Tag, quota: Rough, now: Timestamp) -> Result<Place, LimitError> {
        let index = self.shard_of(tag);
        let shard = self.sound(index)?;
        let (slot, number) = match shard.seek(tag) {
            Some((slot, counter)) => (slot, counter.number()),
            None => shard.admit(tag, quota, now)?,
        };
        Ok(Place { tag, quota, spot: Spot { shard: index, number, slot } })
    }

    #[inline]
    fn shard(&self, index: u16) -> Result<&Shard, LimitError> {
        self.shards.get(usize::from(index)).ok_or(LimitError)
    }

    /// The same, unless a panic has left its lock.
    #[inline]
    fn sound(&self, index: u16) -> Result<&Shard, LimitError> {
        self.shard(index)?.sound()
    }

    #[inline]
    fn shard_of(&self, tag: Tag) -> u16 {
        // The low bits place a counter inside the shard.
        (((tag.bits() >> 32) * self.shards.len() as u64) >> 32) as u16
    }

    #[cfg(test)]
    pub(super) fn find(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
    ) -> Result<Option<Place>, LimitError> {
        let tag = Tag::new(identity, quota, &self.key);
        let shard = self.shard_of(tag);
        Ok(self.sound(shard)?.find(tag)?.map(|(slot, counter)| {
            Place::new(tag, quota, Spot { shard, number: counter.number(), slot })
        }))
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

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("id", &self.id).finish_non_exhaustive()
    }
}
