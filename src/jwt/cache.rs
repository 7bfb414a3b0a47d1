//! Tokens that were verified, so that they are not verified again.
//!
//! What is kept is that a token's signature and claims are good. Whether it is good *now* is judged
//! each time: its times, its key, whether it was revoked. Tokens that failed are not kept, so that
//! nobody can push good ones out with bad ones.

use std::hash::BuildHasher;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use hashbrown::DefaultHashBuilder;
use zeroize::Zeroizing;

use super::key::Fingerprint;
use super::token::VerifiedToken;
use crate::Timestamp;

/// A token can stand in so many places.
const WAYS: usize = 8;

/// A table in which a keyed hash tells the set, and the whole token the entry.
///
/// The hash need not withstand an attacker who knows it: tokens are compared whole, and a full set
/// loses one of its own entries.
pub(crate) struct TokenCache<H = DefaultHashBuilder> {
    sets: Box<[RwLock<Set>]>,
    ways: usize,
    hasher: H,
}

#[derive(Default)]
struct Set {
    entries: Vec<Entry>,
    /// Where the next search for room begins.
    hand: usize,
}

struct Entry {
    hash: u64,
    token: Zeroizing<Box<[u8]>>,
    verified: VerifiedToken,
    key: Fingerprint,
    /// The key ring's number under which the key was last known to be the one for this token.
    generation: AtomicU64,
    /// Asked for since the hand came by. No other memory depends on it.
    used: AtomicBool,
}

/// What is known of a token.
pub(crate) struct Seen {
    pub(crate) verified: VerifiedToken,
    pub(crate) key: Fingerprint,
}

impl TokenCache {
    /// Room for at most `capacity` tokens.
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self::hashing(capacity, DefaultHashBuilder::default())
    }
}

impl<H: BuildHasher> TokenCache<H> {
    fn hashing(capacity: NonZeroUsize, hasher: H) -> Self {
        let capacity = capacity.get();
        let sets = (0..(capacity / WAYS).max(1)).map(|_| RwLock::default()).collect();
        Self { sets, ways: capacity.min(WAYS), hasher }
    }

    /// What is known of the token, if its key is trusted still: under another `generation` than that
    /// in which the token was last seen, `is_trusted` says so.
    pub(crate) fn find(
        &self,
        token: &[u8],
        generation: u64,
        is_trusted: impl FnOnce(Fingerprint) -> bool,
    ) -> Option<VerifiedToken> {
        let hash = self.hasher.hash_one(token);
        let set = self.set(hash).read().ok()?;
        let entry = set.entries.iter().find(|entry| entry.is_for(hash, token))?;
        if entry.generation.load(Ordering::Acquire) != generation {
            if !is_trusted(entry.key) {
                drop(set);
                self.forget(hash, token);
                return None;
            }
            entry.generation.store(generation, Ordering::Release);
        }
        // A write would take the line from other processors' caches each time.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(entry.verified.clone())
    }

    /// Remembers a token whose key was found under `generation`.
    pub(crate) fn keep(&self, token: &[u8], seen: Seen, generation: u64, now: Timestamp) {
        let hash = self.hasher.hash_one(token);
        let entry = Entry {
            hash,
            token: Zeroizing::new(token.into()),
            verified: seen.verified,
            key: seen.key,
            generation: AtomicU64::new(generation),
            used: AtomicBool::new(false),
        };
        let mut set = self.set(hash).write().unwrap_or_else(PoisonError::into_inner);
        set.remove(hash, token);
        if set.entries.len() >= self.ways {
            set.make_room(now);
        }
        set.entries.push(entry);
    }

    fn forget(&self, hash: u64, token: &[u8]) {
        let mut set = self.set(hash).write().unwrap_or_else(PoisonError::into_inner);
        set.remove(hash, token);
    }

    fn set(&self, hash: u64) -> &RwLock<Set> {
        // The upper half of the product is uniform below the number of sets.
        let index = (u128::from(hash) * self.sets.len() as u128) >> 64;
        &self.sets[index as usize]
    }
}

impl Entry {
    fn is_for(&self, hash: u64, token: &[u8]) -> bool {
        self.hash == hash && **self.token == *token
    }
}

impl Set {
    fn remove(&mut self, hash: u64, token: &[u8]) {
        self.entries.retain(|entry| !entry.is_for(hash, token));
    }

    /// Drops an entry that has expired, or else the next one that was not asked for since the hand
    /// came by.
    fn make_room(&mut self, now: Timestamp) {
        let expired = self.entries.iter().position(|entry| entry.verified.expires() <= now);
        let victim = expired.unwrap_or_else(|| self.turn());
        self.entries.remove(victim);
    }

    fn turn(&mut self) -> usize {
        loop {
            self.hand = (self.hand + 1) % self.entries.len();
            if !self.entries[self.hand].used.swap(false, Ordering::Relaxed) {
                return self.hand;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::hash::{BuildHasher, Hasher};

    use super::*;
    use crate::jwt::{Algorithm, JwtKey, Text};

    /// Everything collides.
    #[derive(Default)]
    struct Zero;

    impl Hasher for Zero {
        fn write(&mut self, _: &[u8]) {}

        fn finish(&self) -> u64 {
            0
        }
    }

    impl BuildHasher for Zero {
        type Hasher = Self;

        fn build_hasher(&self) -> Self {
            Self
        }
    }

    #[test]
    fn tokens_of_one_hash_are_told_apart() {
        let capacity = NonZeroUsize::new(64).unwrap();
        let cache = TokenCache::hashing(capacity, Zero);
        let key = JwtKey::secret(Algorithm::HS256, "uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1").unwrap();
        let seen = |subject: &str| Seen { verified: about(subject), key: key.print() };
        for token in ["a", "b", "c"] {
            cache.keep(token.as_bytes(), seen(token), 0, Timestamp::EPOCH);
        }
        for token in ["a", "b", "c"] {
            let found = cache.find(token.as_bytes(), 0, |_| panic!("nothing has changed")).unwrap();
            assert_eq!(found.subject(), token);
        }
        assert!(cache.find(b"d", 0, |_| true).is_none());
        assert!(cache.find(b"b", 1, |_| false).is_none());
        assert!(cache.find(b"b", 0, |_| true).is_none(), "forgotten with its key");
        assert_eq!(cache.find(b"a", 1, |print| print == key.print()).unwrap().subject(), "a");
    }

    fn about(subject: &str) -> VerifiedToken {
        VerifiedToken::nobody(Text::Own(subject.into()))
    }
}
