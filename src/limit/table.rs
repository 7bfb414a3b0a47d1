//! All counters of one limit: found by identity and quota, never more of them than its capacity.

use std::fmt;
use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use hashbrown::HashTable;

use super::cell::{Account, Cell, LimitError, Tag};
use super::identity::Identity;
use super::quota::Quota;
use crate::Timestamp;

/// Twice as many at most.
const MANY_SHARDS: usize = 64;
/// Fewer would make the choice of whom to drop a poor one.
const MIN_CELLS_PER_SHARD: usize = 64;
/// How many counters are weighed to make room for one.
const SAMPLE: usize = 8;
/// How many at most, when all of the sample are at their limit.
const MAX_SAMPLE: usize = 512;
/// [`Cell::consumed`] of a caller at its limit.
const EXHAUSTED: u64 = 1 << 20;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Counters by identity and quota. The hash is keyed, so that nobody can choose identities that
/// collide.
pub(crate) struct Table {
    id: u64,
    key: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

impl Table {
    /// Room for `capacity` counters, at least 1.
    pub(crate) fn new(capacity: usize) -> Self {
        let count = shards(capacity);
        let share = |index| capacity / count + usize::from(index < capacity % count);
        let shards = (0..count).map(|index| Mutex::new(Shard::new(share(index).max(1)))).collect();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { id, key: RandomState::new(), shards }
    }

    /// Tells tables apart, and gives them the order in which their counters are locked.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The counter of `identity` under `quota`, a new one if there is none. Allocates for a new one
    /// only.
    pub(crate) fn cell(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
        now: Timestamp,
    ) -> Result<Arc<Cell>, LimitError> {
        let tag = self.tag(identity, quota);
        let mut shard = self.shard(tag.hash())?;
        if let Some(cell) = shard.find(&tag) {
            return Ok(cell.clone());
        }
        let cell = Arc::new(Cell::new(tag));
        shard.insert(cell.clone(), now);
        Ok(cell)
    }

    /// The counter of `identity` under `quota`, if it has one.
    pub(crate) fn find(
        &self,
        identity: &Identity<'_>,
        quota: &Quota,
    ) -> Result<Option<Arc<Cell>>, LimitError> {
        let tag = self.tag(identity, quota);
        Ok(self.shard(tag.hash())?.find(&tag).cloned())
    }

    /// The counter that now counts for the account of `evicted`: another's, if one came in between,
    /// else `evicted` itself, taken back with its count. So those who kept it at hand keep the one
    /// that counts.
    pub(crate) fn readmit(
        &self,
        evicted: &Arc<Cell>,
        now: Timestamp,
    ) -> Result<Arc<Cell>, LimitError> {
        let mut shard = self.shard(evicted.tag().hash())?;
        if let Some(cell) = shard.find(evicted.tag()) {
            return Ok(cell.clone());
        }
        shard.insert(evicted.clone(), now);
        evicted.restore();
        Ok(evicted.clone())
    }

    fn tag(&self, identity: &Identity<'_>, quota: &Quota) -> Tag {
        Tag::new(Account::new(identity, quota), &self.key)
    }

    fn shard(&self, hash: u64) -> Result<MutexGuard<'_, Shard>, LimitError> {
        // The low and the top bits place an entry inside the shard; these are neither.
        let index = (hash >> 32) as usize % self.shards.len();
        self.shards.get(index).ok_or(LimitError)?.lock().map_err(|_| LimitError)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().map_or(0, |shard| shard.cells.len())).sum()
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let bytes = |shard: &Mutex<Shard>| {
            shard
                .lock()
                .map_or(0, |shard| shard.cells.allocation_size() + size_of::<Mutex<Shard>>())
        };
        self.shards.iter().map(bytes).sum()
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("id", &self.id).finish_non_exhaustive()
    }
}

/// So many that a full shard takes three of four of its buckets, the number of which is a power of
/// two: fewer would be slow to search, more would stand empty.
fn shards(capacity: usize) -> usize {
    let count = (capacity / MIN_CELLS_PER_SHARD).clamp(1, MANY_SHARDS);
    if count < MANY_SHARDS {
        return count;
    }
    let eighth = 1 << (capacity / count / 6).ilog2();
    capacity.div_ceil(6 * eighth)
}

/// A part of a table under a lock of its own.
///
/// Whoever holds a shard may lock one of its cells; whoever holds a cell never locks a shard.
struct Shard {
    cells: HashTable<Arc<Cell>>,
    capacity: usize,
    /// The bucket at which the next search for room begins.
    hand: usize,
}

impl Shard {
    fn new(capacity: usize) -> Self {
        Self { cells: HashTable::new(), capacity, hand: 0 }
    }

    fn find(&self, tag: &Tag) -> Option<&Arc<Cell>> {
        self.cells.find(tag.hash(), |cell| cell.tag() == tag)
    }

    fn insert(&mut self, cell: Arc<Cell>, now: Timestamp) {
        if self.cells.len() >= self.capacity {
            self.make_room(now);
        }
        if self.cells.len() == self.cells.capacity() && self.is_large_enough() {
            self.sweep();
        }
        self.cells.insert_unique(cell.tag().hash(), cell, |cell| cell.tag().hash());
    }

    /// True when there will always be buckets enough, if those whose counters were dropped are swept
    /// now and then: after as many new counters as are an eighth of all, or more.
    fn is_large_enough(&self) -> bool {
        self.capacity + self.capacity / 8 <= self.cells.num_buckets() / 8 * 7
    }

    /// Frees the buckets of dropped counters. Left to itself, the table would double for them.
    fn sweep(&mut self) {
        let swept = HashTable::with_capacity(self.cells.num_buckets() / 8 * 7);
        for cell in std::mem::replace(&mut self.cells, swept) {
            self.cells.insert_unique(cell.tag().hash(), cell, |cell| cell.tag().hash());
        }
    }

    /// Drops from the next few counters all that are as good as new, or else the one that has
    /// consumed least of its quota. A caller at its limit goes only when hundreds in a row are at
    /// theirs: a flood of fresh identities pushes itself out.
    fn make_room(&mut self, now: Timestamp) {
        let mut least = (u64::MAX, 0);
        let (mut seen, mut dropped) = (0, false);
        for _ in 0..self.cells.num_buckets() {
            let Some((bucket, consumed)) = self.weigh_next(now) else { continue };
            if consumed == 0 {
                self.remove(bucket);
                dropped = true;
            } else {
                least = least.min((consumed, bucket));
            }
            seen += 1;
            if seen >= MAX_SAMPLE || seen >= SAMPLE && (dropped || least.0 < EXHAUSTED) {
                break;
            }
        }
        if !dropped {
            self.remove(least.1);
        }
    }

    /// Moves the hand on by a bucket, and weighs the counter in it.
    fn weigh_next(&mut self, now: Timestamp) -> Option<(usize, u64)> {
        let bucket = self.hand % self.cells.num_buckets().max(1);
        self.hand = bucket + 1;
        self.cells.get_bucket(bucket).map(|cell| (bucket, cell.consumed(now)))
    }

    fn remove(&mut self, bucket: usize) {
        if let Ok(entry) = self.cells.get_bucket_entry(bucket) {
            entry.remove().0.evict();
        }
    }
}
