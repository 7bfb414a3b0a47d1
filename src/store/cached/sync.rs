//! What the cache's core synchronises with. `tests/interleavings` puts loom's in its place.

pub(super) use std::sync::Mutex;
pub(super) use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::DefaultHashBuilder;
use papaya::{HashMap, ResizeMode};

use crate::KeyDigest;

/// Values by digest. Each call is one step to all others; none waits for a lock to read.
pub(super) struct Map<V>(HashMap<KeyDigest, V, DefaultHashBuilder>);

impl<V> Map<V> {
    /// An empty map that grows in one go: one that grows bit by bit stays slow to read for long
    /// after. Its hash is keyed: nobody can choose digests that meet in one place.
    pub(super) fn new() -> Self {
        let builder = HashMap::builder().hasher(DefaultHashBuilder::default());
        Self(builder.resize_mode(ResizeMode::Blocking).build())
    }

    #[inline]
    pub(super) fn read<T>(&self, digest: &[u8; 32], read: impl FnOnce(&V) -> T) -> Option<T> {
        self.0.pin().get(&KeyDigest::from_bytes(*digest)).map(read)
    }

    pub(super) fn put(&self, digest: [u8; 32], value: V) {
        self.0.pin().insert(KeyDigest::from_bytes(digest), value);
    }

    pub(super) fn remove(&self, digest: &[u8; 32]) {
        self.0.pin().remove(&KeyDigest::from_bytes(*digest));
    }

    /// The digests of which `pick` says so. What is in the map all the while is looked at.
    pub(super) fn pick(&self, pick: impl Fn(&V) -> bool) -> Vec<[u8; 32]> {
        let map = self.0.pin();
        map.iter().filter(|(_, value)| pick(value)).map(|(digest, _)| *digest.as_bytes()).collect()
    }
}
