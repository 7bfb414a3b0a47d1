//! The slices of one limit, by whom they are for.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};

use hashbrown::HashTable;

use super::slot::{Account, Due, Slot};
use crate::limit::cell::LimitError;
use crate::limit::identity::Parts;
use crate::limit::quota::Quota;

const SHARDS: usize = 32;
/// How many slices a limit has at most on one node; who finds no room is counted on the server.
const CAPACITY: usize = 100_000;

/// Slices by identity, quota and limit. The hash is keyed, so that nobody can choose identities that
/// collide.
pub(super) struct Slots {
    hasher: RandomState,
    shards: [Mutex<HashTable<Arc<Slot>>>; SHARDS],
}

impl Default for Slots {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: Default::default() }
    }
}

impl Slots {
    /// The slot of `account`, made if there is none; `None` if there is no room for it.
    pub(super) fn slot(
        &self,
        account: &Account<'_>,
        make: impl FnOnce() -> Slot,
    ) -> Result<Option<Arc<Slot>>, LimitError> {
        let hash = self.hash(account.owner, account.quota);
        let mut shard = self.shard(hash)?;
        if let Some(slot) = shard.find(hash, |slot| slot.is(account)) {
            return Ok(Some(Arc::clone(slot)));
        }
        if shard.len() >= CAPACITY / SHARDS {
            return Ok(None);
        }
        let slot = Arc::new(make());
        let rehash = |slot: &Arc<Slot>| self.hash(slot.owner(), &slot.quota);
        shard.insert_unique(hash, Arc::clone(&slot), rehash);
        Ok(Some(slot))
    }

    /// All slots that have something to tell the server, with that; those that are over are
    /// forgotten.
    pub(super) fn settle(&self, now: u64, at_once: bool) -> Vec<Due> {
        let mut all = Vec::new();
        for shard in self.shards.iter().filter_map(|shard| shard.lock().ok()) {
            sweep(shard, now, at_once, &mut all);
        }
        all
    }

    /// True while a slice of one of them is on its way.
    pub(super) fn are_in_flight(&self) -> bool {
        let mut shards = self.shards.iter().filter_map(|shard| shard.lock().ok());
        shards.any(|shard| shard.iter().any(|slot| slot.is_in_flight()))
    }

    fn hash(&self, owner: Parts<'_>, quota: &Quota) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(quota.mixed());
        owner.hash(&mut hasher);
        hasher.finish()
    }

    fn shard(&self, hash: u64) -> Result<MutexGuard<'_, HashTable<Arc<Slot>>>, LimitError> {
        let index = (hash >> 32) as usize % SHARDS;
        self.shards.get(index).ok_or(LimitError)?.lock().map_err(|_| LimitError)
    }
}

fn sweep(
    mut shard: MutexGuard<'_, HashTable<Arc<Slot>>>,
    now: u64,
    at_once: bool,
    all: &mut Vec<Due>,
) {
    shard.retain(|slot| {
        all.extend(slot.settle(now, at_once));
        // Nobody else can find it while the shard is locked.
        Arc::strong_count(slot) > 1 || !slot.is_over(now)
    });
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").finish_non_exhaustive()
    }
}
