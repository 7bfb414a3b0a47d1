//! What is kept of one digest.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Asked, Fetched};

/// An answer of the store. It changes no more while it is kept, but for what serves to choose whom
/// to drop.
pub(super) struct Entry<V> {
    pub(super) found: Option<V>,
    /// What the question was that this answers.
    asked: Asked,
    /// When it was asked.
    born: u64,
    until: u64,
    /// Asked for since the hand came by. No other memory depends on it.
    used: AtomicBool,
    /// Where its digest stands in its ring; written and read under the shard's lock.
    place: AtomicUsize,
}

impl<V: Clone> Entry<V> {
    pub(super) fn new(fetched: &Fetched<V>, asked: Asked, born: u64, place: usize) -> Self {
        Self {
            found: fetched.found.clone(),
            asked,
            born,
            until: born.saturating_add(fetched.fresh),
            used: AtomicBool::new(false),
            place: AtomicUsize::new(place),
        }
    }

    /// The answer, if it is good at `now` for whoever asks like this; it then counts as used.
    #[inline]
    pub(super) fn answer(&self, asked: Asked, now: u64) -> Option<Option<V>> {
        if now >= self.until || (self.found.is_none() && self.asked < asked) {
            return None;
        }
        // A write would take the line from other processors' caches each time.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Some(self.found.clone())
    }

    /// The key, fresh or not, if it was asked for less than `longest` before `now`.
    pub(super) fn verified(&self, now: u64, longest: u64) -> Option<V> {
        (now.saturating_sub(self.born) < longest).then(|| self.found.clone())?
    }
}

impl<V> Entry<V> {
    /// True if it is past its time, or was not asked for since this was called last.
    pub(super) fn may_go(&self, now: u64) -> bool {
        !self.used.swap(false, Ordering::Relaxed) || self.until <= now
    }

    pub(super) fn place(&self) -> usize {
        self.place.load(Ordering::Relaxed)
    }

    pub(super) fn move_to(&self, place: usize) {
        self.place.store(place, Ordering::Relaxed);
    }
}
