//! Who runs how many requests in this process.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashTable;

use super::cell::LimitError;
use super::identity::{Identity, Kept};

const SHARDS: usize = 64;

/// One more of a caller's requests that run.
pub(crate) struct Permit {
    running: Arc<Running>,
    caller: Arc<Kept>,
    hash: u64,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.running.leave(self.hash, &self.caller);
    }
}

/// Who runs how many. Callers that run nothing are not in it.
pub(crate) struct Running {
    key: RandomState,
    shards: [Mutex<HashTable<Runs>>; SHARDS],
}

struct Runs {
    caller: Arc<Kept>,
    hash: u64,
    count: u64,
}

impl Running {
    /// One more, and how many may be besides; or none.
    pub(super) fn enter(
        self: &Arc<Self>,
        caller: &Identity<'_>,
        limit: u64,
    ) -> Result<(Option<Permit>, u64), LimitError> {
        let digest = caller.digest();
        let parts = digest.as_ref().unwrap_or(caller).parts();
        let hash = self.key.hash_one(parts);
        let mut shard = self.shard(hash).lock().map_err(|_| LimitError)?;
        let found = shard.entry(hash, |runs| runs.caller.is(parts), |runs| runs.hash);
        let mut entry =
            found.or_insert_with(|| Runs { caller: Arc::new(Kept::new(parts)), hash, count: 0 });
        let runs = entry.get_mut();
        if runs.count >= limit {
            return Ok((None, 0));
        }
        runs.count += 1;
        let permit = Permit { running: Arc::clone(self), caller: Arc::clone(&runs.caller), hash };
        Ok((Some(permit), limit - runs.count))
    }

    /// One less. A lock that was poisoned elsewhere is no reason to count it for ever.
    fn leave(&self, hash: u64, caller: &Kept) {
        let mut shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |runs: &Runs| runs.caller.parts() == caller.parts();
        let Ok(mut entry) = shard.find_entry(hash, is_it) else { return };
        entry.get_mut().count -= 1;
        if entry.get().count == 0 {
            entry.remove();
        }
    }

    fn shard(&self, hash: u64) -> &Mutex<HashTable<Runs>> {
        // The low and the top bits place an entry inside the shard; these are neither.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    #[cfg(test)]
    pub(super) fn callers(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    #[cfg(test)]
    pub(super) fn poison(&self) {
        let spoil = |shard: &Mutex<_>| {
            let _guard = shard.lock();
            panic!("poisons the lock on purpose");
        };
        for shard in &self.shards {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| spoil(shard)));
        }
    }
}

impl Default for Running {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| Mutex::new(HashTable::new()));
        Self { key: RandomState::new(), shards }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}
