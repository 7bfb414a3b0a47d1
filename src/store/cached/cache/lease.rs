//! Until when memory may be trusted without asking the store.

use std::sync::PoisonError;

use super::super::sync::{AtomicU64, Mutex, Ordering};
use super::Poisoned;

/// No feed is followed: memory is trusted for as long as its entries are fresh.
const UNBOUND: u64 = u64::MAX;

/// The trust in a feed: it lasts from when the feed was heard until a moment that it moves on each
/// time it is heard again.
pub(super) struct Lease {
    until: AtomicU64,
    holder: Mutex<Holder>,
}

struct Holder {
    /// Whose word counts: the feed that was followed last.
    feed: u64,
    /// When it was heard last.
    heard: u64,
}

impl Lease {
    pub(super) fn new() -> Self {
        let holder = Mutex::new(Holder { feed: 0, heard: 0 });
        Self { until: AtomicU64::new(UNBOUND), holder }
    }

    #[inline]
    pub(super) fn is_held(&self, now: u64) -> bool {
        now < self.until.load(Ordering::Acquire)
    }

    pub(super) fn follows_feed(&self) -> bool {
        self.until.load(Ordering::Acquire) != UNBOUND
    }

    /// Depends on a new feed from now on, which has not been heard yet; its number.
    pub(super) fn adopt(&self, now: u64) -> Result<u64, Poisoned> {
        let mut holder = self.holder.lock()?;
        self.until.store(0, Ordering::Release);
        *holder = Holder { feed: holder.feed + 1, heard: now };
        Ok(holder.feed)
    }

    /// `feed` was heard at `heard`: memory is trusted until `until`. When it is not at present, what
    /// it holds is dropped by `empty` first: nobody knows what was missed. False if another feed is
    /// followed meanwhile.
    pub(super) fn renew(
        &self,
        feed: u64,
        heard: u64,
        until: u64,
        now: u64,
        empty: impl FnOnce() -> Result<(), Poisoned>,
    ) -> Result<bool, Poisoned> {
        let mut holder = self.holder.lock()?;
        if holder.feed != feed {
            return Ok(false);
        }
        holder.heard = holder.heard.max(heard);
        if now < until {
            if !self.is_held(now) {
                empty()?;
            }
            let last = self.until.load(Ordering::Relaxed);
            self.until.store(last.max(until.min(UNBOUND - 1)), Ordering::Release);
        }
        Ok(true)
    }

    /// `feed` says that it can't be trusted until it is heard again. False if another is followed.
    /// Trust can be taken after a panic, too.
    pub(super) fn lose(&self, feed: u64) -> bool {
        let holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let current = holder.feed == feed;
        if current {
            self.until.store(0, Ordering::Release);
        }
        current
    }

    /// For how long the feed has not been heard, when that is too long.
    pub(super) fn silent_for(&self, now: u64) -> Option<u64> {
        let heard = self.holder.lock().map_or(0, |holder| holder.heard);
        (!self.is_held(now)).then(|| now.saturating_sub(heard))
    }
}
