//! Tokens that were verified, so that they are not verified again.
//!
//! What is kept is that a token's signature and claims are good. Whether it is good *now* is judged
//! each time: its times, its key, whether it was revoked. Tokens that failed are not kept, so that
//! nobody can push good ones out with bad ones.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::DefaultHashBuilder;
use papaya::{HashSet, ResizeMode};
use zeroize::Zeroizing;

use super::key::Fingerprint;
use super::token::VerifiedToken;
use crate::Timestamp;

/// A token can stand in so many places.
const WAYS: usize = 8;

/// A table by the whole token, under a keyed hash. To read it takes no lock.
///
/// Beside it stand sets, each under a lock, which hold the same entries and say who makes room: a hash
/// tells the set of a token.
/// The hashes need not withstand an attacker who knows them: tokens are compared whole, and a full set
/// loses one of its own entries.
pub(crate) struct TokenCache<H = DefaultHashBuilder> {
    known: HashSet<Known, H>,
    sets: Box<[Mutex<Set>]>,
    ways: usize,
    hasher: H,
}

#[derive(Default)]
struct Set {
    entries: Vec<Known>,
    /// Where the next search for room begins.
    hand: usize,
}

/// An entry, which is found by its token.
#[derive(Clone)]
struct Known(Arc<Entry>);

struct Entry {
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

impl<H: BuildHasher + Clone> TokenCache<H> {
    fn hashing(capacity: NonZeroUsize, hasher: H) -> Self {
        let capacity = capacity.get();
        let known = HashSet::builder().hasher(hasher.clone()).resize_mode(ResizeMode::Blocking);
        let sets = (0..(capacity / WAYS).max(1)).map(|_| Mutex::default()).collect();
        Self { known: known.build(), sets, ways: capacity.min(WAYS), hasher }
    }

    /// What is known of the token, if its key is trusted still: under another `generation` than that
    /// in which the token was last seen, `is_trusted` says so.
    #[inline]
    pub(crate) fn find(
        &self,
        token: &[u8],
        generation: u64,
        is_trusted: impl FnOnce(Fingerprint) -> bool,
    ) -> Option<VerifiedToken> {
        let known = self.known.pin();
        let Known(entry) = known.get(token)?;
        if entry.generation.load(Ordering::Acquire) != generation {
            if !is_trusted(entry.key) {
                self.forget(token);
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

    pub(crate) fn has(&self, token: &[u8]) -> bool {
        self.known.pin().contains(token)
    }

    /// Remembers a token whose key was found under `generation`.
    pub(crate) fn keep(&self, token: &[u8], seen: Seen, generation: u64, now: Timestamp) {
        let entry = Known(Arc::new(Entry {
            token: Zeroizing::new(token.into()),
            verified: seen.verified,
            key: seen.key,
            generation: AtomicU64::new(generation),
            used: AtomicBool::new(false),
        }));
        let known = self.known.pin();
        let mut set = self.set(token);
        if set.remove(token) {
            known.remove(token);
        }
        if set.entries.len() >= self.ways {
            let Known(victim) = set.make_room(now);
            known.remove(&**victim.token);
        }
        set.entries.push(entry.clone());
        known.insert(entry);
    }

    fn forget(&self, token: &[u8]) {
        let mut set = self.set(token);
        if set.remove(token) {
            self.known.pin().remove(token);
        }
    }

    fn set(&self, token: &[u8]) -> MutexGuard<'_, Set> {
        // The upper half of the product is uniform below the number of sets.
        let index = (u128::from(self.hasher.hash_one(token)) * self.sets.len() as u128) >> 64;
        self.sets[index as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_for(&self, token: &[u8]) -> bool {
        **self.0.token == *token
    }
}

impl Borrow<[u8]> for Known {
    fn borrow(&self) -> &[u8] {
        &self.0.token
    }
}

impl Hash for Known {
    fn hash<S: Hasher>(&self, state: &mut S) {
        <Self as Borrow<[u8]>>::borrow(self).hash(state);
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.is_for(&other.0.token)
    }
}

impl Eq for Known {}

impl Set {
    fn remove(&mut self, token: &[u8]) -> bool {
        let at = self.entries.iter().position(|entry| entry.is_for(token));
        at.map(|at| self.entries.remove(at)).is_some()
    }

    /// Takes out an entry that has expired, or else the next one that was not asked for since the hand
    /// came by.
    fn make_room(&mut self, now: Timestamp) -> Known {
        let expired = self.entries.iter().position(|Known(entry)| entry.verified.expires() <= now);
        let victim = expired.unwrap_or_else(|| self.turn());
        self.entries.remove(victim)
    }

    fn turn(&mut self) -> usize {
        loop {
            self.hand = (self.hand + 1) % self.entries.len();
            if !self.entries[self.hand].0.used.swap(false, Ordering::Relaxed) {
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
    #[derive(Clone, Default)]
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

    #[test]
    fn a_key_that_is_trusted_still_is_asked_about_once_and_a_token_stands_there_once() {
        let cache = TokenCache::new(NonZeroUsize::new(8).unwrap());
        let key = JwtKey::secret(Algorithm::HS256, "uH5dMgo2KqVXz0wLJ8bT4nPcRf7yEtA1").unwrap();
        for _ in 0..2 {
            let seen = Seen { verified: about("a"), key: key.print() };
            cache.keep(b"a", seen, 5, Timestamp::EPOCH);
        }
        assert_eq!(cache.sets[0].lock().unwrap().entries.len(), 1);
        assert!(cache.find(b"a", 5, |_| panic!("nothing has changed")).is_some());
        assert!(cache.find(b"a", 6, |_| true).is_some());
        assert!(cache.find(b"a", 6, |_| panic!("it was asked")).is_some());
    }

    fn about(subject: &str) -> VerifiedToken {
        VerifiedToken::nobody(Text::Own(subject.into()))
    }
}
