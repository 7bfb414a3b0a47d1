//! All counters of one limit: found by identity and quota, never more of them than its capacity.

use std::fmt;
use std::hash::RandomState;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;

use super::cell::{Cell, Counter, LimitError, Tag};
use super::identity::Identity;
use super::quota::Quota;
use super::slab::Slab;
use crate::Timestamp;

/// Twice as many at most.
const MANY_SHARDS: u32 = 64;
/// Fewer would make the choice of whom to drop a poor one.
const MIN_CELLS_PER_SHARD: u32 = 64;
/// How many counters are weighed to make room for one.
const SAMPLE: usize = 8;
/// How many at most, when all of the sample are at their limit.
const MAX_SAMPLE: usize = 512;
/// What [`Cell::end_unless_consumed`] tells of a caller at its limit.
const EXHAUSTED: u64 = 1 << 20;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Counters by identity and quota. The hash is keyed, so that nobody can choose identities that
/// collide.
pub(crate) struct Table {
    id: u64,
    slab: Slab,
    key: RandomState,
    shards: Box<[Shard]>,
}

/// Where an account was counted when that was last asked for. It is there no more when the table
/// needed the room: whoever wants the counter has to ask [whether](Table::lock) it still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) tag: Tag,
    pub(super) spot: Spot,
}

/// A slot, and the how manieth tenancy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    slot: u32,
    turn: u32,
}

impl From<Spot> for u64 {
    #[inline]
    fn from(spot: Spot) -> Self {
        Self::from(spot.turn) << 32 | Self::from(spot.slot)
    }
}

impl From<u64> for Spot {
    #[inline]
    fn from(word: u64) -> Self {
        Self { slot: word as u32, turn: (word >> 32) as u32 }
    }
}

impl Table {
    /// Room for `capacity` counters, at least 1.
    pub(crate) fn new(capacity: u32) -> Self {
        let count = shards(capacity);
        let share = |index| capacity / count + u32::from(index < capacity % count);
        let shards = (0..count).map(|index| Shard::new(share(index).max(1))).collect();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { id, slab: Slab::new(capacity.max(1)), key: RandomState::new(), shards }
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
        self.place_of(Tag::new(identity, quota, &self.key), now)
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
        let shard = self.shard(&tag)?;
        loop {
            if let Some(counter) = shard.lock(&tag, &self.slab)? {
                return Ok(count(counter));
            }
            shard.insert(tag, now, &self.slab)?;
        }
    }

    /// Where `identity` is counted under `quota`, if it is.
    pub(crate) fn find(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
    ) -> Result<Option<Place>, LimitError> {
        let tag = Tag::new(identity, quota, &self.key);
        self.shard(&tag)?.find(&tag, &self.slab)
    }

    /// Where the account of `lost` is counted now: in a place that it was given since, or else in a
    /// new one, where it has consumed nothing.
    #[cold]
    pub(crate) fn readmit(&self, lost: &Place, now: Timestamp) -> Result<Place, LimitError> {
        self.place_of(lost.tag, now)
    }

    /// The counter of the account whose place it is; `None` if it has lost that, be it that it has come
    /// back to the very slot: what is given back goes by the place, and only there.
    #[inline]
    pub(crate) fn lock(&self, place: &Place) -> Result<Option<Counter<'_>>, LimitError> {
        let counter = self.lock_at(place.spot, &place.tag)?;
        Ok(counter.filter(|counter| counter.turn() == place.spot.turn))
    }

    /// The counter in a slot, if it is that of `tag`, in whatever tenancy.
    #[inline(always)]
    pub(super) fn lock_at(&self, spot: Spot, tag: &Tag) -> Result<Option<Counter<'_>>, LimitError> {
        Ok(self.slab.cell(spot.slot)?.lock_for(tag))
    }

    #[inline]
    fn place_of(&self, tag: Tag, now: Timestamp) -> Result<Place, LimitError> {
        let shard = self.shard(&tag)?;
        match shard.find(&tag, &self.slab)? {
            Some(place) => Ok(place),
            None => shard.insert(tag, now, &self.slab),
        }
    }

    #[inline]
    fn shard(&self, tag: &Tag) -> Result<&Shard, LimitError> {
        // The low and the top bits place an entry inside the shard; these are neither.
        let part = u64::from((tag.hash() >> 16) as u32);
        let index = (part * self.shards.len() as u64) >> 32;
        self.shards.get(index as usize).ok_or(LimitError)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.0.read().map_or(0, |index| index.slots.len())).sum()
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let bytes = |shard: &Shard| {
            size_of::<Shard>() + shard.0.read().map_or(0, |index| index.slots.allocation_size())
        };
        self.shards.iter().map(bytes).sum::<usize>() + self.slab.allocated()
    }

    #[cfg(test)]
    pub(super) fn poison(&self) {
        let spoil = |shard: &Shard| {
            let _guard = shard.0.write();
            panic!("poisons the shard on purpose");
        };
        for shard in &self.shards {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| spoil(shard)));
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("id", &self.id).finish_non_exhaustive()
    }
}

/// So many that a full shard takes three of four of its buckets, the number of which is a power of
/// two: fewer would be slow to search, more would stand empty.
fn shards(capacity: u32) -> u32 {
    let count = (capacity / MIN_CELLS_PER_SHARD).clamp(1, MANY_SHARDS);
    if count < MANY_SHARDS {
        return count;
    }
    let eighth = 1 << (capacity / count / 6).ilog2();
    capacity.div_ceil(6 * eighth)
}

/// A part of a table under a lock of its own, in a line of memory of its own.
///
/// Whoever holds a shard may lock one of its cells; whoever holds a cell never locks a shard.
#[repr(align(64))]
struct Shard(RwLock<Index>);

