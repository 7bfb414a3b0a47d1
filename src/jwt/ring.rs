//! The keys that an issuer has now, shared by all who ask for them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::error::{JwtError, JwtErrorKind};
use super::key::Fingerprint;
use super::keys::KeySet;
use crate::Timestamp;

/// A key set that can be replaced while requests run. Clones are one ring.
#[derive(Clone)]
pub(crate) struct KeyRing(Arc<Shared>);

struct Shared {
    /// Rises with every change. Whoever remembers a key remembers under which number it was good.
    generation: AtomicU64,
    /// When the next key ends, in nanoseconds since the epoch.
    next_end: AtomicU64,
    keys: RwLock<Keys>,
}

struct Keys {
    /// `None` when every key has ended: no token is good then.
    set: Option<Arc<KeySet>>,
    ends: Vec<End>,
}

/// From this moment on the key is not trusted.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) key: Fingerprint,
    pub(crate) at: Timestamp,
}

impl KeyRing {
    /// A set some keys of which end.
    pub(crate) fn ending(set: KeySet, ends: Vec<End>) -> Self {
        Self(Arc::new(Shared {
            generation: AtomicU64::new(0),
            next_end: AtomicU64::new(next_end(&ends)),
            keys: RwLock::new(Keys { set: Some(Arc::new(set)), ends }),
        }))
    }

    /// Puts another set in place of the one that is there, some keys of which may end.
    pub(crate) fn replace(&self, set: KeySet, ends: Vec<End>) {
        let mut keys = self.write();
        keys.set = Some(Arc::new(set));
        keys.ends = ends;
        self.changed(&keys);
    }

    /// The number of the set that is trusted at `now`.
    pub(crate) fn generation(&self, now: Timestamp) -> u64 {
        if now.as_nanos() >= self.0.next_end.load(Ordering::Acquire) {
            self.drop_ended(now);
        }
        self.0.generation.load(Ordering::Acquire)
    }

    /// The keys that have not ended.
    pub(crate) fn at_hand(&self) -> Result<Arc<KeySet>, JwtError> {
        match &self.read().set {
            Some(set) => Ok(Arc::clone(set)),
            None => Err(JwtError::new(JwtErrorKind::UnknownKey, "no key is left")),
        }
    }

    fn drop_ended(&self, now: Timestamp) {
        let mut keys = self.write();
        let has_ended = |end: &End| now >= end.at;
        if !keys.ends.iter().any(has_ended) {
            return;
        }
        let ended: Vec<_> = keys.ends.extract_if(.., |end| has_ended(end)).collect();
        keys.set = keys.set.take().and_then(|set| set.without(&ended)).map(Arc::new);
        self.changed(&keys);
    }

    /// The number first: whoever sees that a key's end is dealt with must see the number that comes
    /// after it.
    fn changed(&self, keys: &Keys) {
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        self.0.next_end.store(next_end(&keys.ends), Ordering::Release);
    }

    /// Under the lock nothing can panic but an allocation, and no set is ever half replaced.
    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.0.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_end(ends: &[End]) -> u64 {
    ends.iter().map(|end| end.at.as_nanos()).min().unwrap_or(u64::MAX)
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.read().set, f)
    }
}
