//! With what a table hashes whom it counts.

use std::hash::{BuildHasher, Hasher, RandomState};

use super::identity::{Identity, Parts, SEPARATOR};
use crate::KeyDigest;

/// Random numbers that nobody else knows: nobody can choose identities whose counters collide.
pub(super) struct HashKey {
    texts: RandomState,
    digests: [u64; 2],
}

impl HashKey {
    pub(super) fn new() -> Self {
        let texts = RandomState::new();
        let digests = [texts.hash_one(1), texts.hash_one(2)];
        Self { texts, digests }
    }

    /// The hash of whoever has this name.
    #[inline]
    pub(super) fn of(&self, identity: &Identity<'_>) -> u64 {
        self.of_parts(identity.parts())
    }

    /// The hash of whoever has this text for a name.
    #[inline]
    pub(super) fn of_text(&self, text: &str) -> u64 {
        self.of_parts(Parts::of_text(text))
    }

    #[inline]
    fn of_parts(&self, Parts { kind, head, tail }: Parts<'_>) -> u64 {
        let mut hasher = self.texts.build_hasher();
        // Only subjects have a head.
        if !head.is_empty() {
            hasher.write(head);
            hasher.write_u8(SEPARATOR);
        }
        hasher.write(tail);
        // Not hashed with the rest, since a keyed hash costs by the piece. Another number than those of
        // quotas, or one's limit could stand for another's kind.
        let kind = u64::from(kind).wrapping_mul(0x94D0_49BB_1331_11EB);
        hasher.finish() ^ kind
    }

    /// The hash of the key with this digest. That is as random as a hash; what has to be kept from
    /// those who choose their keys is where it leads.
    #[inline]
    pub(super) fn of_key(&self, digest: &KeyDigest) -> u64 {
        let [one, other, ..] = digest.words();
        let product = u128::from(one ^ self.digests[0]) * u128::from(other ^ self.digests[1]);
        product as u64 ^ (product >> 64) as u64
    }
}
