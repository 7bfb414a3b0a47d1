//! A table that never holds more than its capacity.

use std::cell::Cell;

use hashbrown::HashTable;

use super::{Digest, Hash};

/// Values by digest, each good until a moment of its own.
pub(super) struct Bounded<V> {
    entries: HashTable<Entry<V>>,
    capacity: usize,
    /// The bucket at which the next search for room begins.
    hand: usize,
}

struct Entry<V> {
    digest: Digest,
    value: V,
    until: u64,
    /// Asked for since the hand came by.
    used: Cell<bool>,
}

impl<V: Copy> Bounded<V> {
    /// Room for `capacity` entries, at least 1.
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashTable::new(), capacity: capacity.max(1), hand: 0 }
    }

    /// The value, if it is good at `now`; it then counts as used.
    pub(super) fn get(&self, hash: u64, digest: &Digest, now: u64) -> Option<V> {
        let entry = self.entries.find(hash, |entry| entry.digest == *digest)?;
        entry.used.set(true);
        (now < entry.until).then_some(entry.value)
    }

    /// Puts a value in that is good from `now` until `until`, for the one with the same digest or for
    /// another if there is no room.
    pub(super) fn put(
        &mut self,
        hash: u64,
        (digest, value): (Digest, V),
        (now, until): (u64, u64),
        hasher: &impl Hash,
    ) {
        self.remove(hash, &digest);
        if self.entries.len() >= self.capacity {
            self.make_room(now);
        }
        let entry = Entry { digest, value, until, used: Cell::new(false) };
        self.entries.insert_unique(hash, entry, |entry| hasher.hash(&entry.digest));
    }

    pub(super) fn remove(&mut self, hash: u64, digest: &Digest) {
        if let Ok(entry) = self.entries.find_entry(hash, |entry| entry.digest == *digest) {
            entry.remove();
        }
    }

    /// Drops the next entry that is past its time or was not asked for since the hand came by last.
    fn make_room(&mut self, now: u64) {
        let buckets = self.entries.num_buckets().max(1);
        // After one round nothing counts as used any more.
        for _ in 0..=2 * buckets {
            self.hand = (self.hand + 1) % buckets;
            let Ok(found) = self.entries.get_bucket_entry(self.hand) else { continue };
            let entry = found.get();
            if !entry.used.take() || entry.until <= now {
                found.remove();
                return;
            }
        }
    }
}
