//! What the core synchronises with, modelled.

pub(super) use loom::sync::MutexGuard;
pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use std::collections::BTreeMap;
use std::sync::LockResult;

/// Here a panic ends the walk, so it is never poisoned.
#[derive(Default)]
pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(super) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.0.lock()
    }

    pub(super) fn is_poisoned(&self) -> bool {
        false
    }
}

/// A map of which each call is one step, and none waits for another but for that.
pub(super) struct Map<V>(Mutex<BTreeMap<[u8; 32], V>>);

impl<V> Map<V> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    pub(super) fn read<T>(&self, digest: &[u8; 32], read: impl FnOnce(&V) -> T) -> Option<T> {
        self.0.lock().unwrap().get(digest).map(read)
    }

    pub(super) fn put(&self, digest: [u8; 32], value: V) {
        self.0.lock().unwrap().insert(digest, value);
    }

    pub(super) fn remove(&self, digest: &[u8; 32]) {
        self.0.lock().unwrap().remove(digest);
    }

    pub(super) fn pick(&self, pick: impl Fn(&V) -> bool) -> Vec<[u8; 32]> {
        let map = self.0.lock().unwrap();
        map.iter().filter(|(_, value)| pick(value)).map(|(digest, _)| *digest).collect()
    }
}

/// The least that may do.
pub(super) const FEW: usize = 1;

/// Eight cells are as few as can grow as more do.
pub(super) const FIRST: u32 = 3;

/// The other goes on meanwhile.
pub(super) fn pause(_: u32) {
    loom::thread::yield_now();
}
