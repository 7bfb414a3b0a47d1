//! Whom to drop when there is no room.

use super::{Digest, Entries};

/// The digests of entries, never more than its capacity, in a circle. A hand goes round and drops
/// the next one that was not asked for since it came by (CLOCK; F. Corbató, 1968).
pub(super) struct Ring {
    digests: Vec<Digest>,
    capacity: usize,
    hand: usize,
}

impl Ring {
    /// Room for `capacity` digests, at least 1.
    pub(super) fn new(capacity: usize) -> Self {
        Self { digests: Vec::new(), capacity: capacity.max(1), hand: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.digests.len()
    }

    /// A place for one that has none; true if another entry had to go for it.
    pub(super) fn take_place<V>(
        &mut self,
        entries: &Entries<V>,
        digest: &Digest,
        now: u64,
    ) -> (usize, bool) {
        if self.digests.len() < self.capacity {
            self.grow();
            self.digests.push(*digest);
            return (self.digests.len() - 1, false);
        }
        self.seek(entries, now);
        entries.remove(&self.digests[self.hand]);
        self.digests[self.hand] = *digest;
        (self.hand, true)
    }

    /// Leaves the place of `digest`, to which the last one moves.
    pub(super) fn leave<V>(&mut self, entries: &Entries<V>, digest: &Digest, place: usize) {
        if self.digests.get(place) != Some(digest) {
            return;
        }
        self.digests.swap_remove(place);
        if let Some(moved) = self.digests.get(place) {
            entries.read(moved, |entry| entry.move_to(place));
        }
    }

    /// Drops all.
    pub(super) fn empty<V>(&mut self, entries: &Entries<V>) {
        self.digests.drain(..).for_each(|digest| entries.remove(&digest));
    }

    /// Moves the hand on to an entry that may go. After one round nothing counts as used any more,
    /// but for what is asked for at this moment.
    fn seek<V>(&mut self, entries: &Entries<V>, now: u64) {
        for _ in 0..=self.digests.len() {
            self.hand = (self.hand + 1) % self.digests.len();
            let may_go = entries.read(&self.digests[self.hand], |entry| entry.may_go(now));
            if may_go.unwrap_or(true) {
                return;
            }
        }
    }

    /// A vector would grow to twice what it may ever hold.
    fn grow(&mut self) {
        let len = self.digests.len();
        if len == self.digests.capacity() {
            self.digests.reserve_exact(len.max(4).min(self.capacity - len));
        }
    }
}