impl Shard {
    fn new(capacity: u32) -> Self {
        Self(RwLock::new(Index { slots: HashTable::new(), capacity, hand: 0, free: 0 }))
    }

    #[inline]
    fn find(&self, tag: &Tag, slab: &Slab) -> Result<Option<Place>, LimitError> {
        Ok(self.0.read().map_err(|_| LimitError)?.find(tag, slab))
    }

    /// The counter of `tag`, if it has one. The shard is free again when it is locked.
    #[inline]
    fn lock<'s>(&self, tag: &Tag, slab: &'s Slab) -> Result<Option<Counter<'s>>, LimitError> {
        let index = self.0.read().map_err(|_| LimitError)?;
        Ok(index.cell(tag, slab).map(|(_, cell)| cell.lock()))
    }

    #[cold]
    fn insert(&self, tag: Tag, now: Timestamp, slab: &Slab) -> Result<Place, LimitError> {
        let mut index = self.0.write().map_err(|_| LimitError)?;
        // Another may have been faster.
        match index.find(&tag, slab) {
            Some(place) => Ok(place),
            None => index.insert(tag, now, slab),
        }
    }
}

/// The slots of a shard's counters.
struct Index {
    slots: HashTable<u32>,
    capacity: u32,
    /// The bucket at which the next search for room begins.
    hand: u32,
    /// One more than the first of the slots that were left, each of which keeps the next; or 0.
    free: u32,
}

impl Index {
    fn find(&self, tag: &Tag, slab: &Slab) -> Option<Place> {
        let (slot, cell) = self.cell(tag, slab)?;
        Some(Place { tag: *tag, spot: Spot { slot, turn: cell.turn() } })
    }

    #[inline]
    fn cell<'s>(&self, tag: &Tag, slab: &'s Slab) -> Option<(u32, &'s Cell)> {
        let is_it = |slot: &u32| slab.cell(*slot).is_ok_and(|cell| cell.tag() == *tag);
        let slot = *self.slots.find(tag.hash(), is_it)?;
        slab.cell(slot).ok().map(|cell| (slot, cell))
    }

    fn insert(&mut self, tag: Tag, now: Timestamp, slab: &Slab) -> Result<Place, LimitError> {
        if self.slots.len() >= self.capacity as usize {
            self.make_room(now, slab);
        }
        if self.slots.len() == self.slots.capacity() && self.is_large_enough() {
            self.sweep(slab);
        }
        let slot = self.take_slot(slab)?;
        let cell = slab.cell(slot)?;
        cell.begin(tag);
        self.slots.insert_unique(tag.hash(), slot, hash_in(slab));
        Ok(Place { tag, spot: Spot { slot, turn: cell.turn() } })
    }

    fn take_slot(&mut self, slab: &Slab) -> Result<u32, LimitError> {
        let Some(slot) = self.free.checked_sub(1) else { return slab.take() };
        self.free = slab.cell(slot)?.kept();
        Ok(slot)
    }

    /// True when there will always be buckets enough, if those whose counters were dropped are swept
    /// now and then: after as many new counters as are an eighth of all, or more.
    fn is_large_enough(&self) -> bool {
        let capacity = self.capacity as usize;
        capacity + capacity / 8 <= self.slots.num_buckets() / 8 * 7
    }

    /// Frees the buckets of dropped counters. Left to itself, the table would double for them.
    fn sweep(&mut self, slab: &Slab) {
        let swept = HashTable::with_capacity(self.slots.num_buckets() / 8 * 7);
        let hash = hash_in(slab);
        for slot in std::mem::replace(&mut self.slots, swept) {
            self.slots.insert_unique(hash(&slot), slot, &hash);
        }
    }

    /// Drops from the next few counters all that are as good as new, or else the one that has
    /// consumed least of its quota. A caller at its limit goes only when hundreds in a row are at
    /// theirs: a flood of fresh identities pushes itself out.
    fn make_room(&mut self, now: Timestamp, slab: &Slab) {
        let mut least = (u64::MAX, 0);
        let (mut seen, mut dropped) = (0, false);
        for _ in 0..self.slots.num_buckets() {
            let Some((bucket, consumed)) = self.weigh_next(now, slab) else { continue };
            match consumed {
                0 => dropped = true,
                _ => least = least.min((consumed, bucket)),
            }
            seen += 1;
            if seen >= MAX_SAMPLE || seen >= SAMPLE && (dropped || least.0 < EXHAUSTED) {
                break;
            }
        }
        if !dropped {
            self.remove(least.1, slab);
        }
    }

    /// Moves the hand on by a bucket, and weighs the counter in it, which is dropped if it is as good
    /// as new.
    fn weigh_next(&mut self, now: Timestamp, slab: &Slab) -> Option<(usize, u64)> {
        let bucket = self.hand as usize % self.slots.num_buckets().max(1);
        self.hand = bucket as u32 + 1;
        let entry = self.slots.get_bucket_entry(bucket).ok()?;
        let slot = *entry.get();
        let consumed = slab.cell(slot).ok()?.end_unless_consumed(now, self.free);
        if consumed == 0 {
            entry.remove();
            self.free = slot + 1;
        }
        Some((bucket, consumed))
    }

    fn remove(&mut self, bucket: usize, slab: &Slab) {
        let Ok(entry) = self.slots.get_bucket_entry(bucket) else { return };
        let slot = entry.remove().0;
        if let Ok(cell) = slab.cell(slot) {
            cell.end(self.free);
            self.free = slot + 1;
        }
    }
}

/// The hash of a counter that is in the table already.
fn hash_in(slab: &Slab) -> impl Fn(&u32) -> u64 {
    |slot| slab.cell(*slot).map_or(0, Cell::hash)
}
