//! A table that never holds more than its capacity.

use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashTable;

use super::{Digest, Hash};

/// Values by digest, each good until a moment of its own.
pub(super) struct Bounded<V> {
    entries: HashTable<Entry<V>>,
    capacity: usize,
    /// The bucket at which the next search for room begins.
    hand: usize,
}

/// Of the size of a cache line with a pointer in it, and in one of its own: to look at an entry is
/// to wait for memory once.
#[repr(align(64))]
pub(super) struct Entry<V> {
    pub(super) digest: Digest,
    pub(super) value: V,
    /// When the question was asked that this answers.
    pub(super) born: u64,
    pub(super) until: u64,
    /// Asked for since the hand came by. No other memory depends on it.
    used: AtomicBool,
}

impl<V> Entry<V> {
    pub(super) fn new(digest: Digest, value: V, born: u64, until: u64) -> Self {
        Self { digest, value, born, until, used: AtomicBool::new(false) }
    }
}

impl<V> Bounded<V> {
    /// Room for `capacity` entries, at least 1.
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashTable::new(), capacity: capacity.max(1), hand: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, hash: u64, digest: &Digest) -> Option<&Entry<V>> {
        self.entries.find(hash, |entry| entry.digest == *digest)
    }

    /// The entry, if it is good at `now`; it then counts as used.
    #[inline]
    pub(super) fn fresh(&self, hash: u64, digest: &Digest, now: u64) -> Option<&Entry<V>> {
        let entry = self.get(hash, digest).filter(|entry| now < entry.until)?;
        // A write would take the line from other processors' caches each time.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(entry)
    }

    /// Puts an entry in, for the one with the same digest or for another if there is no room; true
    /// if another had to go.
    pub(super) fn put(&mut self, hash: u64, entry: Entry<V>, hasher: &impl Hash) -> bool {
        let replaced = self.remove(hash, &entry.digest);
        let full = !replaced && self.entries.len() >= self.capacity;
        if full {
            self.make_room(entry.born);
        }
        self.entries.insert_unique(hash, entry, |entry| hasher.hash(&entry.digest));
        full
    }

    pub(super) fn remove(&mut self, hash: u64, digest: &Digest) -> bool {
        let found = self.entries.find_entry(hash, |entry| entry.digest == *digest);
        found.map(|entry| drop(entry.remove())).is_ok()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        self.entries.retain(|entry| keep(&entry.value));
    }

    /// Drops the next entry that is past its time or was not asked for since the hand came by last.
    fn make_room(&mut self, now: u64) {
        let buckets = self.entries.num_buckets().max(1);
        // After one round nothing counts as used any more.
        for _ in 0..=2 * buckets {
            self.hand = (self.hand + 1) % buckets;
            let Ok(found) = self.entries.get_bucket_entry(self.hand) else { continue };
            let entry = found.get();
            let used = entry.used.swap(false, Ordering::Relaxed);
            if !used || entry.until <= now {
                found.remove();
                return;
            }
        }
    }
}
